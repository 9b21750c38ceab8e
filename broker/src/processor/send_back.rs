//! CONSUMER_SEND_MSG_BACK (36): a message that a consumer could not digest goes to its group's retry topic with a
//! delay that grows, or, tried often enough, to the dead letter queue.
//!
//! Always true: the copy is stored before the consumer is told so; then the original counts as consumed.

use super::send_record::single;
use crate::caller::Caller;
use crate::delay_levels::queue_of_level;
use crate::error::BrokerError;
use crate::metadata::{Group, Topic};
use crate::node::Node;
use crate::reply::{reply, success};
use crate::stats::StatName;
use protocol::header::ConsumerSendMsgBackRequestHeader;
use protocol::message::{MessageFields, MessageView};
use protocol::properties::{self as names, Properties};
use protocol::{RemotingCommand, perm, sys_flag, topic};
use remoting::Connection;
use std::sync::Arc;
use store::{Put, PutStatus, StoreError};

/// The first retry waits as long as this level. Source: RocketMQ `SendMessageProcessor`: 3 + reconsumeTimes.
const FIRST_RETRY_LEVEL: i32 = 3;
/// Client versions from here on may say how often a message is tried.
const MAX_RECONSUME_VERSION: i32 = 121;

/// Serves one send-back, on a worker thread: the original may have to be read from the disk.
pub fn send_back(node: &Arc<Node>, connection: &Arc<Connection>, request: RemotingCommand) {
    let caller = Caller::of(connection, &request);
    let (node_there, connection_there) = (Arc::clone(node), Arc::clone(connection));
    let job = Box::new(move || match place(&node_there, &connection_there, &request) {
        Ok(Placed::Put) => {}
        Ok(Placed::NothingToDo) => reply(&connection_there, &request, Ok(success())),
        Err(error) => reply(&connection_there, &request, Err(error)),
    });
    if node.errands.try_do(job).is_err() {
        caller.answer(Err(BrokerError::Busy));
    }
}

enum Placed {
    /// The store has the copy, and will answer.
    Put,
    /// The group wants no retries.
    NothingToDo,
}

fn place(
    node: &Arc<Node>,
    connection: &Arc<Connection>,
    request: &RemotingCommand,
) -> Result<Placed, BrokerError> {
    node.check_writable()?;
    let header: ConsumerSendMsgBackRequestHeader = request.header()?;
    let group = node.metadata.group(&header.group);
    let group = group.ok_or_else(|| BrokerError::GroupUnknown { group: header.group.as_str().to_owned() })?;
    let config = node.config.get();
    if !perm::is_writable(config.broker.broker_permission) {
        return Err(BrokerError::BrokerNotWritable { topic: topic::retry_topic(&header.group) });
    }
    if group.config.retry_queue_nums <= 0 {
        return Ok(Placed::NothingToDo);
    }
    let missing = || BrokerError::MessageMissing { offset: header.offset };
    let offset = u64::try_from(header.offset).map_err(|_| missing())?;
    let record = node.store.message_at(offset)?.ok_or_else(missing)?;
    let original = MessageView::parse(&record)?;
    let max = header.max_reconsume_times.filter(|_| request.version >= MAX_RECONSUME_VERSION);
    let max = max.unwrap_or(group.config.retry_max_times);
    let is_dead = original.reconsume_times >= max || header.delay_level < 0;
    let target = target_topic(node, &header, &group, is_dead)?;
    if !target.is_writable() {
        return Err(BrokerError::BrokerNotWritable { topic: target.name().to_owned() });
    }
    let back = Back { node, header: &header, original: &original, is_dead };
    back.put(&target, Caller::of(connection, request))?;
    Ok(Placed::Put)
}

fn target_topic(
    node: &Node,
    header: &ConsumerSendMsgBackRequestHeader,
    group: &Group,
    is_dead: bool,
) -> Result<Arc<Topic>, BrokerError> {
    let read_write = perm::READ | perm::WRITE;
    if is_dead {
        return node.topic_or_make(&topic::dlq_topic(&header.group), 1, read_write, 0);
    }
    let sys_flag = if header.unit_mode { sys_flag::topic::UNIT_SUBSCRIPTION } else { 0 };
    node.topic_or_make(
        &topic::retry_topic(&header.group),
        group.config.retry_queue_nums,
        read_write,
        sys_flag,
    )
}

