//! Looks at everything that a broker serves after a kill: every new offset, old ones by chance, keys, ids, committed offsets.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::book::Queue;
use super::load::{Ground, locked};
use super::subject::Subject;
use crate::history::{Answer, Ended, Placed};
use crate::schedule::Dice;
use crate::workload::Wire;

/// The consumer group.
pub(super) const GROUP: &str = "KillsGroup";
/// `flushConsumerOffsetInterval` of the run.
pub(super) const OFFSETS_FLUSHED_EVERY: Duration = Duration::from_millis(300);
/// A commit this old is in the file: the interval, and a machine that is busy.
const OFFSETS_KEPT_AFTER: Duration = Duration::from_millis(1_500);
/// Messages that are looked for by key after each kill.
const KEYS_ASKED: usize = 12;
/// Pulls of old messages after each kill.
const OLD_PULLS: usize = 6;
/// How long a read is tried.
const PATIENCE: Duration = Duration::from_secs(30);

/// One topic of the run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Topic {
    /// Its name.
    pub(super) name: &'static str,
    /// Its queues.
    pub(super) queues: u32,
    /// Its messages are delayed.
    pub(super) is_delayed: bool,
}

/// Reads after kills.
#[derive(Debug)]
pub(super) struct Audit {
    ground: Ground,
    dice: Dice,
    /// Everything before was read and judged.
    read: HashMap<Queue, u64>,
}

impl Audit {
    pub(super) fn new(ground: &Ground, dice: Dice) -> Self {
        Self { ground: ground.clone(), dice, read: HashMap::new() }
    }

    /// After a kill and a start: what is new, something of what is old, and what was committed before `killed`.
    pub(super) async fn after_kill(&mut self, subject: &Subject, killed: Instant) {
        for queue in self.queues() {
            let from = self.read.get(&queue).copied().unwrap_or(0);
            let end = self.read(subject, queue, from).await;
            self.ground.book().check_range(queue, from, end);
            self.read.insert(queue, end);
        }
        let fresh = self.ground.book().take_fresh();
        for _ in 0..KEYS_ASKED.min(fresh.len()) {
            if let Some((topic, value, placed)) = self.dice.pick(&fresh).copied() {
                self.ask_by_key(subject, topic, value, placed).await;
            }
        }
        for _ in 0..OLD_PULLS {
            self.read_old(subject).await;
        }
        self.ask_committed(subject, killed).await;
    }

    /// Everything from the first offset on, and all delayed messages. Tells how many of those came more than once.
    pub(super) async fn everything(&mut self, subject: &Subject) -> usize {
        for queue in self.queues() {
            let end = self.read(subject, queue, 0).await;
            self.ground.book().check_range(queue, 0, end);
        }
        self.delayed(subject).await
    }

    fn queues(&self) -> Vec<Queue> {
        let topics = self.ground.topics.iter().enumerate().filter(|(_, topic)| !topic.is_delayed);
        topics.flat_map(|(topic, of)| (0..of.queues).map(move |queue| Queue { topic, queue })).collect()
    }

    /// Shows the book everything from `from` to the queue's end, and tells where that is.
    async fn read(&self, subject: &Subject, queue: Queue, from: u64) -> u64 {
        let wire = subject.wire(self.ground.topics[queue.topic].name);
        let mut next = from;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match wire.pull(0, GROUP, queue.queue, next).await {
                Ended::Ok(Answer::Batch { items, end, .. }) => {
                    let mut book = self.ground.book();
                    for (offset, value) in items {
                        book.shows(queue, offset, value);
                        next = next.max(offset + 1);
                    }
                    if next >= end {
                        return end;
                    }
                }
                Ended::Ok(_) | Ended::Fail(_) | Ended::Unknown(_) => {}
            }
            if Instant::now() > deadline {
                self.ground.book().fault(format!("{queue:?} cannot be read beyond {next}"));
                return next;
            }
        }
    }

    async fn read_old(&mut self, subject: &Subject) {
        let queues = self.queues();
        let Some(queue) = self.dice.pick(&queues).copied() else { return };
        let from = self.dice.below(self.read.get(&queue).copied().unwrap_or(0));
        let wire = subject.wire(self.ground.topics[queue.topic].name);
        if let Ended::Ok(Answer::Batch { items, .. }) = wire.pull(0, GROUP, queue.queue, from).await {
            let mut book = self.ground.book();
            for (offset, value) in items {
                book.shows(queue, offset, value);
            }
        }
    }

    /// A message is found by its key, once, where it was put.
    async fn ask_by_key(&self, subject: &Subject, topic: usize, value: u64, placed: Placed) {
        let wire = subject.wire(self.ground.topics[topic].name);
        let found = wire.find(0, &Wire::key(value)).await;
        let places: Option<Vec<_>> = found.map(|found| {
            found.iter().map(|kept| (kept.value, kept.queue, kept.offset, kept.physical)).collect()
        });
        let wanted = vec![(value, placed.queue, placed.offset, placed.physical)];
        if places.as_ref() != Some(&wanted) {
            self.ground
                .book()
                .fault(format!("by the key of {value:#x} was found {places:?}, not {wanted:?}"));
        }
    }

    /// Nothing that was not committed, and nothing older than what the files had when the process died.
    async fn ask_committed(&self, subject: &Subject, killed: Instant) {
        let wire = subject.wire(self.ground.topics[0].name);
        let Ended::Ok(Answer::Value(known)) = wire.committed(0, GROUP, 0).await else {
            return self.ground.book().fault("the committed offset cannot be asked for".to_owned());
        };
        let commits = locked(&self.ground.commits).clone();
        let is_old = |at: &Instant| killed.saturating_duration_since(*at) > OFFSETS_KEPT_AFTER;
        let must = commits.iter().rev().find(|(at, _)| is_old(at)).map_or(0, |(_, offset)| *offset);
        // The last one may have been under way.
        let may = commits.last().map_or(u64::MAX, |(_, offset)| offset + 1);
        let known = known.unwrap_or(0);
        if !(must..=may).contains(&known) {
            self.ground.book().fault(format!("the committed offset is {known}, not in {must}..={may}"));
        }
    }

    async fn delayed(&self, subject: &Subject) -> usize {
        let Some(topic) = self.ground.topics.iter().find(|topic| topic.is_delayed) else { return 0 };
        let wire = subject.wire(topic.name);
        let wanted: HashSet<u64> = locked(&self.ground.delayed).iter().copied().collect();
        let mut came: HashMap<u64, usize> = HashMap::new();
        let mut next = vec![0; topic.queues as usize];
        let deadline = Instant::now() + PATIENCE;
        while !wanted.iter().all(|value| came.contains_key(value)) {
            for (queue, next) in (0..).zip(&mut next) {
                if let Ended::Ok(Answer::Batch { items, .. }) = wire.pull(0, GROUP, queue, *next).await {
                    for (offset, value) in items {
                        *came.entry(value).or_default() += 1;
                        *next = offset + 1;
                    }
                }
            }
            if Instant::now() > deadline {
                let missing = wanted.iter().filter(|value| !came.contains_key(value)).count();
                self.ground.book().fault(format!("{missing} delayed messages were never delivered"));
                break;
            }
        }
        came.values().filter(|count| **count > 1).count()
    }
}
