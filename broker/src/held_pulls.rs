//! Pulls that found nothing and may wait: the long poll, as a pure table.
//!
//! Always true: a held pull sits in exactly one queue list and once in the deadline index; it leaves
//! through one of `wake`, `take`, `take_expired`, `wake_topic` or `discard`, and only once.
//! Time is an argument. `processor::pull_message` puts pulls in, the store's dispatch wakes them, a timer
//! takes the expired ones; whoever takes one runs the same read again and answers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

/// Names one held pull while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(u64);

/// What a waiting pull asks of a message before it is worth waking for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Every message.
    All,
    /// Messages whose tag hash is one of these (sorted).
    Tags(Box<[i64]>),
}

impl Wanted {
    /// Builds the filter of a set of tag hashes.
    pub fn tags(mut codes: Vec<i64>) -> Self {
        codes.sort_unstable();
        codes.dedup();
        Self::Tags(codes.into_boxed_slice())
    }

    /// Whether a message with this tag hash is wanted.
    pub fn matches(&self, tags_code: i64) -> bool {
        match self {
            Self::All => true,
            Self::Tags(codes) => codes.binary_search(&tags_code).is_ok(),
        }
    }
}

/// One pull in waiting; `request` is whatever its owner needs to run it again.
#[derive(Debug)]
pub struct HeldPull<T> {
    /// The queue offset it waits for: a message at or behind it wakes it.
    pub offset: u64,
    /// Which messages are worth waking for.
    pub wanted: Arc<Wanted>,
    /// When the client wants its answer, found or not.
    pub deadline: Instant,
    /// What runs again.
    pub request: T,
}

#[derive(Debug)]
struct Entry<T> {
    id: HoldId,
    pull: HeldPull<T>,
}

type Queues<T> = HashMap<u32, Vec<Entry<T>>>;

/// The table of held pulls, by topic and queue and by deadline.
#[derive(Debug)]
pub struct HeldPulls<T> {
    topics: HashMap<Box<str>, Queues<T>>,
    deadlines: BTreeMap<(Instant, HoldId), (Box<str>, u32)>,
    next_id: u64,
    limit: usize,
}

impl<T> HeldPulls<T> {
    /// An empty table that holds at most `limit` pulls.
    pub fn new(limit: usize) -> Self {
        Self { topics: HashMap::new(), deadlines: BTreeMap::new(), next_id: 0, limit }
    }

    /// How many pulls wait.
    pub fn len(&self) -> usize {
        self.deadlines.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.deadlines.is_empty()
    }

