//! What is proposed: records with somebody waiting for them, many of them together in one entry.
//!
//! A batch travels twice: the records go down to the log, where the leader stamps and writes them; the waiting side stays
//! with the responder. Both hold the same cell. Always true: each ticket is told its outcome exactly once.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use crate::envelope::{EntryId, EntryKind};
use crate::error::ProposeError;

/// Somebody who waits for a proposal.
pub trait Ticket: Send + 'static {
    /// Lets the stamper reach what it left here or wants to leave here (queue handle, queue offset).
    fn as_any(&mut self) -> &mut dyn Any;
    /// Called exactly once with what became of the proposal.
    fn done(self: Box<Self>, outcome: Result<Placed, ProposeError>);
}

/// Where a proposal was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The entry that holds it.
    pub id: EntryId,
    /// The position of the proposal's first byte in the log.
    pub position: u64,
    /// The store timestamp of the entry.
    pub timestamp: u64,
}

/// Records of one proposer, back to back.
pub struct Proposal {
    /// The encoded records; the stamper patches them in place.
    pub records: BytesMut,
    /// How many there are.
    pub count: u32,
    /// Who waits.
    pub ticket: Box<dyn Ticket>,
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proposal").field("bytes", &self.records.len()).field("count", &self.count).finish()
    }
}

/// The proposals of one entry, in order.
#[derive(Debug, Default)]
pub struct Batch {
    /// The proposals.
    pub proposals: Vec<Proposal>,
}

impl Batch {
    /// The size of all records.
    pub fn bytes(&self) -> usize {
        self.proposals.iter().map(|proposal| proposal.records.len()).sum()
    }

    /// The number of all records.
    pub fn count(&self) -> u32 {
        self.proposals.iter().map(|proposal| proposal.count).sum()
    }
}

/// Who waits for the records of one committed entry. The sink completes it once what it derives from the entry is there;
/// dropped without that, it tells everybody that the outcome is unknown.
#[derive(Default)]
pub struct Completions {
    waiting: Vec<(Box<dyn Ticket>, Placed)>,
}

impl Completions {
    /// Whether nobody waits; always so on a follower.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many proposals wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Tells everybody that it is committed.
    pub fn complete(mut self) {
        for (ticket, placed) in self.waiting.drain(..) {
            ticket.done(Ok(placed));
        }
    }
}

impl Drop for Completions {
    fn drop(&mut self) {
        for (ticket, _) in self.waiting.drain(..) {
            ticket.done(Err(ProposeError::Unknown));
        }
    }
}

impl fmt::Debug for Completions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completions").field("waiting", &self.waiting.len()).finish()
    }
}

/// What openraft carries as application data: a handle on a cell.
#[derive(Debug, Clone)]
pub(crate) struct ProposedBatch {
    pub(crate) kind: EntryKind,
    pub(crate) cell: Arc<Mutex<Cell>>,
}

/// A batch before, while and after it is appended.
#[derive(Default)]
pub(crate) struct Cell {
    pub(crate) batch: Batch,
    waiting: Vec<(Box<dyn Ticket>, Placed)>,
    is_appended: bool,
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cell").field("batch", &self.batch).field("is_appended", &self.is_appended).finish()
    }
}

impl ProposedBatch {
    pub(crate) fn new(kind: EntryKind, batch: Batch) -> Self {
        Self { kind, cell: Arc::new(Mutex::new(Cell { batch, ..Cell::default() })) }
    }

    /// Takes the stamped records out for writing, and notes where each proposal lies.
    pub(crate) fn take_records(&self, id: EntryId, position: u64, timestamp: u64) -> Vec<Bytes> {
        let mut cell = self.cell.lock();
        cell.is_appended = true;
        let mut at = position;
        let proposals = std::mem::take(&mut cell.batch.proposals);
        let mut records = Vec::with_capacity(proposals.len());
        for proposal in proposals {
            cell.waiting.push((proposal.ticket, Placed { id, position: at, timestamp }));
            at += proposal.records.len() as u64;
            records.push(proposal.records.freeze());
        }
        records
    }

    /// Takes who waits, for the sink.
    pub(crate) fn completions(&self) -> Completions {
        Completions { waiting: std::mem::take(&mut self.cell.lock().waiting) }
    }

    /// Ends a batch that was refused: what was appended is unknown from here, what was not never happened.
    pub(crate) fn refuse(&self, reason: &ProposeError) {
        let (batch, waiting, is_appended) = {
            let mut cell = self.cell.lock();
            (std::mem::take(&mut cell.batch), std::mem::take(&mut cell.waiting), cell.is_appended)
        };
        for proposal in batch.proposals {
            let outcome = if is_appended { ProposeError::Unknown } else { reason.clone() };
            proposal.ticket.done(Err(outcome));
        }
        for (ticket, _) in waiting {
            ticket.done(Err(ProposeError::Unknown));
        }
    }
}

impl fmt::Display for ProposedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} x{}", self.kind, self.cell.lock().batch.proposals.len())
    }
}
