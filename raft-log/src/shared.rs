//! What the parts of a running log tell each other: progress, who the peers are, whether this node may vote yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::chores::Chores;
use crate::config::Fatal;
use crate::log::Log;
use crate::snapshot::Snapshots;
use crate::types::{Node, Snapshot, VoteOf};

/// Shared by everything that runs for one log.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) node: u64,
    pub(crate) log: Arc<Log>,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) fatal: Fatal,
    pub(crate) applied: Mark,
    pub(crate) chores: Chores,
    /// Wakes who publishes the status.
    pub(crate) changed: Notify,
    /// The members as last seen.
    pub(crate) nodes: RwLock<BTreeMap<u64, Node>>,
    pub(crate) is_formed: AtomicBool,
    /// The last term of which this node applied its own blank entry.
    blank_term: AtomicU64,
    /// The boundary that retention chose for the next snapshot.
    chosen: Mutex<Option<Snapshot>>,
    probation: Mutex<Probation>,
}

/// An index and the position behind its entry, written by one thread and read by any.
#[derive(Debug, Default)]
pub(crate) struct Mark {
    /// The index plus one; 0 for none.
    next_index: AtomicU64,
    position: AtomicU64,
}

impl Mark {
    pub(crate) fn set(&self, index: u64, position: u64) {
        self.position.store(position, Ordering::Release);
        self.next_index.store(index + 1, Ordering::Release);
    }

    pub(crate) fn index(&self) -> Option<u64> {
        self.next_index.load(Ordering::Acquire).checked_sub(1)
    }

    pub(crate) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }
}

/// Whether this node may vote. A replica with ASYNC_FLUSH whose machine lost power may have lost entries that it
/// acknowledged: its vote could elect a leader without them. It votes again once it has committed everything that a leader
/// held after the restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probation {
    Over,
    /// Which leader was heard since the restart, and the last index that it held then.
    Waiting(Option<(VoteOf, u64)>),
}

impl Shared {
    pub(crate) fn new(
        node: u64,
        log: Arc<Log>,
        snapshots: Arc<Snapshots>,
        fatal: Fatal,
        is_on_probation: bool,
    ) -> std::io::Result<Self> {
        let chores = Chores::start(log.segments().clone(), snapshots.clone())?;
        let probation = if is_on_probation { Probation::Waiting(None) } else { Probation::Over };
        let shared = Self {
            node,
            log,
            snapshots,
            fatal,
            applied: Mark::default(),
            chores,
            changed: Notify::new(),
            nodes: RwLock::default(),
            is_formed: AtomicBool::new(false),
            blank_term: AtomicU64::new(0),
            chosen: Mutex::new(None),
            probation: Mutex::new(probation),
        };
        Ok(shared)
    }

    pub(crate) fn blank_applied(&self, term: u64) {
        self.blank_term.fetch_max(term, Ordering::AcqRel);
        self.changed.notify_one();
    }

    pub(crate) fn blank_term(&self) -> u64 {
        self.blank_term.load(Ordering::Acquire)
    }

    pub(crate) fn keep_boundary(&self, snapshot: Snapshot) {
        self.chores.keep_boundary(snapshot);
    }

    pub(crate) fn choose_boundary(&self, snapshot: Option<Snapshot>) {
        *self.chosen.lock() = snapshot;
    }

    pub(crate) fn take_boundary(&self) -> Option<Snapshot> {
        self.chosen.lock().take()
    }

    /// A leader spoke, and holds entries up to `last`.
    pub(crate) fn heard_leader(&self, vote: VoteOf, last: u64) {
        let mut probation = self.probation.lock();
        if let Probation::Waiting(heard) = &mut *probation
            && vote.committed
            && heard.is_none_or(|(known, _)| known.leader_id < vote.leader_id)
        {
            tracing::info!(leader = %vote, last, "catching up before voting again");
            *heard = Some((vote, last));
        }
    }

    /// Whether votes must be refused.
    pub(crate) fn is_on_probation(&self) -> bool {
        *self.probation.lock() != Probation::Over
    }

    /// Ends the probation when everything that the leader held is committed here; tells whether it just ended.
    pub(crate) fn end_probation(&self, committed: Option<u64>) -> bool {
        let mut probation = self.probation.lock();
        match *probation {
            Probation::Waiting(Some((_, last))) if committed >= Some(last) => {
                *probation = Probation::Over;
                true
            }
            Probation::Waiting(_) | Probation::Over => false,
        }
    }

    /// Ends the probation because an operator said so; tells whether there was one.
    pub(crate) fn trust(&self) -> bool {
        std::mem::replace(&mut *self.probation.lock(), Probation::Over) != Probation::Over
    }
}
