//! The end of a send: what the store says becomes the answer, on the store's own thread.

use crate::caller::Caller;
use crate::error::BrokerError;
use crate::metadata::{PutCounters, Topic};
use crate::node::Node;
use crate::stats::{BrokerStats, StatName};
use protocol::frame::SendAnswer;
use protocol::message_id::{OFFSET_ID_V4_LEN, OffsetMessageId};
use protocol::{RemotingCommand, ResponseCode, properties};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Instant;
use store::{PutResult, PutStatus, StoreError};

/// A unique key; one of Java's has 32 characters.
pub type UniqueKeyText = SmallVec<[u8; 32]>;

/// Everything that the answer to a send is made of, besides what the store says.
#[derive(Debug)]
pub struct SendReply {
    /// Who waits.
    pub caller: Caller,
    /// The broker.
    pub node: Arc<Node>,
    /// The topic that the message is counted for.
    pub topic: Arc<Topic>,
    /// The queue that the sender is told.
    pub queue: u32,
    /// The unique key of the message, when the producer made one. A copy: a slice would keep the read buffer that it is in.
    pub unique_key: Option<UniqueKeyText>,
    /// How many bytes go into the log.
    pub bytes: usize,
    /// When the request was read.
    pub started: Instant,
    /// In a group the request itself: another replica may take what the log refuses.
    pub request: Option<Box<RemotingCommand>>,
}

impl SendReply {
    /// Counts and answers.
    pub fn finish(self, result: Result<PutResult, StoreError>) {
        let put = match result {
            Ok(put) => put,
            Err(error) => {
                let error = BrokerError::Store(error);
                if let (Some(request), Some(group)) = (self.request, &self.node.group)
                    && group.may_go_elsewhere(&error)
                {
                    return group.forwarder.take_back(self.caller, *request);
                }
                tracing::warn!(topic = self.topic.name(), %error, "a message was not stored");
                return self.caller.answer(Err(error));
            }
        };
        self.count(put.physical_offsets.len() as u64);
        if self.caller.is_oneway() {
            return;
        }
        match self.caller.json_opaque() {
            Some(opaque) if put.status == PutStatus::Ok => self.answer_shortly(opaque, &put),
            _ => self.caller.answer(Ok(self.answer(&put))),
        }
    }

    /// The usual answer, written where it leaves from.
    fn answer_shortly(&self, opaque: i32, put: &PutResult) {
        let config = self.node.config.get();
        let answer = SendAnswer {
            opaque,
            store_host: self.node.identity.address,
            physical_offsets: &put.physical_offsets,
            queue_id: self.queue,
            queue_offset: put.queue_offset,
            transaction_id: self.unique_key.as_deref(),
            region: &config.broker.region_id,
            is_traced: config.broker.trace_on,
        };
        self.caller.connection.send_encoded(|out| answer.encode(out));
    }

    fn answer(&self, put: &PutResult) -> RemotingCommand {
        let mut answer = match put.status {
            PutStatus::Ok => RemotingCommand::response(ResponseCode::Success),
            PutStatus::FlushDiskTimeout => RemotingCommand::response(ResponseCode::FlushDiskTimeout)
                .with_remark("the message is stored, and was not flushed in time"),
            PutStatus::FlushSlaveTimeout => RemotingCommand::response(ResponseCode::FlushSlaveTimeout)
                .with_remark("the message is stored, and did not reach a slave in time"),
            PutStatus::SlaveNotAvailable => RemotingCommand::response(ResponseCode::SlaveNotAvailable)
                .with_remark("the message is stored, and there is no slave"),
        };
        let config = self.node.config.get();
        let fields = &mut answer.ext_fields;
        fields.insert("msgId", &self.message_ids(put));
        fields.insert_i64("queueId", i64::from(self.queue));
        fields.insert_i64("queueOffset", put.queue_offset as i64);
        if let Some(unique_key) = &self.unique_key {
            fields.insert("transactionId", std::str::from_utf8(unique_key).unwrap_or_default());
        }
        // Java looks these two up without a check: they make sure that there are ext fields.
        fields.insert(properties::MSG_REGION, &config.broker.region_id);
        fields.insert_bool(properties::TRACE_ON, config.broker.trace_on);
        answer
    }

    /// The offset message id; those of a batch joined by commas.
    fn message_ids(&self, put: &PutResult) -> String {
        let store_host = self.node.identity.address;
        let mut ids = String::with_capacity(put.physical_offsets.len() * (OFFSET_ID_V4_LEN + 1));
        for &physical_offset in &put.physical_offsets {
            if !ids.is_empty() {
                ids.push(',');
            }
            OffsetMessageId { store_host, physical_offset }.append(&mut ids);
        }
        ids
    }

    fn count(&self, messages: u64) {
        let counters = self.topic.counters.get_or_init(|| put_counters(&self.node.stats, &self.topic));
        let bytes = self.bytes as u64;
        counters.messages.add(messages, 1);
        counters.bytes.add(bytes, 1);
        self.node.counters.put.add(messages, 1);
        if let Some(queue) = counters.queues.get(self.queue as usize) {
            queue.messages.add(messages, 1);
            queue.bytes.add(bytes, 1);
            queue.latency.add(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX), 1);
        }
    }
}

/// Finds the statistics of a topic, once.
fn put_counters(stats: &BrokerStats, topic: &Topic) -> PutCounters {
    let name = topic.name();
    let queue = |queue: u32| crate::metadata::QueueCounters {
        messages: stats.item(StatName::QueuePutNums, &format!("{name}@{queue}")),
        bytes: stats.item(StatName::QueuePutSize, &format!("{name}@{queue}")),
        latency: stats.item(StatName::TopicPutLatency, &format!("{queue}@{name}")),
    };
    PutCounters {
        messages: stats.item(StatName::TopicPutNums, name),
        bytes: stats.item(StatName::TopicPutSize, name),
        queues: (0..topic.queues()).map(queue).collect(),
    }
}
