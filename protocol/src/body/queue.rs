//! The queue, the data version and the plain tables that many bodies are made of.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::BodyError;
use crate::json::macros::bodies;
use crate::json::{JsonKey, Value, Writer};

bodies! {
    /// One queue of one broker; also the key of several tables.
    MessageQueue {
        broker_name: String => "brokerName",
        queue_id: i32 => "queueId",
        topic: String => "topic",
    }

    /// The version of a table. Two are equal when all three numbers are.
    DataVersion {
        counter: i64 => "counter",
        /// The Raft term, or 0: the name server refuses an older one.
        state_version: i64 => "stateVersion",
        timestamp: i64 => "timestamp",
    }

    /// GET_KVLIST_BY_NAMESPACE, GET_BROKER_RUNTIME_INFO, and the answer to REGISTER_BROKER.
    KVTable {
        table: BTreeMap<String, String> => "table",
    }

    /// All topic lists.
    TopicList {
        broker_addr: Option<String> => "brokerAddr",
        topic_list: BTreeSet<String> => "topicList",
    }

    /// QUERY_TOPIC_CONSUME_BY_WHO.
    GroupList {
        group_list: BTreeSet<String> => "groupList",
    }
}

impl Copy for DataVersion {}

impl Eq for DataVersion {}

impl Eq for MessageQueue {}

impl MessageQueue {
    /// A queue.
    pub fn new(topic: impl Into<String>, broker_name: impl Into<String>, queue_id: i32) -> Self {
        Self { broker_name: broker_name.into(), queue_id, topic: topic.into() }
    }
}

impl std::hash::Hash for MessageQueue {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.topic, &self.broker_name, self.queue_id).hash(state);
    }
}

/// By topic, broker and queue, as Java's: clients of one group must all sort alike to share the queues.
impl Ord for MessageQueue {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.topic, &self.broker_name, self.queue_id).cmp(&(
            &other.topic,
            &other.broker_name,
            other.queue_id,
        ))
    }
}

impl PartialOrd for MessageQueue {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl JsonKey for MessageQueue {
    fn write_key(&self, writer: &mut Writer) {
        crate::json::write_object_key(self, writer);
    }

    fn read_key(key: Value) -> Result<Self, BodyError> {
        crate::json::read_object_key(key)
    }
}
