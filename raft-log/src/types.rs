//! The types that openraft is told to work with. Nothing of them leaves this crate.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use openraft::entry::{RaftEntry, RaftPayload};
use openraft::impls::{InlineBatch, TokioRuntime, Vote, leader_id_adv};
use openraft::raft::responder::Responder;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::batch::{Completions, ProposedBatch};
use crate::envelope::{EntryId, EntryKind};

/// The type configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Types;

impl openraft::RaftTypeConfig for Types {
    type D = ProposedBatch;
    type R = Slot;
    type NodeId = u64;
    type Node = Node;
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = Vote<LeaderId>;
    type Payload = Payload;
    type Entry = LogEntry;
    type AsyncRuntime = TokioRuntime;
    type Responder<T>
        = Respond<T>
    where
        T: Send + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: Send + 'static;
    type ErrorSource = openraft::AnyError;
}

pub(crate) type LeaderId = leader_id_adv::LeaderId<u64, u64>;
pub(crate) type LogId = openraft::LogId<LeaderId>;
pub(crate) type VoteOf = Vote<LeaderId>;
pub(crate) type Membership = openraft::Membership<u64, Node>;
pub(crate) type StoredMembership = openraft::StoredMembership<LeaderId, u64, Node>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<LeaderId, u64, Node>;
pub(crate) type Snapshot = openraft::Snapshot<LeaderId, u64, Node, Arc<crate::snapshot::SnapshotData>>;

/// A member of the group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Node {
    /// Where its transport listens.
    pub(crate) address: String,
    /// The identity of its store; 0 accepts any.
    pub(crate) store: u128,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// Where the applying side leaves a batch's completions for the state machine; see `state_machine`.
pub(crate) type Slot = Arc<Mutex<Completions>>;

/// What openraft calls when a write is applied or refused.
pub(crate) struct Respond<T>(Box<dyn FnOnce(T) + Send>, PhantomData<fn(T)>);

impl<T> Respond<T> {
    pub(crate) fn with(respond: impl FnOnce(T) + Send + 'static) -> Self {
        Self(Box::new(respond), PhantomData)
    }
}

impl<T: Send + 'static> Responder<Types, T> for Respond<T> {
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}

/// What an entry carries, on its way to the log or back from it.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    /// A new leader's first entry.
    Blank,
    /// Proposed here, not yet in the log.
    Proposed(ProposedBatch),
    /// A change of members, not yet in the log.
    Membership(Membership),
    /// An entry as it lies in a log, envelope included.
    Stored(Stored),
}

/// An entry's bytes.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) kind: EntryKind,
    /// Envelope and body.
    pub(crate) bytes: Bytes,
    /// The decoded body of a membership entry.
    pub(crate) membership: Option<Membership>,
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("blank"),
            Self::Proposed(batch) => write!(f, "proposed {batch}"),
            Self::Membership(membership) => write!(f, "membership {membership}"),
            Self::Stored(stored) => write!(f, "stored {:?} of {} bytes", stored.kind, stored.bytes.len()),
        }
    }
}

impl RaftPayload for Payload {
    type D = ProposedBatch;
    type NodeId = u64;
    type Node = Node;

    fn blank() -> Self {
        Self::Blank
    }

    fn with_normal(self, data: ProposedBatch) -> Self {
        Self::Proposed(data)
    }

    fn with_membership(self, membership: Membership) -> Self {
        Self::Membership(membership)
    }

    fn get_membership(&self) -> Option<Membership> {
        match self {
            Self::Membership(membership) => Some(membership.clone()),
            Self::Stored(stored) => stored.membership.clone(),
            Self::Blank | Self::Proposed(_) => None,
        }
    }
}

/// An entry.
#[derive(Debug, Clone)]
pub(crate) struct LogEntry {
    pub(crate) id: LogId,
    pub(crate) payload: Payload,
}

impl LogEntry {
    /// Its size in the log, once it was read from there.
    pub(crate) fn stored_bytes(&self) -> u64 {
        match &self.payload {
            Payload::Stored(stored) => stored.bytes.len() as u64,
            Payload::Blank | Payload::Proposed(_) | Payload::Membership(_) => 0,
        }
    }
}

impl fmt::Display for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.payload)
    }
}

impl RaftEntry for LogEntry {
    type CommittedLeaderId = LeaderId;
    type Payload = Payload;

    fn new(id: LogId, payload: Payload) -> Self {
        Self { id, payload }
    }

    fn log_id_parts(&self) -> (&LeaderId, u64) {
        (&self.id.leader_id, self.id.index)
    }

    fn set_log_id(&mut self, new: LogId) {
        self.id = new;
    }

    fn get_membership(&self) -> Option<Membership> {
        self.payload.get_membership()
    }
}

impl From<LogId> for EntryId {
    fn from(id: LogId) -> Self {
        Self { term: id.leader_id.term, node: id.leader_id.node_id, index: id.index }
    }
}

impl From<EntryId> for LogId {
    fn from(id: EntryId) -> Self {
        Self::new(LeaderId { term: id.term, node_id: id.node }, id.index)
    }
}
