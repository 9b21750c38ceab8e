//! The log itself: segments, where each entry lies in them, and the small files beside them.
//!
//! Always true: entries are contiguous, and each names the checksum of the one before; what lies at a position is the same
//! on every replica; `purge` only hides entries, segments are unlinked by retention alone. One thread appends (openraft's
//! core), any thread reads.

mod opening;

use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use disk::{Bug, Disk, Segments, planted};
use openraft::storage::IOFlushed;
use parking_lot::{Mutex, RwLock};

use crate::append::Plan;
use crate::codec::{self, PlainVote};
use crate::envelope::{ENVELOPE_BYTES, EntryId, EntryKind, Envelope};
use crate::error::LogError;
use crate::flusher::Flusher;
use crate::index::Index;
use crate::landmarks::Landmarks;
use crate::manifest::{Manifest, ManifestFile};
use crate::recovery::{Start, head_at, skip_filler};
use crate::sink::Stamper;
use crate::slot_file::SlotFile;
use crate::types::{LogEntry, LogId, Payload, Stored, Types, VoteOf};

pub(crate) use opening::{Opening, position_of};

/// The youngest part of the log, which is read without checking it again.
const UNCHECKED_BYTES: u64 = 64 * 1024 * 1024;

/// A log.
#[derive(Debug)]
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    segments: Arc<Segments>,
    /// The manifest's file; held while it is replaced and synced.
    manifest_file: Mutex<ManifestFile>,
    /// What it says, for readers that must not wait for a sync.
    manifest: RwLock<Manifest>,
    vote: Mutex<(SlotFile, Option<VoteOf>)>,
    committed: Mutex<(SlotFile, Option<EntryId>)>,
    mark: Arc<Mutex<SlotFile>>,
    pub(crate) tail: RwLock<Tail>,
    pub(crate) flusher: Flusher,
    pub(crate) landmarks: Landmarks,
    /// How the last life ended: the machine may have lost bytes that were acknowledged from its page cache, which they never
    /// are under SYNC_FLUSH.
    pub(crate) lost_power: bool,
    /// A copy of a leader's raw bytes was cut short: what snapshot there is stands for nothing.
    pub(crate) lost_copy: bool,
}

/// Where the log begins and ends.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) index: Index,
    /// The index of the first entry that is not hidden.
    pub(crate) first: Option<u64>,
    pub(crate) last: Option<EntryId>,
    pub(crate) last_crc: u32,
    pub(crate) last_timestamp: u64,
    /// Where the last entry ends.
    pub(crate) end: u64,
    /// Everything up to here is hidden.
    pub(crate) purged: Option<EntryId>,
    pub(crate) purged_crc: u32,
    /// Where the hidden part ends.
    pub(crate) first_position: u64,
}

/// The state that a log takes on when a snapshot replaces it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reset {
    pub(crate) last: EntryId,
    pub(crate) last_crc: u32,
    pub(crate) next_position: u64,
    /// The segments hold what lies before `next_position`, copied from the leader.
    pub(crate) is_copied: bool,
}

impl Log {
    pub(crate) fn segments(&self) -> &Arc<Segments> {
        &self.segments
    }

    pub(crate) fn manifest(&self) -> Manifest {
        self.manifest.read().clone()
    }

    /// The last entry, or the last hidden one.
    pub(crate) fn last(&self) -> Option<EntryId> {
        self.tail.read().last
    }

    /// The last hidden entry.
    pub(crate) fn purged(&self) -> Option<EntryId> {
        self.tail.read().purged
    }

    /// Whether the segments hold a classic store's records, and no entry or snapshot that would make them a group's.
    pub(crate) fn has_records_of_its_own(&self) -> bool {
        self.manifest.read().prefix_end > 0 && self.last().is_none()
    }

    /// Where the last entry ends.
    pub(crate) fn end(&self) -> u64 {
        self.tail.read().end
    }

    /// Appends entries; `flushed` is told when they are as durable as the mode promises.
    pub(crate) fn append(
        &self,
        entries: impl IntoIterator<Item = LogEntry>,
        stamper: &mut dyn Stamper,
        flushed: IOFlushed<Types>,
    ) -> Result<(), LogError> {
        let mut plan = Plan::behind(&self.tail.read(), self.segments.segment_bytes());
        for entry in entries {
            if planted(Bug::TruncateForgotten) && self.last().is_some_and(|last| entry.id.index <= last.index)
            {
                continue;
            }
            plan.add(entry, stamper)?;
        }
        plan.write(&self.segments)?;
        let end = {
            let mut tail = self.tail.write();
            plan.commit(&mut tail);
            tail.end
        };
        self.flusher.appended(end, flushed);
        Ok(())
    }

