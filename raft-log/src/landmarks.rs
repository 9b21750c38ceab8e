//! What recovery need not read again: for each segment, where its entries begin and how the last of them ends, kept beside
//! the log once that part of it is durable. A start then walks what was written since, not all that is retained.
//!
//! Always true: a landmark describes durable, unchanged bytes; it goes before any of them are cut. Losing one only makes a
//! start slower. What lies behind a landmark is not checked by the start that trusts it: `scrub` does that.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use disk::{Disk, DiskError, Segments, bak_path, read_whole, replace_file};
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::envelope::{EntryId, Envelope, crc32c};
use crate::error::LogError;
use crate::index::Points;
use crate::log::Log;
use crate::recovery::{Recovered, Start, head_at, skip_filler};

/// Landmarks are renewed when the log grew by this much: the most that a start walks, in about.
pub(crate) const APART_BYTES: u64 = 64 * 1024 * 1024;

/// What is known of the beginning of a segment, or of all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Landmark {
    /// Where the segment begins.
    pub(crate) segment: u64,
    /// The entry before its first one, and that one's checksum.
    pub(crate) before: Option<(EntryId, u32)>,
    /// Index and position of entries, sparse, rising; the first of the segment is one of them.
    pub(crate) points: Points,
    /// Index and position of every membership entry.
    pub(crate) memberships: Points,
    /// The last entry, its position, its checksum, its time.
    pub(crate) last: EntryId,
    pub(crate) last_position: u64,
    pub(crate) last_crc: u32,
    pub(crate) last_timestamp: u64,
    /// Where it ends.
    pub(crate) end: u64,
}

/// The landmarks of a log.
#[derive(Debug)]
pub(crate) struct Landmarks {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    /// By segment: up to where it is described; all but the last are described to their ends. Held while a file is written or removed, and while the log is cut.
    kept: Mutex<BTreeMap<u64, u64>>,
}

/// Nobody keeps a landmark while this is held.
pub(crate) struct Held<'a> {
    _guard: MutexGuard<'a, BTreeMap<u64, u64>>,
}

impl Landmarks {
    /// Opens the directory.
    pub(crate) fn open(disk: Arc<dyn Disk>, directory: PathBuf) -> Result<Self, LogError> {
        disk.create_dir_all(&directory).map_err(|error| DiskError::io("create", &directory, error))?;
        let mut kept = BTreeMap::new();
        for entry in disk.list(&directory).map_err(|error| DiskError::io("list", &directory, error))? {
            if let Ok(segment) = entry.name.parse() {
                kept.insert(segment, segment);
            }
        }
        Ok(Self { disk, directory, kept: Mutex::new(kept) })
    }

    /// Lets recovery begin behind what landmarks describe, as far as one continues the other and the log agrees; forgets
    /// the others.
    pub(crate) fn advance(&self, segments: &Segments, found: &mut Recovered) -> Result<(), LogError> {
        let mut kept = self.kept.lock();
        let mut unproven = std::mem::take(&mut *kept);
        // Where the first entry begins; the end stays where it is as long as there is none.
        let begin = skip_filler(segments, found.end)?;
        let mut segment = segments.segment_start(begin);
        while let Some(landmark) = self.read(segment)
            && landmark.continues(found)
            && landmark.agrees_with(segments)
        {
            unproven.remove(&segment);
            kept.insert(segment, landmark.end);
            landmark.extend(found, begin);
            segment += segments.segment_bytes();
        }
        for segment in unproven.into_keys() {
            tracing::debug!(segment, "a landmark does not fit the log");
            self.remove(segment)?;
        }
        Ok(())
    }

    /// Forgets what describes anything from `position` on, durably; nothing is kept until the answer is dropped.
    pub(crate) fn forget_from(&self, position: u64) -> Result<Held<'_>, LogError> {
        let mut kept = self.kept.lock();
        let gone: Vec<u64> =
            kept.iter().filter(|(_, end)| **end > position).map(|(segment, _)| *segment).collect();
        for segment in &gone {
            self.remove(*segment)?;
            kept.remove(segment);
        }
        if !gone.is_empty() {
            let synced = self.disk.sync_dir(&self.directory);
            synced.map_err(|error| DiskError::io("sync", &self.directory, error))?;
        }
        Ok(Held { _guard: kept })
    }

    fn write(&self, landmark: &Landmark) -> Result<(), LogError> {
        let mut bytes = codec::encode("landmark", landmark)?;
        let crc = crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        Ok(replace_file(&*self.disk, &self.path(landmark.segment), &bytes)?)
    }

    fn remove(&self, segment: u64) -> Result<(), LogError> {
        let path = self.path(segment);
        for path in [bak_path(&path), path] {
            if self.disk.exists(&path) {
                self.disk.remove(&path).map_err(|error| DiskError::io("remove", &path, error))?;
            }
        }
        Ok(())
    }

    fn read(&self, segment: u64) -> Option<Landmark> {
        let bytes = read_whole(&*self.disk, &self.path(segment)).ok().flatten()?;
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c(body) != u32::from_be_bytes(*crc) {
            return None;
        }
        codec::decode::<Landmark>("landmark", body).ok().filter(|landmark| landmark.segment == segment)
    }

    fn path(&self, segment: u64) -> PathBuf {
        self.directory.join(format!("{segment:020}"))
    }
}

impl Landmark {
    /// Whether it takes up where recovery stands: at its first entry, or at one inside it, behind which the log begins.
    fn continues(&self, found: &Recovered) -> bool {
        let is_behind = found.last.is_none_or(|last| last.index < self.last.index);
        let begins = match (found.first, found.last) {
            (None, None) => self.before.is_none(),
            // Entries up to `found.last` are hidden, in the middle of this segment or before it.
            (None, Some(last)) => self.points.first().is_some_and(|(first, _)| *first <= last.index + 1),
            (Some(_), last) => last.map(|last| (last, found.last_crc)) == self.before,
        };
        begins && is_behind && self.end > found.end
    }

