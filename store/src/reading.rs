//! How a queue is read: units choose the messages, the log's bytes are handed out as they lie there.
//!
//! Rules, limits and statuses are RocketMQ's (reference 2.2). The log itself is looked at only when a property filter asks.

use std::time::Instant;

use bytes::Bytes;

use crate::config::ReadLimits;
use crate::consume_queue::ConsumeQueue;
use crate::core::Core;
use crate::error::StoreError;
use crate::read::{GetStatus, ReadRequest, ReadResult};
use crate::unit::{UNIT_BYTES, Unit};

/// Units fetched from a queue at once.
const FETCH_UNITS: usize = 64;

impl Core {
    /// Reads messages of a queue.
    pub(crate) fn read(&self, request: &ReadRequest<'_>) -> Result<ReadResult, StoreError> {
        let began = Instant::now();
        let result = match self.queues.find(request.topic, request.queue_id) {
            None => Ok(nothing(GetStatus::NoMatchedLogicQueue, 0, 0, 0)),
            Some(queue) => match self.read_queue(&queue, request) {
                // Its files went while they were read.
                Err(_) if queue.is_deleted() => Ok(nothing(GetStatus::NoMatchedLogicQueue, 0, 0, 0)),
                Err(_) if request.queue_offset < queue.min_offset() => {
                    let (min, max) = (queue.min_offset(), queue.max_offset());
                    Ok(nothing(GetStatus::OffsetTooSmall, min, min, max))
                }
                other => other,
            },
        }?;
        self.counters.read(result.count, result.bytes, began.elapsed());
        Ok(result)
    }

    fn read_queue(&self, queue: &ConsumeQueue, request: &ReadRequest<'_>) -> Result<ReadResult, StoreError> {
        // The end first: retention only ever moves the beginning up, so that no offset looks both kept and beyond the end.
        let (max, min) = (queue.max_offset(), queue.min_offset());
        let offset = request.queue_offset;
        if max == 0 {
            return Ok(nothing(GetStatus::NoMessageInQueue, 0, min, max));
        } else if offset < min {
            return Ok(nothing(GetStatus::OffsetTooSmall, min, min, max));
        } else if offset == max {
            return Ok(nothing(GetStatus::OffsetOverflowOne, offset, min, max));
        } else if offset > max {
            return Ok(nothing(GetStatus::OffsetOverflowBadly, max, min, max));
        }
        let limits = self.read_limits.read();
        let gathering = Gathering::new(self, &limits, request);
        gathering.gather(queue, min, max)
    }
}

fn nothing(status: GetStatus, next_begin_offset: u64, min_offset: u64, max_offset: u64) -> ReadResult {
    let slices = Vec::new();
    ReadResult {
        status,
        next_begin_offset,
        min_offset,
        max_offset,
        slices,
        count: 0,
        bytes: 0,
        is_slow: false,
    }
}

/// One read under way.
struct Gathering<'a> {
    core: &'a Core,
    limits: &'a ReadLimits,
    request: &'a ReadRequest<'a>,
    log_start: u64,
    log_end: u64,
    count_max: usize,
    bytes_max: usize,
    slices: Vec<Bytes>,
    /// Neighbours in the log that will be one slice.
    run: Option<(u64, u64)>,
    count: usize,
    bytes: usize,
    /// The last message that was looked at, wanted or not.
    last_physical: Option<u64>,
    /// Why nothing was found, should that be so.
    status: GetStatus,
}

impl<'a> Gathering<'a> {
    fn new(core: &'a Core, limits: &'a ReadLimits, request: &'a ReadRequest<'a>) -> Self {
        Self {
            core,
            limits,
            request,
            log_start: core.segments.start(),
            log_end: core.applied(),
            count_max: request.count_max.clamp(1, limits.count_max),
            bytes_max: request.bytes_max.unwrap_or(usize::MAX),
            slices: Vec::new(),
            run: None,
            count: 0,
            bytes: 0,
            last_physical: None,
            status: GetStatus::NoMatchedMessage,
        }
    }

