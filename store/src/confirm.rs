//! From written to visible to answered: batches wait here in the order of the log until the flush mode confirms them.
//!
//! Always true: batches become visible in the order of the log, one applier at a time; a put is answered after it is visible,
//! unless its sender did not want to wait, or waited too long. Two watermarks release: the flush lets a batch become visible,
//! the slave's position lets its puts be answered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use parking_lot::Mutex;

use crate::config::FlushDiskType;
use crate::consume_queue::{ConsumeQueue, Continuity};
use crate::core::{Core, LogEnd};
use crate::error::StoreError;
use crate::hooks::Arrival;
use crate::index_file::{Entry, TimeSpan};
use crate::intake::RawDone;
use crate::log_scan::LogScan;
use crate::put::{Done, PutResult, PutStatus};
use crate::record::Record;
use crate::stretch::Stretch;
use crate::unit::Unit;

/// A queue with so many units in memory is written out on the spot; the keeper comes much earlier as a rule.
pub(crate) const UNWRITTEN_MAX: usize = 65_536;

/// Whether puts wait for a slave (SYNC_MASTER).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// They do not.
    Off,
    /// They do, until `replicated` passes them or `slaveTimeout` is over.
    Awaited,
    /// They would, but no slave is near enough: they are answered SLAVE_NOT_AVAILABLE.
    Unavailable,
}

/// Messages that were written with one call.
pub(crate) struct Batch {
    pub(crate) end: LogEnd,
    pub(crate) puts: Vec<AppendedPut>,
    /// The units of all puts, in order.
    pub(crate) units: Vec<QueuedUnit>,
    /// The index entries of all puts.
    pub(crate) keys: Vec<Entry>,
    /// The batch is a master's bytes: its messages are found by walking the log.
    pub(crate) is_raw: bool,
    /// Who waits for a master's bytes to be confirmed.
    pub(crate) raw: Vec<RawDone>,
    /// Then puts are answered although the disk has not.
    pub(crate) deadline: Instant,
}

/// One put of a batch.
pub(crate) struct AppendedPut {
    pub(crate) queue: Arc<ConsumeQueue>,
    /// How many of the batch's units are its own.
    pub(crate) units: usize,
    /// The log's end after it.
    pub(crate) end: u64,
    /// Whether it waits for the slave.
    pub(crate) wait: bool,
    pub(crate) completion: Option<Completion>,
}

/// A unit and its place in the queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueuedUnit {
    pub(crate) offset: u64,
    pub(crate) unit: Unit,
}

/// Somebody who waits.
pub(crate) struct Completion {
    pub(crate) done: Done,
    pub(crate) result: PutResult,
    pub(crate) began: Instant,
}

/// A visible put that waits for the slave.
struct Held {
    end: u64,
    deadline: Instant,
    completion: Completion,
}

/// The waiting batches and puts.
pub(crate) struct Confirm {
    pending: Mutex<VecDeque<Batch>>,
    /// Held by the one who applies; what is visible ends there.
    applying: Mutex<LogEnd>,
    replication: Mutex<Waits>,
}

struct Waits {
    mode: Replication,
    replicated: u64,
    held: VecDeque<Held>,
}

impl std::fmt::Debug for Confirm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Confirm")
    }
}

impl Confirm {
    pub(crate) fn new(end: LogEnd) -> Self {
        let waits = Waits { mode: Replication::Off, replicated: 0, held: VecDeque::new() };
        Self { pending: Mutex::default(), applying: Mutex::new(end), replication: Mutex::new(waits) }
    }

    pub(crate) fn push(&self, batch: Batch) {
        self.pending.lock().push_back(batch);
    }

    /// Where the visible log ends, whole batches only.
    pub(crate) fn end(&self) -> LogEnd {
        *self.applying.lock()
    }

    pub(crate) fn restart_at(&self, end: LogEnd) {
        *self.applying.lock() = end;
    }

    /// Answers everybody who waits that nobody knows.
    pub(crate) fn fail(&self) {
        let batches: Vec<_> = self.pending.lock().drain(..).collect();
        for batch in batches {
            for done in batch.raw {
                done(Err(StoreError::Failed));
            }
            for completion in batch.puts.into_iter().filter_map(|put| put.completion) {
                (completion.done)(Err(StoreError::Failed));
            }
        }
        let held: Vec<_> = self.replication.lock().held.drain(..).collect();
        for held in held {
            (held.completion.done)(Err(StoreError::Failed));
        }
    }
}