    /// Reads entries of `range` that are not hidden, in order, until `bytes_max` is reached but at least one.
    pub(crate) fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<LogEntry>, LogError> {
        let tail = self.tail.read();
        let (Some(first), Some(last)) = (tail.first, tail.last) else { return Ok(Vec::new()) };
        let (start, end) = (range.start.max(first), range.end.min(last.index + 1));
        let mut entries = Vec::new();
        if start >= end {
            return Ok(entries);
        }
        let checked_below = tail.end.saturating_sub(UNCHECKED_BYTES.min(self.segments.segment_bytes()));
        let (mut index, mut position) =
            tail.index.floor(start).ok_or_else(|| self.damaged(&tail, tail.first_position))?;
        let mut bytes_left = bytes_max;
        while index < end {
            position = skip_filler(&self.segments, position)?;
            let envelope = self.envelope_at(&tail, position, index)?;
            if index >= start {
                let total = envelope.total as usize;
                if total > bytes_left && !entries.is_empty() {
                    break;
                }
                bytes_left = bytes_left.saturating_sub(total);
                let bytes = self.segments.read(position, total)?;
                // What was just written is in memory; what is read again later comes from a disk.
                if position < checked_below {
                    Envelope::check(&bytes)?;
                }
                entries.push(stored_entry(&envelope, bytes)?);
            }
            position += u64::from(envelope.total);
            index += 1;
        }
        Ok(entries)
    }

    /// How far the entry `index` lies before the end of the log, nearly, and that end.
    pub(crate) fn behind(&self, index: u64) -> (u64, u64) {
        let tail = self.tail.read();
        let position = tail.index.floor(index).map_or(tail.end, |(_, position)| position);
        (tail.end.saturating_sub(position), tail.end)
    }

    /// The entry `index`, its envelope only; `None` when it is hidden or not there.
    pub(crate) fn envelope(&self, index: u64) -> Result<Option<Envelope>, LogError> {
        let tail = self.tail.read();
        self.find(&tail, index)
    }

    /// The membership in force at `index`, if a visible entry brought it.
    pub(crate) fn membership_at(&self, index: u64) -> Result<Option<LogEntry>, LogError> {
        let tail = self.tail.read();
        let Some(position) = tail.index.membership_at(index) else { return Ok(None) };
        let Some(envelope) = head_at(&self.segments, position)? else {
            return Err(self.damaged(&tail, position));
        };
        let bytes = self.segments.read(position, envelope.total as usize)?;
        stored_entry(&Envelope::check(&bytes)?, bytes).map(Some)
    }

    /// Up to where everything is durable.
    pub(crate) fn durable(&self) -> u64 {
        self.flusher.synced()
    }

    /// Where the entries begin that are not hidden.
    pub(crate) fn beginning(&self) -> Start {
        let tail = self.tail.read();
        Start { last: tail.purged, last_crc: tail.purged_crc, position: tail.first_position }
    }

    /// Shares raw bytes of the log, inside one segment and below its end.
    pub(crate) fn raw(&self, position: u64, len: usize) -> Result<Bytes, LogError> {
        let left = self.segments.segment_bytes() - position % self.segments.segment_bytes();
        let len = (len as u64).min(left).min(self.end().saturating_sub(position));
        Ok(self.segments.read(position, len as usize)?)
    }

    /// Cuts everything behind `last`. In this order: nothing of the cut part is being flushed, nothing claims that it was
    /// durable, then it goes.
    /// What is committed here is never cut, whatever a leader says.
    pub(crate) fn truncate_after(&self, last: Option<EntryId>) -> Result<(), LogError> {
        if planted(Bug::TruncateForgotten) {
            return Ok(());
        }
        let from = last.map_or(0, |last| last.index + 1);
        if let Some(committed) = self.committed().filter(|committed| from <= committed.index) {
            return Err(LogError::CommittedContradicted { from, committed: committed.index });
        }
        let (cut, crc) = {
            let tail = self.tail.read();
            let next = last.map_or(0, |last| last.index + 1).max(tail.first.unwrap_or(0));
            if self.find(&tail, next)?.is_none() {
                return Ok(());
            }
            match last.map_or(Ok(None), |last| self.find(&tail, last.index))? {
                Some(kept) => (kept.position + u64::from(kept.total), kept.crc),
                None => (tail.first_position, tail.purged_crc),
            }
        };
        self.flusher.flush()?;
        let _held = self.landmarks.forget_from(cut)?;
        self.mark.lock().write(&cut.to_be_bytes(), true)?;
        self.segments.truncate(cut)?;
        self.flusher.rewind(cut);
        let mut tail = self.tail.write();
        tail.index.truncate_after(last.map(|last| last.index));
        tail.last = last.or(tail.purged);
        tail.last_crc = crc;
        tail.end = cut;
        if tail.first.is_some_and(|first| last.is_none_or(|last| last.index < first)) {
            tail.first = None;
        }
        Ok(())
    }

