//! What a consumer tells about itself, and how it consumed one message on request. A broker only passes these on.

use std::collections::BTreeMap;

use super::heartbeat::SubscriptionData;
use super::queue::MessageQueue;
use crate::json::macros::{bodies, json_enums};

json_enums! {
    /// How consuming one message directly ended.
    CMResult {
        CrSuccess "CR_SUCCESS",
        CrLater "CR_LATER",
        CrRollback "CR_ROLLBACK",
        CrCommit "CR_COMMIT",
        CrThrowException "CR_THROW_EXCEPTION",
        CrReturnNull "CR_RETURN_NULL",
    } default CrSuccess
}

bodies! {
    /// One queue that a push consumer has in hand.
    ProcessQueueInfo {
        cached_msg_count: i32 => "cachedMsgCount",
        cached_msg_max_offset: i64 => "cachedMsgMaxOffset",
        cached_msg_min_offset: i64 => "cachedMsgMinOffset",
        cached_msg_size_in_mi_b: i32 => "cachedMsgSizeInMiB",
        commit_offset: i64 => "commitOffset",
        /// The spelling is RocketMQ's.
        droped: bool => "droped",
        last_consume_timestamp: i64 => "lastConsumeTimestamp",
        last_lock_timestamp: i64 => "lastLockTimestamp",
        last_pull_timestamp: i64 => "lastPullTimestamp",
        locked: bool => "locked",
        transaction_msg_count: i32 => "transactionMsgCount",
        transaction_msg_max_offset: i64 => "transactionMsgMaxOffset",
        transaction_msg_min_offset: i64 => "transactionMsgMinOffset",
        try_unlock_times: i64 => "tryUnlockTimes",
    }

    /// One queue that a consumer pops from.
    PopProcessQueueInfo {
        /// The spelling is RocketMQ's.
        droped: bool => "droped",
        last_pop_timestamp: i64 => "lastPopTimestamp",
        wait_ack_count: i32 => "waitAckCount",
    }

    /// Rates of one topic at one consumer.
    ConsumeStatus {
        consume_failed_msgs: i64 => "consumeFailedMsgs",
        consume_failed_tps: f64 => "consumeFailedTPS",
        consume_ok_tps: f64 => "consumeOKTPS",
        consume_rt: f64 => "consumeRT",
        pull_rt: f64 => "pullRT",
        pull_tps: f64 => "pullTPS",
    }

    /// GET_CONSUMER_RUNNING_INFO.
    ConsumerRunningInfo {
        jstack: Option<String> => "jstack",
        mq_pop_table: BTreeMap<MessageQueue, PopProcessQueueInfo> => "mqPopTable",
        mq_table: BTreeMap<MessageQueue, ProcessQueueInfo> => "mqTable",
        properties: BTreeMap<String, String> => "properties",
        status_table: BTreeMap<String, ConsumeStatus> => "statusTable",
        subscription_set: Vec<SubscriptionData> => "subscriptionSet",
        user_consumer_info: BTreeMap<String, String> => "userConsumerInfo",
    }

    /// CONSUME_MESSAGE_DIRECTLY.
    ConsumeMessageDirectlyResult {
        auto_commit: bool => "autoCommit" or true,
        consume_result: Option<CMResult> => "consumeResult",
        order: bool => "order",
        remark: Option<String> => "remark",
        spent_time_mills: i64 => "spentTimeMills",
    }
}
