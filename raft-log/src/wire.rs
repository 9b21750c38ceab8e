//! The control structs that travel between replicas and rest on disk, and their way to and from
//! openraft's types. Nothing of openraft itself is ever serialised, so that its next version
//! finds a log and a peer that it can read.

use std::collections::{BTreeMap, BTreeSet};

use openraft::raft::{
    AppendEntriesResponse, StreamAppendError, StreamAppendResult, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

use crate::error::CodecError;
use crate::types::{CommittedLeaderId, LogId, Membership, Peer, TypeConfig, Vote};

/// Term, leader and index of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireLogId {
    pub(crate) term: u64,
    pub(crate) node: u64,
    pub(crate) index: u64,
}

impl From<&LogId> for WireLogId {
    fn from(id: &LogId) -> Self {
        Self { term: id.leader_id.term, node: id.leader_id.node_id, index: id.index }
    }
}

impl From<WireLogId> for LogId {
    fn from(id: WireLogId) -> Self {
        Self { leader_id: CommittedLeaderId { term: id.term, node_id: id.node }, index: id.index }
    }
}

/// A vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireVote {
    pub(crate) term: u64,
    pub(crate) node: u64,
    pub(crate) committed: bool,
}

impl From<&Vote> for WireVote {
    fn from(vote: &Vote) -> Self {
        Self { term: vote.leader_id.term, node: vote.leader_id.node_id, committed: vote.committed }
    }
}

impl From<WireVote> for Vote {
    fn from(vote: WireVote) -> Self {
        if vote.committed {
            Self::new_committed(vote.term, vote.node)
        } else {
            Self::new(vote.term, vote.node)
        }
    }
}

/// Voters, once or twice while they change, and everybody's address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireMembership {
    pub(crate) voters: Vec<BTreeSet<u64>>,
    pub(crate) nodes: BTreeMap<u64, Peer>,
}

impl From<&Membership> for WireMembership {
    fn from(membership: &Membership) -> Self {
        Self {
            voters: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(id, peer)| (*id, peer.clone())).collect(),
        }
    }
}

impl TryFrom<WireMembership> for Membership {
    type Error = CodecError;

    fn try_from(wire: WireMembership) -> Result<Self, CodecError> {
        if wire.voters.is_empty() && wire.nodes.is_empty() {
            return Ok(Self::default());
        }
        Self::new(wire.voters, wire.nodes)
            .map_err(|error| CodecError::MembershipInvalid { reason: error.to_string() })
    }
}

/// The first frame of every connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Layout of frames and envelopes; another one is refused.
    pub(crate) format: u8,
    /// Name of the group.
    pub(crate) group: String,
    /// Who speaks.
    pub(crate) node: u64,
    /// Identity of the speaker's store: changes when a disk was wiped.
    pub(crate) store: [u8; 16],
    /// Bytes of a segment; replicas lay out alike or not at all.
    pub(crate) segment_bytes: u64,
    /// What the connection is for.
    pub(crate) lane: Lane,
    /// What the application tells its peers of itself: the broker's advertised address.
    pub(crate) about: String,
}

/// What a connection carries; bulk must never delay a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Lane {
    /// Entries.
    Bulk,
    /// Heartbeats, votes, transfer of leadership.
    Control,
    /// Snapshots and raw ranges of the log.
    Snapshot,
}

/// The control part of an append; the entries follow it as the log's own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AppendHead {
    pub(crate) vote: WireVote,
    pub(crate) previous: Option<WireLogId>,
    pub(crate) commit: Option<WireLogId>,
    pub(crate) entries: u32,
}

/// The answer to an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Appended {
    /// Everything up to this entry is in the follower's log.
    UpTo(Option<WireLogId>),
    /// The entry before the first one sent is not there.
    Conflict(Option<WireLogId>),
    /// The follower knows a higher vote.
    HigherVote(WireVote),
}

