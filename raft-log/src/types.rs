//! openraft's type parameters, filled with ours.
//!
//! An entry either still has to be stamped (a proposal on its way into the leader's log) or it is
//! stored: then it is the very bytes of the log, envelope included, and nothing re-encodes it.

use std::fmt;
use std::io::Cursor;

use bytes::Bytes;
use openraft::RaftTypeConfig;
use openraft::alias::{CommittedLeaderIdOf, LogIdOf, VoteOf};
use openraft::impls::TokioRuntime;
use serde::{Deserialize, Serialize};

use crate::envelope::Kind;

/// openraft over the commit log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TypeConfig;

impl RaftTypeConfig for TypeConfig {
    type D = Proposal;
    type R = Applied;
    type NodeId = u64;
    type Node = Peer;
    type Term = u64;
    type LeaderId = openraft::impls::leader_id_adv::LeaderId<u64, u64>;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = Payload;
    type Entry = LogEntry;
    type AsyncRuntime = TokioRuntime;
    type Responder<T>
        = Completion<T>
    where
        T: openraft::OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: openraft::OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

/// Shorthands for openraft's types over ours.
pub(crate) type LogId = LogIdOf<TypeConfig>;
/// A vote: term, candidate, and whether a quorum granted it.
pub(crate) type Vote = VoteOf<TypeConfig>;
/// Who led when an entry was made.
pub(crate) type CommittedLeaderId = CommittedLeaderIdOf<TypeConfig>;
/// Voters and learners.
pub(crate) type Membership = openraft::Membership<u64, Peer>;
/// What a snapshot of this log consists of: control data only, never messages.
pub(crate) type SnapshotData = Cursor<Vec<u8>>;
/// openraft's own snapshot over ours.
pub(crate) type Snapshot = openraft::alias::SnapshotOf<TypeConfig, SnapshotData>;

/// Where a replica's raft transport listens, as the membership knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peer {
    /// `host:port` of the raft transport.
    pub(crate) address: String,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// What somebody wants appended: records back to back, not yet stamped.
pub(crate) struct Proposal {
    /// Messages or a system command.
    pub(crate) kind: Kind,
    /// The records, one buffer each; the log writes them with one vectored write.
    pub(crate) records: Vec<bytes::BytesMut>,
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} records", self.kind, self.records.len())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Where a committed entry stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Raft index of the entry.
    pub(crate) index: u64,
    /// Physical offset of the entry's first record.
    pub(crate) position: u64,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {} at {}", self.index, self.position)
    }
}

/// What an entry carries.
#[derive(Debug)]
pub(crate) enum Payload {
    /// A leader's first entry.
    Blank,
    /// To be stamped and written by this leader.
    Proposal(Proposal),
    /// Voters and learners, to be written by this leader.
    Membership(Membership),
    /// Bytes of the log: the envelope and its body.
    Stored(StoredRecord),
}

/// An entry as the log holds it.
#[derive(Clone)]
pub(crate) struct StoredRecord {
    /// What the body is.
    pub(crate) kind: Kind,
    /// Decoded once, where the kind says so.
    pub(crate) membership: Option<Membership>,
    /// Physical offset of the envelope.
    pub(crate) position: u64,
    /// Envelope and body, a slice of the mapped log or of a received frame.
    pub(crate) bytes: Bytes,
}

impl fmt::Debug for StoredRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} bytes at {}", self.kind, self.bytes.len(), self.position)
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl openraft::entry::RaftPayload for Payload {
    type D = Proposal;
    type NodeId = u64;
    type Node = Peer;

    fn blank() -> Self {
        Self::Blank
    }

    fn with_normal(self, data: Proposal) -> Self {
        Self::Proposal(data)
    }

    fn with_membership(self, membership: Membership) -> Self {
        Self::Membership(membership)
    }

    fn get_membership(&self) -> Option<Membership> {
        match self {
            Self::Membership(membership) => Some(membership.clone()),
            Self::Stored(record) => record.membership.clone(),
            Self::Blank | Self::Proposal(_) => None,
        }
    }
}

/// One entry of the replicated log.
#[derive(Debug)]
pub(crate) struct LogEntry {
    /// Term, leader and index.
    pub(crate) id: LogId,
    /// What it carries.
    pub(crate) payload: Payload,
}

impl fmt::Display for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.payload)
    }
}

impl openraft::entry::RaftEntry for LogEntry {
    type CommittedLeaderId = CommittedLeaderId;
    type Payload = Payload;

    fn new(log_id: LogId, payload: Payload) -> Self {
        Self { id: log_id, payload }
    }

    fn log_id_parts(&self) -> (&CommittedLeaderId, u64) {
        (&self.id.leader_id, self.id.index)
    }

    fn set_log_id(&mut self, new: LogId) {
        self.id = new;
    }

    fn get_membership(&self) -> Option<Membership> {
        openraft::entry::RaftPayload::get_membership(&self.payload)
    }
}

/// Called once with the outcome of a write.
pub(crate) struct Completion<T>(Box<dyn FnOnce(T) + Send>);

impl<T> Completion<T> {
    /// Wraps what shall happen when the outcome is known.
    pub(crate) fn new(done: impl FnOnce(T) + Send + 'static) -> Self {
        Self(Box::new(done))
    }
}

impl<C, T> openraft::raft::responder::Responder<C, T> for Completion<T>
where
    C: RaftTypeConfig,
    T: Send + 'static,
{
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}
