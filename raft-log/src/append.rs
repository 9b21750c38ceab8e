//! Plans an append: gives each entry its position and envelope, then writes runs of them with one system call each.
//!
//! The leader's records go from the proposers' buffers to the file without a copy; a follower's entries are written as they
//! came, after it was checked that they continue this log byte for byte.

use std::io::IoSlice;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use disk::{Bug, Segments, planted};

use crate::batch::ProposedBatch;
use crate::codec;
use crate::envelope::{ENVELOPE_BYTES, EntryId, EntryKind, Envelope, FILLER_BYTES, filler, place};
use crate::error::LogError;
use crate::log::Tail;
use crate::sink::Stamper;
use crate::types::{LogEntry, Payload, Stored};

/// Entries on their way to the segments.
#[derive(Debug)]
pub(crate) struct Plan {
    segment_bytes: u64,
    start: u64,
    end: u64,
    last: Option<EntryId>,
    last_crc: u32,
    last_timestamp: u64,
    entries: Vec<Planned>,
}

#[derive(Debug)]
struct Planned {
    id: EntryId,
    position: u64,
    is_membership: bool,
    /// The envelope, unless the parts begin with it.
    head: Option<[u8; ENVELOPE_BYTES]>,
    parts: Vec<Bytes>,
}

impl Plan {
    /// Begins behind the tail of the log.
    pub(crate) fn behind(tail: &Tail, segment_bytes: u64) -> Self {
        Self {
            segment_bytes,
            start: tail.end,
            end: tail.end,
            last: tail.last,
            last_crc: tail.last_crc,
            last_timestamp: tail.last_timestamp,
            entries: Vec::new(),
        }
    }

    /// Adds an entry: encodes and stamps what was proposed here, checks what a leader sent.
    pub(crate) fn add(&mut self, entry: LogEntry, stamper: &mut dyn Stamper) -> Result<(), LogError> {
        let id = EntryId::from(entry.id);
        match entry.payload {
            Payload::Stored(stored) => {
                stamper.reset();
                self.add_stored(id, stored)
            }
            Payload::Blank => {
                stamper.reset();
                self.add_body(id, EntryKind::Blank, Vec::new(), 0);
                Ok(())
            }
            Payload::Membership(membership) => {
                let body = codec::encode_membership(&membership)?;
                self.add_body(id, EntryKind::Membership, vec![body.into()], 1);
                Ok(())
            }
            Payload::Proposed(batch) => {
                self.add_proposed(id, &batch, stamper);
                Ok(())
            }
        }
    }

    /// Writes everything.
    pub(crate) fn write(&self, segments: &Segments) -> Result<(), LogError> {
        let mut end = self.start;
        let mut run: Vec<IoSlice<'_>> = Vec::with_capacity(self.entries.len() * 2);
        let mut run_start = end;
        for planned in &self.entries {
            if planned.position != end || end.is_multiple_of(self.segment_bytes) {
                write_run(segments, run_start, &mut run)?;
                let left = planned.position - end;
                if left > 0 {
                    let words = filler(left);
                    segments
                        .write_at(end, &[IoSlice::new(&words[..left.min(FILLER_BYTES as u64) as usize])])?;
                }
                run_start = planned.position;
            }
            end = planned.position + planned.total();
            run.extend(planned.head.iter().map(|head| IoSlice::new(head)));
            run.extend(planned.parts.iter().map(|part| IoSlice::new(part)));
        }
        write_run(segments, run_start, &mut run)
    }

    /// Makes what was written the tail of the log.
    pub(crate) fn commit(self, tail: &mut Tail) {
        for planned in &self.entries {
            tail.index.push(planned.id.index, planned.position, planned.is_membership);
            tail.first.get_or_insert(planned.id.index);
        }
        (tail.end, tail.last, tail.last_crc) = (self.end, self.last, self.last_crc);
        tail.last_timestamp = self.last_timestamp;
    }

    fn add_proposed(&mut self, id: EntryId, batch: &ProposedBatch, stamper: &mut dyn Stamper) {
        let (bytes, count) = {
            let cell = batch.cell.lock();
            (cell.batch.bytes(), cell.batch.count())
        };
        let position = place(self.end, (ENVELOPE_BYTES + bytes) as u64, self.segment_bytes);
        let body_position = position + ENVELOPE_BYTES as u64;
        let timestamp = self.now();
        if batch.kind == EntryKind::Records {
            stamper.stamp(id.term, body_position, timestamp, &mut batch.cell.lock().batch);
            assert_eq!(batch.cell.lock().batch.bytes(), bytes, "a stamp does not change the size of records");
        }
        let records = batch.take_records(id, body_position, timestamp);
        if planted(Bug::AckBeforeQuorum) {
            batch.completions().complete();
        }
        self.add_body(id, batch.kind, records, count);
    }

    fn add_body(&mut self, id: EntryId, kind: EntryKind, parts: Vec<Bytes>, count: u32) {
        let body: usize = parts.iter().map(Bytes::len).sum();
        let position = place(self.end, (ENVELOPE_BYTES + body) as u64, self.segment_bytes);
        let timestamp = self.now();
        let previous_crc = self.last_crc;
        let mut envelope = Envelope { total: 0, crc: 0, kind, id, position, count, previous_crc, timestamp };
        let head = envelope.encode(parts.iter().map(|part| part.as_ref()));
        self.push(&envelope, Some(head), parts);
    }

    fn add_stored(&mut self, id: EntryId, stored: Stored) -> Result<(), LogError> {
        let Some(envelope) = Envelope::decode(&stored.bytes) else { return Err(LogError::EntryUnreadable) };
        let index = id.index;
        let expect = |what, found: u64, expected: u64| {
            if found == expected { Ok(()) } else { Err(LogError::Diverged { index, what, found, expected }) }
        };
        expect("index", envelope.id.index, index)?;
        expect("size", envelope.total.into(), stored.bytes.len() as u64)?;
        expect("position", envelope.position, place(self.end, envelope.total.into(), self.segment_bytes))?;
        if let Some(last) = self.last {
            expect("index", index, last.index + 1)?;
            expect("checksum of the entry before", envelope.previous_crc.into(), self.last_crc.into())?;
        }
        self.push(&envelope, None, vec![stored.bytes]);
        Ok(())
    }

    fn push(&mut self, envelope: &Envelope, head: Option<[u8; ENVELOPE_BYTES]>, parts: Vec<Bytes>) {
        let (id, position) = (envelope.id, envelope.position);
        let is_membership = envelope.kind == EntryKind::Membership;
        self.entries.push(Planned { id, position, is_membership, head, parts });
        self.end = position + u64::from(envelope.total);
        (self.last, self.last_crc, self.last_timestamp) = (Some(id), envelope.crc, envelope.timestamp);
    }

    /// The clock, never running backwards along the log.
    fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (since.as_millis() as u64).max(self.last_timestamp)
    }
}

impl Planned {
    fn total(&self) -> u64 {
        let head = if self.head.is_some() { ENVELOPE_BYTES } else { 0 };
        head as u64 + self.parts.iter().map(|part| part.len() as u64).sum::<u64>()
    }
}

fn write_run(segments: &Segments, start: u64, run: &mut Vec<IoSlice<'_>>) -> Result<(), LogError> {
    if !run.is_empty() {
        segments.write_at(start, run)?;
        run.clear();
    }
    Ok(())
}
