//! The two sides on which the log's owner plugs in: who stamps records as they are appended, who applies them once committed.

use std::error::Error;

use bytes::Bytes;

use crate::batch::{Batch, Completions};
use crate::envelope::{EntryId, EntryKind};

/// What a sink may fail with.
pub type SinkError = Box<dyn Error + Send + Sync>;

/// Patches records while the leader appends them: queue offsets, physical offsets, store timestamps.
pub trait Stamper: Send + 'static {
    /// Patches every record of the batch. The first record will lie at `position`, the others follow it back to back,
    /// proposal after proposal. Called on the thread of the log, inside the append: it must not wait for anything.
    fn stamp(&mut self, term: u64, position: u64, timestamp: u64, batch: &mut Batch);
    /// Forgets what it counted: another leader appended, or this node leads a new term. The first `stamp` after it comes
    /// when everything before is applied.
    fn reset(&mut self);
}

/// A committed entry.
#[derive(Debug, Clone)]
pub struct Applied {
    /// What it is.
    pub kind: EntryKind,
    /// Its name; indexes rise by one.
    pub id: EntryId,
    /// Where its envelope begins.
    pub position: u64,
    /// Where its body begins: the first record, for `EntryKind::Records`.
    pub body_position: u64,
    /// Its body, a slice of the log.
    pub body: Bytes,
    /// How many records the body holds.
    pub count: u32,
    /// The leader's clock when it appended, in milliseconds.
    pub timestamp: u64,
}

/// What a sink goes back to, or begins with.
#[derive(Debug)]
pub struct Restore<'a> {
    /// What `system_state` gave after the last entry that the snapshot stands for.
    pub state: &'a [u8],
    /// That entry.
    pub last: EntryId,
    /// The first byte kept in the segments. Records and entries between here and `next_position` are committed and will
    /// not be applied one by one: the sink walks them, as it walks a classic log.
    pub first_position: u64,
    /// Where the next entry begins, which is applied as usual.
    pub next_position: u64,
}

/// Applies committed entries. All calls come from one thread, in the order of the log.
pub trait ApplySink: Send + 'static {
    /// Takes the next entry. On the leader `completions` holds who waits for it; the sink completes them once consumers can
    /// see the records. It must be quick, since elections run on the same thread: hand long work to a thread of its own.
    fn applied(&mut self, entry: Applied, completions: Completions) -> Result<(), SinkError>;
    /// The index of the last entry whose effects the sink has made durable; after a restart entries behind it come again.
    fn checkpoint(&self) -> Option<u64>;
    /// The system state after the last applied entry: all that snapshots keep besides records.
    fn system_state(&mut self) -> Result<Vec<u8>, SinkError>;
    /// Replaces everything by a snapshot.
    fn restore(&mut self, restore: Restore<'_>) -> Result<(), SinkError>;
}
