//! The leader learns who the members are that nobody knew when the group formed.
//!
//! Always true: nothing is served while a voter's store is unknown, and nobody talks to such a member but to greet it, so
//! that every vote and every acknowledgement is a known store's. A member that does not answer loses its vote, not its
//! place; it gets both a name and its vote, in one change, when it comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use openraft::ChangeMembers;
use tokio::sync::watch;

use crate::net::handshake::{Caller, Channel};
use crate::raft_log::RaftHandle;
use crate::shared::Shared;
use crate::status::{Role, Status};
use crate::types::Node;

/// How long a member may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often an absent member is looked for.
const AGAIN: Duration = Duration::from_millis(500);

/// Runs as long as the log does.
pub(crate) async fn run(
    raft: RaftHandle,
    shared: Arc<Shared>,
    caller: Caller,
    mut status: watch::Receiver<Status>,
) {
    loop {
        let has_something_to_do = |status: &Status| {
            let leads = status.role == Role::Leader && shared.blank_term() == status.term;
            leads && !nameless(&shared).is_empty()
        };
        let Ok(status) = status.wait_for(has_something_to_do).await.map(|status| status.clone()) else {
            return;
        };
        call(&raft, &shared, &caller, &status).await;
        tokio::time::sleep(AGAIN).await;
    }
}

/// The members whose store is unknown.
fn nameless(shared: &Shared) -> BTreeMap<u64, Node> {
    let nodes = shared.nodes.read();
    nodes.iter().filter(|(_, node)| node.store == 0).map(|(id, node)| (*id, node.clone())).collect()
}

async fn call(raft: &RaftHandle, shared: &Shared, caller: &Caller, status: &Status) {
    let mut absent = nameless(shared);
    let asked = absent.iter().map(|(id, node)| async move {
        let answer = caller.connect(*id, node, Channel::Greeting, None, PATIENCE).await;
        (*id, Node { address: node.address.clone(), ..Node::default() }, answer)
    });
    let mut found = BTreeMap::new();
    for (id, node, answer) in join_all(asked).await {
        match answer {
            Ok((_, welcome)) if welcome.has_records => {
                tracing::error!(
                    node = id,
                    "this member holds records of its own and cannot join: empty its store"
                );
            }
            // Entry 0 is a founding that may have been in vain; whatever follows it was committed by another group.
            Ok((_, welcome)) if welcome.last.is_some_and(|last| last.index > 0) => {
                tracing::error!(
                    node = id,
                    "this member was in another group and cannot join: empty its store"
                );
            }
            Ok((_, welcome)) => {
                found.insert(id, Node { store: welcome.store, ..node });
            }
            Err(error) => tracing::debug!(node = id, %error, "a member is still expected"),
        }
    }
    absent.retain(|id, _| !found.contains_key(id));
    let voters: BTreeSet<u64> =
        status.peers.iter().filter(|peer| peer.is_voter).map(|peer| peer.node).collect();
    let silent: BTreeSet<u64> = absent.into_keys().filter(|id| voters.contains(id)).collect();
    if !found.is_empty() {
        let ids: BTreeSet<u64> = found.keys().copied().collect();
        tracing::info!(members = ?ids, "members that were absent when the group formed are there");
        change(raft, vec![ChangeMembers::SetNodes(found), ChangeMembers::AddVoterIds(ids)]).await;
    }
    if !silent.is_empty() {
        tracing::warn!(members = ?silent, "the group is formed without these members, who join when they come");
        change(raft, vec![ChangeMembers::RemoveVoters(silent)]).await;
    }
}

/// Changes the members. What does not succeed, for instance because another change is under way, is tried again.
async fn change(raft: &RaftHandle, changes: Vec<ChangeMembers<u64, Node>>) {
    if let Err(error) = raft.change_membership(ChangeMembers::Batch(changes), true).await {
        tracing::warn!(%error, "the members could not be changed; trying again");
    }
}