/// One message on its way back.
struct Back<'a> {
    node: &'a Arc<Node>,
    header: &'a ConsumerSendMsgBackRequestHeader,
    original: &'a MessageView<'a>,
    is_dead: bool,
}

impl Back<'_> {
    fn put(&self, target: &Topic, caller: Caller) -> Result<(), BrokerError> {
        let queue =
            self.original.queue_offset.checked_rem(u64::from(target.write_queues())).unwrap_or(0) as u32;
        let level = if self.is_dead { None } else { self.node.delay_levels.clamp(self.asked_level()) };
        let mut properties = self.properties(target, level);
        let (stored_topic, stored_queue) = match level {
            None => (target.name(), queue),
            Some(level) => {
                properties.set(names::REAL_TOPIC, target.name());
                properties.set(names::REAL_QUEUE_ID, queue.to_string());
                (topic::SCHEDULE, queue_of_level(level))
            }
        };
        let text = properties.to_text();
        let original = self.original;
        let queue_id = i32::try_from(stored_queue).unwrap_or(i32::MAX);
        let fields = MessageFields {
            flag: original.flag,
            sys_flag: original.sys_flag,
            born_timestamp: original.born_timestamp,
            reconsume_times: original.reconsume_times.saturating_add(1),
            properties: &text,
            ..MessageFields::new(
                stored_topic,
                queue_id,
                original.body,
                original.born_host,
                self.node.identity.address,
            )
        };
        let records = single(&fields)?;
        let queue = self.node.store.queue(stored_topic, stored_queue)?;
        let done = self.completion(caller);
        Ok(self.node.log.put(Put { queue, records, wait: false, done })?)
    }

    fn asked_level(&self) -> i32 {
        match self.header.delay_level {
            0 => FIRST_RETRY_LEVEL.saturating_add(self.original.reconsume_times),
            level => level,
        }
    }

    fn properties(&self, target: &Topic, level: Option<u32>) -> Properties {
        let original = self.original;
        let mut properties = Properties::parse(original.properties);
        if !properties.contains(names::RETRY_TOPIC) {
            properties.set(names::RETRY_TOPIC, original.topic);
        }
        let origin = match properties.get(names::ORIGIN_MESSAGE_ID) {
            Some(known) => known.to_owned(),
            None => original.offset_message_id().text(),
        };
        if self.is_dead {
            let topic = properties.get(names::RETRY_TOPIC).unwrap_or(original.topic).to_owned();
            properties.set(names::DLQ_ORIGIN_TOPIC, topic);
            properties.set(names::DLQ_ORIGIN_MESSAGE_ID, origin.clone());
            self.count_dead(target);
        }
        properties.set(names::ORIGIN_MESSAGE_ID, origin);
        properties.set(names::WAIT, "false");
        for leftover in [names::DELAY, names::REAL_TOPIC, names::REAL_QUEUE_ID] {
            properties.remove(leftover);
        }
        if let Some(level) = level {
            properties.set(names::DELAY, level.to_string());
        }
        properties
    }

    fn count_dead(&self, target: &Topic) {
        let group = self.header.group.as_str();
        self.node.stats.add(StatName::DlqPutNums, &format!("{}@{group}", target.name()), 1);
        self.node.stats.add(StatName::SendBackToDlqTimes, &format!("{}@{group}", self.original.topic), 1);
    }

    /// Anything but a full success is an error: the consumer then sends the message itself.
    fn completion(&self, caller: Caller) -> store::Done {
        let node = Arc::clone(self.node);
        let origin = self.header.origin_topic.as_deref().unwrap_or(self.original.topic).to_owned();
        let key = format!("{origin}@{}", self.header.group.as_str());
        Box::new(move |result| {
            let answer = match result {
                Ok(put) if put.status == PutStatus::Ok => {
                    node.stats.add(StatName::SendBackPutNums, &key, 1);
                    Ok(success())
                }
                Ok(_) => Err(BrokerError::Store(StoreError::Failed)),
                Err(error) => Err(BrokerError::Store(error)),
            };
            caller.answer(answer);
        })
    }
}
