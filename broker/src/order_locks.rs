//! The locks of orderly consumers: which client of a group may consume which queue.
//!
//! Always true: a queue of a group belongs to at most one client at a time; a lock that was not renewed
//! for [`LOCK_LIVE`] belongs to nobody. Memory only, as in RocketMQ: after a restart the first asker wins.
//! Time is an argument; `processor::lock_batch` calls it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A lock that is not renewed lives this long. Source: RocketMQ `RebalanceLockManager.REBALANCE_LOCK_MAX_LIVE_TIME`.
pub const LOCK_LIVE: Duration = Duration::from_secs(60);

/// Clients renew each 20 s and trust a lock for 30 s; the broker must remember it for longer than both.
const _: () = assert!(LOCK_LIVE.as_secs() > 30);

/// A full table is searched for expired locks this often at most: a sweep looks at every lock while all other requests for locks
/// wait, and whoever asks a full table asks for many queues, again and again.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// A queue as the clients name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LockQueue {
    /// Topic.
    pub topic: Box<str>,
    /// Broker name.
    pub broker: Box<str>,
    /// Queue id.
    pub queue: i32,
}

#[derive(Debug)]
struct Lock {
    client: Box<str>,
    renewed: Instant,
}

impl Lock {
    fn is_live(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.renewed) <= LOCK_LIVE
    }
}

/// The lock table, by group and queue.
#[derive(Debug)]
pub struct OrderLocks {
    groups: HashMap<Box<str>, HashMap<LockQueue, Lock>>,
    count: usize,
    limit: usize,
    swept: Option<Instant>,
}

impl OrderLocks {
    /// An empty table that keeps at most `limit` locks.
    pub fn new(limit: usize) -> Self {
        Self { groups: HashMap::new(), count: 0, limit, swept: None }
    }

    /// Locks or renews one queue for a client; says whether the client now owns it.
    pub fn lock(&mut self, group: &str, queue: &LockQueue, client: &str, now: Instant) -> bool {
        if let Some(lock) = self.groups.get_mut(group).and_then(|locks| locks.get_mut(queue)) {
            if &*lock.client != client {
                if lock.is_live(now) {
                    return false;
                }
                lock.client = client.into();
            }
            lock.renewed = now;
            return true;
        }
        if !self.has_room(now) {
            return false;
        }
        let lock = Lock { client: client.into(), renewed: now };
        self.groups.entry(group.into()).or_default().insert(queue.clone(), lock);
        self.count += 1;
        true
    }

    /// Gives a queue back; a client that does not own it changes nothing.
    pub fn unlock(&mut self, group: &str, queue: &LockQueue, client: &str) {
        let Some(locks) = self.groups.get_mut(group) else { return };
        if locks.get(queue).is_some_and(|lock| &*lock.client == client) {
            locks.remove(queue);
            self.count -= 1;
        }
        if locks.is_empty() {
            self.groups.remove(group);
        }
    }

    /// Whether any queue of the group is locked now: its consumers are orderly ones.
    pub fn is_group_live(&self, group: &str, now: Instant) -> bool {
        self.groups.get(group).is_some_and(|locks| locks.values().any(|lock| lock.is_live(now)))
    }

    /// Forgets the locks that nobody renewed.
    pub fn drop_expired(&mut self, now: Instant) {
        self.swept = Some(now);
        let mut count = 0;
        self.groups.retain(|_, locks| {
            locks.retain(|_, lock| lock.is_live(now));
            count += locks.len();
            !locks.is_empty()
        });
        self.count = count;
    }

    /// Forgets all locks.
    pub fn clear(&mut self) {
        self.groups.clear();
        self.count = 0;
    }

    /// How many queues are locked, expired ones included.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no queue is locked.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether one more lock fits, after a sweep if one is due.
    fn has_room(&mut self, now: Instant) -> bool {
        let is_due = self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP_EVERY);
        if self.count >= self.limit && is_due {
            self.drop_expired(now);
        }
        self.count < self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(id: i32) -> LockQueue {
        LockQueue { topic: "T".into(), broker: "broker-a".into(), queue: id }
    }

    #[test]
    fn a_queue_belongs_to_one_client_until_it_unlocks() {
        let now = Instant::now();
        let mut locks = OrderLocks::new(10);
        assert!(locks.lock("G", &queue(0), "a", now));
        assert!(locks.lock("G", &queue(0), "a", now));
        assert!(!locks.lock("G", &queue(0), "b", now));
        assert!(locks.lock("G2", &queue(0), "b", now));
        locks.unlock("G", &queue(0), "b");
        assert!(!locks.lock("G", &queue(0), "b", now));
        locks.unlock("G", &queue(0), "a");
        assert!(locks.lock("G", &queue(0), "b", now));
    }

    #[test]
    fn a_lock_that_is_not_renewed_for_sixty_seconds_goes_to_the_next_asker() {
        let now = Instant::now();
        let mut locks = OrderLocks::new(10);
        assert!(locks.lock("G", &queue(0), "a", now));
        assert!(!locks.lock("G", &queue(0), "b", now + LOCK_LIVE));
        assert!(locks.lock("G", &queue(0), "b", now + LOCK_LIVE + Duration::from_millis(1)));
        assert!(!locks.lock("G", &queue(0), "a", now + LOCK_LIVE + Duration::from_millis(2)));
    }

    #[test]
    fn the_table_is_bounded_and_makes_room_by_dropping_expired_locks() {
        let now = Instant::now();
        let mut locks = OrderLocks::new(2);
        assert!(locks.lock("G", &queue(0), "a", now));
        assert!(locks.lock("G", &queue(1), "a", now));
        assert!(!locks.lock("G", &queue(2), "a", now));
        let later = now + LOCK_LIVE * 2;
        assert!(locks.lock("G", &queue(2), "a", later));
        assert_eq!(locks.len(), 1);
    }

    #[test]
    fn a_full_table_is_swept_once_a_second_and_refuses_between() {
        let start = Instant::now();
        let at = |millis| start + LOCK_LIVE + Duration::from_millis(millis);
        let mut locks = OrderLocks::new(2);
        assert!(locks.lock("G", &queue(0), "a", start));
        assert!(locks.lock("G", &queue(1), "a", start + Duration::from_millis(500)));
        // The first sweep makes room for one.
        assert!(locks.lock("G", &queue(2), "a", at(1)));
        // Another lock has expired by now, but looking for it can wait.
        assert!(!locks.lock("G", &queue(3), "a", at(501)));
        assert!(!locks.lock("G", &queue(3), "a", at(1000)));
        assert!(locks.lock("G", &queue(3), "a", at(1001)));
    }
}
