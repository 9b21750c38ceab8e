//! What a store does when it opens: finds the end of the log, and makes queues and index say what the log says.
//!
//! It starts where the checkpoint says that everything before is on the disk, walks the log record by record, and cuts it at
//! the first that is not sound. Nothing is trusted that the log contradicts; what the log holds is dispatched again.

use std::sync::Arc;

use disk::Segments;

use crate::checkpoint::Checkpoint;
use crate::confirm::UNWRITTEN_MAX;
use crate::consume_queue::{ConsumeQueue, Continuity};
use crate::core::{Core, LogEnd};
use crate::error::StoreError;
use crate::log_scan::LogScan;
use crate::queue_table::QueueTable;
use crate::record::{HEAD_BYTES, Record, store_timestamp};
use crate::store::unless_full;
use crate::stretch::Stretch;
use crate::unit::Unit;

/// Java's checkpoint times are believed with this margin. Source: RocketMQ `StoreCheckpoint.getMinTimestamp`, 3 s.
const MARGIN_MS: i64 = 3000;

/// Where a recovery starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    /// Everything before is on the disk, in log, queues and index.
    pub(crate) end: LogEnd,
    /// The position is exact and was written last: after a clean stop the queues need no second look.
    pub(crate) is_exact: bool,
}

/// Chooses where to start.
pub(crate) fn start(
    segments: &Segments,
    checkpoint: &Checkpoint,
    queues: usize,
) -> Result<Start, StoreError> {
    let first = segments.start();
    let at = |position| LogEnd { position, last_record: position, timestamp: checkpoint.timestamp };
    if are_removed(checkpoint, queues) {
        return Ok(Start { end: at(first), is_exact: false });
    }
    if let Some(position) = checkpoint.position {
        if position <= first {
            return Ok(Start { end: at(first), is_exact: false });
        }
        let end = LogEnd { position, last_record: checkpoint.last_record, timestamp: checkpoint.timestamp };
        if ends_there(segments, &end)? {
            return Ok(Start { end, is_exact: true });
        }
        tracing::warn!(position, "the log contradicts the checkpoint");
        return Ok(Start { end: at(first), is_exact: false });
    }
    Ok(Start { end: at(by_time(segments, checkpoint.timestamp.saturating_sub(MARGIN_MS))?), is_exact: false })
}

/// Whether somebody removed the queues, so that they are built anew from the whole log. Queues of deleted topics are not meant.
fn are_removed(checkpoint: &Checkpoint, queues: usize) -> bool {
    queues == 0 && (checkpoint.queues > 0 || checkpoint.position.is_none())
}

/// Chooses where somebody who writes the log goes on to apply it: where the checkpoint says, which its owner keeps true.
pub(crate) fn start_of_foreign(segments: &Segments, checkpoint: &Checkpoint, queues: usize) -> Start {
    let first = segments.start();
    let is_known = !are_removed(checkpoint, queues);
    let position =
        checkpoint.position.filter(|position| is_known && (first..=segments.end()).contains(position));
    let end = LogEnd {
        position: position.unwrap_or(first),
        last_record: checkpoint.last_record,
        timestamp: checkpoint.timestamp,
    };
    Start { end, is_exact: position.is_some() }
}

/// Takes a log as it is: its owner applies what follows.
pub(crate) fn adopt(core: &Arc<Core>, start: &Start) -> Result<LogEnd, StoreError> {
    go_on(core)?;
    Ok(start.end)
}

/// Whether the record before the checkpoint's position is in the log and ends there, or before a filler that does.
fn ends_there(segments: &Segments, end: &LogEnd) -> Result<bool, StoreError> {
    if end.position > segments.end() {
        return Ok(false);
    }
    if end.last_record >= end.position || end.last_record < segments.start() {
        // No record is left before the position.
        return Ok(end.position == segments.segment_start(end.position) || end.last_record < segments.start());
    }
    let mut scan = LogScan::new(segments, end.last_record, end.position);
    let mut count = 0;
    scan.walk(&mut |_| {
        count += 1;
        Ok(true)
    })?;
    Ok(count == 1 && scan.position() == end.position)
}

