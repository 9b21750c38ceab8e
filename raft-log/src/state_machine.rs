//! The applying side as openraft wants it: hands committed entries to the sink, in order, and takes and installs snapshots.
//!
//! Always true: what is applied is committed; at each new segment the state before it is kept for retention; a node counts
//! as ready to lead only once it applied the blank entry of its own term.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use parking_lot::Mutex;

use crate::batch::Completions;
use crate::envelope::{ENVELOPE_BYTES, EntryId, EntryKind, Envelope};
use crate::error::LogError;
use crate::log::Reset;
use crate::shared::Shared;
use crate::sink::{Applied, ApplySink, Restore};
use crate::snapshot::SnapshotData;
use crate::types::{LogEntry, LogId, Payload, Slot, Snapshot, SnapshotMeta, StoredMembership, Types};

/// The applying side.
pub(crate) struct StateMachine {
    shared: Arc<Shared>,
    /// Never locked: it only makes the sink look shareable.
    sink: Mutex<Box<dyn ApplySink>>,
    applied: Option<EntryId>,
    applied_crc: u32,
    /// Where the last applied entry ends.
    applied_end: u64,
    membership: StoredMembership,
}

impl StateMachine {
    /// Begins where the sink says that it is, but never behind the end of the log: what the sink knows and the log lost
    /// would otherwise be taken for purged.
    pub(crate) fn open(shared: Arc<Shared>, sink: Box<dyn ApplySink>) -> Result<Self, LogError> {
        let log = &shared.log;
        let snapshot = shared.snapshots.current();
        let checkpoint =
            sink.checkpoint().zip(log.last()).map(|(checkpoint, last)| checkpoint.min(last.index));
        let mut machine = Self {
            applied: None,
            applied_crc: 0,
            applied_end: log.manifest().first_position,
            membership: StoredMembership::default(),
            sink: Mutex::new(sink),
            shared: shared.clone(),
        };
        let Some(checkpoint) = checkpoint else { return Ok(machine) };
        if let Some(envelope) = log.envelope(checkpoint)? {
            machine.applied = Some(envelope.id);
            machine.applied_crc = envelope.crc;
            machine.applied_end = envelope.position + u64::from(envelope.total);
        } else if let Some(snapshot) = &snapshot
            && snapshot.meta.last_log_id.map(|id| id.index) == Some(checkpoint)
        {
            machine.applied = snapshot.meta.last_log_id.map(EntryId::from);
            machine.applied_crc = snapshot.snapshot.last_crc;
            machine.applied_end = snapshot.snapshot.next_position;
        }
        if machine.applied.is_some() {
            machine.membership = match log.membership_at(checkpoint)? {
                Some(entry) => {
                    StoredMembership::new(Some(entry.id), entry.get_membership().unwrap_or_default())
                }
                None => snapshot.map(|snapshot| snapshot.meta.last_membership).unwrap_or_default(),
            };
        }
        machine.publish();
        Ok(machine)
    }

    fn publish(&self) {
        if let Some(applied) = self.applied {
            self.shared.applied.set(applied.index, self.applied_end);
        }
    }

    fn apply_one(&mut self, entry: LogEntry, completions: Completions) -> Result<(), LogError> {
        let id = EntryId::from(entry.id);
        let (envelope, body) = match &entry.payload {
            Payload::Stored(stored) => {
                let envelope = Envelope::decode(&stored.bytes).ok_or(LogError::EntryUnreadable)?;
                (Some(envelope), stored.bytes.slice(ENVELOPE_BYTES..))
            }
            Payload::Blank | Payload::Proposed(_) | Payload::Membership(_) => (None, Bytes::new()),
        };
        if let Some(envelope) = &envelope {
            self.keep_boundary_before(envelope.position)?;
        }
        if let Some(membership) = entry.get_membership() {
            self.membership = StoredMembership::new(Some(entry.id), membership);
        }
        self.applied = Some(id);
        if let Some(envelope) = envelope {
            self.applied_crc = envelope.crc;
            self.applied_end = envelope.position + u64::from(envelope.total);
            let applied = Applied {
                kind: envelope.kind,
                id,
                position: envelope.position,
                body_position: envelope.position + ENVELOPE_BYTES as u64,
                body,
                count: envelope.count,
                timestamp: envelope.timestamp,
            };
            self.sink.get_mut().applied(applied, completions).map_err(LogError::Sink)?;
            self.publish();
            if envelope.kind == EntryKind::Blank && id.node == self.shared.node {
                self.shared.blank_applied(id.term);
            }
        }
        Ok(())
    }

