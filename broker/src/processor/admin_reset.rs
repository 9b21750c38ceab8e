//! INVOKE_BROKER_TO_RESET_OFFSET (222): moves a group to another place in a topic.
//!
//! On the broker (the default): the new offsets are noted, and each queue's next pull of the group is answered 21 with
//! its new offset; until then the clients' own commits are ignored. In the clients (`useServerSideResetOffset=false`):
//! every member gets the table (220) and moves itself.

use super::consumer_manage::queue_id;
use super::queue_offset::signed;
use crate::error::BrokerError;
use crate::metadata::{MetadataCommand, QueueOffsets, Topic};
use crate::node::Node;
use crate::reply::{Answer, success};
use protocol::body::{Body, MessageQueue, ResetOffsetBody, ResetOffsetBodyForC};
use protocol::header::ResetOffsetRequestHeader;
use protocol::{LanguageCode, RemotingCommand, RequestCode};
use remoting::Connection;
use std::sync::Arc;
use store::Boundary;

/// Means "the end of the queue" as a time.
const TO_THE_END: i64 = -1;

/// Serves one reset.
pub fn reset(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: ResetOffsetRequestHeader = request.header()?;
    let topic = node.metadata.topic(&header.topic);
    let topic =
        topic.ok_or_else(|| BrokerError::AdminTopicUnknown { topic: header.topic.as_str().to_owned() })?;
    let group = node.metadata.group(&header.group);
    group.ok_or_else(|| BrokerError::GroupUnknown { group: header.group.as_str().to_owned() })?;
    let offsets = new_offsets(node, &header, &topic)?;
    let body = reset_body(node, &header, &offsets);
    if node.config.get().broker.server_side_reset {
        let (group, topic) = (header.group.as_str().to_owned(), header.topic.as_str().to_owned());
        node.journal.propose(&MetadataCommand::ResetOffsets { group, topic, offsets })?;
        node.arrivals.wake_topic(&header.topic);
    } else {
        tell_members(node, &header, &body)?;
    }
    Ok(success().with_body(body.encode()))
}

fn new_offsets(
    node: &Node,
    header: &ResetOffsetRequestHeader,
    topic: &Topic,
) -> Result<QueueOffsets, BrokerError> {
    let queues = if header.queue_id < 0 { 0..topic.queues() } else { one(header.queue_id, topic)? };
    let mut offsets = QueueOffsets::new();
    for queue in queues {
        let wanted = wanted_offset(node, header, queue)?;
        let consumed = node.metadata.offsets.get(&header.group, &header.topic, queue);
        // Without force a group only goes back: nothing is skipped by accident.
        let is_forward = consumed.is_some_and(|consumed| wanted > consumed);
        let offset = if is_forward && !header.is_force { consumed.unwrap_or(wanted) } else { wanted };
        offsets.insert(queue, offset);
    }
    Ok(offsets)
}

fn wanted_offset(node: &Node, header: &ResetOffsetRequestHeader, queue: u32) -> Result<i64, BrokerError> {
    let (min, max) =
        (node.store.min_offset(&header.topic, queue), node.store.max_offset(&header.topic, queue));
    if let Some(offset) = header.offset.filter(|offset| *offset >= 0 && header.queue_id >= 0) {
        return Ok(offset.clamp(signed(min), signed(max)));
    }
    if header.timestamp == TO_THE_END {
        return Ok(signed(max));
    }
    Ok(signed(node.store.offset_by_time(&header.topic, queue, header.timestamp, Boundary::Lower)?))
}

fn one(asked: i32, topic: &Topic) -> Result<std::ops::Range<u32>, BrokerError> {
    let (queue, queues) = (queue_id(asked)?, topic.queues());
    if queue >= queues {
        return Err(BrokerError::QueueIllegal { topic: topic.name().to_owned(), queue: asked, queues });
    }
    Ok(queue..queue + 1)
}

fn reset_body(node: &Node, header: &ResetOffsetRequestHeader, offsets: &QueueOffsets) -> ResetOffsetBody {
    let queue_of = |queue: u32| {
        let queue = i32::try_from(queue).unwrap_or(i32::MAX);
        MessageQueue::new(header.topic.as_str(), &*node.identity.broker, queue)
    };
    ResetOffsetBody {
        offset_table: offsets.iter().map(|(&queue, &offset)| (queue_of(queue), offset)).collect(),
    }
}

fn tell_members(
    node: &Node,
    header: &ResetOffsetRequestHeader,
    body: &ResetOffsetBody,
) -> Result<(), BrokerError> {
    let clients = node.clients.read();
    let offline = || BrokerError::ConsumerOffline { group: header.group.as_str().to_owned() };
    for member in clients.consumer_group(&header.group).ok_or_else(offline)?.members() {
        // C++ clients cannot read objects as keys.
        let body = match member.language {
            LanguageCode::Cpp => ResetOffsetBodyForC::from(body).encode(),
            _ => body.encode(),
        };
        let command =
            RemotingCommand::request_with(RequestCode::ResetConsumerClientOffset, header).with_body(body);
        if let Err(error) = member.connection.oneway(command) {
            tracing::warn!(client = &*member.client_id, %error, "a consumer was not told of its reset");
        }
    }
    Ok(())
}
