//! How the log is doing, in words that know nothing of openraft.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use openraft::{RaftMetrics, ServerState};

use crate::shared::Shared;
use crate::types::Types;

/// What this node is in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It appends what is proposed, once it is `ready`.
    Leader,
    /// It votes and follows.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It follows without a vote, or belongs to no group yet.
    Learner,
    /// The consensus stopped.
    Stopped,
}

/// A member, as the leader sees it; on other nodes `matched` is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// The node.
    pub node: u64,
    /// Where its transport listens.
    pub address: String,
    /// Whether it votes.
    pub is_voter: bool,
    /// The last index known to be the same there.
    pub matched: Option<u64>,
}

/// The state of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What this node is.
    pub role: Role,
    /// The current term.
    pub term: u64,
    /// Who leads, as far as known.
    pub leader: Option<u64>,
    /// Whether this node leads, has applied its own blank entry, and knows the store of every voter: proposals are accepted,
    /// reads are up to date.
    pub ready: bool,
    /// Whether this node neither votes nor asks for votes, because it lacks entries that it acknowledged.
    pub on_probation: bool,
    /// The last committed index known here.
    pub committed: Option<u64>,
    /// The last applied index.
    pub applied: Option<u64>,
    /// Where the last applied entry ends: what is below may be shown to consumers.
    pub applied_position: u64,
    /// The last index in the log.
    pub last: Option<u64>,
    /// Where the log ends.
    pub last_position: u64,
    /// The first byte that is kept.
    pub first_position: u64,
    /// The members.
    pub peers: Vec<PeerStatus>,
}

/// Translates openraft's metrics; also keeps what the transport needs to know of the members.
pub(crate) fn translate(metrics: &RaftMetrics<Types>, shared: &Arc<Shared>) -> Status {
    let membership = metrics.membership_config.membership();
    {
        let mut nodes = shared.nodes.write();
        nodes.clear();
        nodes.extend(membership.nodes().map(|(id, node)| (*id, node.clone())));
        shared.is_formed.store(!nodes.is_empty(), Ordering::Relaxed);
    }
    let role = match (&metrics.running_state, metrics.state) {
        (Err(_), _) | (_, ServerState::Shutdown) => Role::Stopped,
        (_, ServerState::Leader) => Role::Leader,
        (_, ServerState::Follower) => Role::Follower,
        (_, ServerState::Candidate) => Role::Candidate,
        (_, ServerState::Learner) => Role::Learner,
    };
    let term = metrics.current_term;
    let leads = role == Role::Leader && metrics.current_leader == Some(shared.node);
    let voters: Vec<u64> = membership.voter_ids().collect();
    let are_known = membership.nodes().all(|(id, node)| node.store != 0 || !voters.contains(id));
    shared.memory.stand(leads, metrics.local_committed.map(|id| id.index));
    shared.witnesses_needed.store(voters.len() / 2, Ordering::Relaxed);
    let matched = |node: &u64| {
        let replication = metrics.replication.as_ref()?;
        replication.get(node)?.map(|id| id.index)
    };
    let peers = membership.nodes().map(|(node, details)| PeerStatus {
        node: *node,
        address: details.address.clone(),
        is_voter: voters.contains(node),
        matched: matched(node),
    });
    Status {
        role,
        term,
        leader: metrics.current_leader,
        ready: leads && shared.blank_term() == term && are_known,
        on_probation: shared.probation.is_behind(),
        committed: metrics.local_committed.map(|id| id.index),
        applied: shared.applied.index(),
        applied_position: shared.applied.position(),
        last: metrics.last_log_index,
        last_position: shared.log.end(),
        first_position: shared.log.segments().start(),
        peers: peers.collect(),
    }
}
