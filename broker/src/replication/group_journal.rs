//! The door to the tables in Raft mode: every change is proposed to the log, and true once it is applied.
//!
//! Consumer offsets come often and one-way: the newest of each queue waits here for at most [`FLUSH_PERIOD`] and they
//! travel together. Always true: who asked for an answer gets it after the change is committed; a read that follows a
//! one-way commit sees it, because pending offsets are flushed first; nothing pending survives the loss of the lead.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use disk::{Bug, planted};
use parking_lot::{Condvar, Mutex};
use raft_log::{ProposeError, RaftLog};

use super::command_ticket::CommandTicket;
use super::standing::Standing;
use crate::error::BrokerError;
use crate::metadata::{Metadata, MetadataCommand, OffsetCommit};

/// How long a one-way commit may wait for others to travel with.
pub(crate) const FLUSH_PERIOD: Duration = Duration::from_millis(200);
/// How long a change may take: clients give up after 3 s (reference 10.1), tools after 5 s.
const CHANGED_WITHIN: Duration = Duration::from_millis(4_500);
/// Offsets that wait; whatever comes beyond flushes the others at once.
const PENDING_MAX: usize = 10_000;

/// Told what became of a change.
pub(crate) type OnChanged = Box<dyn FnOnce(Result<(), BrokerError>) + Send>;

type OffsetKey = (String, String, u32);

#[derive(Debug, Default)]
struct Pending {
    offsets: HashMap<OffsetKey, i64>,
    /// Progress that was proposed and is not applied yet: the delay service goes on from here.
    delays: BTreeMap<u32, i64>,
}

/// Proposes changes.
#[derive(Debug)]
pub struct GroupJournal {
    log: Arc<RaftLog>,
    standing: Arc<Standing>,
    metadata: Arc<Metadata>,
    pending: Mutex<Pending>,
}

impl GroupJournal {
    pub(crate) fn new(log: Arc<RaftLog>, standing: Arc<Standing>, metadata: Arc<Metadata>) -> Self {
        Self { log, standing, metadata, pending: Mutex::default() }
    }

    /// The term that changes made now belong to.
    pub(crate) fn term(&self) -> i64 {
        i64::try_from(self.standing.term()).unwrap_or(i64::MAX)
    }

    /// Proposes a change; `done` is told on a thread of the log, and must not block.
    pub(crate) fn propose(&self, command: &MetadataCommand, done: OnChanged) {
        if planted(Bug::OffsetsUnreplicated) && is_offsets(command) {
            self.metadata.apply(command);
            return done(Ok(()));
        }
        let ticket = CommandTicket::new(move |outcome| done(outcome.map_err(|error| broker_error(&error))));
        self.log.propose_system(&command.encode(), Box::new(ticket));
    }

    /// Proposes a change and waits until it is applied here. Blocks: for worker threads.
    pub(crate) fn propose_and_wait(&self, command: &MetadataCommand) -> Result<(), BrokerError> {
        let outcome = Arc::new((Mutex::new(None), Condvar::new()));
        let told = Arc::clone(&outcome);
        self.propose(
            command,
            Box::new(move |result| {
                *told.0.lock() = Some(result);
                told.1.notify_all();
            }),
        );
        let mut result = outcome.0.lock();
        if result.is_none() {
            outcome.1.wait_for(&mut result, CHANGED_WITHIN);
        }
        result.take().unwrap_or(Err(BrokerError::OutcomeUnknown))
    }

    /// Proposes what of a change is about topics or groups that are not there; whether anything was. Between this
    /// look and the entry an administrator's own change may come, and is overwritten then.
    pub(crate) fn make(&self, command: MetadataCommand) -> Result<bool, BrokerError> {
        match self.metadata.missing_of(command) {
            Some(missing) => self.propose_and_wait(&missing).map(|()| true),
            None => Ok(false),
        }
    }

