//! The units of a consume queue as they are (321), for people who look for a message that does not arrive.

use super::consumer_manage::queue_id;
use super::queue_offset::signed;
use crate::error::BrokerError;
use crate::node::Node;
use crate::reply::{Answer, success};
use protocol::RemotingCommand;
use protocol::body::{Body, ConsumeQueueData, QueryConsumeQueueResponseBody};
use protocol::header::QueryConsumeQueueRequestHeader;
use remoting::Connection;
use std::sync::Arc;

/// Most units of one answer.
const UNITS_MAX: usize = 1_000;

/// QUERY_CONSUME_QUEUE.
pub fn units(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: QueryConsumeQueueRequestHeader = request.header()?;
    let topic = header.topic.as_deref().unwrap_or_default();
    let id = queue_id(header.queue_id)?;
    let queue = node.store.find_queue(topic, id);
    let queue =
        queue.ok_or_else(|| BrokerError::ConsumeQueueUnknown { topic: topic.to_owned(), queue: id })?;
    let group = header.consumer_group.as_deref().unwrap_or_default();
    let subscription =
        node.clients.read().subscription(group, topic).and_then(|(_, subscription)| subscription);
    let from = u64::try_from(header.index).unwrap_or(0).max(queue.min_offset());
    let count = usize::try_from(header.count).unwrap_or(0).clamp(1, UNITS_MAX);
    let mut found = Vec::new();
    queue.units(from, count, &mut found)?;
    let shown = found.iter().map(|unit| ConsumeQueueData {
        physic_offset: signed(unit.physical_offset),
        physic_size: i32::try_from(unit.bytes).unwrap_or(i32::MAX),
        tags_code: unit.tags_code,
        eval: subscription.as_ref().is_some_and(|subscription| subscription.wanted.matches(unit.tags_code)),
        ..ConsumeQueueData::default()
    });
    // RocketMQ prints its filter as JSON, and has none for tags.
    let filter =
        if subscription.is_some() { "null".to_owned() } else { format!("{group}@{topic} is not online!") };
    let body = QueryConsumeQueueResponseBody {
        max_queue_index: signed(queue.max_offset()),
        min_queue_index: signed(queue.min_offset()),
        queue_data: Some(shown.collect()),
        subscription_data: subscription.map(|subscription| subscription.data.clone()),
        filter_data: (!group.is_empty()).then_some(filter),
    };
    Ok(success().with_body(body.encode()))
}
