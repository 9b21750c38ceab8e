//! The pen: whoever holds it takes all that waits, gives each message its place, and writes everything with one call per segment.
//!
//! Always true: there is one, so that one thread at a time writes the log and assigns offsets (the append thread, or a thread
//! that puts and appends what it put: docs/adr/0011); a put that it refuses has left nothing behind, neither bytes that a recovery could
//! find nor a hole in a queue's offsets.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use disk::{DiskError, GroupFlush};
use protocol::message::{FILLER_BYTES_MIN, encode_filler, patch_record};
use smallvec::SmallVec;

use crate::config::FlushDiskType;
use crate::confirm::{AppendedPut, Batch, Completion, QueuedUnit};
use crate::core::{Core, LogEnd};
use crate::error::StoreError;
use crate::index_file::Entry;
use crate::intake::{Intake, RawDone, Taken, Work};
use crate::put::{Put, PutResult, PutStatus};
use crate::record::{Record, Traits};
use crate::unit::Unit;

/// Per cent that a disk counts as used when it refused to take bytes.
const USED_PERCENT_FULL: u8 = 100;
/// A slave that has so many bytes to write acknowledges them before it takes more.
const RAW_RUN_BYTES: u64 = 1 << 20;

/// So often does a thread that has other things to do look for more work before it leaves that to the append thread.
const ROUNDS_MAX: usize = 4;

/// Appends what nobody else does, until the intake is closed and empty. The append thread's life.
pub(crate) fn append_until_closed(intake: &Intake<Appender>) {
    while let Some(taken) = intake.take() {
        append_rounds(intake, taken, usize::MAX);
    }
}

/// Appends what waits on the thread that calls, unless another is at it: that one looks again before it stops.
pub(crate) fn append_here(intake: &Intake<Appender>) {
    if let Some(taken) = intake.try_take() {
        append_rounds(intake, taken, ROUNDS_MAX);
    }
}

fn append_rounds(intake: &Intake<Appender>, mut taken: Taken<Appender>, rounds_max: usize) {
    for round in 1.. {
        taken.pen.append(&mut taken.work);
        match intake.give_back(taken, round < rounds_max) {
            Some(more) => taken = more,
            None => return,
        }
    }
}

/// What the one who appends owns.
pub(crate) struct Appender {
    core: Arc<Core>,
    flush: Arc<GroupFlush>,
    /// Where the next byte goes.
    end: LogEnd,
    /// The machine's clock, which may have been set back since the last message.
    now: i64,
}

/// A master's bytes that go to the log with one write; empty without anybody who waits for them.
#[derive(Default)]
struct RawRun {
    parts: Vec<Bytes>,
    bytes: u64,
    done: Vec<RawDone>,
}

/// Puts that have their places and are not written yet.
#[derive(Default)]
struct Plan {
    puts: Vec<PlannedPut>,
    units: Vec<QueuedUnit>,
    keys: Vec<Entry>,
    runs: Vec<Run>,
}

/// Bytes for one segment.
struct Run {
    /// The log's end before it.
    begin: LogEnd,
    /// The puts in it: up to this one.
    puts_end: usize,
    /// What closes the segment.
    filler: Option<BytesMut>,
    /// The log's end after it.
    end: LogEnd,
}

struct PlannedPut {
    put: Put,
    began: Instant,
    result: PutResult,
    units: usize,
    keys: usize,
    /// The log's end after it.
    end: u64,
}

impl Appender {
    pub(crate) fn new(core: Arc<Core>, flush: Arc<GroupFlush>, end: LogEnd) -> Self {
        Self { core, flush, end, now: end.timestamp }
    }

    fn append(&mut self, work: &mut Vec<Work>) {
        self.core.counters.append_begins();
        // Store times never go back, whatever the machine's clock does: queues are searched by them.
        self.now = self.core.hooks.clock.now();
        self.end.timestamp = self.now.max(self.end.timestamp);
        let mut plan = Plan::default();
        let mut raw = RawRun::default();
        for work in work.drain(..) {
            if self.core.is_failed() {
                work.refuse(StoreError::Failed);
                continue;
            }
            match work {
                Work::Put { put, began } => {
                    self.write_raw(std::mem::take(&mut raw));
                    self.place(&mut plan, put, began);
                }
                Work::Raw { position, parts, done } => {
                    self.write(std::mem::take(&mut plan));
                    self.gather_raw(&mut raw, position, parts, done);
                    if raw.bytes >= RAW_RUN_BYTES {
                        self.write_raw(std::mem::take(&mut raw));
                    }
                }
            }
        }
        self.write(plan);
        self.write_raw(raw);
        self.core.counters.append_ended();
    }

