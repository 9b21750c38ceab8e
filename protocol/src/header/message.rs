//! Reading messages, giving them back, and transactions.

use super::field::headers;
use crate::text::Text;

headers! {
    /// PULL_MESSAGE, LITE_PULL_MESSAGE.
    PullMessageRequestHeader {
        consumer_group: Text => "consumerGroup",
        topic: Text => "topic",
        queue_id: i32 => "queueId",
        queue_offset: i64 => "queueOffset",
        max_msg_nums: i32 => "maxMsgNums",
        sys_flag: i32 => "sysFlag",
        commit_offset: i64 => "commitOffset",
        suspend_timeout_millis: i64 => "suspendTimeoutMillis",
        subscription: Option<Text> => "subscription",
        sub_version: i64 => "subVersion",
        expression_type: Option<Text> => "expressionType",
        max_msg_bytes: Option<i32> => "maxMsgBytes",
        request_source: Option<i32> => "requestSource",
        /// The spelling is RocketMQ's.
        proxy_froward_client_id: Option<Text> => "proxyFrowardClientId",
    }

    /// The answer to every pull; the four offsets are there even when nothing was found.
    PullMessageResponseHeader {
        suggest_which_broker_id: i64 => "suggestWhichBrokerId",
        next_begin_offset: i64 => "nextBeginOffset",
        min_offset: i64 => "minOffset",
        max_offset: i64 => "maxOffset",
        offset_delta: Option<i64> => "offsetDelta",
        topic_sys_flag: Option<i32> => "topicSysFlag",
        group_sys_flag: Option<i32> => "groupSysFlag",
        forbidden_type: Option<i32> => "forbiddenType",
    }

    /// QUERY_MESSAGE.
    QueryMessageRequestHeader {
        topic: Text => "topic",
        key: Text => "key",
        max_num: i32 => "maxNum",
        begin_timestamp: i64 => "beginTimestamp",
        end_timestamp: i64 => "endTimestamp",
    }

    /// The answer to QUERY_MESSAGE.
    QueryMessageResponseHeader {
        index_last_update_timestamp: i64 => "indexLastUpdateTimestamp",
        index_last_update_phyoffset: i64 => "indexLastUpdatePhyoffset",
    }

    /// VIEW_MESSAGE_BY_ID.
    ViewMessageRequestHeader {
        topic: Option<Text> => "topic",
        offset: i64 => "offset",
    }

    /// CONSUMER_SEND_MSG_BACK.
    ConsumerSendMsgBackRequestHeader {
        /// Physical offset.
        offset: i64 => "offset",
        group: Text => "group",
        delay_level: i32 => "delayLevel",
        origin_msg_id: Option<Text> => "originMsgId",
        origin_topic: Option<Text> => "originTopic",
        unit_mode: bool => "unitMode" or false,
        max_reconsume_times: Option<i32> => "maxReconsumeTimes",
    }

    /// END_TRANSACTION.
    EndTransactionRequestHeader {
        topic: Option<Text> => "topic",
        producer_group: Text => "producerGroup",
        /// Offset in the half queue.
        tran_state_table_offset: i64 => "tranStateTableOffset",
        /// Physical offset of the half message.
        commit_log_offset: i64 => "commitLogOffset",
        /// 8 commit, 12 rollback, 0 unknown.
        commit_or_rollback: i32 => "commitOrRollback",
        from_transaction_check: bool => "fromTransactionCheck" or false,
        /// The unique key.
        msg_id: Text => "msgId",
        transaction_id: Option<Text> => "transactionId",
    }

    /// CHECK_TRANSACTION_STATE, from broker to producer.
    CheckTransactionStateRequestHeader {
        topic: Option<Text> => "topic",
        tran_state_table_offset: i64 => "tranStateTableOffset",
        commit_log_offset: i64 => "commitLogOffset",
        msg_id: Option<Text> => "msgId",
        transaction_id: Option<Text> => "transactionId",
        offset_msg_id: Option<Text> => "offsetMsgId",
    }

    /// RESUME_CHECK_HALF_MESSAGE.
    ResumeCheckHalfMessageRequestHeader {
        topic: Option<Text> => "topic",
        msg_id: Option<Text> => "msgId",
    }

    /// RECALL_MESSAGE.
    RecallMessageRequestHeader {
        producer_group: Option<Text> => "producerGroup",
        topic: Text => "topic",
        recall_handle: Text => "recallHandle",
    }

    /// The answer to RECALL_MESSAGE.
    RecallMessageResponseHeader {
        msg_id: Text => "msgId",
    }

    /// PUSH_REPLY_MESSAGE_TO_CLIENT.
    ReplyMessageRequestHeader {
        producer_group: Text => "producerGroup",
        topic: Text => "topic",
        default_topic: Text => "defaultTopic",
        default_topic_queue_nums: i32 => "defaultTopicQueueNums",
        queue_id: i32 => "queueId",
        sys_flag: i32 => "sysFlag",
        born_timestamp: i64 => "bornTimestamp",
        flag: i32 => "flag",
        properties: Option<Text> => "properties",
        reconsume_times: Option<i32> => "reconsumeTimes",
        unit_mode: bool => "unitMode" or false,
        born_host: Text => "bornHost",
        store_host: Text => "storeHost",
        store_timestamp: i64 => "storeTimestamp",
    }
}
