//! How a log is opened: what its small files say, what the segments really hold, and where it therefore ends.
//!
//! Always true: what the manifest says of the last life stays there until the owner has drawn its conclusions and calls
//! `begin_life`, before anything is appended; a commit mark counts only as far as the entries that it speaks of are there.

use std::path::PathBuf;
use std::sync::Arc;

use disk::{Disk, Segments};
use parking_lot::{Mutex, RwLock};

use super::{Log, Tail};
use crate::codec::{self, PlainVote};
use crate::config::{Fatal, FlushMode};
use crate::envelope::EntryId;
use crate::error::LogError;
use crate::flusher::Flusher;
use crate::landmarks::Landmarks;
use crate::manifest::{Manifest, ManifestFile, Shape, boot_id};
use crate::recovery::{self, Recovered, Start};
use crate::slot_file::SlotFile;
use crate::types::VoteOf;

/// How to open a log.
pub(crate) struct Opening {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) directory: PathBuf,
    pub(crate) segments: Arc<Segments>,
    pub(crate) shape: Shape,
    pub(crate) flush: FlushMode,
    pub(crate) flush_interval: std::time::Duration,
    pub(crate) fatal: Fatal,
}

impl Log {
    /// Opens and recovers a log.
    pub(crate) fn open(opening: Opening) -> Result<Self, LogError> {
        let Opening { disk, directory, segments, shape, flush, flush_interval, fatal } = opening;
        disk.create_dir_all(&directory).map_err(|error| disk::DiskError::io("create", &directory, error))?;
        let mut manifest = ManifestFile::open(&*disk, &directory, &shape)?;
        let (mut mark, marked) = SlotFile::open(&*disk, &directory.join("durable"))?;
        if manifest.manifest.is_resetting {
            segments.clear()?;
            mark.write(&0_u64.to_be_bytes(), true)?;
        }
        let was = manifest.manifest.clone();
        let durable = if was.is_resetting { 0 } else { position_of(marked.as_deref()) };
        let start = Start { last: was.purged, last_crc: was.purged_crc, position: was.first_position };
        let landmarks = Landmarks::open(disk.clone(), directory.join("landmarks"))?;
        let mut found = Recovered::at(start);
        if was.is_resetting {
            drop(landmarks.forget_from(0)?);
        } else {
            landmarks.advance(&segments, &mut found)?;
        }
        let from = found.end;
        let durable = durable.max(from);
        let found = recovery::walk_on(&segments, found, durable)?;
        if found.end < segments.end() && found.end >= segments.start() {
            segments.truncate(found.end)?;
        }
        segments.sync(durable.min(found.end), found.end)?;
        let (vote_file, vote) = SlotFile::open(&*disk, &directory.join("vote"))?;
        let vote =
            vote.map(|bytes| codec::decode::<PlainVote>("vote", &bytes)).transpose()?.map(VoteOf::from);
        let (committed_file, committed) = SlotFile::open(&*disk, &directory.join("committed"))?;
        let committed = committed.map(|bytes| codec::decode::<EntryId>("commit mark", &bytes)).transpose()?;
        let lost_power = !was.is_clean && was.boot_id != boot_id(&*disk);
        if was.is_resetting {
            manifest.replace(&*disk, Manifest { is_resetting: false, ..was.clone() })?;
        }
        let mark = Arc::new(Mutex::new(mark));
        let flusher =
            Flusher::start(flush, flush_interval, found.end, segments.clone(), mark.clone(), fatal)?;
        let tail = Tail {
            index: found.index,
            first: found.first,
            last: found.last,
            last_crc: found.last_crc,
            last_timestamp: found.last_timestamp,
            end: found.end,
            purged: was.purged,
            purged_crc: was.purged_crc,
            first_position: was.first_position,
        };
        tracing::info!(from, end = tail.end, last = ?tail.last, purged = ?tail.purged, lost_power, "log recovered");
        let log = Self {
            disk,
            segments,
            manifest: RwLock::new(manifest.manifest.clone()),
            manifest_file: Mutex::new(manifest),
            vote: Mutex::new((vote_file, vote)),
            committed: Mutex::new((committed_file, None)),
            mark,
            tail: RwLock::new(tail),
            flusher,
            landmarks,
            lost_power,
            lost_copy: was.is_resetting && was.purged.is_none(),
        };
        log.committed.lock().1 = log.trusted_commit(committed)?;
        Ok(log)
    }

    /// Notes, durably, in which boot and mode this life appends. The sign of a loss of power is gone then: whoever lacks
    /// something because of it must know that durably by now.
    pub(crate) fn begin_life(&self, flush: FlushMode) -> Result<(), LogError> {
        let boot_id = boot_id(&*self.disk);
        let is_clean = flush == FlushMode::Sync;
        self.change_manifest(|manifest| Manifest { boot_id, is_clean, ..manifest })
    }

    /// How much of a commit mark holds for the log as it was recovered, which may have lost its tail since.
    fn trusted_commit(&self, mark: Option<EntryId>) -> Result<Option<EntryId>, LogError> {
        let (Some(mark), Some(last)) = (mark, self.last()) else { return Ok(self.purged()) };
        if self.envelope(mark.index)?.is_some_and(|found| found.id == mark) {
            return Ok(Some(mark));
        }
        // What the same leader put before a committed entry is committed as well; of anything else nobody knows.
        let is_prefix = last.index < mark.index && (last.term, last.node) == (mark.term, mark.node);
        Ok(if is_prefix { Some(last) } else { self.purged() })
    }
}

/// Reads the durable mark of a closed log.
pub(crate) fn position_of(record: Option<&[u8]>) -> u64 {
    record.and_then(|record| record.first_chunk()).map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
