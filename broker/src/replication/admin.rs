//! What operators ask a group: its state, its members, who leads.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use protocol::RemotingCommand;
use protocol::body::{Body, RaftPeerStatus, RaftStatusBody};
use protocol::header::{
    RaftAddReplicaRequestHeader, RaftRemoveReplicaRequestHeader, RaftTransferLeaderRequestHeader,
};
use raft_log::{GroupError, Role, Status};
use remoting::Connection;

use super::group::{Group, number_of};
use crate::caller::Caller;
use crate::error::BrokerError;
use crate::node::Node;
use crate::reply::{Answer, success};

/// How long a transfer may take; it takes about ten milliseconds.
const TRANSFER_WITHIN: Duration = Duration::from_secs(3);
/// How long a change of members is tried.
const INSIST_FOR: Duration = Duration::from_secs(10);
const INSIST_AGAIN: Duration = Duration::from_millis(100);

fn group(node: &Node) -> Result<Arc<Group>, BrokerError> {
    node.group
        .clone()
        .ok_or(BrokerError::ModeUnserved { mode: "Raft administration of a broker that is in no group" })
}

/// RAFT_STATUS.
pub fn status(node: &Arc<Node>, _connection: &Arc<Connection>, _request: &RemotingCommand) -> Answer {
    let group = group(node)?;
    let status = group.log.status().borrow().clone();
    Ok(success().with_body(body(node, &group, &status).encode()))
}

fn body(node: &Node, group: &Group, status: &Status) -> RaftStatusBody {
    let index = |index: Option<u64>| index.and_then(|index| i64::try_from(index).ok()).unwrap_or(-1);
    let signed = |position: u64| i64::try_from(position).unwrap_or(i64::MAX);
    let name = |number: u64| format!("n{number}");
    let peer = |peer: &raft_log::PeerStatus| RaftPeerStatus {
        address: peer.address.clone(),
        broker_address: node.metadata.members.address(peer.node).unwrap_or_default(),
        is_voter: peer.is_voter,
        matched: index(peer.matched),
        node: name(peer.node),
    };
    let (applied, applied_position) = group.log.applied();
    RaftStatusBody {
        applied: index(applied),
        applied_position: signed(applied_position),
        committed: index(status.committed),
        first_position: signed(status.first_position),
        group: group.name.clone(),
        last: index(status.last),
        last_position: signed(status.last_position),
        leader: status.leader.map(name).unwrap_or_default(),
        node: name(group.number),
        on_probation: status.on_probation,
        peers: status.peers.iter().map(peer).collect(),
        ready: group.standing.leads(),
        role: match status.role {
            Role::Leader => "LEADER",
            Role::Follower => "FOLLOWER",
            Role::Candidate => "CANDIDATE",
            Role::Learner => "LEARNER",
            Role::Stopped => "STOPPED",
        }
        .to_owned(),
        term: i64::try_from(status.term).unwrap_or(i64::MAX),
    }
}

/// RAFT_ADD_REPLICA: learns first, then votes.
pub fn add_replica(node: &Arc<Node>, connection: &Arc<Connection>, request: RemotingCommand) {
    let caller = Caller::of(connection, &request);
    let asked = request
        .header::<RaftAddReplicaRequestHeader>()
        .map_err(BrokerError::from)
        .and_then(|header| Ok((group(node)?, number(&header.node)?, header.address.as_str().to_owned())));
    run(caller, asked, |(group, number, address)| async move {
        let voters = voters(&group);
        if voters.contains(&number) {
            // A wiped replica comes back under its number with a new identity: it has to leave first.
            let others: BTreeSet<u64> = voters.iter().copied().filter(|voter| *voter != number).collect();
            insist(&group, || group.log.change_membership(others.clone())).await?;
        }
        insist(&group, || group.log.add_learner(number, &address)).await?;
        let mut voters = voters;
        voters.insert(number);
        insist(&group, || group.log.change_membership(voters.clone())).await
    });
}

