//! How far each group has consumed each queue, and the resets that wait for a group's next pull.
//!
//! Always true: the last write wins, forwards or backwards (resets rely on it); while a reset of a queue waits,
//! commits of that queue are ignored; at most `limit` offsets are kept. An offset that is already known changes
//! under a read lock, so that consumers do not wait for each other. No clock, no file: `metadata::files` writes it.

use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};

type Queues = HashMap<u32, AtomicI64>;
type Topics = HashMap<Box<str>, Queues>;
type Groups = HashMap<Box<str>, Topics>;

/// (group, topic) → the offsets that wait.
type Resets = HashMap<(Box<str>, Box<str>), QueueOffsets>;

/// Queue id → offset.
pub type QueueOffsets = BTreeMap<u32, i64>;

/// The offsets of all groups.
#[derive(Debug)]
pub struct ConsumerOffsets {
    groups: RwLock<Groups>,
    count: AtomicUsize,
    limit: usize,
    changes: AtomicU64,
    resets: Mutex<Resets>,
    /// How many (group, topic) pairs wait for a reset: almost always none, and then nobody locks `resets`.
    resets_waiting: AtomicUsize,
}

impl ConsumerOffsets {
    /// An empty table of at most `limit` offsets.
    pub fn new(limit: usize) -> Self {
        Self {
            groups: RwLock::default(),
            count: AtomicUsize::new(0),
            limit,
            changes: AtomicU64::new(0),
            resets: Mutex::default(),
            resets_waiting: AtomicUsize::new(0),
        }
    }

    /// How far the group has consumed the queue.
    pub fn get(&self, group: &str, topic: &str, queue: u32) -> Option<i64> {
        let groups = self.groups.read();
        Some(groups.get(group)?.get(topic)?.get(&queue)?.load(Relaxed))
    }

    /// Notes how far the group has consumed the queue. Ignored while a reset waits, and for a new queue at the limit.
    pub fn commit(&self, group: &str, topic: &str, queue: u32, offset: i64) -> bool {
        if self.waiting_reset(group, topic, queue).is_some() {
            return false;
        }
        self.set(group, topic, queue, offset)
    }

    /// Changes with every write: who persists the table compares it with what it wrote last.
    pub fn changes(&self) -> u64 {
        self.changes.load(Relaxed)
    }

    /// How many offsets are kept.
    pub fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The offsets of a group in a topic.
    pub fn of(&self, group: &str, topic: &str) -> QueueOffsets {
        let groups = self.groups.read();
        let queues = groups.get(group).and_then(|topics| topics.get(topic));
        queues.into_iter().flatten().map(|(queue, offset)| (*queue, offset.load(Relaxed))).collect()
    }

    /// The topics in which a group has offsets.
    pub fn topics_of(&self, group: &str) -> BTreeSet<String> {
        let groups = self.groups.read();
        groups.get(group).into_iter().flat_map(HashMap::keys).map(|topic| topic.to_string()).collect()
    }

    /// The groups that have offsets in a topic.
    pub fn groups_of(&self, topic: &str) -> BTreeSet<String> {
        let groups = self.groups.read();
        let consuming = groups.iter().filter(|(_, topics)| topics.contains_key(topic));
        consuming.map(|(group, _)| group.to_string()).collect()
    }

    /// Every offset: `(group, topic)` → queue → offset.
    pub fn all(&self) -> BTreeMap<(String, String), QueueOffsets> {
        let groups = self.groups.read();
        let mut all = BTreeMap::new();
        for (group, topics) in groups.iter() {
            for (topic, queues) in topics {
                let offsets = queues.iter().map(|(queue, offset)| (*queue, offset.load(Relaxed))).collect();
                all.insert((group.to_string(), topic.to_string()), offsets);
            }
        }
        all
    }

    /// Gives `target` the offsets of `source`, in one topic or in all.
    pub fn clone_group(&self, source: &str, target: &str, topic: Option<&str>) {
        let topics = match topic {
            Some(topic) => BTreeSet::from([topic.to_owned()]),
            None => self.topics_of(source),
        };
        for topic in topics {
            for (queue, offset) in self.of(source, &topic) {
                self.set(target, &topic, queue, offset);
            }
        }
    }

    /// Forgets a group.
    pub fn remove_group(&self, group: &str) {
        self.groups.write().remove(group);
        self.retain_resets(|(of, _)| &**of != group);
        self.recount();
    }

    /// Forgets a topic.
    pub fn remove_topic(&self, topic: &str) {
        self.groups.write().retain(|_, topics| {
            topics.remove(topic);
            !topics.is_empty()
        });
        self.retain_resets(|(_, of)| &**of != topic);
        self.recount();
    }

    /// Moves a group to other offsets, backwards too; its next pull of each queue learns the new offset.
    pub fn assign_reset(&self, group: &str, topic: &str, offsets: &QueueOffsets) {
        {
            let mut resets = self.resets.lock();
            resets
                .entry((group.into(), topic.into()))
                .or_default()
                .extend(offsets.iter().map(|(&q, &o)| (q, o)));
            self.resets_waiting.store(resets.len(), Relaxed);
        }
        for (&queue, &offset) in offsets {
            self.set(group, topic, queue, offset);
        }
    }

