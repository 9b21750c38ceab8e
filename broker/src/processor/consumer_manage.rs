//! What a running consumer asks and tells about its group (38, 14, 15).

use crate::error::BrokerError;
use crate::node::Node;
use crate::reply::{Answer, success};
use protocol::RemotingCommand;
use protocol::body::{Body, GetConsumerListByGroupResponseBody};
use protocol::header::{
    GetConsumerListByGroupRequestHeader, QueryConsumerOffsetRequestHeader, QueryConsumerOffsetResponseHeader,
    UpdateConsumerOffsetRequestHeader,
};
use remoting::Connection;
use std::sync::Arc;

/// GET_CONSUMER_LIST_BY_GROUP. A group without members is an error: an empty list would make its consumers drop all
/// their queues.
pub fn consumer_list(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: GetConsumerListByGroupRequestHeader = request.header()?;
    let clients = node.clients.read();
    let group = clients.consumer_group(&header.consumer_group);
    let group =
        group.ok_or_else(|| BrokerError::GroupEmpty { group: header.consumer_group.as_str().to_owned() })?;
    let body =
        GetConsumerListByGroupResponseBody { consumer_id_list: group.client_ids().into_iter().collect() };
    Ok(success().with_body(body.encode()))
}

/// QUERY_CONSUMER_OFFSET. A group that has no offset begins at 0 only where the queue still holds all that it ever held
/// and its first message is recent; elsewhere the client decides where to begin.
pub fn query_offset(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: QueryConsumerOffsetRequestHeader = request.header()?;
    let queue = queue_id(header.queue_id)?;
    let known = node.metadata.offsets.get(&header.consumer_group, &header.topic, queue);
    let offset = match known {
        Some(offset) => offset,
        None if header.set_zero_if_not_found != Some(false) && begins_at_zero(node, &header.topic, queue) => {
            0
        }
        None => return Err(BrokerError::OffsetUnknown),
    };
    Ok(success().with_header(&QueryConsumerOffsetResponseHeader { offset }))
}

fn begins_at_zero(node: &Node, topic: &str, queue: u32) -> bool {
    let Some(queue) = node.store.find_queue(topic, queue) else {
        return node.metadata.topic(topic).is_some();
    };
    if queue.min_offset() > 0 {
        return false;
    }
    match queue.unit(0) {
        Ok(Some(unit)) => unit.physical_offset.saturating_add(node.memory_span) > node.store.commit_log_max(),
        Ok(None) => queue.max_offset() == 0,
        Err(_) => false,
    }
}

/// UPDATE_CONSUMER_OFFSET. The last write wins, backwards too; ignored while a reset waits for the group.
pub fn update_offset(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: UpdateConsumerOffsetRequestHeader = request.header()?;
    let queue = check_update(node, &header)?;
    node.journal.commit_offset(&header.consumer_group, &header.topic, queue, header.commit_offset);
    Ok(success())
}

/// Whether an offset may be committed; tells the queue.
pub fn check_update(node: &Node, header: &UpdateConsumerOffsetRequestHeader) -> Result<u32, BrokerError> {
    let group = node.metadata.group(&header.consumer_group);
    group.ok_or_else(|| BrokerError::GroupUnknown { group: header.consumer_group.as_str().to_owned() })?;
    let topic = node.metadata.topic(&header.topic);
    let topic = topic.ok_or_else(|| BrokerError::TopicUnknown { topic: header.topic.as_str().to_owned() })?;
    let queue = queue_id(header.queue_id)?;
    if queue >= topic.queues() {
        let (asked, queues) = (header.queue_id, topic.queues());
        return Err(BrokerError::QueueIllegal { topic: topic.name().to_owned(), queue: asked, queues });
    }
    if header.commit_offset < 0 {
        let value = header.commit_offset.to_string();
        return Err(BrokerError::Parameter { name: "commitOffset", value, allowed: "0 or more" });
    }
    Ok(queue)
}

/// A queue id that a client sent.
pub(super) fn queue_id(asked: i32) -> Result<u32, BrokerError> {
    let illegal =
        |_| BrokerError::Parameter { name: "queueId", value: asked.to_string(), allowed: "0 or more" };
    u32::try_from(asked).map_err(illegal)
}
