//! Where this replica stands now: the one answer to "may I serve this, and if not, who may?".
//!
//! Read on every request, so the common question is one atomic load; changed by the role task alone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;

/// What a replica is to its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// It leads, everything before its term is applied, and a majority has heard of it lately.
    Leads {
        /// The term it leads in.
        term: u64,
    },
    /// Another replica leads.
    Follows {
        /// The term.
        term: u64,
        /// Where the leader's clients go; unknown until its announcement is applied here.
        leader: Option<String>,
    },
    /// There is no leader that we know of.
    Leaderless {
        /// The term.
        term: u64,
    },
}

impl Place {
    fn term(&self) -> u64 {
        match self {
            Self::Leads { term } | Self::Follows { term, .. } | Self::Leaderless { term } => *term,
        }
    }
}

/// The place of one replica, shared.
#[derive(Debug)]
pub(crate) struct Standing {
    leads: AtomicBool,
    term: AtomicU64,
    place: RwLock<Place>,
}

impl Standing {
    pub(crate) fn new() -> Self {
        Self {
            leads: AtomicBool::new(false),
            term: AtomicU64::new(0),
            place: RwLock::new(Place::Leaderless { term: 0 }),
        }
    }

    /// Whether requests are served here.
    pub(crate) fn leads(&self) -> bool {
        self.leads.load(Ordering::Acquire)
    }

    /// The newest term known.
    pub(crate) fn term(&self) -> u64 {
        self.term.load(Ordering::Acquire)
    }

    /// The place as it is now.
    pub(crate) fn place(&self) -> Place {
        self.place.read().clone()
    }

    /// Takes a new place; false when it is the old one.
    pub(crate) fn take(&self, place: Place) -> bool {
        let mut current = self.place.write();
        if *current == place {
            return false;
        }
        self.leads.store(matches!(place, Place::Leads { .. }), Ordering::Release);
        self.term.store(place.term(), Ordering::Release);
        *current = place;
        true
    }
}
