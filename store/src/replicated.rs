//! The store where its log has another writer, or other readers: slaves of a classic master, replicas of a Raft group.
//!
//! Appending, flushing and applying are steps of their own here: whoever owns the log does the first two and tells us.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::confirm::Replication;
use crate::consume_queue::Continuity;
use crate::error::StoreError;
use crate::intake::{Fetched, Work};
use crate::queue_offsets::QueueOffsets;
use crate::store::MessageStore;

impl MessageStore {
    /// Makes records that somebody else wrote at `position` visible (Raft mode). A queue that they do not continue is an
    /// error: this replica differs from the others.
    pub fn apply(&self, position: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.core.apply(position, bytes, Continuity::Demanded)
    }

    /// The same for a stretch of log that is read again without the deletions of topics in it (Raft mode): a queue may begin
    /// anew there.
    pub fn apply_again(&self, position: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.core.apply(position, bytes, Continuity::Restored)
    }

    /// Notes that everything before `position` is applied, where no message ends there (Raft mode).
    pub fn skip_to(&self, position: u64) {
        self.core.skip_to(position);
    }

    /// Notes that the log is on the disk up to `position` (Raft mode): checkpoints go no further.
    pub fn log_flushed(&self, position: u64) {
        self.core.flushed.fetch_max(position, Ordering::AcqRel);
    }

    /// The offsets that appended messages get, for who stamps them (Raft mode).
    pub fn queue_offsets(&self) -> QueueOffsets {
        QueueOffsets::new(self.core.clone())
    }

    /// Deletes the segments before `position` (Raft mode, where the log's owner decides).
    pub fn drop_before(&self, position: u64) -> Result<usize, StoreError> {
        self.upkeep.drop_before(position)
    }

    /// Lets queues and index forget what the log's owner has deleted (Raft mode).
    pub fn trim_to_log(&self) -> Result<(), StoreError> {
        self.upkeep.trim(self.core.segments.start())
    }

    /// Stores a master's bytes as they are, back to back at the end of the log (slave mode); `done` learns the new end, which
    /// may be that of bytes that came later. The bytes may end anywhere: messages become visible when they are whole. An empty log takes the start of any segment as its first
    /// position: a master gives a new slave its newest file only.
    pub fn append_raw(
        &self,
        position: u64,
        parts: Vec<Bytes>,
        done: Box<dyn FnOnce(Result<u64, StoreError>) + Send>,
    ) -> Result<(), StoreError> {
        if let Some(position) = self.core.rubbish_at() {
            return Err(StoreError::RecordDamaged { position });
        }
        match self.refusal() {
            Some(error) => Err(error),
            None => self.push(Work::Raw { position, parts, done }, Fetched::ByThread),
        }
    }

    /// Bytes of the log as they are, for slaves: at most `len_max`, inside one segment, and only what the flush mode
    /// confirms; empty at the end.
    pub fn read_log(&self, position: u64, len_max: usize) -> Result<Bytes, StoreError> {
        let segment_bytes = self.core.segments.segment_bytes();
        let inside = segment_bytes - position % segment_bytes;
        let left = self.core.confirmed().saturating_sub(position).min(inside);
        let len = len_max.min(usize::try_from(left).unwrap_or(usize::MAX));
        Ok(self.core.segments.read(position, len)?)
    }

    /// Whether puts wait for a slave from now on. After `Awaited` the slave's position counts from 0.
    pub fn set_replication(&self, replication: Replication) {
        self.core.set_replication(replication);
    }

    /// A slave has everything before this position: who waited for that is answered.
    pub fn replicated(&self, position: u64) {
        self.core.replicated(position);
    }
}
