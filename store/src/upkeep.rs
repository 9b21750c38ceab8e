//! The deeds that need no message to happen: queues to the disk, checkpoint, retention, timeouts; and the thread that does them.
//!
//! Always true: a checkpoint is stored only after everything that it covers is on the disk, log first. One thread at a time
//! does each deed: the keeper, or who closes the store, or a test.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, UNIX_EPOCH};

use disk::{GroupFlush, Space};
use parking_lot::{Condvar, Mutex};

use crate::appender::Appender;
use crate::checkpoint::{Checkpoint, CheckpointFile};
use crate::core::{Core, LogEnd};
use crate::error::StoreError;
use crate::intake::Intake;
use crate::retention::{RetentionDecision, RetentionView, decide};
use crate::store::unless_full;

/// How often somebody looks for puts that waited too long, while puts may have to wait.
const EXPIRE_INTERVAL: Duration = Duration::from_millis(100);
/// How often while none has to: the mode may change.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);
/// How often files that nobody uses are closed.
const CLOSE_INTERVAL: Duration = Duration::from_secs(60);

/// The deeds.
#[derive(Debug)]
pub(crate) struct Upkeep {
    core: Arc<Core>,
    /// Absent when somebody else writes and syncs the log.
    flush: Option<Arc<GroupFlush>>,
    file: CheckpointFile,
    /// What the last checkpoint says.
    stored: Mutex<Checkpoint>,
}

impl Upkeep {
    pub(crate) fn new(
        core: Arc<Core>,
        flush: Option<Arc<GroupFlush>>,
        file: CheckpointFile,
        stored: Checkpoint,
    ) -> Self {
        Self { core, flush, file, stored: Mutex::new(stored) }
    }

    /// Writes the queues' newest units to their files, so that a killed process loses none.
    pub(crate) fn write_out(&self) -> Result<(), StoreError> {
        for queue in self.core.queues.all(|queue| queue.unwritten() > 0) {
            queue.write_out()?;
        }
        Ok(())
    }

    /// Makes everything that is visible durable, and notes how far that is.
    pub(crate) fn checkpoint(&self) -> Result<(), StoreError> {
        let mut stored = self.stored.lock();
        let LogEnd { position, last_record, timestamp } = self.core.confirm.end();
        let queues = self.core.queues.all(|queue| queue.max_offset() > 0).len() as u64;
        let next = Checkpoint { timestamp, position: Some(position), last_record, queues };
        let dirty = self.core.queues.all(|queue| queue.is_dirty());
        // A queue can be dirty without a new message: a recovery that found none may have removed files that it did not believe.
        if (next == *stored && dirty.is_empty()) || !self.flush_log(position)? {
            return Ok(());
        }
        for queue in dirty {
            queue.write_out()?;
            queue.sync()?;
        }
        if let Some(index) = &self.core.index {
            index.persist()?;
        }
        self.file.store(&next)?;
        *stored = next;
        Ok(())
    }

    /// Bytes that became visible since the last checkpoint.
    pub(crate) fn unchecked(&self) -> u64 {
        self.core.applied().saturating_sub(self.covered())
    }

    /// Everything before this position is covered by the last checkpoint.
    fn covered(&self) -> u64 {
        self.stored.lock().position.unwrap_or_default()
    }

    /// Makes the log durable up to `position`; false when somebody else does, and has not told that it is.
    fn flush_log(&self, position: u64) -> Result<bool, StoreError> {
        match &self.flush {
            Some(flush) => Ok(flush.flush()? >= position),
            None => Ok(self.core.flushed() >= position),
        }
    }