    /// Notes a one-way commit. One of a queue whose reset waits is ignored: it would be in the log behind the word that the
    /// reset was taken, and undo it.
    pub(crate) fn note_offset(&self, group: &str, topic: &str, queue: u32, offset: i64) {
        if !self.standing.leads()
            || self.metadata.offsets.waiting_reset(group, topic, queue).is_some()
            || self.metadata.offsets.get(group, topic, queue) == Some(offset) && !self.has_pending()
        {
            return;
        }
        let is_full = {
            let mut pending = self.pending.lock();
            pending.offsets.insert((group.to_owned(), topic.to_owned(), queue), offset);
            pending.offsets.len() >= PENDING_MAX
        };
        if is_full {
            self.flush(Box::new(|_| {}));
        }
    }

    /// Commits an offset for somebody who waits for the answer.
    pub(crate) fn commit_offset(&self, commit: OffsetCommit, done: OnChanged) {
        // Older one-way commits of the same queue must not overtake this one.
        let mut commits = self.take_offsets();
        commits.retain(|other| {
            (&other.group, &other.topic, other.queue) != (&commit.group, &commit.topic, commit.queue)
        });
        commits.push(commit);
        self.propose(&MetadataCommand::CommitOffsets { commits }, done);
    }

    /// Whether one-way commits wait.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.lock().offsets.is_empty()
    }

    /// Proposes what waits; `done` is told at once when nothing does.
    pub(crate) fn flush(&self, done: OnChanged) {
        let commits = self.take_offsets();
        if commits.is_empty() {
            return done(Ok(()));
        }
        self.propose(&MetadataCommand::CommitOffsets { commits }, done);
    }

    /// Proposes what waits, be it nothing; `done` is told once that is applied, and with it everything before.
    pub(crate) fn barrier(&self, done: OnChanged) {
        let commits = self.take_offsets();
        self.propose(&MetadataCommand::CommitOffsets { commits }, done);
    }

    fn take_offsets(&self) -> Vec<OffsetCommit> {
        let offsets = std::mem::take(&mut self.pending.lock().offsets);
        offsets
            .into_iter()
            .map(|((group, topic, queue), offset)| OffsetCommit { group, topic, queue, offset })
            .collect()
    }

    /// The offset that a group's next pull is sent to after a reset. It is handed out until the log knows that it was.
    pub(crate) fn take_reset(&self, group: &str, topic: &str, queue: u32) -> Option<i64> {
        let offset = self.metadata.offsets.waiting_reset(group, topic, queue)?;
        if self.standing.leads() {
            let (group, topic) = (group.to_owned(), topic.to_owned());
            // What was noted before the reset came is older than it.
            self.pending.lock().offsets.remove(&(group.clone(), topic.clone(), queue));
            self.propose(&MetadataCommand::TakeReset { group, topic, queue }, Box::new(|_| {}));
        }
        Some(offset)
    }

    /// Notes how far a delay level has been delivered.
    pub(crate) fn advance_delay(&self, level: u32, offset: i64) {
        self.pending.lock().delays.insert(level, offset);
        let levels = BTreeMap::from([(level, offset)]);
        self.propose(&MetadataCommand::DelayProgress { levels }, Box::new(|_| {}));
    }

    /// How far a delay level has been delivered, as far as this leader knows.
    pub(crate) fn delay_progress(&self, level: u32) -> Option<i64> {
        let pending = self.pending.lock().delays.get(&level).copied();
        pending.max(self.metadata.delays.get(level))
    }

    /// Forgets what waits: this replica does not lead any more, or begins to.
    pub(crate) fn forget_pending(&self) {
        *self.pending.lock() = Pending::default();
    }
}

/// Whether a command is nothing but offsets that consumers committed.
fn is_offsets(command: &MetadataCommand) -> bool {
    matches!(command, MetadataCommand::CommitOffsets { commits } if !commits.is_empty())
}

fn broker_error(error: &ProposeError) -> BrokerError {
    match error {
        ProposeError::NotLeader { .. } => BrokerError::NotLeader,
        ProposeError::Busy => BrokerError::Busy,
        ProposeError::TooLarge { .. } | ProposeError::DiskFull => BrokerError::Proposal(error.to_string()),
        ProposeError::Stopping => BrokerError::Stopping,
        ProposeError::Unknown => BrokerError::OutcomeUnknown,
    }
}