impl Core {
    /// Makes visible what the flush mode confirms, in order, and answers who waited for it.
    pub(crate) fn advance(&self) {
        let mut end = self.confirm.applying.lock();
        let mut is_settled = true;
        loop {
            let confirmed = self.confirmed();
            let batch = {
                let mut pending = self.confirm.pending.lock();
                if pending.front().is_none_or(|batch| batch.end.position > confirmed) {
                    break;
                }
                pending.pop_front()
            };
            let Some(mut batch) = batch else { break };
            for done in batch.raw.drain(..) {
                // A master need not wait until its bytes are visible here as well.
                done(Ok(batch.end.position));
            }
            let shown = self.show(&mut end, &batch);
            if let Err(error) = shown {
                drop(end);
                // Back to the others that wait: all of them learn the same.
                self.confirm.pending.lock().push_front(batch);
                return self.fail(&error);
            }
            self.answer_batch(batch);
            is_settled = false;
        }
        if !is_settled {
            self.hooks.listener.settled();
        }
    }

    /// Makes a batch visible.
    fn show(&self, end: &mut LogEnd, batch: &Batch) -> Result<(), StoreError> {
        if batch.is_raw {
            return self.apply_from_log(end, batch.end.position);
        }
        let mut units = batch.units.as_slice();
        for put in &batch.puts {
            let (own, rest) = units.split_at(put.units);
            units = rest;
            // A queue that was deleted meanwhile has no readers any more.
            if !put.queue.is_deleted() {
                self.extend_queue(&put.queue, own)?;
            }
        }
        if let Some(index) = &self.index {
            index.extend(&batch.keys, TimeSpan::at(batch.end.timestamp), batch.end.last_record);
        }
        *end = batch.end;
        self.applied.store(end.position, Ordering::Release);
        let mut units = batch.units.as_slice();
        for put in &batch.puts {
            let (own, rest) = units.split_at(put.units);
            units = rest;
            self.tell_arrivals(&put.queue, own, batch.end.timestamp);
        }
        Ok(())
    }

    /// Answers who put what is visible now.
    fn answer_batch(&self, batch: Batch) {
        let now = Instant::now();
        for put in batch.puts {
            match put.completion {
                Some(completion) if put.wait => self.answer_or_hold(completion, put.end, now),
                Some(completion) => self.answer(completion, PutStatus::Ok, now),
                None => {}
            }
        }
    }

    fn extend_queue(&self, queue: &ConsumeQueue, units: &[QueuedUnit]) -> Result<(), StoreError> {
        for queued in units {
            queue.extend(queued.offset, queued.unit, Continuity::Restored)?;
        }
        self.write_out_if_long(queue)
    }

    /// Writes a queue out whose units in memory have become too many.
    pub(crate) fn write_out_if_long(&self, queue: &ConsumeQueue) -> Result<(), StoreError> {
        if queue.unwritten() < UNWRITTEN_MAX {
            return Ok(());
        }
        match queue.write_out() {
            // The units stay in memory until there is room again; the gate refuses messages long before that.
            Err(error) if error.is_full() => Ok(()),
            other => other,
        }
    }

    pub(crate) fn tell_arrivals(
        &self,
        queue: &Arc<ConsumeQueue>,
        units: &[QueuedUnit],
        store_timestamp: i64,
    ) {
        for QueuedUnit { offset, unit } in units {
            self.hooks.listener.arrived(&Arrival {
                queue,
                queue_offset: *offset,
                tags_code: unit.tags_code,
                store_timestamp,
                physical_offset: unit.physical_offset,
                bytes: unit.bytes,
            });
        }
    }

    /// Makes visible what a master's bytes hold up to `limit`; a record of which a part is missing waits for the rest.
    fn apply_from_log(&self, end: &mut LogEnd, limit: u64) -> Result<(), StoreError> {
        let mut scan = LogScan::new(&self.segments, end.position, limit);
        let mut stretch = Stretch::new(self, Continuity::Restored);
        let mut last = *end;
        scan.walk(&mut |record| {
            stretch.add(record)?;
            last = end_of(record);
            if stretch.is_full() {
                self.show_masters(&mut stretch, end, last)?;
            }
            Ok(true)
        })?;
        self.show_masters(&mut stretch, end, LogEnd { position: scan.position(), ..last })?;
        if scan.is_at_rubbish() {
            self.refuse_raw_from(end.position);
        }
        Ok(())
    }

    /// Makes a stretch of a master's bytes visible; whoever appends next goes on behind it.
    fn show_masters(
        &self,
        stretch: &mut Stretch<'_>,
        end: &mut LogEnd,
        last: LogEnd,
    ) -> Result<(), StoreError> {
        stretch.finish()?;
        for queue in stretch.queues() {
            queue.set_next_offset(queue.max_offset());
        }
        *end = last;
        self.applied.store(end.position, Ordering::Release);
        stretch.tell_arrivals();
        Ok(())
    }