/// RAFT_REMOVE_REPLICA.
pub fn remove_replica(node: &Arc<Node>, connection: &Arc<Connection>, request: RemotingCommand) {
    let caller = Caller::of(connection, &request);
    let asked = request
        .header::<RaftRemoveReplicaRequestHeader>()
        .map_err(BrokerError::from)
        .and_then(|header| Ok((group(node)?, number(&header.node)?)));
    run(caller, asked, |(group, number)| async move {
        let mut voters = voters(&group);
        voters.remove(&number);
        insist(&group, || group.log.change_membership(voters.clone())).await
    });
}

/// RAFT_TRANSFER_LEADER.
pub fn transfer_leader(node: &Arc<Node>, connection: &Arc<Connection>, request: RemotingCommand) {
    let caller = Caller::of(connection, &request);
    let asked =
        request.header::<RaftTransferLeaderRequestHeader>().map_err(BrokerError::from).and_then(|header| {
            let to = header.node.as_ref().map(|node| number(node)).transpose()?;
            Ok((group(node)?, to))
        });
    run(caller, asked, |(group, to)| async move {
        let leader = group.log.status().borrow().leader;
        match to {
            _ if leader != Some(group.number) => Err(GroupError::NotLeader { leader }),
            Some(to) if to == group.number => Ok(()),
            to => group.hand_over(to, TRANSFER_WITHIN).await,
        }
    });
}

/// RAFT_TRUST_REPLICA: this replica votes again, whatever it may have lost.
pub fn trust_replica(node: &Arc<Node>, connection: &Arc<Connection>, request: RemotingCommand) {
    let caller = Caller::of(connection, &request);
    run(caller, group(node), |group| async move {
        tracing::warn!("an operator lets this replica vote although it may lack what was acknowledged");
        group.log.trust().await
    });
}

/// Tries again as long as nobody else leads: a leader that has not heard of a majority for an instant refuses changes of
/// members, and so does one with another change under way. Half a change would leave the operator with a riddle.
async fn insist<F>(group: &Group, deed: impl Fn() -> F) -> Result<(), GroupError>
where
    F: Future<Output = Result<(), GroupError>>,
{
    let deadline = tokio::time::Instant::now() + INSIST_FOR;
    loop {
        let error = match deed().await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let may_pass = match &error {
            GroupError::NotLeader { leader } => leader.is_none_or(|leader| leader == group.number),
            GroupError::Refused(_) | GroupError::TimedOut => true,
            GroupError::AlreadyFormed
            | GroupError::TooFewMembers { .. }
            | GroupError::HasRecords { .. }
            | GroupError::PeerUnreachable { .. }
            | GroupError::Stopped
            | GroupError::Log(_) => false,
        };
        if !may_pass || tokio::time::Instant::now() >= deadline {
            return Err(error);
        }
        tracing::info!(%error, "the members are not changed yet");
        tokio::time::sleep(INSIST_AGAIN).await;
    }
}

fn run<T: Send + 'static, F>(caller: Caller, asked: Result<T, BrokerError>, deed: impl FnOnce(T) -> F)
where
    F: Future<Output = Result<(), GroupError>> + Send + 'static,
{
    match asked {
        Err(error) => caller.answer(Err(error)),
        Ok(asked) => {
            let deed = deed(asked);
            // Administration is rare and bounded by the log: one change of members at a time.
            tokio::spawn(async move {
                let answer = match deed.await {
                    Ok(()) => Ok(success()),
                    Err(GroupError::NotLeader { .. }) => Err(BrokerError::NotLeader),
                    Err(error) => Err(BrokerError::Raft(error.to_string())),
                };
                caller.answer(answer);
            });
        }
    }
}

fn voters(group: &Group) -> BTreeSet<u64> {
    group.log.status().borrow().peers.iter().filter(|peer| peer.is_voter).map(|peer| peer.node).collect()
}

fn number(name: &str) -> Result<u64, BrokerError> {
    number_of(name).ok_or_else(|| BrokerError::Parameter {
        name: "node",
        value: name.to_owned(),
        allowed: "a replica's name, such as n0",
    })
}
