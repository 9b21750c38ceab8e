//! A leader whose disk is full hands over to a follower whose disk is not.
//!
//! Sends are refused at the gate meanwhile. Leadership cannot swing back and forth: it goes only to who has room, and who
//! has room keeps it; a group without room anywhere stays as it is.

use std::sync::Arc;
use std::time::Duration;

use raft_log::GroupError;

use super::group::Group;
use crate::node::Node;

/// How often a replica looks at its disk's gate.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a transfer may take; it takes about ten milliseconds.
const TRANSFER_WITHIN: Duration = Duration::from_secs(3);

/// Runs until it is dropped.
pub(crate) async fn keep_leading_where_there_is_room(node: Arc<Node>, group: Arc<Group>) {
    let mut was_nowhere = false;
    loop {
        tokio::time::sleep(PERIOD).await;
        group.log.set_room(!node.store.is_disk_full());
        if group.log.has_room() || !group.standing.leads() {
            was_nowhere = false;
            continue;
        }
        match move_away(&group).await {
            Ok(Some(heir)) => tracing::warn!(heir, "this disk is full: a replica with room leads now"),
            Ok(None) if was_nowhere => {}
            Ok(None) => {
                tracing::error!("this disk is full, and so are the other replicas': messages are refused");
                was_nowhere = true;
            }
            Err(error) => tracing::warn!(%error, "this disk is full, and nobody has taken the lead yet"),
        }
    }
}

/// Hands over to the first of the voters with room that takes it; tells which one did, nothing when none has room.
async fn move_away(group: &Group) -> Result<Option<u64>, GroupError> {
    let mut outcome = Ok(None);
    for heir in group.log.voters_with_room().await? {
        match group.log.transfer_leader(heir, TRANSFER_WITHIN).await {
            Ok(()) => return Ok(Some(heir)),
            Err(error) => outcome = Err(error),
        }
    }
    outcome
}