    /// Gives a put its place, in the log and in its queue.
    fn place(&mut self, plan: &mut Plan, put: Put, began: Instant) {
        let (units, keys) = (plan.units.len(), plan.keys.len());
        match self.try_place(plan, put, began) {
            Ok(()) => {}
            Err((put, error)) => {
                plan.units.truncate(units);
                plan.keys.truncate(keys);
                self.core.counters.refused();
                (put.done)(Err(error));
            }
        }
    }

    fn try_place(&mut self, plan: &mut Plan, mut put: Put, began: Instant) -> Result<(), (Put, StoreError)> {
        if put.queue.is_deleted() {
            let topic = put.queue.topic().to_string();
            let error = StoreError::QueueDeleted { topic, queue_id: put.queue.queue_id() };
            return Err((put, error));
        }
        let (units_before, keys_before) = (plan.units.len(), plan.keys.len());
        let starts = match self.take_apart(plan, &put) {
            Ok(starts) => starts,
            Err(error) => return Err((put, error)),
        };
        let bytes = put.records.len() as u64;
        let segment_bytes = self.core.segments.segment_bytes();
        if bytes + FILLER_BYTES_MIN as u64 > segment_bytes {
            let error = StoreError::TooLarge { bytes: put.records.len(), segment_bytes };
            return Err((put, error));
        }
        let left = segment_bytes - self.end.position % segment_bytes;
        if bytes + FILLER_BYTES_MIN as u64 > left {
            self.close_segment(plan, left);
        } else if plan.runs.is_empty() {
            self.open_run(plan);
        }
        let base = self.end.position;
        let first = put.queue.next_offset();
        let mut next = first;
        for queued in &mut plan.units[units_before..] {
            queued.unit.physical_offset += base;
        }
        for key in &mut plan.keys[keys_before..] {
            key.physical_offset += base;
        }
        let mut own_units = plan.units[units_before..].iter_mut().peekable();
        let mut physical_offsets = SmallVec::with_capacity(starts.len());
        for start in starts {
            let position = base + u64::from(start);
            // Half and rolled back messages are in no queue, and their offset there is 0.
            let mut queue_offset = 0;
            if let Some(queued) = own_units.next_if(|queued| queued.unit.physical_offset == position) {
                queued.offset = next;
                queue_offset = next;
                next += 1;
            }
            patch_record(&mut put.records[start as usize..], queue_offset, position, self.end.timestamp);
            physical_offsets.push(position);
            self.end.last_record = position;
        }
        put.queue.set_next_offset(next);
        self.end.position += bytes;
        let queue_offset = if next > first { first } else { 0 };
        let result = PutResult {
            status: PutStatus::Ok,
            physical_offsets,
            queue_offset,
            store_timestamp: self.end.timestamp,
        };
        let (units, keys) = (plan.units.len() - units_before, plan.keys.len() - keys_before);
        plan.puts.push(PlannedPut { put, began, result, units, keys, end: self.end.position });
        let run = plan.runs.last_mut().expect("a run is open");
        run.puts_end = plan.puts.len();
        run.end = self.end;
        Ok(())
    }

    /// Finds the records of a put; notes units and keys with offsets that count from the put's first byte.
    fn take_apart(&self, plan: &mut Plan, put: &Put) -> Result<SmallVec<[u32; 1]>, StoreError> {
        let mut starts = SmallVec::new();
        let mut at = 0;
        let queue = &put.queue;
        while at < put.records.len() || starts.is_empty() {
            let record = Record::parse(&put.records[at..]).filter(|record| {
                record.queue_id == queue.queue_id() && record.topic == queue.topic().as_bytes()
            });
            let Some(record) = record else {
                return Err(StoreError::NotRecords { at, bytes: put.records.len() });
            };
            if record.has_hole() {
                // After a crash it would pass for a torn one, and be cut off with everything behind it.
                return Err(StoreError::PropertiesHole { at, bytes: put.records.len() });
            }
            let traits = Traits::of(record.properties_text());
            if self.core.index.is_some() && record.is_indexed() {
                traits.each_key(queue.topic_hash(), |hash| {
                    plan.keys.push(Entry { hash, physical_offset: at as u64 });
                });
            }
            if record.is_queued() {
                // A delay is counted on the clock that will tell when it is over.
                let tags_code =
                    traits.tags_code(queue.is_schedule(), self.now, &self.core.config.delay_levels);
                let unit = Unit { physical_offset: at as u64, bytes: record.bytes.len() as u32, tags_code };
                plan.units.push(QueuedUnit { offset: 0, unit });
            }
            starts.push(at as u32);
            at += record.bytes.len();
        }
        Ok(starts)
    }

