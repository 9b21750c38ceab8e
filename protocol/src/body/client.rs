//! Who is connected; locks of orderly consumers; queue assignments.

use std::collections::{BTreeMap, BTreeSet};

use super::heartbeat::{ConsumeFromWhere, ConsumeType, MessageModel, SubscriptionData};
use super::queue::MessageQueue;
use crate::json::macros::bodies;
use crate::language::LanguageCode;

bodies! {
    /// GET_CONSUMER_LIST_BY_GROUP.
    GetConsumerListByGroupResponseBody {
        consumer_id_list: Vec<String> => "consumerIdList",
    }

    /// LOCK_BATCH_MQ.
    LockBatchRequestBody {
        client_id: String => "clientId",
        consumer_group: String => "consumerGroup",
        mq_set: BTreeSet<MessageQueue> => "mqSet",
        only_this_broker: bool => "onlyThisBroker",
    }

    /// The answer to LOCK_BATCH_MQ.
    LockBatchResponseBody {
        lock_ok_mq_set: BTreeSet<MessageQueue> => "lockOKMQSet",
    }

    /// UNLOCK_BATCH_MQ.
    UnlockBatchRequestBody {
        client_id: String => "clientId",
        consumer_group: String => "consumerGroup",
        mq_set: BTreeSet<MessageQueue> => "mqSet",
        only_this_broker: bool => "onlyThisBroker",
    }

    /// One connected client.
    Connection {
        client_addr: String => "clientAddr",
        client_id: String => "clientId",
        language: LanguageCode => "language",
        version: i32 => "version",
    }

    /// GET_CONSUMER_CONNECTION_LIST.
    ConsumerConnection {
        connection_set: Vec<Connection> => "connectionSet",
        consume_from_where: Option<ConsumeFromWhere> => "consumeFromWhere",
        consume_type: Option<ConsumeType> => "consumeType",
        message_model: Option<MessageModel> => "messageModel",
        subscription_table: BTreeMap<String, SubscriptionData> => "subscriptionTable",
    }

    /// GET_PRODUCER_CONNECTION_LIST.
    ProducerConnection {
        connection_set: Vec<Connection> => "connectionSet",
    }

    /// One connected producer.
    ProducerInfo {
        client_id: String => "clientId",
        language: LanguageCode => "language",
        last_update_timestamp: i64 => "lastUpdateTimestamp",
        remote_ip: String => "remoteIP",
        version: i32 => "version",
    }

    /// GET_ALL_PRODUCER_INFO: by group.
    ProducerTableInfo {
        data: BTreeMap<String, Vec<ProducerInfo>> => "data",
    }

    /// QUERY_ASSIGNMENT.
    QueryAssignmentRequestBody {
        client_id: String => "clientId",
        consumer_group: String => "consumerGroup",
        message_model: MessageModel => "messageModel",
        strategy_name: Option<String> => "strategyName",
        topic: String => "topic",
    }

    /// One queue for one consumer.
    MessageQueueAssignment {
        attachments: Option<BTreeMap<String, String>> => "attachments",
        message_queue: Option<MessageQueue> => "messageQueue",
        /// `PULL` or `POP`.
        mode: String => "mode" or "PULL".to_owned(),
    }

    /// The answer to QUERY_ASSIGNMENT.
    QueryAssignmentResponseBody {
        message_queue_assignments: Vec<MessageQueueAssignment> => "messageQueueAssignments",
    }
}
