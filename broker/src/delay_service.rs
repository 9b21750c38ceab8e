//! Delivers delayed messages when their time has come.
//!
//! Always true: each level delivers in the order of its queue, a batch at a time, and notes its progress only when
//! every message of the batch is stored; after a crash some may be delivered twice, none is lost. One thread owns all
//! levels; it sleeps until the next message is due, at most [`TICK`].

use crate::clock::now_ms;
use crate::delay_levels::queue_of_level;
use crate::error::BrokerError;
use crate::node::Node;
use crate::processor::delayed;
use parking_lot::{Condvar, Mutex};
use protocol::topic;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use store::{GetStatus, ReadRequest};

/// How often levels are looked at. Source: RocketMQ `ScheduleMessageService.DELAY_FOR_A_WHILE`.
const TICK: Duration = Duration::from_millis(100);
/// Most messages of one batch.
const BATCH: usize = 32;
/// A level whose delivery failed is tried again after so long.
const FAILED_PAUSE: Duration = Duration::from_secs(1);
/// So far may the clocks of two brokers differ, or a clock have been set back, without any message being due early.
const CLOCKS_APART_MS: i64 = 60_000;
/// How long a batch may take to be stored.
const STORED_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Stop {
    is_asked: Mutex<bool>,
    asked: Condvar,
}

impl Stop {
    /// Sleeps; true when the service shall stop.
    fn sleep(&self, pause: Duration) -> bool {
        let mut is_asked = self.is_asked.lock();
        if !*is_asked {
            self.asked.wait_for(&mut is_asked, pause);
        }
        *is_asked
    }
}

/// The running service.
#[derive(Debug)]
pub struct DelayService {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl DelayService {
    /// Starts to deliver.
    pub fn start(node: &Arc<Node>) -> Result<Self, BrokerError> {
        let stop = Arc::new(Stop::default());
        let levels = Levels::new(Arc::clone(node));
        let stop_there = Arc::clone(&stop);
        let builder = std::thread::Builder::new().name("delay-service".to_owned());
        let thread = builder.spawn(move || levels.run(&stop_there));
        let failed = |source| BrokerError::Threads { what: "the delay service", source: Arc::new(source) };
        Ok(Self { stop, thread: Some(thread.map_err(failed)?) })
    }

    /// Stops after the batch under way.
    pub fn stop(mut self) {
        *self.stop.is_asked.lock() = true;
        self.stop.asked.notify_all();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the delay service panicked");
        }
    }
}

/// One level's place in time. A machine's clock may be set back; this one is not.
#[derive(Debug, Clone, Copy)]
struct Level {
    level: u32,
    /// Not looked at before this time.
    next_look: Instant,
}

struct Levels {
    node: Arc<Node>,
    levels: Vec<Level>,
}

impl Levels {
    fn new(node: Arc<Node>) -> Self {
        let now = Instant::now();
        let levels = (1..=node.delay_levels.max()).map(|level| Level { level, next_look: now }).collect();
        Self { node, levels }
    }

    fn run(mut self, stop: &Stop) {
        loop {
            let now = Instant::now();
            if !self.node.leads() {
                if stop.sleep(TICK) {
                    return;
                }
                continue;
            }
            let mut next = now + TICK;
            for at in 0..self.levels.len() {
                let level = self.levels[at];
                if level.next_look <= now {
                    self.levels[at].next_look = now + self.serve(level.level, now_ms());
                }
                next = next.min(self.levels[at].next_look);
            }
            if stop.sleep(next.saturating_duration_since(Instant::now())) {
                return;
            }
        }
    }

    /// Delivers what is due of one level; tells after how long to look again.
    fn serve(&self, level: u32, now: i64) -> Duration {
        match self.deliver(level, now) {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(level, %error, "delayed messages wait: they could not be delivered");
                FAILED_PAUSE
            }
        }
    }

    fn deliver(&self, level: u32, now: i64) -> Result<Duration, BrokerError> {
        let queue = queue_of_level(level);
        let (min, max) = (
            self.node.store.min_offset(topic::SCHEDULE, queue),
            self.node.store.max_offset(topic::SCHEDULE, queue),
        );
        // A level never goes further back than its queue, nor further on than its end.
        let known = self
            .node
            .journal
            .delay_progress(level)
            .and_then(|offset| u64::try_from(offset).ok())
            .unwrap_or(min);
        let from = known.clamp(min, max.max(min));
        if from >= max {
            return Ok(TICK);
        }
        let delay = self.node.delay_levels.due_ms(level, 0);
        let next_due = AtomicI64::new(i64::MAX);
        let is_due = |due: i64| {
            let due = believable(due, now, delay);
            if due <= now {
                return next_due.load(Relaxed) == i64::MAX;
            }
            next_due.fetch_min(due, Relaxed);
            false
        };
        let read = self.node.store.read(&ReadRequest {
            topic: topic::SCHEDULE,
            queue_id: queue,
            queue_offset: from,
            count_max: BATCH,
            bytes_max: None,
            tags: Some(&is_due),
            record: None,
        })?;
        if read.status != GetStatus::Found {
            // Units that stand for no message, or messages that retention took: go on behind them.
            if next_due.load(Relaxed) == i64::MAX && read.next_begin_offset > from {
                self.advance(level, read.next_begin_offset);
                return Ok(Duration::ZERO);
            }
            let wait = u64::try_from(next_due.load(Relaxed).saturating_sub(now)).unwrap_or(0);
            return Ok(Duration::from_millis(wait).min(TICK));
        }
        let delivered = delayed::deliver(&self.node, &read.slices, STORED_WITHIN)?;
        self.advance(level, delivered.next_offset);
        Ok(Duration::ZERO)
    }

    fn advance(&self, level: u32, offset: u64) {
        self.node.journal.advance_delay(level, i64::try_from(offset).unwrap_or(i64::MAX));
    }
}

/// When a message is due whose unit says `due`. No message waits much longer than its level's delay: one that seems to was
/// stored before the clock was set back, or before the levels were changed, and is due now.
/// Source: RocketMQ `ScheduleMessageService.correctDeliverTimestamp`, which allows for nothing: there, a message from a broker
/// whose clock is a moment ahead, or one stored after `now` was asked for, is delivered at once, its whole delay too early.
fn believable(due: i64, now: i64, delay: i64) -> i64 {
    if due > now.saturating_add(delay).saturating_add(CLOCKS_APART_MS) { now } else { due }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_holds_up_no_message_and_none_is_early_by_a_moment() {
        const HOUR: i64 = 3_600_000;
        for (due, now, delay, believed) in [
            (10_500, 10_000, 1_000, 10_500),
            (11_000, 10_000, 1_000, 11_000),
            (11_001, 10_000, 1_000, 11_001),
            (71_000, 10_000, 1_000, 71_000),
            (71_001, 10_000, 1_000, 10_000),
            (9_000, 10_000, 1_000, 9_000),
            (10_000 + HOUR, 10_000, 1_000, 10_000),
            (i64::MAX, 10_000, 1_000, 10_000),
            (10_000, 10_000, i64::MAX, 10_000),
        ] {
            assert_eq!(believable(due, now, delay), believed, "{due} at {now} after {delay}");
        }
    }
}
