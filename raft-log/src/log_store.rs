//! The log as openraft's storage traits want it: a thin coat over `Log`.
//!
//! openraft's core calls `append`, `truncate_after`, `purge` and `save_vote` one after the other from one task, which is the
//! order that its safety rests on; replication and the state machine read beside it.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;
use std::time::Instant;

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use parking_lot::Mutex;

use crate::envelope::EntryId;
use crate::error::LogError;
use crate::landmarks::APART_BYTES;
use crate::log::Log;
use crate::pace::{Pace, Turn};
use crate::shared::Shared;
use crate::sink::Stamper;
use crate::types::{LogEntry, LogId, Types, VoteOf};

/// How many bytes one request to a follower carries; a single larger entry goes alone.
pub(crate) const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// The writing side.
pub(crate) struct LogStore {
    shared: Arc<Shared>,
    log: Arc<Log>,
    /// Never locked: it only makes the stamper look shareable.
    stamper: Mutex<Box<dyn Stamper>>,
    /// The start of the last segment for which a successor was asked.
    prepared: Option<u64>,
    /// The end of the log when landmarks were last asked for.
    landmarked: u64,
}

impl LogStore {
    pub(crate) fn new(shared: Arc<Shared>, stamper: Box<dyn Stamper>) -> Self {
        let log = shared.log.clone();
        Self { landmarked: log.end(), log, shared, stamper: Mutex::new(stamper), prepared: None }
    }

    /// Once a segment is half full, has its successor made by the chores thread.
    fn prepare_segment(&mut self) {
        let segments = self.log.segments();
        let end = self.log.end();
        let start = segments.segment_start(end);
        if end - start > segments.segment_bytes() / 2 && self.prepared != Some(start) {
            self.prepared = Some(start);
            self.shared.chores.prepare_segment(end);
        }
    }

    /// Every so often, has what became durable described by the chores thread.
    fn keep_landmarks(&mut self) {
        let end = self.log.end();
        let apart = APART_BYTES.min(self.log.segments().segment_bytes());
        self.landmarked = self.landmarked.min(end);
        if end - self.landmarked > apart {
            self.landmarked = end;
            self.shared.chores.keep_landmarks();
        }
    }

    /// What fails here leaves the log in a state that nobody knows: the owner hears of it before openraft stops.
    fn fail<T>(&self, outcome: Result<T, LogError>) -> io::Result<T> {
        outcome.map_err(|error| {
            self.shared.fatal.stop(&error);
            error.into_io()
        })
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        Ok(LogState {
            last_purged_log_id: self.log.purged().map(LogId::from),
            last_log_id: self.log.last().map(LogId::from),
        })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        LogReader { shared: self.shared.clone(), pace: Pace::default() }
    }

    async fn save_vote(&mut self, vote: &VoteOf) -> io::Result<()> {
        self.fail(self.log.save_vote(vote))
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.fail(self.log.save_committed(committed.map(EntryId::from)))
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.log.committed().map(LogId::from))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let outcome = self.log.append(entries, &mut **self.stamper.get_mut(), callback);
        self.prepare_segment();
        self.keep_landmarks();
        self.fail(outcome)
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        self.fail(self.log.truncate_after(last.map(EntryId::from)))
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.fail(self.log.purge(upto.into()))
    }
}

/// A reading side.
#[derive(Clone)]
pub(crate) struct LogReader {
    shared: Arc<Shared>,
    /// Of the follower that this reads for, if it does.
    pace: Pace,
}

impl LogReader {
    /// Reads entries; one that the disk gives back damaged is mended first. The log stops if nobody can.
    async fn read(&self, range: Range<u64>, bytes_max: usize) -> io::Result<Vec<LogEntry>> {
        let log = &self.shared.log;
        let mut mended = None;
        loop {
            let error = match log.read(range.clone(), bytes_max) {
                Ok(entries) => return Ok(entries),
                Err(error) => error,
            };
            let (LogError::Damaged { position, .. } | LogError::EntryChecksum { position, .. }) = error
            else {
                return Err(error.into_io());
            };
            let Some(mender) = self.shared.mender.get().filter(|_| mended != Some(position)) else {
                return Err(error.into_io());
            };
            tracing::error!(%error, "asking the other members for it");
            mender.mend(&self.shared, position).await.map_err(io::Error::other)?;
            mended = Some(position);
        }
    }
}

impl RaftLogReader<Types> for LogReader {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<LogEntry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let start = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(index) => index + 1,
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        self.read(start..end, usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<LogEntry>> {
        let (behind, log_end) = self.shared.log.behind(start);
        let bytes_max = match self.pace.next(log_end, behind, Instant::now()) {
            Turn::Now { bytes_max } => bytes_max,
            Turn::InBulk { from, bytes_max } => {
                tokio::task::yield_now().await;
                tokio::time::sleep_until(from.into()).await;
                bytes_max
            }
        };
        let entries = self.read(start..end, bytes_max).await?;
        self.pace.sent(entries.iter().map(LogEntry::stored_bytes).sum());
        Ok(entries)
    }

    async fn read_vote(&mut self) -> io::Result<Option<VoteOf>> {
        Ok(self.shared.log.vote())
    }
}

#[cfg(test)]
#[path = "log_store_tests.rs"]
mod tests;