    /// Hides entries up to `upto`. Their bytes stay where they are, and nothing is synced on the thread of the consensus: a
    /// crash brings the hidden entries back, until `keep_purged` made it last.
    pub(crate) fn purge(&self, upto: EntryId) -> Result<(), LogError> {
        if self.purged() >= Some(upto) {
            return Ok(());
        }
        let mut tail = self.tail.write();
        let found = self.find(&tail, upto.index)?;
        // Where the next entry really begins, behind a filler: the segment of the hidden one may be unlinked.
        let (position, crc) = match found {
            Some(found) => (skip_filler(&self.segments, found.position + u64::from(found.total))?, found.crc),
            None => (tail.end, tail.last_crc),
        };
        let is_emptied = tail.last.is_none_or(|last| last.index <= upto.index);
        tail.index.purge_before(upto.index + 1, position, is_emptied);
        (tail.purged, tail.purged_crc, tail.first_position) = (Some(upto), crc, position);
        if is_emptied {
            tail.index.clear();
            (tail.first, tail.last, tail.last_crc) = (None, Some(upto), crc);
        } else {
            tail.first = Some(upto.index + 1);
        }
        Ok(())
    }

    /// Makes durable what is hidden, so that the segments below may be unlinked.
    pub(crate) fn keep_purged(&self) -> Result<(), LogError> {
        let (purged, purged_crc, first_position) = {
            let tail = self.tail.read();
            (tail.purged, tail.purged_crc, tail.first_position)
        };
        self.change_manifest(|manifest| Manifest { purged, purged_crc, first_position, ..manifest })
    }

    /// Throws an empty log's bytes away, durably marked, so that raw bytes can be copied from a leader's segments.
    pub(crate) fn begin_copy(&self) -> Result<(), LogError> {
        assert!(self.last().is_none(), "only an empty log is filled by copying");
        let empty = Manifest {
            is_resetting: true,
            purged: None,
            purged_crc: 0,
            first_position: 0,
            prefix_end: 0,
            ..self.manifest()
        };
        self.replace_manifest(empty)?;
        self.clear(0)
    }

    /// Whether the segments hold everything up to `next_position`, copied since `begin_copy`.
    pub(crate) fn is_copied(&self, next_position: u64) -> bool {
        self.manifest().is_resetting
            && self.segments.start() < next_position
            && self.segments.end() >= next_position
    }

    /// Lets the log begin behind a snapshot. The manifest names the new beginning before the old bytes go, so that a crash
    /// in between ends there and not at an empty log, whose vote would be worth more than it knows.
    pub(crate) fn reset(&self, reset: Reset) -> Result<(), LogError> {
        let begun = Manifest {
            is_resetting: !reset.is_copied,
            purged: Some(reset.last),
            purged_crc: reset.last_crc,
            first_position: reset.next_position,
            ..self.manifest()
        };
        self.replace_manifest(begun.clone())?;
        if !reset.is_copied {
            self.clear(reset.next_position)?;
            self.replace_manifest(Manifest { is_resetting: false, ..begun })?;
        }
        self.flusher.restart_at(reset.next_position);
        let mut tail = self.tail.write();
        (tail.purged, tail.purged_crc, tail.first_position) =
            (Some(reset.last), reset.last_crc, reset.next_position);
        (tail.last, tail.last_crc, tail.end) = (Some(reset.last), reset.last_crc, reset.next_position);
        Ok(())
    }

    fn replace_manifest(&self, manifest: Manifest) -> Result<(), LogError> {
        self.change_manifest(|_| manifest)
    }

    /// Replaces the manifest by what `change` makes of it, durably.
    fn change_manifest(&self, change: impl FnOnce(Manifest) -> Manifest) -> Result<(), LogError> {
        let mut file = self.manifest_file.lock();
        let changed = change(file.manifest.clone());
        file.replace(&*self.disk, changed.clone())?;
        *self.manifest.write() = changed;
        Ok(())
    }