    /// Holds a pull. At the limit the pull comes back, to be answered at once.
    pub fn hold(&mut self, topic: &str, queue: u32, pull: HeldPull<T>) -> Result<HoldId, HeldPull<T>> {
        if self.len() >= self.limit {
            return Err(pull);
        }
        let id = HoldId(self.next_id);
        self.next_id += 1;
        self.deadlines.insert((pull.deadline, id), (topic.into(), queue));
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.into(), HashMap::new());
        }
        let queues = self.topics.get_mut(topic);
        if let Some(queues) = queues {
            queues.entry(queue).or_default().push(Entry { id, pull });
        }
        Ok(id)
    }

    /// Takes one pull back, if it still waits (the queue may have grown between the read and the hold).
    pub fn take(&mut self, topic: &str, queue: u32, id: HoldId) -> Option<T> {
        let entries = self.topics.get_mut(topic)?.get_mut(&queue)?;
        let at = entries.iter().position(|entry| looked_at(entry).id == id)?;
        let entry = entries.swap_remove(at);
        self.forget(topic, queue, &entry);
        Some(entry.pull.request)
    }

    /// Takes the pulls that the message before `next_offset` satisfies.
    pub fn wake(&mut self, topic: &str, queue: u32, next_offset: u64, tags_code: i64, woken: &mut Vec<T>) {
        let Some(entries) = self.topics.get_mut(topic).and_then(|queues| queues.get_mut(&queue)) else {
            return;
        };
        let ready = entries
            .extract_if(.., |entry| next_offset > entry.pull.offset && entry.pull.wanted.matches(tags_code));
        let ready: Vec<Entry<T>> = ready.collect();
        self.hand_over(topic, queue, ready, woken);
    }

    /// Takes all pulls of a topic, whatever they wait for: it was deleted, or its offsets were reset.
    pub fn wake_topic(&mut self, topic: &str, woken: &mut Vec<T>) {
        let Some(queues) = self.topics.remove(topic) else { return };
        for entry in queues.into_values().flatten() {
            self.deadlines.remove(&(entry.pull.deadline, entry.id));
            woken.push(entry.pull.request);
        }
    }

    /// Takes all pulls.
    pub fn wake_all(&mut self, woken: &mut Vec<T>) {
        self.deadlines.clear();
        let queues = self.topics.drain().flat_map(|(_, queues)| queues.into_values());
        woken.extend(queues.flatten().map(|entry| entry.pull.request));
    }

    /// Takes the pulls whose time is up, the longest overdue first. Crowds of one queue expire together, so each queue is
    /// gone through once and not once for each pull.
    pub fn take_expired(&mut self, now: Instant, expired: &mut Vec<T>) {
        let mut taken = Vec::new();
        for (topic, queue) in self.take_deadlines(now) {
            let Some(entries) = self.topics.get_mut(&topic).and_then(|queues| queues.get_mut(&queue)) else {
                continue;
            };
            taken.extend(entries.extract_if(.., |entry| looked_at(entry).pull.deadline <= now));
            self.forget_empty(&topic, queue);
        }
        taken.sort_unstable_by_key(|entry| (entry.pull.deadline, entry.id));
        expired.extend(taken.into_iter().map(|entry| entry.pull.request));
    }

    /// Drops the pulls that nobody waits for any more, such as those of closed connections.
    pub fn discard(&mut self, gone: impl Fn(&T) -> bool) {
        let deadlines = &mut self.deadlines;
        self.topics.retain(|_, queues| {
            queues.retain(|_, entries| {
                for entry in entries.extract_if(.., |entry| gone(&entry.pull.request)) {
                    deadlines.remove(&(entry.pull.deadline, entry.id));
                }
                !entries.is_empty()
            });
            !queues.is_empty()
        });
    }

    fn hand_over(&mut self, topic: &str, queue: u32, ready: Vec<Entry<T>>, woken: &mut Vec<T>) {
        for entry in ready {
            self.forget(topic, queue, &entry);
            woken.push(entry.pull.request);
        }
    }

    /// Takes the deadlines that have come out of the index; says in which queues there were any.
    fn take_deadlines(&mut self, now: Instant) -> HashSet<(Box<str>, u32)> {
        let mut queues = HashSet::new();
        while let Some(first) = self.deadlines.first_entry().filter(|first| first.key().0 <= now) {
            queues.insert(first.remove());
        }
        queues
    }

    /// Drops the traces of an entry that has left its queue list.
    fn forget(&mut self, topic: &str, queue: u32, entry: &Entry<T>) {
        self.deadlines.remove(&(entry.pull.deadline, entry.id));
        self.forget_empty(topic, queue);
    }

    /// Drops a queue, and its topic, when no pull is left there.
    fn forget_empty(&mut self, topic: &str, queue: u32) {
        let Some(queues) = self.topics.get_mut(topic) else { return };
        if queues.get(&queue).is_some_and(Vec::is_empty) {
            queues.remove(&queue);
        }
        if queues.is_empty() {
            self.topics.remove(topic);
        }
    }
}