    fn gather(mut self, queue: &ConsumeQueue, min: u64, max: u64) -> Result<ReadResult, StoreError> {
        let scan_max = (self.limits.scan_bytes / UNIT_BYTES as usize)
            .max(self.request.count_max.min(self.limits.count_max));
        let mut at = self.request.queue_offset;
        let end = max.min(at.saturating_add(scan_max as u64));
        let mut units = Vec::with_capacity(self.count_max.min(FETCH_UNITS));
        'scan: while at < end {
            units.clear();
            // Without a filter no more units are needed than messages are wanted.
            let wanted = if self.request.tags.is_none() { self.count_max - self.count } else { FETCH_UNITS };
            let fetch = (end - at).min(wanted.clamp(1, FETCH_UNITS) as u64);
            queue.units(at, fetch as usize, &mut units)?;
            if units.is_empty() {
                self.status = GetStatus::OffsetFoundNull;
                break;
            }
            for unit in &units {
                if self.is_full(unit) {
                    break 'scan;
                }
                self.consider(unit)?;
                at += 1;
            }
        }
        self.close_run()?;
        let is_found = self.count > 0;
        // What the scan did not reach waits for the next read.
        let left = self.last_physical.map_or(0, |last| self.log_end.saturating_sub(last));
        let is_slow = left > self.limits.memory_span;
        Ok(ReadResult {
            status: if is_found { GetStatus::Found } else { self.status },
            next_begin_offset: at,
            min_offset: min,
            max_offset: max,
            slices: self.slices,
            count: self.count,
            bytes: self.bytes,
            is_slow,
        })
    }

    /// Whether the message would be one too many. The first always fits.
    fn is_full(&self, unit: &Unit) -> bool {
        if self.count == 0 {
            return false;
        }
        let bytes = self.bytes + unit.bytes as usize;
        let is_in_memory = self.log_end.saturating_sub(unit.physical_offset) <= self.limits.memory_span;
        let (bytes_max, count_max) = if is_in_memory {
            (self.limits.memory_bytes_max, self.limits.memory_count_max)
        } else {
            (self.limits.disk_bytes_max, self.limits.disk_count_max)
        };
        self.count >= self.count_max.min(count_max) || bytes > self.bytes_max.min(bytes_max)
    }

    fn consider(&mut self, unit: &Unit) -> Result<(), StoreError> {
        if !unit.is_message() || unit.physical_offset < self.log_start {
            self.status = GetStatus::MessageWasRemoving;
            return Ok(());
        }
        self.last_physical = Some(unit.physical_offset);
        if self.request.tags.is_some_and(|is_wanted| !is_wanted(unit.tags_code)) {
            return Ok(());
        }
        if let Some(is_wanted) = self.request.record {
            let Some(record) = self.slice(unit.physical_offset, unit.bytes as usize)? else {
                self.status = GetStatus::MessageWasRemoving;
                return Ok(());
            };
            if !is_wanted(&record) {
                return Ok(());
            }
        }
        self.join(unit)?;
        // Only now: should the run before turn out to be gone, the count begins anew with this message.
        self.count += 1;
        self.bytes += unit.bytes as usize;
        Ok(())
    }

    /// Adds a message to the run of its neighbours, or begins a new one.
    fn join(&mut self, unit: &Unit) -> Result<(), StoreError> {
        let segments = &self.core.segments;
        if let Some((start, end)) = &mut self.run
            && *end == unit.physical_offset
            && segments.segment_start(*start) == segments.segment_start(unit.physical_offset)
        {
            *end = unit.end();
            return Ok(());
        }
        self.close_run()?;
        self.run = Some((unit.physical_offset, unit.end()));
        Ok(())
    }

    fn close_run(&mut self) -> Result<(), StoreError> {
        let Some((start, end)) = self.run.take() else { return Ok(()) };
        match self.slice(start, (end - start) as usize)? {
            Some(slice) => self.slices.push(slice),
            None => {
                // Retention was faster: these messages are gone, and so is all before them.
                self.slices.clear();
                (self.count, self.bytes) = (0, 0);
                self.status = GetStatus::MessageWasRemoving;
            }
        }
        Ok(())
    }

    /// Bytes of the log; `None` when retention removed them meanwhile.
    fn slice(&self, position: u64, len: usize) -> Result<Option<Bytes>, StoreError> {
        self.core.log_slice(position, len)
    }
}
