//! The load of one round: many lanes that send, readers at the tails, a consumer that commits; until the process is gone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::audit::{GROUP, Topic};
use super::book::{Book, Queue};
use super::subject::Subject;
use crate::history::{Answer, Ended};
use crate::schedule::Dice;
use crate::workload::{Extra, Wire};

/// Lanes that send, each one message at a time.
const LANES: u64 = 24;
/// One message in this many is delayed, by a second.
const DELAYED_EVERY: u64 = 50;
/// The body of most messages, and the largest.
const BYTES_SMALL: u64 = 300;
const BYTES_LARGE: u64 = 20_000;
/// Pause of a reader at the tail.
const READ_PAUSE: Duration = Duration::from_millis(5);

/// What a round shares.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    /// The topics.
    pub(super) topics: Arc<Vec<Topic>>,
    /// The book.
    pub(super) book: Arc<Mutex<Book>>,
    /// The last value that was given out.
    pub(super) values: Arc<AtomicU64>,
    /// Delayed messages that were acknowledged.
    pub(super) delayed: Arc<Mutex<Vec<u64>>>,
    /// Commits that were acknowledged, and when.
    pub(super) commits: Arc<Mutex<Vec<(Instant, u64)>>>,
    stop: Arc<AtomicBool>,
}

impl Ground {
    /// Ground for a run.
    pub(super) fn new(topics: Vec<Topic>) -> Self {
        Self {
            topics: Arc::new(topics),
            book: Arc::default(),
            values: Arc::default(),
            delayed: Arc::default(),
            commits: Arc::default(),
            stop: Arc::default(),
        }
    }

    /// The book, for one deed.
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        locked(&self.book)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// The lanes of one round.
#[derive(Debug)]
pub(super) struct Load {
    ground: Ground,
    lanes: JoinSet<()>,
}

impl Load {
    /// Starts to send, read and commit.
    pub(super) fn start(ground: &Ground, subject: &Subject, dice: &Dice) -> Self {
        let ground = ground.clone();
        ground.stop.store(false, Ordering::Release);
        locked(&ground.commits).clear();
        let mut lanes = JoinSet::new();
        let wires: Vec<Wire> = ground.topics.iter().map(|topic| subject.wire(topic.name)).collect();
        for lane in 0..LANES {
            let dice = dice.fork(&format!("lane {lane}"));
            lanes.spawn(send(ground.clone(), wires.clone(), dice));
        }
        for (topic, wire) in wires.iter().enumerate().filter(|(topic, _)| !ground.topics[*topic].is_delayed) {
            for queue in 0..subject.plan.queues {
                lanes.spawn(read_tail(ground.clone(), wire.clone(), Queue { topic, queue }));
            }
        }
        lanes.spawn(commit(ground.clone(), wires[0].clone()));
        Self { ground, lanes }
    }

    /// Waits until every lane has noticed that nobody answers any more.
    pub(super) async fn end(mut self) {
        self.ground.stop.store(true, Ordering::Release);
        while self.lanes.join_next().await.is_some() {}
    }
}

async fn send(ground: Ground, wires: Vec<Wire>, mut dice: Dice) {
    while !ground.is_stopped() {
        let value = ground.values.fetch_add(1, Ordering::Relaxed) + 1;
        let is_delayed = dice.below(DELAYED_EVERY) == 0;
        let topic = ground.topics.iter().position(|topic| topic.is_delayed).filter(|_| is_delayed);
        let topic = topic.unwrap_or_else(|| dice.below(wires.len() as u64 - 1) as usize);
        let queue = dice.below(u64::from(ground.topics[topic].queues)) as u32;
        let bytes = if dice.chance(2) { dice.between(BYTES_SMALL, BYTES_LARGE) } else { BYTES_SMALL };
        let extra = Extra { delay_level: u32::from(ground.topics[topic].is_delayed) };
        let ended = wires[topic].send(0, queue, value, bytes as usize, extra).await;
        if ground.topics[topic].is_delayed {
            // Its place is in the schedule's queue; where it arrives is asked for in the end.
            if matches!(ended, Ended::Ok(_)) {
                locked(&ground.delayed).push(value);
            }
            continue;
        }
        let mut book = ground.book();
        match ended {
            Ended::Ok(Answer::Placed(placed)) => book.acknowledged(topic, value, placed),
            Ended::Fail(_) => book.refused(topic, value),
            Ended::Ok(_) | Ended::Unknown(_) => book.unknown(topic, value),
        }
    }
}

/// What a reader saw once must be there for ever.
async fn read_tail(ground: Ground, wire: Wire, queue: Queue) {
    let Ended::Ok(Answer::End(mut next)) = wire.tail(0, queue.queue).await else { return };
    while !ground.is_stopped() {
        match wire.pull(0, GROUP, queue.queue, next).await {
            Ended::Ok(Answer::Batch { items, .. }) => {
                let mut book = ground.book();
                for (offset, value) in items {
                    book.shows(queue, offset, value);
                    next = next.max(offset + 1);
                }
            }
            Ended::Ok(_) | Ended::Fail(_) | Ended::Unknown(_) => {}
        }
        tokio::time::sleep(READ_PAUSE).await;
    }
}

/// Commits 1, 2, 3, … for the group; goes on after the last that is known.
async fn commit(ground: Ground, wire: Wire) {
    let Ended::Ok(Answer::Value(known)) = wire.committed(0, GROUP, 0).await else { return };
    let mut offset = known.unwrap_or(0);
    while !ground.is_stopped() {
        offset += 1;
        if let Ended::Ok(_) = wire.commit(0, GROUP, 0, offset).await {
            locked(&ground.commits).push((Instant::now(), offset));
        }
        tokio::time::sleep(READ_PAUSE).await;
    }
}

/// A lane that panicked has told what it knew.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