/// The start of the newest segment whose first message was stored at or before `timestamp`.
fn by_time(segments: &Segments, timestamp: i64) -> Result<u64, StoreError> {
    let mut start = segments.end();
    while start > segments.start() {
        start -= segments.segment_bytes();
        let head = segments.read(start, HEAD_BYTES)?;
        let mut is_sound = false;
        LogScan::new(segments, start, segments.end()).walk(&mut |_| {
            is_sound = true;
            Ok(false)
        })?;
        if is_sound && store_timestamp(&head).is_some_and(|stored| stored <= timestamp) {
            return Ok(start);
        }
    }
    Ok(start)
}

/// Takes the queues back to what is known to be on the disk.
pub(crate) fn rewind_queues(
    queues: &QueueTable,
    segments: &Segments,
    start: &Start,
    is_crash: bool,
) -> Result<(), StoreError> {
    let is_trusted = start.is_exact && !is_crash;
    for queue in queues.all(|_| true) {
        let ask_log = |at, unit: &Unit| is_true(segments, &queue, at, unit);
        queue.keep_before(start.end.position, if is_trusted { None } else { Some(&ask_log) })?;
    }
    Ok(())
}

/// Whether the log has the message that a unit stands for; a message that was deleted cannot be asked any more.
fn is_true(segments: &Segments, queue: &ConsumeQueue, at: u64, unit: &Unit) -> Result<bool, StoreError> {
    if unit.physical_offset < segments.start() {
        return Ok(true);
    }
    let inside = segments.segment_bytes() - unit.physical_offset % segments.segment_bytes();
    if unit.end() > segments.end() || u64::from(unit.bytes) > inside {
        return Ok(false);
    }
    let bytes = segments.read(unit.physical_offset, unit.bytes as usize)?;
    Ok(Record::parse(&bytes).is_some_and(|record| {
        record.physical_offset == unit.physical_offset
            && record.queue_offset == at
            && record.queue_id == queue.queue_id()
            && record.topic == queue.topic().as_bytes()
    }))
}

/// Walks the log from `start` on, dispatches what it holds, and cuts it after the last sound record.
pub(crate) fn replay(core: &Arc<Core>, start: &Start, is_crash: bool) -> Result<LogEnd, StoreError> {
    let segments = &core.segments;
    let mut end = start.end;
    let mut records = 0u64;
    let mut scan = LogScan::new(segments, start.end.position, segments.end()).after_crash(is_crash);
    let mut stretch = Stretch::new(core, Continuity::Restored);
    scan.walk(&mut |record| {
        stretch.add(record)?;
        end.last_record = record.physical_offset;
        end.timestamp = end.timestamp.max(record.store_timestamp);
        records += 1;
        if stretch.is_full() {
            take_back(core, &mut stretch)?;
        }
        Ok(true)
    })?;
    take_back(core, &mut stretch)?;
    end.position = scan.position();
    if is_crash || has_more(segments, end.position)? {
        // Bytes behind the end are of records that were never acknowledged; the next ones must not be followed by them.
        segments.truncate(end.position)?;
    }
    // What was recovered is shown to consumers from now on: it must not vanish with the next power cut.
    segments.sync(start.end.position, end.position)?;
    go_on(core)?;
    tracing::info!(from = start.end.position, to = end.position, records, is_crash, "the log is recovered");
    Ok(end)
}

/// Puts a stretch into queues and index, and writes out what is much: memory must not grow with the log.
fn take_back(core: &Core, stretch: &mut Stretch<'_>) -> Result<(), StoreError> {
    stretch.finish()?;
    for queue in stretch.queues().iter().filter(|queue| queue.unwritten() >= UNWRITTEN_MAX / 8) {
        unless_full(queue.write_out(), "units of a queue")?;
    }
    if let Some(index) = core.index.as_ref().filter(|index| index.is_full()) {
        unless_full(index.persist(), "index entries")?;
    }
    stretch.clear();
    Ok(())
}

/// Every queue goes on where its messages end, and begins where the log does.
fn go_on(core: &Core) -> Result<(), StoreError> {
    for queue in core.queues.all(|_| true) {
        queue.set_next_offset(queue.max_offset());
        queue.trim(core.segments.start())?;
    }
    Ok(())
}

/// Whether there is anything where the log should have ended.
fn has_more(segments: &Segments, position: u64) -> Result<bool, StoreError> {
    if position >= segments.end() {
        return Ok(false);
    }
    let left = segments.segment_bytes() - position % segments.segment_bytes();
    let bytes = segments.read(position, (left as usize).min(HEAD_BYTES))?;
    Ok(bytes.iter().any(|byte| *byte != 0))
}
