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
use std::time::Duration;
use store::{GetStatus, ReadRequest};

/// How often levels are looked at. Source: RocketMQ `ScheduleMessageService.DELAY_FOR_A_WHILE`.
const TICK: Duration = Duration::from_millis(100);
/// Most messages of one batch.
const BATCH: usize = 32;
/// A level whose delivery failed is tried again after so long.
const FAILED_PAUSE: Duration = Duration::from_secs(1);
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

/// One level's place in time.
#[derive(Debug, Clone, Copy)]
struct Level {
    level: u32,
    /// Not looked at before this time.
    next_look_ms: i64,
}

struct Levels {
    node: Arc<Node>,
    levels: Vec<Level>,
}

impl Levels {
    fn new(node: Arc<Node>) -> Self {
        let levels = (1..=node.delay_levels.max()).map(|level| Level { level, next_look_ms: 0 }).collect();
        Self { node, levels }
    }

    fn run(mut self, stop: &Stop) {
        loop {
            let now = now_ms();
            if !self.node.leads() {
                if stop.sleep(TICK) {
                    return;
                }
                continue;
            }
            let mut next = now + TICK.as_millis() as i64;
            for at in 0..self.levels.len() {
                let level = self.levels[at];
                if level.next_look_ms <= now {
                    self.levels[at].next_look_ms = self.serve(level.level, now);
                }
                next = next.min(self.levels[at].next_look_ms);
            }
            let pause = Duration::from_millis(u64::try_from(next - now_ms()).unwrap_or(0));
            if stop.sleep(pause) {
                return;
            }
        }
    }

    /// Delivers what is due of one level; tells when to look again.
    fn serve(&self, level: u32, now: i64) -> i64 {
        match self.deliver(level, now) {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(level, %error, "delayed messages wait: they could not be delivered");
                now + FAILED_PAUSE.as_millis() as i64
            }
        }
    }

    fn deliver(&self, level: u32, now: i64) -> Result<i64, BrokerError> {
        let soon = now + TICK.as_millis() as i64;
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
            return Ok(soon);
        }
        let next_due = AtomicI64::new(i64::MAX);
        let is_due = |due: i64| {
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
                return Ok(now);
            }
            return Ok(next_due.load(Relaxed).min(soon).max(now));
        }
        let delivered = delayed::deliver(&self.node, &read.slices, STORED_WITHIN)?;
        self.advance(level, delivered.next_offset);
        Ok(now)
    }

    fn advance(&self, level: u32, offset: u64) {
        self.node.journal.advance_delay(level, i64::try_from(offset).unwrap_or(i64::MAX));
    }
}