impl From<StreamAppendResult<TypeConfig>> for Appended {
    fn from(result: StreamAppendResult<TypeConfig>) -> Self {
        match result {
            Ok(id) => Self::UpTo(id.as_ref().map(Into::into)),
            Err(StreamAppendError::Conflict(id)) => Self::Conflict(Some((&id).into())),
            Err(StreamAppendError::HigherVote(vote)) => Self::HigherVote((&vote).into()),
        }
    }
}

impl Appended {
    /// What openraft's stream of appends expects.
    pub(crate) fn into_stream_result(self, previous: Option<LogId>) -> StreamAppendResult<TypeConfig> {
        match self {
            Self::UpTo(id) => Ok(id.map(Into::into)),
            Self::Conflict(id) => match id.map(LogId::from).or(previous) {
                Some(id) => Err(StreamAppendError::Conflict(id)),
                // Nothing precedes the first entry of a log, so nothing can be missing there.
                None => Ok(None),
            },
            Self::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote.into())),
        }
    }

    /// What openraft's single append expects; `last` is the last entry that was sent.
    pub(crate) fn into_response(self, last: Option<LogId>) -> AppendEntriesResponse<TypeConfig> {
        match self {
            Self::UpTo(id) if id.map(LogId::from) == last => AppendEntriesResponse::Success,
            Self::UpTo(id) => AppendEntriesResponse::PartialSuccess(id.map(Into::into)),
            Self::Conflict(_) => AppendEntriesResponse::Conflict,
            Self::HigherVote(vote) => AppendEntriesResponse::HigherVote(vote.into()),
        }
    }

    /// From the answer of a single append.
    pub(crate) fn from_response(
        response: AppendEntriesResponse<TypeConfig>,
        previous: Option<&LogId>,
        last: Option<&LogId>,
    ) -> Self {
        match response {
            AppendEntriesResponse::Success => Self::UpTo(last.map(Into::into)),
            AppendEntriesResponse::PartialSuccess(id) => Self::UpTo(id.as_ref().map(Into::into)),
            AppendEntriesResponse::Conflict => Self::Conflict(previous.map(Into::into)),
            AppendEntriesResponse::HigherVote(vote) => Self::HigherVote((&vote).into()),
        }
    }
}

/// A candidate's question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ballot {
    pub(crate) vote: WireVote,
    pub(crate) last: Option<WireLogId>,
    pub(crate) transfer: bool,
}

impl From<&VoteRequest<TypeConfig>> for Ballot {
    fn from(request: &VoteRequest<TypeConfig>) -> Self {
        Self {
            vote: (&request.vote).into(),
            last: request.last_log_id.as_ref().map(Into::into),
            transfer: request.leadership_transfer,
        }
    }
}

impl From<Ballot> for VoteRequest<TypeConfig> {
    fn from(ballot: Ballot) -> Self {
        let mut request = Self::new(ballot.vote.into(), ballot.last.map(Into::into));
        request.leadership_transfer = ballot.transfer;
        request
    }
}

/// A voter's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Voted {
    pub(crate) vote: WireVote,
    pub(crate) granted: bool,
    pub(crate) last: Option<WireLogId>,
}

impl From<&VoteResponse<TypeConfig>> for Voted {
    fn from(response: &VoteResponse<TypeConfig>) -> Self {
        Self {
            vote: (&response.vote).into(),
            granted: response.vote_granted,
            last: response.last_log_id.as_ref().map(Into::into),
        }
    }
}

impl From<Voted> for VoteResponse<TypeConfig> {
    fn from(voted: Voted) -> Self {
        Self::new(Vote::from(voted.vote), voted.last.map(Into::into), voted.granted)
    }
}

/// A leader's wish that somebody else lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Transfer {
    pub(crate) from: WireVote,
    pub(crate) to: u64,
    pub(crate) last: Option<WireLogId>,
}

/// The head of a snapshot; its data follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotHead {
    pub(crate) vote: WireVote,
    pub(crate) last: Option<WireLogId>,
    pub(crate) membership_id: Option<WireLogId>,
    pub(crate) membership: WireMembership,
}

/// A raw range of the log that somebody wants to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) from: u64,
    pub(crate) bytes: u32,
}
