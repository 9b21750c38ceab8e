//! How far groups are behind (208, 317, 303).

use super::queue_offset::signed;
use crate::error::BrokerError;
use crate::metadata::Topic;
use crate::node::Node;
use crate::reply::{Answer, success};
use crate::stats::StatName;
use protocol::RemotingCommand;
use protocol::body::{
    Body, ConsumeStats, ConsumeStatsList, MessageQueue, OffsetWrapper, QueryConsumeTimeSpanBody,
    QueueTimeSpan,
};
use protocol::header::{
    GetConsumeStatsInBrokerHeader, GetConsumeStatsRequestHeader, QueryConsumeTimeSpanRequestHeader,
};
use remoting::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// GET_CONSUME_STATS.
pub fn of_group(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: GetConsumeStatsRequestHeader = request.header()?;
    let listed = header.topic_list.as_deref().unwrap_or_default().split(';').map(str::trim);
    let mut topics: BTreeSet<String> = listed.filter(|topic| !topic.is_empty()).map(str::to_owned).collect();
    match header.topic.as_deref() {
        Some(topic) if !topic.is_empty() => drop(topics.insert(topic.to_owned())),
        _ if topics.is_empty() => topics = node.metadata.offsets.topics_of(&header.consumer_group),
        _ => {}
    }
    let mut stats = ConsumeStats::default();
    for topic in topics {
        let Some(topic) = node.metadata.topic(&topic) else { continue };
        add_topic(node, &header.consumer_group, &topic, &mut stats)?;
    }
    Ok(success().with_body(stats.encode()))
}

/// Adds the queues of one topic to a group's figures.
fn add_topic(node: &Node, group: &str, topic: &Topic, stats: &mut ConsumeStats) -> Result<(), BrokerError> {
    for queue in 0..topic.read_queues() {
        let broker_offset = signed(node.store.max_offset(topic.name(), queue));
        let consumer_offset = node.metadata.offsets.get(group, topic.name(), queue).unwrap_or(0).max(0);
        let last_timestamp = consumed_time(node, topic.name(), queue, consumer_offset)?;
        let id = i32::try_from(queue).unwrap_or(i32::MAX);
        let offset =
            OffsetWrapper { broker_offset, consumer_offset, last_timestamp, pull_offset: consumer_offset };
        stats.offset_table.insert(MessageQueue::new(topic.name(), &*node.identity.broker, id), offset);
    }
    let key = format!("{}@{group}", topic.name());
    let read = node.stats.find(StatName::GroupGetNums, &key);
    stats.consume_tps += read.map_or(0.0, |item| item.windows().minute.per_second);
    Ok(())
}

/// When the last consumed message was stored; 0 when there is none, or it is gone.
fn consumed_time(node: &Node, topic: &str, queue: u32, consumer_offset: i64) -> Result<i64, BrokerError> {
    let last = u64::try_from(consumer_offset).ok().and_then(|offset| offset.checked_sub(1));
    match last {
        Some(last) => Ok(node.store.store_time(topic, queue, last)?.unwrap_or(0)),
        None => Ok(0),
    }
}

/// GET_BROKER_CONSUME_STATS: all groups that have offsets.
pub fn of_broker(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: GetConsumeStatsInBrokerHeader = request.header()?;
    let mut body = ConsumeStatsList {
        broker_addr: Some(node.identity.advertised.to_string()),
        ..ConsumeStatsList::default()
    };
    let groups: Vec<String> =
        node.metadata.groups.read().iter().map(|group| group.config.group_name.clone()).collect();
    for group in groups {
        let mut list = Vec::new();
        for topic in node.metadata.offsets.topics_of(&group) {
            let Some(topic) =
                node.metadata.topic(&topic).filter(|topic| !header.is_order || topic.config.order)
            else {
                continue;
            };
            let mut stats = ConsumeStats::default();
            add_topic(node, &group, &topic, &mut stats)?;
            let behind =
                stats.offset_table.values().map(|offset| offset.broker_offset - offset.consumer_offset);
            body.total_diff += behind.sum::<i64>();
            list.push(stats);
        }
        body.consume_stats_list.push(BTreeMap::from([(group, list)]));
    }
    Ok(success().with_body(body.encode()))
}

/// QUERY_CONSUME_TIME_SPAN: between which times each queue holds messages, and where the group is in them.
pub fn time_span(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: QueryConsumeTimeSpanRequestHeader = request.header()?;
    let topic = node.metadata.topic(&header.topic);
    let topic =
        topic.ok_or_else(|| BrokerError::AdminTopicUnknown { topic: header.topic.as_str().to_owned() })?;
    let mut spans = Vec::new();
    for queue in 0..topic.write_queues() {
        let id = i32::try_from(queue).unwrap_or(i32::MAX);
        let (min, max) =
            (node.store.min_offset(topic.name(), queue), node.store.max_offset(topic.name(), queue));
        let time_at = |offset: u64| {
            Ok::<_, BrokerError>(node.store.store_time(topic.name(), queue, offset)?.unwrap_or(-1))
        };
        let is_empty = max <= min;
        let consumed = node.metadata.offsets.get(&header.group, topic.name(), queue).unwrap_or(0).max(0);
        let (min_time, max_time) = if is_empty { (-1, -1) } else { (time_at(min)?, time_at(max - 1)?) };
        let consume_time =
            if consumed > 0 { consumed_time(node, topic.name(), queue, consumed)? } else { min_time };
        let next = u64::try_from(consumed).unwrap_or(0).max(min);
        let delay_time = if next < max { (crate::clock::now_ms() - time_at(next)?).max(0) } else { 0 };
        spans.push(QueueTimeSpan {
            message_queue: MessageQueue::new(topic.name(), &*node.identity.broker, id),
            min_time_stamp: min_time,
            max_time_stamp: max_time,
            consume_time_stamp: consume_time,
            delay_time,
        });
    }
    Ok(success().with_body(QueryConsumeTimeSpanBody { consume_time_span_set: spans }.encode()))
}
