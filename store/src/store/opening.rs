//! How a store is opened: who may, what is recovered, and in which order it comes to life.
//!
//! Always true: one process at a time works in a directory; while `abort` exists the store is open, or was not closed.

use std::sync::Arc;

use disk::{Disk, DiskError, DiskLock, OpenHow, Segments};
use parking_lot::Mutex;

use super::{MessageStore, Open, start_writer};
use crate::checkpoint::CheckpointFile;
use crate::config::StoreConfig;
use crate::core::Core;
use crate::error::StoreError;
use crate::hooks::Hooks;
use crate::key_index::KeyIndex;
use crate::queue_table::QueueTable;
use crate::recovery;
use crate::upkeep::Upkeep;

impl MessageStore {
    /// Opens the store under `config.root` and recovers it.
    pub fn open(config: StoreConfig, disk: Arc<dyn Disk>, hooks: Hooks) -> Result<Arc<Self>, StoreError> {
        check(&config)?;
        let lock = lock(&config, &*disk)?;
        let segments =
            Segments::open_whole(disk.clone(), config.commit_log_directory(), config.segment_bytes)?;
        Self::start(Arc::new(segments), config, disk, hooks, lock, true)
    }

    /// Opens the store on a log that somebody else writes: who does applies everything from `applied` on.
    pub fn open_on(
        segments: Arc<Segments>,
        config: StoreConfig,
        disk: Arc<dyn Disk>,
        hooks: Hooks,
    ) -> Result<Arc<Self>, StoreError> {
        check(&config)?;
        let lock = lock(&config, &*disk)?;
        Self::start(segments, config, disk, hooks, lock, false)
    }

    fn start(
        segments: Arc<Segments>,
        config: StoreConfig,
        disk: Arc<dyn Disk>,
        hooks: Hooks,
        lock: DiskLock,
        is_writer: bool,
    ) -> Result<Arc<Self>, StoreError> {
        let abort = config.root.join("abort");
        let is_crash = disk.exists(&abort);
        let file = CheckpointFile::new(disk.clone(), &config.root);
        let checkpoint = file.load()?;
        let queues = QueueTable::new(disk.clone(), &config);
        let found = queues.load()?;
        let start = if is_writer {
            recovery::start(&segments, &checkpoint, found)?
        } else {
            recovery::start_of_foreign(&segments, &checkpoint, found)
        };
        recovery::rewind_queues(&queues, &segments, &start, is_crash)?;
        let index = if config.index_enabled {
            Some(KeyIndex::open(disk.clone(), &config.root, config.index_run_max, start.end.position)?)
        } else {
            None
        };
        let core = Arc::new(Core::new(config, hooks, disk.clone(), segments, queues, index, start.end));
        make_abort(&*disk, &abort)?;
        let end = if is_writer {
            recovery::replay(&core, &start, is_crash)?
        } else {
            recovery::adopt(&core, &start)?
        };
        core.restart_at(end);
        let writer = if is_writer { Some(start_writer(&core, end)?) } else { None };
        let flush = writer.as_ref().map(|writer| writer.flush.clone());
        let upkeep = Arc::new(Upkeep::new(core.clone(), flush, file, checkpoint));
        // The keeper makes the checkpoint when there is room for it again; until then the old one is true.
        unless_full(upkeep.checkpoint(), "a checkpoint")?;
        upkeep.trim(core.segments.start())?;
        let store = Self {
            core,
            upkeep,
            writer,
            keeper: Arc::default(),
            open: Mutex::new(Some(Open { appender: None, keeper: None, expirer: None, abort, _lock: lock })),
        };
        store.start_threads()?;
        Ok(Arc::new(store))
    }
}

fn check(config: &StoreConfig) -> Result<(), StoreError> {
    let faults = config.validate();
    if faults.is_empty() { Ok(()) } else { Err(StoreError::Config(faults)) }
}

/// Makes the store's directory, and sees to it that nobody else works in it.
fn lock(config: &StoreConfig, disk: &dyn Disk) -> Result<DiskLock, StoreError> {
    let root = &config.root;
    disk.create_dir_all(root).map_err(|error| DiskError::io("create", root, error))?;
    let path = root.join("lock");
    disk.lock(&path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::WouldBlock {
            DiskError::Locked { path }.into()
        } else {
            DiskError::io("lock", &path, error).into()
        }
    })
}

/// While this file exists the store is open, or was not closed.
fn make_abort(disk: &dyn Disk, path: &std::path::Path) -> Result<(), StoreError> {
    let failed = |error| DiskError::io("create", path, error);
    disk.open(path, OpenHow::Create).map_err(failed)?;
    if let Some(root) = path.parent() {
        disk.sync_dir(root).map_err(failed)?;
    }
    Ok(())
}

/// A store opens on a full disk too: it has to be served and, above all, cleaned.
pub(crate) fn unless_full(done: Result<(), StoreError>, deed: &'static str) -> Result<(), StoreError> {
    match done {
        Err(error) if error.is_full() => {
            tracing::warn!(%error, deed, "the disk is full: this is done later");
            Ok(())
        }
        done => done,
    }
}
