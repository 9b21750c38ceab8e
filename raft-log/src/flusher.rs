//! Makes appended entries durable and tells openraft so: at once per group in SYNC_FLUSH, in the background in ASYNC_FLUSH.
//!
//! Always true: completions come in order; the durable mark on disk never runs ahead of an fdatasync that succeeded; after a
//! failed one nothing is completed any more and the owner's `fatal` ends the process.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use disk::{Bug, DiskError, GroupFlush, Segments, planted};
use openraft::storage::IOFlushed;
use parking_lot::Mutex;

use crate::config::{Fatal, FlushMode};
use crate::error::LogError;
use crate::slot_file::SlotFile;
use crate::types::Types;

/// ASYNC_FLUSH syncs early when this much is dirty: otherwise the kernel one day throttles the thread that appends.
const DIRTY_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The durable mark is itself made durable when it moved this far.
const MARK_BYTES: u64 = 64 * 1024 * 1024;

type Waiting = Arc<Mutex<VecDeque<(u64, IOFlushed<Types>)>>>;

/// The flush thread of a log.
#[derive(Debug)]
pub(crate) struct Flusher {
    mode: FlushMode,
    group: GroupFlush,
    waiting: WaitingDebug,
    requested: AtomicU64,
}

/// Appends that wait for their sync.
#[derive(Clone, Default)]
struct WaitingDebug(Waiting);

impl std::fmt::Debug for WaitingDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} appends", self.0.lock().len())
    }
}

impl Flusher {
    /// Starts the thread for a log that is durable up to `end`.
    pub(crate) fn start(
        mode: FlushMode,
        interval: Duration,
        end: u64,
        segments: Arc<Segments>,
        mark: Arc<Mutex<SlotFile>>,
        fatal: Fatal,
    ) -> Result<Self, DiskError> {
        let waiting = WaitingDebug::default();
        let (for_thread, mut marked) = (waiting.clone(), end);
        let sync = move |from, to| {
            if !planted(Bug::EntryUnsynced) {
                segments.sync(from, to)?;
            }
            let is_far =
                segments.segment_start(to) != segments.segment_start(marked) || to > marked + MARK_BYTES;
            mark.lock().write(&to.to_be_bytes(), is_far)?;
            marked = if is_far { to } else { marked.min(to) };
            Ok(())
        };
        let synced = move |outcome: Result<u64, DiskError>| match outcome {
            Ok(end) => complete(&for_thread.0, end),
            Err(error) => {
                for (_, flushed) in for_thread.0.lock().drain(..) {
                    flushed.io_completed(Err(io::Error::other(error.to_string())));
                }
                fatal.stop(&LogError::Flush(error.to_string()));
            }
        };
        let interval = (mode == FlushMode::Async).then_some(interval);
        let group = GroupFlush::start("raft-flush", end, interval, sync, synced)?;
        Ok(Self { mode, group, waiting, requested: AtomicU64::new(end) })
    }

    /// Takes note that the log was written up to `end`; `flushed` is told as the mode says.
    pub(crate) fn appended(&self, end: u64, flushed: IOFlushed<Types>) {
        match self.mode {
            FlushMode::Sync => {
                self.waiting.0.lock().push_back((end, flushed));
                self.group.request(end);
            }
            FlushMode::Async => {
                flushed.io_completed(Ok(()));
                if end > self.requested.load(Ordering::Relaxed) + DIRTY_BYTES_MAX {
                    self.requested.store(end, Ordering::Relaxed);
                    self.group.request(end);
                } else {
                    self.group.mark(end);
                }
            }
        }
    }

    /// Up to where the log is durable.
    pub(crate) fn synced(&self) -> u64 {
        self.group.synced()
    }

    /// Syncs everything and waits for it.
    pub(crate) fn flush(&self) -> Result<u64, DiskError> {
        self.group.flush()
    }

    /// The log was cut to `end`; everything was flushed before.
    pub(crate) fn rewind(&self, end: u64) {
        self.group.rewind(end);
        self.requested.fetch_min(end, Ordering::Relaxed);
    }

    /// The log goes on at `end`, after it was replaced as a whole.
    pub(crate) fn restart_at(&self, end: u64) {
        self.group.restart_at(end);
        self.requested.store(end, Ordering::Relaxed);
    }
}

fn complete(waiting: &Waiting, end: u64) {
    loop {
        let flushed = {
            let mut waiting = waiting.lock();
            match waiting.front() {
                Some((position, _)) if *position <= end => waiting.pop_front(),
                _ => None,
            }
        };
        let Some((_, flushed)) = flushed else { return };
        flushed.io_completed(Ok(()));
    }
}