/// Counts the steps for the tests.
fn looked_at<T>(entry: &Entry<T>) -> &Entry<T> {
    #[cfg(test)]
    tests::LOOKED.set(tests::LOOKED.get() + 1);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::time::Duration;

    thread_local! {
        /// How many pulls were looked at to find the ones to take.
        pub(super) static LOOKED: Cell<usize> = const { Cell::new(0) };
    }

    fn pull(offset: u64, wanted: Wanted, deadline: Instant, name: &'static str) -> HeldPull<&'static str> {
        HeldPull { offset, wanted: Arc::new(wanted), deadline, request: name }
    }

    fn hold(table: &mut HeldPulls<&'static str>, queue: u32, pull: HeldPull<&'static str>) -> HoldId {
        table.hold("T", queue, pull).expect("the table has room")
    }

    #[test]
    fn a_message_wakes_only_the_pulls_of_its_queue_that_want_its_tag() {
        let now = Instant::now();
        let mut table = HeldPulls::new(10);
        hold(&mut table, 0, pull(5, Wanted::All, now, "all"));
        hold(&mut table, 0, pull(5, Wanted::tags(vec![7, -3]), now, "seven"));
        hold(&mut table, 0, pull(6, Wanted::All, now, "ahead"));
        hold(&mut table, 1, pull(5, Wanted::All, now, "other queue"));
        let mut woken = Vec::new();
        table.wake("T", 0, 6, 8, &mut woken);
        assert_eq!(woken, ["all"]);
        woken.clear();
        table.wake("T", 0, 7, -3, &mut woken);
        assert_eq!(woken, ["seven", "ahead"]);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn the_deadline_takes_each_pull_once_and_in_order() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut table = HeldPulls::new(10);
        hold(&mut table, 0, pull(0, Wanted::All, at(2), "second"));
        hold(&mut table, 0, pull(0, Wanted::All, at(1), "first"));
        hold(&mut table, 3, pull(0, Wanted::All, at(9), "late"));
        let mut expired = Vec::new();
        table.take_expired(now, &mut expired);
        assert!(expired.is_empty());
        table.take_expired(at(3), &mut expired);
        assert_eq!(expired, ["first", "second"]);
        table.take_expired(at(3), &mut expired);
        assert_eq!(expired.len(), 2);
        let mut woken = Vec::new();
        table.wake("T", 0, 100, 0, &mut woken);
        assert!(woken.is_empty());
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_full_table_gives_the_pull_back() {
        let now = Instant::now();
        let mut table = HeldPulls::new(1);
        hold(&mut table, 0, pull(0, Wanted::All, now, "held"));
        let refused = table.hold("T", 0, pull(0, Wanted::All, now, "refused"));
        assert_eq!(refused.expect_err("the table is full").request, "refused");
    }

    #[test]
    fn a_taken_pull_is_gone_everywhere() {
        let now = Instant::now();
        let mut table = HeldPulls::new(10);
        let id = hold(&mut table, 0, pull(0, Wanted::All, now, "taken"));
        assert_eq!(table.take("T", 0, id), Some("taken"));
        assert_eq!(table.take("T", 0, id), None);
        assert!(table.is_empty());
        assert!(table.topics.is_empty());
    }

    #[test]
    fn closed_connections_and_deleted_topics_leave_nothing_behind() {
        let now = Instant::now();
        let mut table = HeldPulls::new(10);
        hold(&mut table, 0, pull(0, Wanted::All, now, "closed"));
        hold(&mut table, 1, pull(0, Wanted::All, now, "open"));
        table.discard(|name| *name == "closed");
        assert_eq!(table.len(), 1);
        let mut woken = Vec::new();
        table.wake_topic("T", &mut woken);
        assert_eq!(woken, ["open"]);
        assert!(table.is_empty() && table.topics.is_empty());
    }

    #[test]
    fn pulls_of_one_queue_that_expire_together_are_each_looked_at_once() {
        let now = Instant::now();
        let mut table = HeldPulls::new(1000);
        for back in 0..1000 {
            hold(&mut table, 0, pull(0, Wanted::All, now - Duration::from_millis(back), "together"));
        }
        let mut expired = Vec::new();
        let before = LOOKED.get();
        table.take_expired(now, &mut expired);
        assert_eq!((expired.len(), LOOKED.get() - before), (1000, 1000));
        assert!(table.is_empty() && table.topics.is_empty());
    }
}
