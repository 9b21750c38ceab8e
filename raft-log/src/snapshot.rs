//! Snapshots hold no records, only what stands for the entries before them: the sink's system state, the members, and where
//! the log goes on. One is taken whenever the log reaches a new segment, so that retention finds one at each boundary.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, DiskError, read_or_bak, replace_file};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::codec::{self, PlainStoredMembership};
use crate::envelope::{EntryId, crc32c};
use crate::error::LogError;
use crate::types::{LogId, Snapshot, SnapshotMeta, StoredMembership};

/// What a snapshot carries besides openraft's own words about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotData {
    /// Where the entry behind it begins.
    pub(crate) next_position: u64,
    /// The checksum of its last entry, for the chain.
    pub(crate) last_crc: u32,
    /// A new replica copies the segments' raw bytes from here to `next_position`; equal to it when there are none to copy.
    pub(crate) first_position: u64,
    /// The sink's system state.
    pub(crate) state: Vec<u8>,
}

/// A snapshot as it lies in a file and travels to a peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlainSnapshot {
    last: EntryId,
    membership: PlainStoredMembership,
    data: SnapshotData,
}

impl PlainSnapshot {
    pub(crate) fn new(last: EntryId, membership: &StoredMembership, data: SnapshotData) -> Self {
        Self { last, membership: membership.into(), data }
    }

    /// `None` for a snapshot of nothing, which is never made.
    pub(crate) fn of(snapshot: &Snapshot) -> Option<Self> {
        let last = snapshot.meta.last_log_id?.into();
        Some(Self::new(last, &snapshot.meta.last_membership, SnapshotData::clone(&snapshot.snapshot)))
    }

    pub(crate) fn into_snapshot(self) -> Result<Snapshot, LogError> {
        let meta = SnapshotMeta {
            last_log_id: Some(LogId::from(self.last)),
            last_membership: self.membership.into_stored()?,
        };
        Ok(Snapshot { meta, snapshot: Arc::new(self.data) })
    }

    fn parse(bytes: &[u8]) -> Option<Snapshot> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c(body) != u32::from_be_bytes(*crc) {
            return None;
        }
        codec::decode::<Self>("snapshot", body).ok()?.into_snapshot().ok()
    }
}

/// The current snapshot, and those that wait at segment boundaries for retention to reach them.
#[derive(Debug)]
pub(crate) struct Snapshots {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    current: Mutex<Option<Snapshot>>,
    /// Held while the current one is replaced, so that a leader's snapshot does not give way to an older one of retention.
    saving: Mutex<()>,
    /// Where each boundary's next segment begins, and its file.
    boundaries: Mutex<BTreeMap<u64, PathBuf>>,
}

impl Snapshots {
    /// Opens the directory; what is there is worth nothing when `discard`.
    pub(crate) fn open(disk: Arc<dyn Disk>, directory: PathBuf, discard: bool) -> Result<Self, LogError> {
        if discard && disk.exists(&directory) {
            disk.remove_dir_all(&directory).map_err(|error| DiskError::io("remove", &directory, error))?;
        }
        disk.create_dir_all(&directory).map_err(|error| DiskError::io("create", &directory, error))?;
        let current = read_or_bak(&*disk, &current_path(&directory), PlainSnapshot::parse)?;
        let mut boundaries = BTreeMap::new();
        for entry in disk.list(&directory).map_err(|error| DiskError::io("list", &directory, error))? {
            if let Some(position) =
                entry.name.strip_prefix("boundary-").and_then(|digits| digits.parse().ok())
            {
                boundaries.insert(position, directory.join(&entry.name));
            }
        }
        Ok(Self {
            disk,
            directory,
            current: Mutex::new(current),
            saving: Mutex::new(()),
            boundaries: Mutex::new(boundaries),
        })
    }

    pub(crate) fn current(&self) -> Option<Snapshot> {
        self.current.lock().clone()
    }

    /// Makes a snapshot the current one, durably.
    pub(crate) fn save(&self, snapshot: &Snapshot) -> Result<(), LogError> {
        let _saving = self.saving.lock();
        self.replace(snapshot)
    }

    /// Makes a snapshot the current one, durably, unless the current one stands for as much; returns the current one.
    pub(crate) fn advance(&self, snapshot: Snapshot) -> Result<Snapshot, LogError> {
        let _saving = self.saving.lock();
        match self.current().filter(|current| current.meta.last_log_id >= snapshot.meta.last_log_id) {
            Some(current) => Ok(current),
            None => self.replace(&snapshot).map(|()| snapshot),
        }
    }

    fn replace(&self, snapshot: &Snapshot) -> Result<(), LogError> {
        self.write(&current_path(&self.directory), snapshot)?;
        *self.current.lock() = Some(snapshot.clone());
        Ok(())
    }

    /// Keeps a snapshot for the boundary at which the next segment begins.
    pub(crate) fn save_boundary(&self, snapshot: &Snapshot) -> Result<(), LogError> {
        let position = snapshot.snapshot.next_position;
        let path = self.directory.join(format!("boundary-{position:020}"));
        self.write(&path, snapshot)?;
        self.boundaries.lock().insert(position, path);
        Ok(())
    }

    /// The snapshots at boundaries up to `position`, newest first.
    pub(crate) fn boundaries_before(&self, position: u64) -> Vec<Snapshot> {
        let paths: Vec<PathBuf> =
            self.boundaries.lock().range(..=position).rev().map(|(_, path)| path.clone()).collect();
        let read = |path: &PathBuf| read_or_bak(&*self.disk, path, PlainSnapshot::parse).ok().flatten();
        paths.iter().filter_map(read).collect()
    }

    /// Forgets boundaries up to `position`.
    pub(crate) fn drop_boundaries(&self, position: u64) -> Result<(), LogError> {
        let mut boundaries = self.boundaries.lock();
        let kept = boundaries.split_off(&(position + 1));
        for path in std::mem::replace(&mut *boundaries, kept).into_values() {
            self.disk.remove(&path).map_err(|error| DiskError::io("remove", &path, error))?;
        }
        Ok(())
    }

    fn write(&self, path: &Path, snapshot: &Snapshot) -> Result<(), LogError> {
        let Some(plain) = PlainSnapshot::of(snapshot) else { return Ok(()) };
        let mut bytes = codec::encode("snapshot", &plain)?;
        let crc = crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        Ok(replace_file(&*self.disk, path, &bytes)?)
    }
}

fn current_path(directory: &Path) -> PathBuf {
    directory.join("snapshot")
}
