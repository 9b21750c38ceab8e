//! Figures of topics and of the broker (202, 315).

use super::queue_offset::signed;
use crate::error::BrokerError;
use crate::node::Node;
use crate::reply::{Answer, success};
use crate::stats::{StatName, StatSummary};
use protocol::RemotingCommand;
use protocol::body::{Body, BrokerStatsData, BrokerStatsItem, MessageQueue, TopicOffset, TopicStatsTable};
use protocol::header::{GetTopicStatsInfoRequestHeader, ViewBrokerStatsDataRequestHeader};
use remoting::Connection;
use std::collections::BTreeMap;
use std::sync::Arc;

/// GET_TOPIC_STATS_INFO: where each queue begins and ends, and when it was written last.
pub fn topic_stats(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: GetTopicStatsInfoRequestHeader = request.header()?;
    let topic = node.metadata.topic(&header.topic);
    let topic =
        topic.ok_or_else(|| BrokerError::AdminTopicUnknown { topic: header.topic.as_str().to_owned() })?;
    let mut offset_table = BTreeMap::new();
    for queue in 0..topic.queues() {
        let (min, max) =
            (node.store.min_offset(topic.name(), queue), node.store.max_offset(topic.name(), queue));
        let last = match max.checked_sub(1).filter(|last| *last >= min) {
            Some(last) => node.store.store_time(topic.name(), queue, last)?.unwrap_or(0),
            None => 0,
        };
        let id = i32::try_from(queue).unwrap_or(i32::MAX);
        let offset =
            TopicOffset { last_update_timestamp: last, max_offset: signed(max), min_offset: signed(min) };
        offset_table.insert(MessageQueue::new(topic.name(), &*node.identity.broker, id), offset);
    }
    let puts = node.stats.find(StatName::TopicPutNums, topic.name());
    let topic_put_tps = puts.map_or(0.0, |item| item.windows().minute.per_second);
    Ok(success().with_body(TopicStatsTable { offset_table, topic_put_tps }.encode()))
}

/// VIEW_BROKER_STATS_DATA: one statistic over its three windows.
pub fn broker_stats(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: ViewBrokerStatsDataRequestHeader = request.header()?;
    let unknown = || BrokerError::StatsUnknown {
        name: header.stats_name.as_str().to_owned(),
        key: header.stats_key.as_str().to_owned(),
    };
    let name = StatName::from_text(&header.stats_name).ok_or_else(unknown)?;
    let windows = node.stats.find(name, &header.stats_key).ok_or_else(unknown)?.windows();
    let body = BrokerStatsData {
        stats_minute: stats_item(windows.minute),
        stats_hour: stats_item(windows.hour),
        stats_day: stats_item(windows.day),
    };
    Ok(success().with_body(body.encode()))
}

fn stats_item(summary: StatSummary) -> BrokerStatsItem {
    BrokerStatsItem { sum: signed(summary.sum), tps: summary.per_second, avgpt: summary.average }
}
