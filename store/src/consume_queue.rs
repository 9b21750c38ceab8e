//! One consume queue: the units of one queue of a topic, in the order of the log.
//!
//! Always true: units are dense; the newest ones live in memory until the keeper writes them out, so that an append costs no
//! system call and a read at the tail none either; what was written out is never changed. Only the applier (one at a time)
//! extends a queue, only the appender moves `next`. Anybody reads.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use disk::Disk;
use parking_lot::{Mutex, RwLock};

use crate::error::StoreError;
use crate::key_hash::KeyHash;
use crate::queue_files::{OpenFiles, QueueFiles};
use crate::unit::Unit;

/// A hole of at most this many offsets is filled with units that stand for no message; a larger one restarts the queue.
const HOLE_MAX: u64 = 4096;

/// One consume queue.
#[derive(Debug)]
pub struct ConsumeQueue {
    topic: Arc<str>,
    queue_id: u32,
    topic_hash: KeyHash,
    is_schedule: bool,
    files: QueueFiles,
    tail: RwLock<Tail>,
    /// The offset after the last visible message: `tail.end()` for readers without a lock.
    max: AtomicU64,
    /// The first offset whose message the log still has.
    min: AtomicU64,
    /// The offset that the next appended message gets; ahead of `max` while messages wait for their flush.
    next: AtomicU64,
    is_deleted: AtomicBool,
    /// Held while units go from memory to the files.
    writing: Mutex<()>,
}

/// The units that are only in memory.
#[derive(Debug, Default)]
struct Tail {
    start: u64,
    units: VecDeque<Unit>,
}

impl Tail {
    fn end(&self) -> u64 {
        self.start + self.units.len() as u64
    }
}

/// Whether the log has the message that the unit at an offset stands for.
pub(crate) type AskLog<'a> = dyn Fn(u64, &Unit) -> Result<bool, StoreError> + 'a;

/// What the messages of a queue are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Continuity {
    /// Each follows the one before: replicas whose logs are the same have the same queues, and one that has not must stop.
    Demanded,
    /// The log is read again, without the deletions of topics between its messages: a queue may begin anew.
    Restored,
}

/// What became of a unit that a queue was extended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extended {
    /// It is the queue's last.
    Appended,
    /// It was there already.
    Known,
}

