//! Where queues begin and end, and what lies there at a time (30, 31, 29, 32).

use super::consumer_manage::queue_id;
use crate::node::Node;
use crate::reply::{Answer, success};
use protocol::RemotingCommand;
use protocol::header::{
    BoundaryType, GetEarliestMsgStoretimeRequestHeader, GetEarliestMsgStoretimeResponseHeader,
    GetMaxOffsetRequestHeader, GetMaxOffsetResponseHeader, GetMinOffsetRequestHeader,
    GetMinOffsetResponseHeader, SearchOffsetRequestHeader, SearchOffsetResponseHeader,
};
use remoting::Connection;
use std::sync::Arc;
use store::Boundary;

/// GET_MAX_OFFSET.
pub fn max(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: GetMaxOffsetRequestHeader = request.header()?;
    let offset = signed(node.store.max_offset(&header.topic, queue_id(header.queue_id)?));
    Ok(success().with_header(&GetMaxOffsetResponseHeader { offset }))
}

/// GET_MIN_OFFSET.
pub fn min(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: GetMinOffsetRequestHeader = request.header()?;
    let offset = signed(node.store.min_offset(&header.topic, queue_id(header.queue_id)?));
    Ok(success().with_header(&GetMinOffsetResponseHeader { offset }))
}

/// SEARCH_OFFSET_BY_TIMESTAMP.
pub fn by_time(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: SearchOffsetRequestHeader = request.header()?;
    let boundary = match header.boundary_type {
        BoundaryType::Lower => Boundary::Lower,
        BoundaryType::Upper => Boundary::Upper,
    };
    let queue = queue_id(header.queue_id)?;
    let offset = signed(node.store.offset_by_time(&header.topic, queue, header.timestamp, boundary)?);
    Ok(success().with_header(&SearchOffsetResponseHeader { offset }))
}

/// GET_EARLIEST_MSG_STORETIME; -1 when the queue is empty.
pub fn earliest_time(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: GetEarliestMsgStoretimeRequestHeader = request.header()?;
    let timestamp = node.store.earliest_time(&header.topic, queue_id(header.queue_id)?)?.unwrap_or(-1);
    Ok(success().with_header(&GetEarliestMsgStoretimeResponseHeader { timestamp }))
}

/// An offset as the wire has it.
pub(super) fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
