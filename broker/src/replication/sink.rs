//! What happens to committed entries: messages become visible, commands change the tables, and who waits is answered.
//!
//! The same on every replica, in the order of the log. Always true: `raftState` never claims an entry whose messages are
//! not in durable consume queues; an entry that the queues contain already is not applied to them twice.

use std::sync::Arc;

use disk::Segments;
use parking_lot::Mutex;
use raft_log::{Applied, ApplySink, Completions, EntryKind, Restore, SinkError};
use remoting::burst;
use store::MessageStore;

use super::state_file::{SavedState, StateFile};
use super::table_state::{self, QueueEnds};
use super::walk;
use crate::metadata::{Metadata, MetadataCommand};

/// Told of changes that others than the tables have to know of.
pub(crate) trait OnCommand: Send + Sync + 'static {
    /// A command was applied.
    fn applied(&self, command: &MetadataCommand, is_new_to_the_store: bool);
    /// The tables were replaced.
    fn replaced(&self);
}

/// How far this replica has applied, and how far that is durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Mark {
    index: u64,
    position: u64,
}

/// Applies entries; shared between the log's thread, which applies, and a timer, which saves.
pub(crate) struct Replica {
    store: Arc<MessageStore>,
    segments: Arc<Segments>,
    metadata: Arc<Metadata>,
    file: StateFile,
    on_command: Arc<dyn OnCommand>,
    /// Held while an entry is applied and while the tables are copied.
    applied: Mutex<Option<Mark>>,
    durable: Mutex<Option<Mark>>,
}

impl Replica {
    /// Takes up where the last start ended; `store` was just opened on the same log.
    pub(crate) fn open(
        store: Arc<MessageStore>,
        segments: Arc<Segments>,
        metadata: Arc<Metadata>,
        file: StateFile,
        on_command: Arc<dyn OnCommand>,
    ) -> Result<Arc<Self>, SinkError> {
        let mut mark = None;
        if let Some(saved) = file.load()? {
            table_state::restore(&metadata, &saved.tables)?;
            // Queues that were damaged and cut are made again from the log.
            if store.applied() < saved.position {
                let from = store.applied().max(segments.start());
                walk::apply_range(&segments, &store, from, saved.position)?;
            }
            mark = Some(Mark { index: saved.index, position: saved.position });
        }
        let replica = Self {
            store,
            segments,
            metadata,
            file,
            on_command,
            applied: Mutex::new(mark),
            durable: Mutex::new(mark),
        };
        Ok(Arc::new(replica))
    }

    /// Makes everything applied so far durable, so that a restart begins behind it.
    pub(crate) fn save(&self) -> Result<(), SinkError> {
        let mut durable = self.durable.lock();
        let (mark, tables) = {
            let applied = self.applied.lock();
            let Some(mark) = *applied else { return Ok(()) };
            if *durable == Some(mark) {
                return Ok(());
            }
            (mark, table_state::encode(&self.metadata))
        };
        // The checkpoint may claim only what is on this disk, whatever the flush mode of the group.
        let from = durable.map_or(self.segments.start(), |mark| mark.position).max(self.segments.start());
        self.segments.sync(from, mark.position)?;
        self.store.log_flushed(mark.position);
        self.store.checkpoint()?;
        self.file.save(&SavedState { index: mark.index, position: mark.position, tables })?;
        *durable = Some(mark);
        Ok(())
    }

    fn apply(&self, entry: &Applied) -> Result<(), SinkError> {
        let end = entry.body_position + entry.body.len() as u64;
        let mut applied = self.applied.lock();
        match entry.kind {
            EntryKind::Records if end > self.store.applied() => {
                self.store.apply(entry.body_position, &entry.body)?;
            }
            EntryKind::System => {
                let command = MetadataCommand::decode(&entry.body)?;
                self.metadata.apply(&command);
                self.on_command.applied(&command, end > self.store.applied());
                self.store.skip_to(end);
            }
            EntryKind::Records | EntryKind::Blank | EntryKind::Membership => self.store.skip_to(end),
        }
        *applied = Some(Mark { index: entry.id.index, position: end });
        Ok(())
    }

    /// Shows consumers what the log holds, committed or not: a mistake that only a planted bug makes.
    pub(crate) fn take_for_committed(&self, end: u64) {
        let _applied = self.applied.lock();
        if let Err(error) = walk::apply_range(&self.segments, &self.store, self.store.applied(), end) {
            tracing::debug!(%error, "not all of it could be taken");
        }
    }

    fn restore(&self, restore: &Restore<'_>) -> Result<(), SinkError> {
        let mut applied = self.applied.lock();
        tracing::info!(index = restore.last.index, first = restore.first_position, "taking over a snapshot");
        for topic in self.store.topics() {
            self.store.delete_topic(&topic)?;
        }
        let ends = table_state::restore(&self.metadata, restore.state)?;
        self.on_command.replaced();
        walk::apply_range(&self.segments, &self.store, restore.first_position, restore.next_position)?;
        if let Some(ends) = ends {
            self.store.settle_queues(&ends)?;
        }
        *applied = Some(Mark { index: restore.last.index, position: restore.next_position });
        Ok(())
    }
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica").field("applied", &*self.applied.lock()).finish_non_exhaustive()
    }
}

/// The log's end of a replica.
pub(crate) struct Sink {
    replica: Arc<Replica>,
}

impl Sink {
    pub(crate) fn new(replica: Arc<Replica>) -> Self {
        Self { replica }
    }
}

impl ApplySink for Sink {
    fn applied(&mut self, entry: Applied, completions: Completions) -> Result<(), SinkError> {
        self.replica.apply(&entry)?;
        burst::of(|| completions.complete());
        Ok(())
    }

    fn checkpoint(&self) -> Option<u64> {
        self.replica.durable.lock().map(|mark| mark.index)
    }

    fn system_state(&mut self) -> Result<Vec<u8>, SinkError> {
        let mut ends = QueueEnds::new();
        for queue in self.replica.store.queues() {
            if let Ok(end @ 1..) = i64::try_from(queue.max_offset()) {
                ends.entry(queue.topic().to_string()).or_default().insert(queue.queue_id(), end);
            }
        }
        Ok(table_state::encode_with_ends(&self.replica.metadata, &ends))
    }

    fn restore(&mut self, restore: Restore<'_>) -> Result<(), SinkError> {
        self.replica.restore(&restore)?;
        self.replica.save()
    }
}