    /// Looks at the disk: deletes what has expired, shuts or opens the gate. Tells how many segments went.
    pub(crate) fn clean(&self, asked: bool) -> Result<usize, StoreError> {
        let space = self.fuller_space()?;
        let forced = f64::from(self.core.retention.read().used_percent_forced);
        if space.used_ratio() * 100.0 > forced {
            // Nothing beyond the last checkpoint may be deleted: room must not wait for the next one.
            unless_full(self.checkpoint(), "a checkpoint")?;
        }
        let decision = self.decide(&space, asked)?;
        self.set_gate(space.used_ratio(), decision.writable);
        let Some(position) = decision.delete_before else { return Ok(0) };
        let dropped = self.drop_before(position)?;
        if dropped > 0 && !decision.writable {
            let space = self.fuller_space()?;
            self.set_gate(space.used_ratio(), self.decide(&space, asked)?.writable);
        }
        Ok(dropped)
    }

    /// Log and queues may lie on different disks: the fuller one decides.
    fn fuller_space(&self) -> Result<Space, StoreError> {
        let (log, queues) = (self.space_of_log()?, self.space_of_queues()?);
        Ok(if queues.used_ratio() > log.used_ratio() { queues } else { log })
    }

    fn decide(&self, space: &Space, asked: bool) -> Result<RetentionDecision, StoreError> {
        let core = &self.core;
        let retention = core.retention.read();
        let segments: Vec<(u64, i64)> =
            core.segments.list()?.iter().map(|info| (info.start, ms(info.modified))).collect();
        let view = RetentionView {
            now: core.hooks.clock.now(),
            hour: core.hooks.clock.hour(),
            used_ratio: space.used_ratio(),
            excess_bytes: space.above(retention.used_percent_forced),
            asked,
            segments: &segments,
            keep_from: core.applied().min(self.covered()),
        };
        Ok(decide(&retention, view))
    }

    /// Lets messages in, or refuses them because the disk is too full.
    fn set_gate(&self, used_ratio: f64, is_open: bool) {
        let used_percent = if is_open { 0 } else { (used_ratio * 100.0) as u8 };
        let was = self.core.disk_full.swap(used_percent, Ordering::AcqRel);
        if (was == 0) != (used_percent == 0) {
            tracing::warn!(used_ratio, is_refusing = used_percent > 0, "the disk's gate");
        }
    }

    /// Deletes the segments before `position`, and what queues and index know of them.
    pub(crate) fn drop_before(&self, position: u64) -> Result<usize, StoreError> {
        let core = &self.core;
        let dropped = core.segments.drop_before(position)?;
        if dropped.is_empty() {
            return Ok(0);
        }
        let start = core.segments.start();
        tracing::info!(segments = dropped.len(), start, "expired messages are deleted");
        self.trim(start)?;
        Ok(dropped.len())
    }

    /// Lets queues and index forget what lies before `start`.
    pub(crate) fn trim(&self, start: u64) -> Result<(), StoreError> {
        for queue in self.core.queues.all(|_| true) {
            queue.trim(start)?;
        }
        if let Some(index) = &self.core.index {
            index.trim(start)?;
        }
        Ok(())
    }

    /// Makes the next segment once the present one is half full, so that no put waits for it.
    pub(crate) fn prepare_segment(&self) -> Result<(), StoreError> {
        let position = self.core.written();
        let segments = &self.core.segments;
        if self.flush.is_some() && position % segments.segment_bytes() > segments.segment_bytes() / 2 {
            segments.prepare_next(position)?;
        }
        Ok(())
    }

    pub(crate) fn space_of_log(&self) -> Result<Space, StoreError> {
        let path = self.core.segments.directory();
        Ok(self.core.disk.space(path).map_err(|error| disk::DiskError::io("measure", path, error))?)
    }

    pub(crate) fn space_of_queues(&self) -> Result<Space, StoreError> {
        let path = self.core.queues.directory();
        Ok(self.core.disk.space(path).map_err(|error| disk::DiskError::io("measure", path, error))?)
    }
}