    /// Unlinks all segments; the log goes on at `position`.
    fn clear(&self, position: u64) -> Result<(), LogError> {
        self.flusher.flush()?;
        let _held = self.landmarks.forget_from(0)?;
        self.mark.lock().write(&0_u64.to_be_bytes(), true)?;
        self.segments.clear()?;
        self.flusher.restart_at(position);
        let mut tail = self.tail.write();
        let last_timestamp = tail.last_timestamp;
        *tail = Tail {
            index: Index::default(),
            first: None,
            last: None,
            last_crc: 0,
            last_timestamp,
            end: position,
            purged: None,
            purged_crc: 0,
            first_position: position,
        };
        Ok(())
    }

    pub(crate) fn vote(&self) -> Option<VoteOf> {
        self.vote.lock().1
    }

    /// The least that this node must have voted when it kept less: entries of a leader are taken only once its term is durable
    /// here, so an older vote was lost or set back.
    pub(crate) fn vote_forgotten(&self) -> Option<VoteOf> {
        let last = self.last()?;
        let kept = self.vote().map_or(0, |vote| vote.leader_id.term);
        (kept < last.term).then(|| PlainVote { term: last.term, node: last.node, is_committed: true }.into())
    }

    /// Keeps a vote; durable when it returns, whatever the flush mode. Only in memory, that it was won: a crash that forgets
    /// this forgets nothing that was promised, since no vote lies between, and every election would pay for it with two more
    /// syncs, one after the other.
    pub(crate) fn save_vote(&self, vote: &VoteOf) -> Result<(), LogError> {
        let mut kept = self.vote.lock();
        if kept.1.is_none_or(|known| known.leader_id != vote.leader_id) {
            let bytes = codec::encode("vote", &PlainVote::from(vote))?;
            kept.0.write(&bytes, !planted(Bug::VoteUnsynced))?;
        }
        kept.1 = Some(*vote);
        Ok(())
    }

    pub(crate) fn committed(&self) -> Option<EntryId> {
        self.committed.lock().1
    }

    /// Keeps how far the log is committed; lost with the power, which only costs a little re-applying.
    pub(crate) fn save_committed(&self, committed: Option<EntryId>) -> Result<(), LogError> {
        let mut kept = self.committed.lock();
        if let Some(id) = &committed {
            kept.0.write(&codec::encode("commit mark", id)?, false)?;
        }
        kept.1 = committed;
        Ok(())
    }

    /// Makes everything appended so far durable.
    pub(crate) fn flush(&self) -> Result<u64, LogError> {
        Ok(self.flusher.flush()?)
    }

    /// Flushes everything and notes that this life ended in order.
    pub(crate) fn close(&self) -> Result<(), LogError> {
        self.flush()?;
        self.keep_purged()?;
        self.keep_landmarks()?;
        self.change_manifest(|manifest| Manifest { is_clean: true, ..manifest })
    }

    fn find(&self, tail: &Tail, wanted: u64) -> Result<Option<Envelope>, LogError> {
        let is_there = tail.first.is_some_and(|first| first <= wanted)
            && tail.last.is_some_and(|last| wanted <= last.index);
        if !is_there {
            return Ok(None);
        }
        let Some((mut index, mut position)) = tail.index.floor(wanted) else {
            return Err(self.damaged(tail, tail.first_position));
        };
        loop {
            position = skip_filler(&self.segments, position)?;
            let envelope = self.envelope_at(tail, position, index)?;
            if index == wanted {
                return Ok(Some(envelope));
            }
            position += u64::from(envelope.total);
            index += 1;
        }
    }

    fn envelope_at(&self, tail: &Tail, position: u64, index: u64) -> Result<Envelope, LogError> {
        match head_at(&self.segments, position)? {
            Some(envelope) if envelope.id.index == index && envelope.position == position => Ok(envelope),
            _ => Err(self.damaged(tail, position)),
        }
    }

    fn damaged(&self, tail: &Tail, position: u64) -> LogError {
        LogError::Damaged { position, durable: tail.end }
    }
}

/// Wraps an entry's bytes for openraft; a membership is decoded here, where a failure can still be told.
pub(crate) fn stored_entry(envelope: &Envelope, bytes: Bytes) -> Result<LogEntry, LogError> {
    let membership = match envelope.kind {
        EntryKind::Membership => Some(codec::decode_membership(&bytes[ENVELOPE_BYTES..])?),
        EntryKind::Blank | EntryKind::Records | EntryKind::System => None,
    };
    let stored = Stored { kind: envelope.kind, bytes, membership };
    Ok(LogEntry { id: LogId::from(envelope.id), payload: Payload::Stored(stored) })
}

/// Writes raw bytes of a leader's log into an empty one; see `net::snapshot`.
pub(crate) fn write_raw(segments: &Segments, position: u64, bytes: &[u8]) -> Result<(), LogError> {
    Ok(segments.write_at(position, &[IoSlice::new(bytes)])?)
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
