//! Consumer offsets as tables, for slaves and tools (43, 45, 314, 308).

use crate::metadata::{MetadataCommand, QueueOffsets, delays_body, offsets_body};
use crate::node::Node;
use crate::reply::{Answer, success};
use protocol::RemotingCommand;
use protocol::body::{Body, QueryCorrectionOffsetBody};
use protocol::header::{CloneGroupOffsetRequestHeader, QueryCorrectionOffsetHeader};
use remoting::Connection;
use std::sync::Arc;

/// GET_ALL_CONSUMER_OFFSET.
pub fn all(node: &Arc<Node>, _connection: &Arc<Connection>, _request: &RemotingCommand) -> Answer {
    Ok(success().with_body(offsets_body(&node.metadata).encode()))
}

/// GET_ALL_DELAY_OFFSET.
pub fn all_delays(node: &Arc<Node>, _connection: &Arc<Connection>, _request: &RemotingCommand) -> Answer {
    Ok(success().with_body(delays_body(&node.metadata).encode()))
}

/// CLONE_GROUP_OFFSET: a group takes over the offsets of another.
pub fn clone_group(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: CloneGroupOffsetRequestHeader = request.header()?;
    let topic = header.topic.as_deref().filter(|topic| !topic.is_empty()).map(str::to_owned);
    let (source, target) = (header.src_group.into(), header.dest_group.into());
    node.journal.propose(&MetadataCommand::CloneOffsets { source, target, topic })?;
    Ok(success())
}

/// QUERY_CORRECTION_OFFSET: the smallest offset that any other group has reached in each queue that the compared group
/// reads, or the largest number where the compared group itself is behind that.
pub fn correction(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: QueryCorrectionOffsetHeader = request.header()?;
    let left_out: Vec<&str> = header.filter_groups.as_deref().unwrap_or_default().split(',').collect();
    let offsets = &node.metadata.offsets;
    let mut smallest = QueueOffsets::new();
    for group in offsets.groups_of(&header.topic).iter().filter(|group| !left_out.contains(&group.as_str())) {
        for (queue, offset) in offsets.of(group, &header.topic) {
            let known = smallest.entry(queue).or_insert(offset);
            *known = offset.min(*known);
        }
    }
    for (queue, compared) in offsets.of(&header.compare_group, &header.topic) {
        let known = smallest.entry(queue).or_insert(i64::MAX);
        if *known > compared {
            *known = i64::MAX;
        }
    }
    let by_id = smallest.into_iter().filter_map(|(queue, offset)| Some((i32::try_from(queue).ok()?, offset)));
    Ok(success().with_body(QueryCorrectionOffsetBody { correction_offsets: by_id.collect() }.encode()))
}
