//! Finds the end of a log after a crash: walks the envelopes, checks each against its checksum and against the one before.
//!
//! Always true: what was durable is never cut. A bad entry below the durable mark is damage, for a peer to repair; above it
//! is where the log ends.

use disk::Segments;

use crate::envelope::{ENVELOPE_BYTES, EntryId, EntryKind, Envelope, FILLER_BYTES, is_filler};
use crate::error::LogError;
use crate::index::Index;

/// Where a walk begins: behind which entry, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) last: Option<EntryId>,
    pub(crate) last_crc: u32,
    pub(crate) position: u64,
}

/// What a walk found.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) index: Index,
    /// The index of the first entry.
    pub(crate) first: Option<u64>,
    pub(crate) last: Option<EntryId>,
    pub(crate) last_crc: u32,
    pub(crate) last_timestamp: u64,
    /// Where the last good entry ends.
    pub(crate) end: u64,
}

impl Recovered {
    /// Nothing is found yet.
    pub(crate) fn at(start: Start) -> Self {
        Self {
            index: Index::default(),
            first: None,
            last: start.last,
            last_crc: start.last_crc,
            last_timestamp: 0,
            end: start.position,
        }
    }
}

/// Walks from `start` to the end of the log. `durable` is the position up to which everything was durable once.
pub(crate) fn walk(segments: &Segments, start: Start, durable: u64) -> Result<Recovered, LogError> {
    walk_on(segments, Recovered::at(start), durable)
}

/// Walks on from what was found already.
pub(crate) fn walk_on(
    segments: &Segments,
    mut found: Recovered,
    durable: u64,
) -> Result<Recovered, LogError> {
    while let Some((envelope, position)) = next_entry(segments, &found)? {
        found.index.push(envelope.id.index, position, envelope.kind == EntryKind::Membership);
        found.first.get_or_insert(envelope.id.index);
        found.last = Some(envelope.id);
        found.last_crc = envelope.crc;
        found.last_timestamp = envelope.timestamp;
        found.end = position + u64::from(envelope.total);
    }
    if found.end < durable {
        return Err(LogError::Damaged { position: skip_filler(segments, found.end)?, durable });
    }
    Ok(found)
}

/// What became of reading a stretch of the log again.
#[derive(Debug)]
pub(crate) enum Verified {
    /// There is nothing more to read.
    End,
    /// It is good up to here.
    Upto(Start),
    /// It is good up to here, and the entry that begins at this position is not.
    Damaged(Start, u64),
}

/// Reads entries again from `start` on, as far as `limit` or for about so many bytes.
pub(crate) fn verify(
    segments: &Segments,
    start: Start,
    limit: u64,
    bytes_max: u64,
) -> Result<Verified, LogError> {
    let mut found = Recovered::at(start);
    let here = |found: &Recovered| Start { last: found.last, last_crc: found.last_crc, position: found.end };
    while found.end < limit {
        if found.end >= start.position + bytes_max {
            return Ok(Verified::Upto(here(&found)));
        }
        let Some((envelope, position)) = next_entry(segments, &found)? else {
            return Ok(Verified::Damaged(here(&found), skip_filler(segments, found.end)?));
        };
        found.last = Some(envelope.id);
        found.last_crc = envelope.crc;
        found.end = position + u64::from(envelope.total);
    }
    Ok(Verified::End)
}

/// The entry that follows what was found so far, if one does.
fn next_entry(segments: &Segments, found: &Recovered) -> Result<Option<(Envelope, u64)>, LogError> {
    let position = skip_filler(segments, found.end)?;
    let Some(envelope) = head_at(segments, position)? else { return Ok(None) };
    let expected = found.last.map(|last| last.index + 1);
    let continues = envelope.position == position
        && expected.is_none_or(|expected| envelope.id.index == expected)
        && found.last.is_none_or(|last| (envelope.id.term, envelope.id.node) >= (last.term, last.node))
        && (found.last.is_none() || envelope.previous_crc == found.last_crc);
    if !continues || !fits(segments, position, envelope.total) {
        return Ok(None);
    }
    let bytes = segments.read(position, envelope.total as usize)?;
    Ok(Envelope::check(&bytes).is_ok().then_some((envelope, position)))
}

/// Where the entry behind `end` begins, if there is one: at `end`, or at the next segment when a filler lies there.
pub(crate) fn skip_filler(segments: &Segments, end: u64) -> Result<u64, LogError> {
    let left = segments.segment_bytes() - end % segments.segment_bytes();
    if left == segments.segment_bytes() || !contains(segments, end) {
        return Ok(end);
    }
    if left < FILLER_BYTES as u64 || is_filler(&segments.read(end, FILLER_BYTES)?) {
        return Ok(end + left);
    }
    Ok(end)
}

/// The envelope at `position`, not yet checked.
pub(crate) fn head_at(segments: &Segments, position: u64) -> Result<Option<Envelope>, LogError> {
    if !contains(segments, position) || !fits(segments, position, ENVELOPE_BYTES as u32) {
        return Ok(None);
    }
    Ok(Envelope::decode(&segments.read(position, ENVELOPE_BYTES)?))
}

fn contains(segments: &Segments, position: u64) -> bool {
    segments.start() <= position && position < segments.end()
}

fn fits(segments: &Segments, position: u64, total: u32) -> bool {
    position % segments.segment_bytes() + u64::from(total) <= segments.segment_bytes()
}