    /// Whether the log still holds the last entry where the landmark says.
    fn agrees_with(&self, segments: &Segments) -> bool {
        segments.end() >= self.end
            && head_at(segments, self.last_position).ok().flatten().is_some_and(|found| {
                found.id == self.last
                    && found.crc == self.last_crc
                    && found.position == self.last_position
                    && found.position + u64::from(found.total) == self.end
            })
    }

    /// Moves recovery behind what is described; `begin` is where the log's first entry lies.
    fn extend(self, found: &mut Recovered, begin: u64) {
        let next = found.last.map_or(0, |last| last.index + 1);
        let is_first = found.first.is_none();
        let begin = if is_first { (next, begin) } else { self.points[0] };
        let behind = self.points.into_iter().filter(|(index, _)| *index > begin.0);
        let memberships = self.memberships.into_iter().filter(|(index, _)| *index >= begin.0);
        found.index.restore(std::iter::once(begin).chain(behind), memberships);
        found.first.get_or_insert(begin.0);
        found.last = Some(self.last);
        (found.last_crc, found.last_timestamp, found.end) = (self.last_crc, self.last_timestamp, self.end);
    }
}

/// What a landmark is made from: one look at the index.
struct Ground {
    segment: u64,
    /// The durable part ends here, or the segment.
    limit: u64,
    points: Points,
    memberships: Points,
    /// Where an entry begins, before the segment's first one or at it; and which entry lies before.
    start: u64,
    before: Option<(EntryId, u32)>,
}

impl Log {
    /// Describes what became durable since the last time, so that a start need not read it again; forgets what describes
    /// segments that are gone. Walks envelopes near the ends only.
    pub(crate) fn keep_landmarks(&self) -> Result<(), LogError> {
        let segments = self.segments();
        let mut kept = self.landmarks.kept.lock();
        while let Some((segment, _)) = kept.first_key_value()
            && *segment < segments.start()
        {
            self.landmarks.remove(*segment)?;
            kept.pop_first();
        }
        let durable = self.flusher.synced();
        let first = segments.segment_start(self.tail.read().first_position.max(segments.start()));
        let mut segment = kept.last_key_value().map_or(first, |(segment, _)| *segment);
        while segment <= durable {
            let end = segment + segments.segment_bytes();
            let landmark = self.ground(segment, durable.min(end)).map(|ground| ground.describe(segments));
            if let Some(landmark) = landmark.transpose()?.flatten() {
                self.landmarks.write(&landmark)?;
                kept.insert(segment, landmark.end);
            }
            segment = end;
        }
        Ok(())
    }

    /// What lies before the entry at `position`.
    pub(crate) fn before(&self, position: u64) -> Result<Start, LogError> {
        let mut start = self.beginning();
        let point = position.checked_sub(1).and_then(|before| self.tail.read().index.point_at(before));
        let mut heads = Heads { segments: self.segments(), position: start.position, limit: position };
        heads.position = point.map_or(heads.position, |(_, point)| point);
        while let Some(head) = heads.next()? {
            let end = head.position + u64::from(head.total);
            start = Start { last: Some(head.id), last_crc: head.crc, position: end };
        }
        Ok(start)
    }

    fn ground(&self, segment: u64, limit: u64) -> Option<Ground> {
        let tail = self.tail.read();
        let limit = limit.min(tail.end);
        let (points, memberships) = tail.index.between(segment, limit);
        let point = segment.checked_sub(1).and_then(|position| tail.index.point_at(position));
        let (start, before) = match point {
            Some((_, position)) => (position, None),
            None => {
                tail.first?;
                (tail.first_position, tail.purged.map(|purged| (purged, tail.purged_crc)))
            }
        };
        Some(Ground { segment, limit, points, memberships, start, before })
    }
}

impl Ground {
    /// The landmark; nothing when no durable entry begins in the segment.
    fn describe(self, segments: &Segments) -> Result<Option<Landmark>, LogError> {
        let Self { segment, limit, points, memberships, start, mut before } = self;
        let mut heads = Heads { segments, position: start, limit };
        let first = loop {
            match heads.next()? {
                None => return Ok(None),
                Some(head) if head.position < segment => before = Some((head.id, head.crc)),
                Some(head) => break head,
            }
        };
        let mut last = first;
        heads.position = points.last().map_or(heads.position, |(_, position)| heads.position.max(*position));
        while let Some(head) = heads.next()? {
            last = head;
        }
        let behind = points.into_iter().filter(|(index, _)| *index > first.id.index);
        Ok(Some(Landmark {
            segment,
            before,
            points: std::iter::once((first.id.index, first.position)).chain(behind).collect(),
            memberships,
            last: last.id,
            last_position: last.position,
            last_crc: last.crc,
            last_timestamp: last.timestamp,
            end: last.position + u64::from(last.total),
        }))
    }
}

/// Walks envelopes, one after the other, as long as whole entries lie before the limit.
struct Heads<'a> {
    segments: &'a Segments,
    position: u64,
    limit: u64,
}

impl Heads<'_> {
    fn next(&mut self) -> Result<Option<Envelope>, LogError> {
        let position = skip_filler(self.segments, self.position)?;
        let head = head_at(self.segments, position)?;
        let head =
            head.filter(|head| head.position == position && position + u64::from(head.total) <= self.limit);
        if let Some(head) = &head {
            self.position = position + u64::from(head.total);
        }
        Ok(head)
    }
}