fn ms(time: std::time::SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Wakes and stops the keeper's threads.
#[derive(Debug, Default)]
pub(crate) struct KeeperSignal {
    is_stopping: Mutex<bool>,
    wake: Condvar,
}

impl KeeperSignal {
    pub(crate) fn stop(&self) {
        *self.is_stopping.lock() = true;
        self.wake.notify_all();
    }

    /// Waits until `until`; false when the thread shall stop.
    fn wait(&self, until: Instant) -> bool {
        let mut is_stopping = self.is_stopping.lock();
        while !*is_stopping {
            if self.wake.wait_until(&mut is_stopping, until).timed_out() {
                break;
            }
        }
        !*is_stopping
    }
}

/// Answers who waits too long. It is a thread of its own, because the keeper may wait for the very disk that makes them wait.
pub(crate) fn expire_until_stopped(core: &Core, intake: Option<&Intake<Appender>>, signal: &KeeperSignal) {
    let mut now = Instant::now();
    loop {
        if let Some(intake) = intake {
            // Whoever put and wanted to append has not come to it, or will find that it was done.
            intake.rouse();
        }
        let interval = if core.expire(now) || core.may_wait() { EXPIRE_INTERVAL } else { IDLE_INTERVAL };
        if !signal.wait(now + interval) {
            return;
        }
        now = Instant::now();
    }
}

/// The keeper's part: which deed is due when.
pub(crate) struct Keeper {
    core: Arc<Core>,
    upkeep: Arc<Upkeep>,
    signal: Arc<KeeperSignal>,
    write_out_at: Instant,
    checkpoint_at: Instant,
    /// However much log there is, no checkpoint comes before.
    checkpoint_after: Instant,
    clean_at: Instant,
    close_at: Instant,
}

impl Keeper {
    pub(crate) fn new(core: Arc<Core>, upkeep: Arc<Upkeep>, signal: Arc<KeeperSignal>, now: Instant) -> Self {
        let (write_out_at, checkpoint_at) =
            (now + core.config.queue_flush_interval, now + core.config.checkpoint_interval);
        let close_at = now + CLOSE_INTERVAL;
        // The first look at the disk comes at once: it may be full already.
        Self {
            core,
            upkeep,
            signal,
            write_out_at,
            checkpoint_at,
            checkpoint_after: now,
            clean_at: now,
            close_at,
        }
    }

    /// Works until the signal stops it. A deed that fails because the disk is full is tried again when it is due again; any
    /// other failure is fatal.
    pub(crate) fn run(mut self) {
        let mut now = Instant::now();
        loop {
            let done = [self.clean_if_due(now), self.write_out_if_due(now), self.checkpoint_if_due(now)];
            if let Some(error) = done.into_iter().filter_map(Result::err).find(|error| !error.is_full()) {
                return self.core.fail(&error);
            }
            self.close_if_due(now);
            let next = self.write_out_at.min(self.checkpoint_at).min(self.clean_at).min(self.close_at);
            if !self.signal.wait(next) {
                return;
            }
            now = Instant::now();
        }
    }

    fn clean_if_due(&mut self, now: Instant) -> Result<(), StoreError> {
        if now < self.clean_at {
            return Ok(());
        }
        self.clean_at = now + self.core.config.clean_interval;
        self.upkeep.clean(false).map(|_| ())
    }

    fn write_out_if_due(&mut self, now: Instant) -> Result<(), StoreError> {
        if now < self.write_out_at {
            return Ok(());
        }
        self.write_out_at = now + self.core.config.queue_flush_interval;
        self.upkeep.write_out()?;
        self.upkeep.prepare_segment()
    }

    fn checkpoint_if_due(&mut self, now: Instant) -> Result<(), StoreError> {
        let config = &self.core.config;
        let is_much = now >= self.checkpoint_after && self.upkeep.unchecked() >= config.checkpoint_bytes;
        if now < self.checkpoint_at && !is_much {
            return Ok(());
        }
        self.checkpoint_at = now + config.checkpoint_interval;
        self.checkpoint_after = now + config.queue_flush_interval;
        self.upkeep.checkpoint()
    }

    fn close_if_due(&mut self, now: Instant) {
        if now >= self.close_at || self.core.queues.is_exhausted() {
            self.close_at = now + CLOSE_INTERVAL;
            self.core.queues.close_unused();
        }
    }
}
