//! The broker itself, for operators (28, 907, 306, 329).

use super::runtime_info;
use crate::node::Node;
use crate::replication::retention;
use crate::reply::{Answer, success};
use protocol::RemotingCommand;
use protocol::body::{Body, KVTable};
use remoting::Connection;
use std::sync::Arc;

/// GET_BROKER_RUNTIME_INFO.
pub fn runtime_info(node: &Arc<Node>, _connection: &Arc<Connection>, _request: &RemotingCommand) -> Answer {
    Ok(success().with_body(KVTable { table: runtime_info::table(node)? }.encode()))
}

/// GET_BROKER_HA_STATUS.
pub fn ha_status(node: &Arc<Node>, _connection: &Arc<Connection>, _request: &RemotingCommand) -> Answer {
    Ok(success().with_body(crate::ha::runtime_info(node).encode()))
}

/// CLEAN_EXPIRED_CONSUMEQUEUE: queues follow the log by themselves here, so there is nothing left to clean.
pub fn clean_expired_queues(
    _node: &Arc<Node>,
    _connection: &Arc<Connection>,
    _request: &RemotingCommand,
) -> Answer {
    Ok(success())
}

/// DELETE_EXPIRED_COMMITLOG: deletes expired files now, whatever the hour.
pub fn delete_expired(node: &Arc<Node>, _connection: &Arc<Connection>, _request: &RemotingCommand) -> Answer {
    let deleted = match &node.group {
        Some(group) => group.runtime.block_on(retention::clean(node, group, true))?,
        None => node.store.clean(true)?,
    };
    tracing::info!(deleted, "deleted expired files on request");
    Ok(success())
}