    /// The offset that the group's next pull of this queue shall be sent to.
    pub fn waiting_reset(&self, group: &str, topic: &str, queue: u32) -> Option<i64> {
        if self.resets_waiting.load(Relaxed) == 0 {
            return None;
        }
        self.resets.lock().get(&(group.into(), topic.into()))?.get(&queue).copied()
    }

    /// The same, and the reset is over.
    pub fn take_reset(&self, group: &str, topic: &str, queue: u32) -> Option<i64> {
        if self.resets_waiting.load(Relaxed) == 0 {
            return None;
        }
        let mut resets = self.resets.lock();
        let key = (group.into(), topic.into());
        let queues = resets.get_mut(&key)?;
        let offset = queues.remove(&queue);
        if queues.is_empty() {
            resets.remove(&key);
        }
        self.resets_waiting.store(resets.len(), Relaxed);
        offset
    }

    /// All resets that wait, by group and topic.
    pub fn resets(&self) -> BTreeMap<(String, String), QueueOffsets> {
        let resets = self.resets.lock();
        resets
            .iter()
            .map(|((group, topic), queues)| ((group.to_string(), topic.to_string()), queues.clone()))
            .collect()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.groups.write().clear();
        self.retain_resets(|_| false);
        self.recount();
        self.changes.fetch_add(1, Relaxed);
    }

    fn set(&self, group: &str, topic: &str, queue: u32, offset: i64) -> bool {
        self.changes.fetch_add(1, Relaxed);
        {
            let groups = self.groups.read();
            let known =
                groups.get(group).and_then(|topics| topics.get(topic)).and_then(|queues| queues.get(&queue));
            if let Some(known) = known {
                known.store(offset, Relaxed);
                return true;
            }
        }
        if self.count.load(Relaxed) >= self.limit {
            return false;
        }
        let mut groups = self.groups.write();
        let topics = groups.entry(group.into()).or_default();
        let before = topics.entry(topic.into()).or_default().insert(queue, AtomicI64::new(offset));
        if before.is_none() {
            self.count.fetch_add(1, Relaxed);
        }
        true
    }

    fn retain_resets(&self, keep: impl Fn(&(Box<str>, Box<str>)) -> bool) {
        let mut resets = self.resets.lock();
        resets.retain(|key, _| keep(key));
        self.resets_waiting.store(resets.len(), Relaxed);
    }

    fn recount(&self) {
        self.changes.fetch_add(1, Relaxed);
        let groups = self.groups.read();
        let count = groups.values().flat_map(HashMap::values).map(HashMap::len).sum();
        self.count.store(count, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_commit_wins_forwards_and_backwards() {
        let offsets = ConsumerOffsets::new(10);
        assert_eq!(offsets.get("G", "T", 0), None);
        for offset in [5, 9, 3] {
            assert!(offsets.commit("G", "T", 0, offset));
            assert_eq!(offsets.get("G", "T", 0), Some(offset));
        }
        assert_eq!(offsets.get("G", "T", 1), None);
        assert_eq!(offsets.len(), 1);
    }

    #[test]
    fn while_a_reset_waits_commits_are_ignored() {
        let offsets = ConsumerOffsets::new(10);
        offsets.commit("G", "T", 0, 100);
        offsets.commit("G", "T", 1, 100);
        offsets.assign_reset("G", "T", &QueueOffsets::from([(0, 7)]));
        assert!(!offsets.commit("G", "T", 0, 101));
        assert!(offsets.commit("G", "T", 1, 101));
        assert_eq!(offsets.get("G", "T", 0), Some(7));
        assert_eq!(offsets.take_reset("G", "T", 1), None);
        assert_eq!(offsets.take_reset("G", "T", 0), Some(7));
        assert_eq!(offsets.take_reset("G", "T", 0), None);
        assert!(offsets.commit("G", "T", 0, 8));
    }

    #[test]
    fn invented_queues_stop_at_the_limit() {
        let offsets = ConsumerOffsets::new(2);
        assert!(offsets.commit("G", "T", 0, 1));
        assert!(offsets.commit("G", "T", 1, 1));
        assert!(!offsets.commit("G", "T", 2, 1));
        assert!(offsets.commit("G", "T", 1, 2));
        offsets.remove_topic("T");
        assert!(offsets.is_empty());
        assert!(offsets.commit("G", "T", 2, 1));
    }

    #[test]
    fn groups_and_topics_find_each_other() {
        let offsets = ConsumerOffsets::new(10);
        offsets.commit("G", "T", 0, 1);
        offsets.commit("G", "U", 0, 2);
        offsets.commit("H", "T", 0, 3);
        assert_eq!(offsets.topics_of("G"), BTreeSet::from(["T".to_owned(), "U".to_owned()]));
        assert_eq!(offsets.groups_of("T"), BTreeSet::from(["G".to_owned(), "H".to_owned()]));
        offsets.clone_group("G", "K", Some("U"));
        assert_eq!(offsets.topics_of("K"), BTreeSet::from(["U".to_owned()]));
        offsets.clone_group("G", "H", None);
        assert_eq!(offsets.get("H", "T", 0), Some(1));
        offsets.remove_group("G");
        assert!(offsets.topics_of("G").is_empty());
        assert_eq!(offsets.all().len(), 3);
    }
}
