//! Deleting expired messages in Raft mode: the same decision as everywhere, carried out by the log's owner.
//!
//! Always true: a segment goes only after a snapshot stands for its entries, so that a replica that lacks them can
//! still be brought up to date; queues and index follow the log.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use store::{RetentionView, decide};

use super::group::Group;
use crate::clock::now_ms;
use crate::error::BrokerError;
use crate::node::Node;
use crate::store_config;

/// Deletes what has expired; at any hour when an operator asks for it. Tells how many segments went.
pub(crate) async fn clean(node: &Arc<Node>, group: &Arc<Group>, asked: bool) -> Result<usize, BrokerError> {
    let (there, group_there) = (Arc::clone(node), Arc::clone(group));
    let decided = tokio::task::spawn_blocking(move || decision(&there, &group_there, asked)).await;
    let Some(position) = decided.map_err(|error| BrokerError::Raft(error.to_string()))?? else {
        return Ok(0);
    };
    let dropped =
        group.log.expire_before(position).await.map_err(|error| BrokerError::Raft(error.to_string()))?;
    let there = Arc::clone(node);
    let trimmed = tokio::task::spawn_blocking(move || there.store.trim_to_log()).await;
    trimmed.map_err(|error| BrokerError::Raft(error.to_string()))??;
    Ok(dropped.len())
}

/// Before which position everything may go.
fn decision(node: &Node, group: &Group, asked: bool) -> Result<Option<u64>, BrokerError> {
    let config = node.config.get();
    let disk_error = |error| BrokerError::Disk(Arc::new(error));
    let listed = group.segments.list().map_err(disk_error)?;
    let millis = |time: std::time::SystemTime| {
        time.duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    };
    let segments: Vec<(u64, i64)> = listed.iter().map(|info| (info.start, millis(info.modified))).collect();
    let figures = node.store.figures()?;
    let retention = store_config::retention(&config);
    let used_ratio = figures.commit_log_disk_ratio.max(figures.consume_queue_disk_ratio);
    let above = (used_ratio - f64::from(retention.used_percent_forced) / 100.0).max(0.0);
    let view = RetentionView {
        now: now_ms(),
        hour: store::Clock::hour(&store::SystemClock),
        used_ratio,
        excess_bytes: (above * figures.disk_total as f64).ceil() as u64,
        asked,
        segments: &segments,
        keep_from: node.store.applied(),
    };
    Ok(decide(&retention, view).delete_before)
}
