//! Walks the records of the log, one after the other, and stops at the first thing that is not one.
//!
//! Recovery walks what a checkpoint does not cover, a slave what its master sent. Every record is checked: magic, lengths,
//! position, the body's checksum; and after a crash for what a torn write leaves, where no checksum covers it.

use bytes::Bytes;
use disk::Segments;
use protocol::message::{FILLER_BYTES_MIN, RecordHead, record_head};

use crate::error::StoreError;
use crate::record::Record;

/// A walk over the log.
#[derive(Debug)]
pub(crate) struct LogScan<'a> {
    segments: &'a Segments,
    /// Where the next record begins.
    position: u64,
    /// Nothing from here on is looked at.
    limit: u64,
    /// Bytes of the segment that holds `position`, up to its end or the limit.
    bytes: Bytes,
    /// Where in them `position` is.
    at: usize,
    /// Writes may have been torn by a crash.
    may_be_torn: bool,
}

impl<'a> LogScan<'a> {
    pub(crate) fn new(segments: &'a Segments, from: u64, limit: u64) -> Self {
        Self { segments, position: from, limit, bytes: Bytes::new(), at: 0, may_be_torn: false }
    }

    /// The same, over bytes that a crash may have torn.
    pub(crate) fn after_crash(self, may_be_torn: bool) -> Self {
        Self { may_be_torn, ..self }
    }

    /// Where the next record would begin: the end of the log once the walk has stopped.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Calls `found` with each sound record until there is none; `found` may end the walk by answering false.
    pub(crate) fn walk(
        &mut self,
        found: &mut dyn FnMut(&Record<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        loop {
            if self.at == self.bytes.len() {
                let end = self.segments.segment_start(self.position) + self.segments.segment_bytes();
                let end = end.min(self.limit);
                if self.position >= end || self.position >= self.segments.end() {
                    return Ok(());
                }
                self.bytes = self.segments.read(self.position, (end - self.position) as usize)?;
                self.at = 0;
            }
            let rest = self.rest();
            let len = match record_head(rest) {
                RecordHead::Message { .. } => {
                    let Some(record) = self.sound_record(rest) else { return Ok(()) };
                    if !found(&record)? {
                        return Ok(());
                    }
                    record.bytes.len()
                }
                RecordHead::Filler { len } if self.is_filler(len) => len as usize,
                RecordHead::Filler { .. } | RecordHead::Unknown { .. } | RecordHead::End => return Ok(()),
            };
            self.position += len as u64;
            self.at += len;
        }
    }

    /// What is read and not walked yet.
    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// A filler always covers the rest of its segment.
    fn is_filler(&self, len: u32) -> bool {
        let end = self.segments.segment_start(self.position) + self.segments.segment_bytes();
        u64::from(len) == end - self.position && len as usize >= FILLER_BYTES_MIN && end <= self.limit
    }

    fn sound_record<'b>(&self, rest: &'b [u8]) -> Option<Record<'b>> {
        let record = Record::parse(rest)
            .filter(|record| record.physical_offset == self.position && record.is_sound())?;
        let follower = || record_head(&rest[record.bytes.len()..]);
        let is_last = || matches!(follower(), RecordHead::End | RecordHead::Unknown { .. });
        let is_torn = self.may_be_torn && (record.has_hole() || (record.ends_in_zero() && is_last()));
        if is_torn { None } else { Some(record) }
    }

    /// Whether what stopped the walk can never become a record, however many bytes follow: then this log is not what it
    /// claims to be, or its segments have another size than its writer's.
    pub(crate) fn is_at_rubbish(&self) -> bool {
        let left = self.segments.segment_start(self.position) + self.segments.segment_bytes() - self.position;
        let rest = self.rest();
        if rest.len() < FILLER_BYTES_MIN {
            return false;
        }
        match record_head(rest) {
            RecordHead::Message { len } => len as usize <= rest.len() || u64::from(len) > left,
            RecordHead::Filler { len } => u64::from(len) != left,
            RecordHead::Unknown { .. } | RecordHead::End => true,
        }
    }
}
