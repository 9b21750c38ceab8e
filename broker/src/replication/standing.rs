//! Where this replica stands now: the one answer to "may I serve this, and if not, who may?".
//!
//! Read on every request, so the common question is one atomic load; changed by the role task, and held by a hand-over.
//!
//! Always true: once `hold` has returned and `until_served` is over, no request that was taken for served is still on its
//! way to the log, and none comes before `release`.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

/// How often a hand-over looks whether everybody has left: they are inside for microseconds.
const LEFT_YET: Duration = Duration::from_micros(500);

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
    /// Whether a leader takes nothing new, because it is about to hand over.
    is_held: AtomicBool,
    /// Those who are between "do we lead?" and the log, in two rooms: the newcomers' room is the one of the current turn.
    inside: [AtomicUsize; 2],
    turn: AtomicUsize,
    /// Since when this replica has known another as the leader, without a break.
    settled: Mutex<Option<Instant>>,
}

/// Somebody who is inside; leaves when dropped.
#[derive(Debug)]
pub(crate) struct Inside<'a> {
    room: &'a AtomicUsize,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.room.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Standing {
    pub(crate) fn new() -> Self {
        Self {
            leads: AtomicBool::new(false),
            term: AtomicU64::new(0),
            place: RwLock::new(Place::Leaderless { term: 0 }),
            is_held: AtomicBool::new(false),
            inside: Default::default(),
            turn: AtomicUsize::new(0),
            settled: Mutex::default(),
        }
    }

    /// Whether requests are served here.
    pub(crate) fn leads(&self) -> bool {
        self.leads.load(Ordering::SeqCst) && !self.is_held.load(Ordering::SeqCst)
    }

    /// The newest term known.
    pub(crate) fn term(&self) -> u64 {
        self.term.load(Ordering::Acquire)
    }

    /// The place as it is now.
    pub(crate) fn place(&self) -> Place {
        self.place.read().clone()
    }

    /// Since when another is known to lead; nothing while this replica leads or nobody does.
    pub(crate) fn settled(&self) -> Option<Instant> {
        *self.settled.lock()
    }

    /// Takes a new place; false when it is the old one. Whoever held the old one holds it no more.
    pub(crate) fn take(&self, place: Place, now: Instant) -> bool {
        self.take_up(place, false, now)
    }

    /// Takes a new place, held from its first moment.
    pub(crate) fn take_held(&self, place: Place, now: Instant) -> bool {
        self.take_up(place, true, now)
    }

    fn take_up(&self, place: Place, is_held: bool, now: Instant) -> bool {
        let mut current = self.place.write();
        if *current == place {
            return false;
        }
        // In this order: a leader that is held serves nobody in between.
        if is_held {
            self.is_held.store(true, Ordering::SeqCst);
        }
        self.leads.store(matches!(place, Place::Leads { .. }), Ordering::SeqCst);
        if !is_held {
            self.is_held.store(false, Ordering::SeqCst);
        }
        self.term.store(place.term(), Ordering::Release);
        let mut settled = self.settled.lock();
        match place {
            Place::Follows { .. } => drop(settled.get_or_insert(now)),
            Place::Leads { .. } | Place::Leaderless { .. } => *settled = None,
        }
        *current = place;
        true
    }

    /// Comes in; the answer to `leads` holds for whoever is inside.
    pub(crate) fn enter(&self) -> Inside<'_> {
        let room = &self.inside[self.turn.load(Ordering::SeqCst) & 1];
        room.fetch_add(1, Ordering::SeqCst);
        Inside { room }
    }

    /// From now on a leader takes nothing new, until its place changes or it is released.
    pub(crate) fn hold(&self) {
        self.is_held.store(true, Ordering::SeqCst);
    }

    /// Serves again.
    pub(crate) fn release(&self) {
        self.is_held.store(false, Ordering::SeqCst);
    }

    /// Serves again, if it still leads in this term: what ends late must not release a later term.
    pub(crate) fn release_in(&self, term: u64) {
        let place = self.place.read();
        if *place == (Place::Leads { term }) {
            self.release();
        }
    }

    /// Waits until everybody who came in before has left.
    pub(crate) async fn until_served(&self) {
        let room = &self.inside[self.turn.fetch_add(1, Ordering::SeqCst) & 1];
        while room.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(LEFT_YET).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader() -> Standing {
        let standing = Standing::new();
        assert!(standing.take(Place::Leads { term: 1 }, Instant::now()));
        standing
    }

    #[test]
    fn a_held_leader_serves_nobody_until_it_is_released_or_its_place_changes() {
        let standing = leader();
        standing.hold();
        assert!(!standing.leads());
        standing.release();
        assert!(standing.leads());
        standing.hold();
        let now = Instant::now();
        assert!(standing.take(Place::Leaderless { term: 2 }, now));
        assert!(standing.take(Place::Leads { term: 3 }, now));
        assert!(standing.leads(), "a new term is not held");
    }

    #[test]
    fn a_leader_that_begins_held_is_released_by_its_own_term_alone() {
        let standing = Standing::new();
        assert!(standing.take_held(Place::Leads { term: 5 }, Instant::now()));
        assert!(!standing.leads());
        standing.release_in(3);
        assert!(!standing.leads());
        standing.release_in(5);
        assert!(standing.leads());
        standing.take_held(Place::Follows { term: 6, leader: None }, Instant::now());
        standing.take(Place::Leads { term: 7 }, Instant::now());
        assert!(standing.leads());
    }

    #[tokio::test]
    async fn a_hand_over_waits_for_those_inside_and_not_for_those_who_come_later() {
        let standing = leader();
        let early = standing.enter();
        standing.hold();
        let waited = async {
            standing.until_served().await;
            assert!(!standing.leads());
        };
        let left = async {
            tokio::task::yield_now().await;
            let late = standing.enter();
            assert!(!standing.leads(), "who comes later is not served");
            drop(early);
            late
        };
        let (late, ()) = tokio::join!(left, waited);
        drop(late);
    }

    #[test]
    fn settled_is_counted_from_the_first_leader_after_a_time_without() {
        let standing = leader();
        assert_eq!(standing.settled(), None);
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        standing.take(Place::Follows { term: 2, leader: None }, start);
        standing.take(Place::Follows { term: 2, leader: Some("a:1".to_owned()) }, later);
        assert_eq!(standing.settled(), Some(start));
        standing.take(Place::Leaderless { term: 2 }, later);
        assert_eq!(standing.settled(), None);
        standing.take(Place::Follows { term: 3, leader: None }, later);
        assert_eq!(standing.settled(), Some(later));
    }
}
