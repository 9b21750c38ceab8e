//! What all threads of a store share.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use disk::{Disk, Segments};
use parking_lot::RwLock;

use crate::config::{FlushDiskType, ReadLimits, StoreConfig};
use crate::confirm::Confirm;
use crate::counters::Counters;
use crate::error::StoreError;
use crate::hooks::Hooks;
use crate::key_index::KeyIndex;
use crate::queue_table::QueueTable;
use crate::retention::RetentionConfig;

/// Called with the end of what slaves may read, whenever it moved.
pub(crate) struct OnReadable(pub(crate) Box<dyn Fn(u64) + Send + Sync>);

impl std::fmt::Debug for OnReadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnReadable")
    }
}

/// The shared state of one store.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: StoreConfig,
    pub(crate) hooks: Hooks,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) segments: Arc<Segments>,
    pub(crate) queues: QueueTable,
    pub(crate) index: Option<KeyIndex>,
    pub(crate) confirm: Confirm,
    pub(crate) counters: Counters,
    /// Bytes of the log are written up to here.
    pub(crate) written: AtomicU64,
    /// They are on the disk up to here.
    pub(crate) flushed: AtomicU64,
    /// Messages are visible up to here.
    pub(crate) applied: AtomicU64,
    /// Used per cent of the disk when it was found too full; 0 while it is not.
    pub(crate) disk_full: AtomicU8,
    pub(crate) read_limits: RwLock<ReadLimits>,
    pub(crate) retention: RwLock<RetentionConfig>,
    /// Hears how far the log may be read by slaves.
    pub(crate) readable: OnceLock<OnReadable>,
    is_failed: AtomicBool,
    /// Where a master's bytes stopped making sense; the end of all positions while they do.
    rubbish_at: AtomicU64,
}

impl Core {
    pub(crate) fn new(
        config: StoreConfig,
        hooks: Hooks,
        disk: Arc<dyn Disk>,
        segments: Arc<Segments>,
        queues: QueueTable,
        index: Option<KeyIndex>,
        end: LogEnd,
    ) -> Self {
        Self {
            read_limits: RwLock::new(config.read.clone()),
            retention: RwLock::new(config.retention.clone()),
            config,
            hooks,
            disk,
            segments,
            queues,
            index,
            confirm: Confirm::new(end),
            counters: Counters::new(),
            written: AtomicU64::new(end.position),
            flushed: AtomicU64::new(end.position),
            applied: AtomicU64::new(end.position),
            disk_full: AtomicU8::new(0),
            readable: OnceLock::new(),
            is_failed: AtomicBool::new(false),
            rubbish_at: AtomicU64::new(u64::MAX),
        }
    }

    /// A master's bytes make no sense at `position`: no more of them are taken, and what came before stays readable. A
    /// restart cuts them off and asks for them again.
    pub(crate) fn refuse_raw_from(&self, position: u64) {
        if self.rubbish_at.swap(position, Ordering::AcqRel) == u64::MAX {
            tracing::error!(
                position,
                segment_bytes = self.segments.segment_bytes(),
                "a master's bytes make no sense here: its files have another size, or its log is damaged"
            );
        }
    }

    /// Where a master's bytes stopped making sense.
    pub(crate) fn rubbish_at(&self) -> Option<u64> {
        Some(self.rubbish_at.load(Ordering::Acquire)).filter(|position| *position != u64::MAX)
    }

    /// Takes the log's end from a recovery, before any thread works.
    pub(crate) fn restart_at(&self, end: LogEnd) {
        self.confirm.restart_at(end);
        for position in [&self.written, &self.flushed, &self.applied] {
            position.store(end.position, Ordering::Release);
        }
    }

    /// Up to here messages may become visible.
    pub(crate) fn confirmed(&self) -> u64 {
        match self.config.flush {
            FlushDiskType::Async => self.written.load(Ordering::Acquire),
            FlushDiskType::Sync => self.flushed.load(Ordering::Acquire),
        }
    }

    /// Tells who streams the log that more of it is confirmed: before anybody is told of the messages in it, so that a
    /// slave's way begins at once.
    pub(crate) fn tell_readable(&self) {
        if let Some(readable) = self.readable.get() {
            (readable.0)(self.confirmed());
        }
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    pub(crate) fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::Acquire)
    }

    pub(crate) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.is_failed.load(Ordering::Acquire)
    }

    /// The disk failed so that nobody knows what was kept: everybody who waits learns it, and the process shall end.
    pub(crate) fn fail(&self, error: &StoreError) {
        if self.is_failed.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::error!(%error, "the store failed");
        self.confirm.fail();
        (self.hooks.fatal)(error);
    }
}

/// Where the visible log ends: after a whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogEnd {
    /// The end.
    pub(crate) position: u64,
    /// Where the last record before it begins; the end itself when there is none.
    pub(crate) last_record: u64,
    /// When that was stored.
    pub(crate) timestamp: i64,
}