    /// When the entry at `position` is the first of a segment, keeps what stands for everything before it.
    fn keep_boundary_before(&mut self, position: u64) -> Result<(), LogError> {
        let segments = self.shared.log.segments();
        let start = segments.segment_start(position);
        if self.applied.is_none()
            || self.applied_end == 0
            || segments.segment_start(self.applied_end - 1) >= start
        {
            return Ok(());
        }
        if let Some(snapshot) = self.snapshot(start, start)? {
            self.shared.keep_boundary(snapshot);
        }
        Ok(())
    }

    /// A snapshot of now, behind which the log goes on at `next_position`.
    fn snapshot(&mut self, next_position: u64, first_position: u64) -> Result<Option<Snapshot>, LogError> {
        let Some(applied) = self.applied else { return Ok(None) };
        let state = self.sink.get_mut().system_state().map_err(LogError::Sink)?;
        let meta = SnapshotMeta {
            last_log_id: Some(LogId::from(applied)),
            last_membership: self.membership.clone(),
        };
        let data = SnapshotData { next_position, last_crc: self.applied_crc, first_position, state };
        Ok(Some(Snapshot { meta, snapshot: Arc::new(data) }))
    }

    fn install(&mut self, meta: &SnapshotMeta, data: &Arc<SnapshotData>) -> Result<(), LogError> {
        let Some(last) = meta.last_log_id.map(EntryId::from) else { return Ok(()) };
        let log = self.shared.log.clone();
        let is_known =
            log.purged() >= Some(last) || log.envelope(last.index)?.is_some_and(|found| found.id == last);
        self.shared.snapshots.save(&Snapshot { meta: meta.clone(), snapshot: data.clone() })?;
        if !is_known {
            let is_copied = log.is_copied(data.next_position);
            log.reset(Reset { last, last_crc: data.last_crc, next_position: data.next_position, is_copied })?;
        }
        let segments = log.segments();
        let first_position =
            if segments.start() < segments.end() { segments.start() } else { data.next_position };
        let restore = Restore { state: &data.state, last, first_position, next_position: data.next_position };
        self.sink.get_mut().restore(restore).map_err(LogError::Sink)?;
        self.applied = Some(last);
        self.applied_crc = data.last_crc;
        self.applied_end = data.next_position;
        self.membership = meta.last_membership.clone();
        self.publish();
        Ok(())
    }

    fn fail<T>(&self, outcome: Result<T, LogError>) -> io::Result<T> {
        outcome.map_err(|error| {
            self.shared.fatal.stop(&error);
            error.into_io()
        })
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotData = Arc<SnapshotData>;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied.map(LogId::from), self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let completions = responder.map_or_else(Completions::default, |responder| {
                let slot = Slot::default();
                responder.send(slot.clone());
                std::mem::take(&mut *slot.lock())
            });
            let outcome = self.apply_one(entry, completions);
            self.fail(outcome)?;
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let chosen = self.shared.take_boundary();
        let is_saved = chosen.is_some();
        let snapshot = match chosen {
            Some(chosen) => Ok(Some(chosen)),
            None => {
                let first_position = self.shared.log.segments().start().min(self.applied_end);
                self.snapshot(self.applied_end, first_position)
            }
        };
        Builder { snapshot: Some(snapshot), is_saved, shared: self.shared.clone() }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: Arc<SnapshotData>) -> io::Result<()> {
        let outcome = self.install(meta, &data);
        self.fail(outcome)
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.shared.snapshots.current())
    }
}

/// A snapshot that was taken and is about to be saved, or one that retention saved.
pub(crate) struct Builder {
    snapshot: Option<Result<Option<Snapshot>, LogError>>,
    is_saved: bool,
    shared: Arc<Shared>,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Arc<SnapshotData>;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let Some(snapshot) = self.snapshot.take() else { return Err(io::ErrorKind::NotFound.into()) };
        let Some(snapshot) = snapshot.map_err(LogError::into_io)? else {
            // Nothing was applied: a snapshot of nothing, which stands for nothing and is not kept.
            return Ok(Snapshot { meta: SnapshotMeta::default(), snapshot: Arc::default() });
        };
        if self.is_saved {
            return Ok(snapshot);
        }
        let (shared, saved) = (self.shared.clone(), snapshot.clone());
        tokio::task::spawn_blocking(move || shared.snapshots.save(&saved))
            .await
            .map_err(io::Error::other)?
            .map_err(LogError::into_io)?;
        Ok(snapshot)
    }
}