    fn open_run(&self, plan: &mut Plan) {
        let puts_end = plan.puts.len();
        plan.runs.push(Run { begin: self.end, puts_end, filler: None, end: self.end });
    }

    /// Fills the rest of the segment, so that the next record begins the next one.
    fn close_segment(&mut self, plan: &mut Plan, left: u64) {
        if plan.runs.is_empty() {
            self.open_run(plan);
        }
        let mut filler = BytesMut::with_capacity(FILLER_BYTES_MIN);
        encode_filler(left as u32, &mut filler);
        self.end.position += left;
        let run = plan.runs.last_mut().expect("a run is open");
        run.filler = Some(filler);
        run.end = self.end;
        self.open_run(plan);
    }

    /// Writes what was placed and hands it on to be confirmed.
    fn write(&mut self, mut plan: Plan) {
        if plan.runs.is_empty() {
            return;
        }
        let mut written = None;
        let mut failed = None;
        let mut puts_begin = 0;
        for run in &plan.runs {
            match self.write_run(run, &plan.puts[puts_begin..run.puts_end]) {
                Ok(()) => {
                    puts_begin = run.puts_end;
                    written = Some(run.end);
                }
                Err(error) => {
                    failed = Some((run.begin, error));
                    break;
                }
            }
        }
        if let Some((end, error)) = failed {
            self.end = end;
            self.take_back(&mut plan, puts_begin, error);
        }
        if let Some(end) = written {
            self.hand_on(plan, end);
        }
    }

    fn write_run(&self, run: &Run, puts: &[PlannedPut]) -> Result<(), DiskError> {
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(puts.len() + 1);
        slices.extend(puts.iter().map(|planned| IoSlice::new(&planned.put.records)));
        slices.extend(run.filler.as_deref().map(IoSlice::new));
        if slices.is_empty() { Ok(()) } else { self.core.segments.write_at(run.begin.position, &slices) }
    }

    /// Undoes the placing of all puts from `begin` on, whose bytes could not be written, and refuses them.
    fn take_back(&mut self, plan: &mut Plan, begin: usize, error: DiskError) {
        let refused: Vec<_> = plan.puts.drain(begin..).collect();
        let units: usize = refused.iter().map(|planned| planned.units).sum();
        let keys: usize = refused.iter().map(|planned| planned.keys).sum();
        let (units_kept, keys_kept) = (plan.units.len() - units, plan.keys.len() - keys);
        for (planned, queued) in refused.iter().zip(firsts(&refused, &plan.units[units_kept..])).rev() {
            if let Some(queued) = queued {
                planned.put.queue.set_next_offset(queued.offset);
            }
        }
        plan.units.truncate(units_kept);
        plan.keys.truncate(keys_kept);
        let error = self.clear_up(error);
        for planned in refused {
            self.core.counters.refused();
            (planned.put.done)(Err(error.clone()));
        }
    }

    /// Makes sure that a recovery finds nothing of a write that failed; tells what to answer.
    fn clear_up(&mut self, error: DiskError) -> StoreError {
        let is_full = error.is_full();
        let cleared = if is_full { self.core.segments.truncate(self.end.position) } else { Err(error) };
        match cleared {
            Ok(()) => {
                tracing::error!(position = self.end.position, "the disk is full, messages are refused");
                self.core.disk_full.store(USED_PERCENT_FULL, Ordering::Release);
                StoreError::DiskFull { used_percent: USED_PERCENT_FULL }
            }
            Err(error) => {
                self.core.fail(&StoreError::from(error));
                StoreError::Failed
            }
        }
    }