    /// Makes the records of `bytes`, which lie at `position` of the log, visible.
    pub(crate) fn apply(
        &self,
        position: u64,
        bytes: &[u8],
        continuity: Continuity,
    ) -> Result<(), StoreError> {
        let mut end = self.confirm.applying.lock();
        let mut stretch = Stretch::new(self, continuity);
        let mut last = *end;
        let mut at = 0;
        while at < bytes.len() {
            let here = position + at as u64;
            let record = Record::parse(&bytes[at..]).filter(|record| record.physical_offset == here);
            let Some(record) = record else { return Err(StoreError::RecordDamaged { position: here }) };
            stretch.add(&record)?;
            last = end_of(&record);
            at += record.bytes.len();
        }
        stretch.finish()?;
        *end = last;
        self.written.fetch_max(end.position, Ordering::AcqRel);
        self.applied.store(end.position, Ordering::Release);
        stretch.tell_arrivals();
        self.hooks.listener.settled();
        Ok(())
    }

    /// Notes that the log was applied up to `position` although no message ends there: after an envelope without messages.
    pub(crate) fn skip_to(&self, position: u64) {
        let mut end = self.confirm.applying.lock();
        end.position = end.position.max(position);
        self.written.fetch_max(position, Ordering::AcqRel);
        self.applied.store(end.position, Ordering::Release);
    }

    fn answer_or_hold(&self, completion: Completion, end: u64, now: Instant) {
        let mut waits = self.confirm.replication.lock();
        let status = match waits.mode {
            Replication::Unavailable => PutStatus::SlaveNotAvailable,
            Replication::Awaited if waits.replicated < end => {
                let deadline = now + self.config.slave_timeout;
                waits.held.push_back(Held { end, deadline, completion });
                return;
            }
            Replication::Awaited | Replication::Off => PutStatus::Ok,
        };
        drop(waits);
        self.answer(completion, status, now);
    }

    /// Answers one put.
    pub(crate) fn answer(&self, mut completion: Completion, status: PutStatus, now: Instant) {
        completion.result.status = status;
        self.counters.completed(now.saturating_duration_since(completion.began));
        (completion.done)(Ok(completion.result));
    }

    /// A slave has everything before `position`.
    pub(crate) fn replicated(&self, position: u64) {
        let released: Vec<Held> = {
            let mut waits = self.confirm.replication.lock();
            waits.replicated = waits.replicated.max(position);
            let count = waits.held.partition_point(|held| held.end <= position);
            waits.held.drain(..count).collect()
        };
        let now = Instant::now();
        for held in released {
            self.answer(held.completion, PutStatus::Ok, now);
        }
    }

    /// Puts wait for a slave from now on, or do not; who waits already is answered by the new rule.
    pub(crate) fn set_replication(&self, mode: Replication) {
        let released: Vec<Held> = {
            let mut waits = self.confirm.replication.lock();
            waits.mode = mode;
            if mode != Replication::Awaited {
                waits.held.drain(..).collect()
            } else {
                // Another slave may follow now: what the last one had says nothing of it.
                waits.replicated = 0;
                Vec::new()
            }
        };
        let status = if mode == Replication::Off { PutStatus::Ok } else { PutStatus::SlaveNotAvailable };
        let now = Instant::now();
        for held in released {
            self.answer(held.completion, status, now);
        }
    }

    /// Whether a put may have to wait for more than its own append.
    pub(crate) fn may_wait(&self) -> bool {
        self.config.flush == FlushDiskType::Sync
            || self.confirm.replication.lock().mode == Replication::Awaited
    }

    /// Answers who waited too long; tells whether somebody still waits.
    pub(crate) fn expire(&self, now: Instant) -> bool {
        let mut late = Vec::new();
        let mut is_waiting = false;
        for batch in self.confirm.pending.lock().iter_mut() {
            if batch.deadline > now {
                is_waiting = true;
                break;
            }
            late.extend(batch.puts.iter_mut().filter_map(|put| put.completion.take()));
        }
        for completion in late {
            self.answer(completion, PutStatus::FlushDiskTimeout, now);
        }
        let held: Vec<Held> = {
            let mut waits = self.confirm.replication.lock();
            let count = waits.held.iter().take_while(|held| held.deadline <= now).count();
            is_waiting |= waits.held.len() > count;
            waits.held.drain(..count).collect()
        };
        for held in held {
            self.answer(held.completion, PutStatus::FlushSlaveTimeout, now);
        }
        is_waiting
    }

    /// Answers everybody who waits for a slave: the store closes, and what they put is visible.
    pub(crate) fn release_held(&self) {
        let held: Vec<Held> = self.confirm.replication.lock().held.drain(..).collect();
        let now = Instant::now();
        for held in held {
            self.answer(held.completion, PutStatus::FlushSlaveTimeout, now);
        }
    }
}

/// The log's end behind a record.
fn end_of(record: &Record<'_>) -> LogEnd {
    LogEnd {
        position: record.physical_offset + record.bytes.len() as u64,
        last_record: record.physical_offset,
        timestamp: record.store_timestamp,
    }
}