impl ConsumeQueue {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        file_bytes: u64,
        open_files: Arc<OpenFiles>,
        topic: Arc<str>,
        queue_id: u32,
    ) -> Self {
        Self {
            topic_hash: KeyHash::of_topic(&topic),
            is_schedule: &*topic == protocol::topic::SCHEDULE,
            topic,
            queue_id,
            files: QueueFiles::new(disk, directory, file_bytes, open_files),
            tail: RwLock::default(),
            max: AtomicU64::new(0),
            min: AtomicU64::new(0),
            next: AtomicU64::new(0),
            is_deleted: AtomicBool::new(false),
            writing: Mutex::new(()),
        }
    }

    /// The topic.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The queue's number in its topic.
    pub fn queue_id(&self) -> u32 {
        self.queue_id
    }

    /// The first offset whose message is kept.
    pub fn min_offset(&self) -> u64 {
        self.min.load(Ordering::Acquire)
    }

    /// The offset that the next visible message will have.
    pub fn max_offset(&self) -> u64 {
        self.max.load(Ordering::Acquire)
    }

    /// The unit at an offset, when there is one.
    pub fn unit(&self, offset: u64) -> Result<Option<Unit>, StoreError> {
        let mut units = Vec::with_capacity(1);
        self.units(offset, 1, &mut units)?;
        Ok(units.pop())
    }

    /// Appends up to `count` units from `offset` on to `out`; fewer when the queue, or one of its files, ends.
    pub fn units(&self, offset: u64, count: usize, out: &mut Vec<Unit>) -> Result<(), StoreError> {
        let in_files = {
            let tail = self.tail.read();
            if offset >= tail.start {
                let skip = usize::try_from(offset - tail.start).unwrap_or(usize::MAX);
                out.extend(tail.units.iter().skip(skip).take(count));
                return Ok(());
            }
            tail.start - offset
        };
        // What is below the tail was written out and does not change.
        self.files.read(offset, count.min(usize::try_from(in_files).unwrap_or(usize::MAX)), out)
    }

    pub(crate) fn topic_hash(&self) -> KeyHash {
        self.topic_hash
    }

    pub(crate) fn is_schedule(&self) -> bool {
        self.is_schedule
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.is_deleted.load(Ordering::Acquire)
    }

    /// The offset that the next appended message gets. Only who appends may rely on it.
    pub(crate) fn next_offset(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    pub(crate) fn set_next_offset(&self, next: u64) {
        self.next.store(next, Ordering::Relaxed);
    }

    /// Makes a message visible. The log is right: a unit that says something else at this offset, left from a topic that was
    /// deleted since, gives way together with all that follow it.
    pub(crate) fn extend(
        &self,
        offset: u64,
        unit: Unit,
        continuity: Continuity,
    ) -> Result<Extended, StoreError> {
        {
            let mut tail = self.tail.write();
            if tail.end() == offset {
                tail.units.push_back(unit);
                self.max.store(offset + 1, Ordering::Release);
                return Ok(Extended::Appended);
            }
        }
        self.extend_out_of_order(offset, unit, continuity)
    }

    fn extend_out_of_order(
        &self,
        offset: u64,
        unit: Unit,
        continuity: Continuity,
    ) -> Result<Extended, StoreError> {
        let end = self.max_offset();
        let (first, limit) = self.files.span();
        let is_empty = end == 0 && first == limit;
        if offset < end {
            let known = self.known(offset)?;
            // The tags code may differ: a delayed message's is its due time, and the levels are configured.
            if known.is_some_and(|known| {
                (known.physical_offset, known.bytes) == (unit.physical_offset, unit.bytes)
            }) {
                return Ok(Extended::Known);
            }
            self.check_continuity(offset, end, continuity)?;
            tracing::warn!(topic = %self.topic, queue_id = self.queue_id, end, offset, "the log restarts a queue");
            self.restart_at(offset)?;
        } else if is_empty {
            let assigned = self.next_offset();
            self.restart_at(offset)?;
            if continuity == Continuity::Demanded {
                // What this leader gave out beyond is on its way.
                self.set_next_offset(assigned.max(offset + 1));
            }
        } else if offset - end <= HOLE_MAX {
            self.check_continuity(offset, end, continuity)?;
            tracing::error!(topic = %self.topic, queue_id = self.queue_id, end, offset, "the log leaves offsets out");
            let mut tail = self.tail.write();
            for _ in end..offset {
                tail.units.push_back(Unit::PREFILL);
            }
        } else {
            self.check_continuity(offset, end, continuity)?;
            tracing::error!(topic = %self.topic, queue_id = self.queue_id, end, offset, "the log leaves offsets out");
            self.restart_at(offset)?;
        }
        let mut tail = self.tail.write();
        assert_eq!(tail.end(), offset, "a queue is extended at its end");
        tail.units.push_back(unit);
        self.max.store(offset + 1, Ordering::Release);
        Ok(Extended::Appended)
    }

    /// The unit at an offset, when there is one: a queue that was restarted has neither files nor units for what came before.
    fn known(&self, offset: u64) -> Result<Option<Unit>, StoreError> {
        // The tail is asked first: what has left it meanwhile is in a file.
        let is_in_tail = offset >= self.tail.read().start;
        let (first, limit) = self.files.span();
        if is_in_tail || (first..limit).contains(&offset) { self.unit(offset) } else { Ok(None) }
    }

    fn check_continuity(&self, found: u64, expected: u64, continuity: Continuity) -> Result<(), StoreError> {
        match continuity {
            Continuity::Restored => Ok(()),
            Continuity::Demanded => Err(StoreError::QueueDiverged {
                topic: Box::from(&*self.topic),
                queue_id: self.queue_id,
                expected,
                found,
            }),
        }
    }

    /// Forgets everything; the next unit will be at `offset`.
    pub(crate) fn restart_at(&self, offset: u64) -> Result<(), StoreError> {
        let _writing = self.writing.lock();
        self.files.remove_all()?;
        *self.tail.write() = Tail { start: offset, units: VecDeque::new() };
        self.max.store(offset, Ordering::Release);
        self.min.store(offset, Ordering::Release);
        self.next.store(offset, Ordering::Relaxed);
        Ok(())
    }

    /// Forgets everything and ends at `end`; one unit that stands for no message keeps that over a restart.
    pub(crate) fn stand_at(&self, end: u64) -> Result<(), StoreError> {
        let Some(last) = end.checked_sub(1) else { return self.restart_at(0) };
        self.restart_at(last)?;
        self.tail.write().units.push_back(Unit::PREFILL);
        self.max.store(end, Ordering::Release);
        self.min.store(end, Ordering::Release);
        self.next.store(end, Ordering::Relaxed);
        Ok(())
    }

    /// How many units are only in memory.
    pub(crate) fn unwritten(&self) -> usize {
        self.tail.read().units.len()
    }

    /// Writes the units in memory to the files. A kill of the process then loses none of them; a power cut may.
    pub(crate) fn write_out(&self) -> Result<(), StoreError> {
        let _writing = self.writing.lock();
        if self.is_deleted() {
            return Ok(());
        }
        let (start, units) = {
            let tail = self.tail.read();
            (tail.start, tail.units.iter().copied().collect::<Vec<_>>())
        };
        if units.is_empty() {
            return Ok(());
        }
        self.files.write(start, &units)?;
        let mut tail = self.tail.write();
        tail.units.drain(..units.len());
        tail.start += units.len() as u64;
        if tail.units.is_empty() {
            tail.units = VecDeque::new();
        }
        Ok(())
    }

    /// Whether there is something to write out or to sync.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.is_deleted() && (self.unwritten() > 0 || self.files.is_unsynced())
    }

    /// Makes what was written out durable.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let _writing = self.writing.lock();
        if self.is_deleted() { Ok(()) } else { self.files.sync() }
    }

    /// Makes durable what a recovery blanked.
    pub(crate) fn sync_blanked(&self) -> Result<(), StoreError> {
        let _writing = self.writing.lock();
        if self.is_deleted() { Ok(()) } else { self.files.sync_blanked() }
    }

    /// Removes the queue's files for ever.
    pub(crate) fn delete(&self) -> Result<(), StoreError> {
        self.is_deleted.store(true, Ordering::Release);
        let _writing = self.writing.lock();
        self.files.remove_all()
    }

    /// Refuses everything from now on; the files stay until `delete`.
    pub(crate) fn mark_deleted(&self) {
        self.is_deleted.store(true, Ordering::Release);
    }

    /// Closes the queue's open file unless somebody used it since the last call.
    pub(crate) fn close_unused(&self) {
        self.files.close_unused();
    }

    /// Learns which files there are.
    pub(crate) fn load(&self) -> Result<(), StoreError> {
        self.files.load()
    }

    /// Keeps the units of messages before `log_end`, forgets the rest; after a crash `is_true` asks the log about a unit.
    ///
    /// What lies before `log_end` is known to be on the disk, so the units up to there are dense. What lies behind them may
    /// be anything after a power cut: the search can end up there, and then the log says so.
    pub(crate) fn keep_before(&self, log_end: u64, is_true: Option<&AskLog<'_>>) -> Result<(), StoreError> {
        let (first, limit) = self.files.span();
        let is_kept = |unit: &Unit| !unit.is_blank() && unit.physical_offset < log_end;
        let mut end = self.search(first, limit, &|_, unit| Ok(!is_kept(unit)))?;
        if let Some(is_true) = is_true
            && end > first
        {
            let last = self.files.unit(end - 1)?;
            if last.is_message() && !is_true(end - 1, &last)? {
                end = self.search(first, limit, &|at, unit| {
                    Ok(!is_kept(unit) || (unit.is_message() && !is_true(at, unit)?))
                })?;
            }
        }
        if end == first && first > 0 {
            // Everything before was deleted with its messages, everything after is not known to be on the disk.
            return self.restart_at(first);
        }
        match is_true {
            Some(_) => self.files.cut_torn(end)?,
            None => self.files.cut(end)?,
        }
        *self.tail.write() = Tail { start: end, units: VecDeque::new() };
        self.max.store(end, Ordering::Release);
        self.next.store(end, Ordering::Relaxed);
        self.min.store(first, Ordering::Release);
        Ok(())
    }

    /// Moves `min` to the first message at or after `log_start`, and removes files that only hold older units.
    pub(crate) fn trim(&self, log_start: u64) -> Result<usize, StoreError> {
        let _writing = self.writing.lock();
        if self.is_deleted() {
            return Ok(0);
        }
        let min = self.first_at(log_start)?;
        self.min.fetch_max(min, Ordering::AcqRel);
        self.files.drop_before(min)
    }

    /// The first offset whose message lies at or after `log_start`.
    fn first_at(&self, log_start: u64) -> Result<u64, StoreError> {
        let (first, _) = self.files.span();
        let first = first.max(self.min_offset());
        let (tail_start, in_tail) = {
            let tail = self.tail.read();
            let at =
                tail.units.iter().position(|unit| unit.is_message() && unit.physical_offset >= log_start);
            (tail.start, tail.start + at.unwrap_or(tail.units.len()) as u64)
        };
        if first >= tail_start {
            return Ok(in_tail.max(first));
        }
        let is_at = |unit: &Unit| unit.is_message() && unit.physical_offset >= log_start;
        if is_at(&self.files.unit(first)?) {
            return Ok(first);
        }
        let found = self.search(first, tail_start, &|_, unit| Ok(is_at(unit)))?;
        Ok(if found < tail_start { found } else { in_tail })
    }

    /// The first unit in `from..to` of the files for which `holds` is true; it is false before some place and true after.
    fn search(
        &self,
        from: u64,
        to: u64,
        holds: &dyn Fn(u64, &Unit) -> Result<bool, StoreError>,
    ) -> Result<u64, StoreError> {
        let mut reader = self.files.reader();
        let (mut low, mut high) = (from, to);
        while low < high {
            let middle = low + (high - low) / 2;
            if holds(middle, &reader.unit(middle)?)? {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }
}
