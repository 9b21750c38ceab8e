//! What the parts of a running log tell each other: progress, who the peers are, whether this node may vote yet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::chores::Chores;
use crate::config::Fatal;
use crate::error::LogError;
use crate::log::Log;
use crate::memory::Memory;
use crate::mend::Mender;
use crate::probation::Probation;
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
    /// What retention chose for the next snapshot, and saved.
    chosen: Mutex<Option<Snapshot>>,
    pub(crate) probation: Probation,
    pub(crate) memory: Memory,
    /// Who fetches damaged entries from other members; set once everything runs.
    pub(crate) mender: OnceLock<Arc<Mender>>,
    /// Whether the owner finds that this node's disk has room.
    pub(crate) owner_has_room: AtomicBool,
    /// How many others make a majority together with this node.
    pub(crate) witnesses_needed: AtomicUsize,
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

impl Shared {
    pub(crate) fn new(
        node: u64,
        log: Arc<Log>,
        snapshots: Arc<Snapshots>,
        fatal: Fatal,
        probation: Probation,
    ) -> std::io::Result<Self> {
        let chores = Chores::start(log.clone(), snapshots.clone())?;
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
            probation,
            memory: Memory::default(),
            mender: OnceLock::new(),
            owner_has_room: AtomicBool::new(true),
            witnesses_needed: AtomicUsize::new(usize::MAX),
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

    /// Whether this node's disk has room for more.
    pub(crate) fn has_room(&self) -> bool {
        self.owner_has_room.load(Ordering::Relaxed) && self.chores.has_room()
    }

    /// Another member said what it remembers of this store's acknowledgements: something is missing here, or it is not.
    pub(crate) fn told(&self, member: u64, remembered: Option<u64>) {
        let last = self.log.last().map(|last| last.index);
        if remembered <= last {
            return self.witness(Some(member));
        }
        match self.probation.falls_behind() {
            Ok(true) => {
                tracing::error!(
                    member,
                    acknowledged = remembered,
                    last,
                    "this disk went back: it lacks entries that it acknowledged. No vote before they are here again; find out \
                     whether an old copy of the disk was put back, or the disk lies about what it keeps"
                );
                self.changed.notify_one();
            }
            Ok(false) => {}
            Err(error) => self.fatal.stop(&LogError::from(error)),
        }
    }

    /// A leader spoke, and holds entries up to `last`. One that was deposed before this node's last vote is not heard: entries
    /// that were acknowledged here since are none of its own.
    pub(crate) fn heard_leader(&self, vote: VoteOf, last: u64) {
        if self.log.vote().is_none_or(|own| own.leader_id <= vote.leader_id) {
            self.probation.heard_leader(vote, last);
        }
    }

    /// A member, or nobody in a group of one, knows of nothing that is missing here.
    pub(crate) fn witness(&self, member: Option<u64>) {
        if self.probation.is_asking() {
            self.probation.lacks_nothing(member, self.witnesses_needed.load(Ordering::Relaxed));
            self.changed.notify_one();
        }
    }
}