    /// What is written waits from now on for its confirmation.
    fn hand_on(&mut self, plan: Plan, end: LogEnd) {
        let messages: usize = plan.puts.iter().map(|planned| planned.result.physical_offsets.len()).sum();
        self.core.counters.stored(messages as u64, end.position - self.core.written());
        let is_async = self.core.config.flush == FlushDiskType::Async;
        let now = Instant::now();
        let mut puts = Vec::with_capacity(plan.puts.len());
        for PlannedPut { put, began, result, units, end, .. } in plan.puts {
            let completion = Completion { done: put.done, result, began };
            // Who does not want to wait is not made to wait for the disk.
            let completion = if put.wait || is_async {
                Some(completion)
            } else {
                self.core.answer(completion, PutStatus::Ok, now);
                None
            };
            puts.push(AppendedPut { queue: put.queue, units, end, wait: put.wait, completion });
        }
        let deadline = now + self.core.config.sync_flush_timeout;
        let batch =
            Batch { end, puts, units: plan.units, keys: plan.keys, is_raw: false, raw: Vec::new(), deadline };
        self.publish(batch, is_async);
    }

    fn publish(&self, batch: Batch, is_async: bool) {
        let position = batch.end.position;
        self.core.confirm.push(batch);
        self.core.written.store(position, Ordering::Release);
        if self.core.is_failed() {
            // The flush failed after it was last asked: nobody will look at this batch any more.
            return self.core.confirm.fail();
        }
        if is_async {
            self.flush.mark(position);
            self.core.tell_readable();
            self.core.advance();
        } else {
            self.flush.request(position);
        }
    }

    /// Whether the log has never held a byte.
    fn is_empty(&self) -> bool {
        let segments = &self.core.segments;
        segments.start() == segments.end() && segments.end() == self.end.position
    }

    /// Lets an empty log begin at a segment that a master begins with.
    fn begin_at(&mut self, position: u64) {
        tracing::info!(position, "the log begins where the master's newest file does");
        self.end = LogEnd { position, last_record: position, timestamp: self.end.timestamp };
        self.flush.restart_at(position);
        self.core.restart_at(self.end);
    }

    /// Takes a master's bytes that continue the log, or refuses them.
    fn gather_raw(&mut self, run: &mut RawRun, position: u64, parts: Vec<Bytes>, done: RawDone) {
        let end = self.end.position + run.bytes;
        if position != end {
            let may_begin = run.bytes == 0 && self.is_empty();
            if !may_begin || !position.is_multiple_of(self.core.segments.segment_bytes()) {
                return done(Err(StoreError::NotContiguous { position, end }));
            }
            self.begin_at(position);
        }
        run.bytes += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        run.parts.extend(parts);
        run.done.push(done);
    }

    /// Writes a master's bytes and hands them on to be confirmed.
    fn write_raw(&mut self, run: RawRun) {
        if run.done.is_empty() {
            return;
        }
        if let Err(error) = self.write_parts(&run.parts) {
            let error = self.clear_up(error);
            return run.done.into_iter().for_each(|done| done(Err(error.clone())));
        }
        self.end.position += run.bytes;
        let deadline = Instant::now() + self.core.config.sync_flush_timeout;
        let (puts, units, keys) = (Vec::new(), Vec::new(), Vec::new());
        let batch = Batch { end: self.end, puts, units, keys, is_raw: true, raw: run.done, deadline };
        self.publish(batch, self.core.config.flush == FlushDiskType::Async);
    }

    /// Writes bytes at the log's end, with one call per segment.
    fn write_parts(&self, parts: &[Bytes]) -> Result<(), DiskError> {
        let segment_bytes = self.core.segments.segment_bytes();
        let mut begin = self.end.position;
        let mut end = begin;
        let mut slices = Vec::with_capacity(parts.len());
        for part in parts {
            let mut rest = &part[..];
            while !rest.is_empty() {
                let left = usize::try_from(segment_bytes - end % segment_bytes).unwrap_or(usize::MAX);
                let (now, later) = rest.split_at(rest.len().min(left));
                slices.push(IoSlice::new(now));
                end += now.len() as u64;
                rest = later;
                if now.len() == left {
                    self.core.segments.write_at(begin, &slices)?;
                    slices.clear();
                    begin = end;
                }
            }
        }
        if slices.is_empty() { Ok(()) } else { self.core.segments.write_at(begin, &slices) }
    }
}

/// The first unit of each put, where it has one.
fn firsts<'a>(puts: &[PlannedPut], units: &'a [QueuedUnit]) -> Vec<Option<&'a QueuedUnit>> {
    let mut left = units;
    puts.iter()
        .map(|planned| {
            let (own, rest) = left.split_at(planned.units);
            left = rest;
            own.first()
        })
        .collect()
}
