//! What every lane shares: the cluster's addresses, the recorder, the dice, the stop sign, and the
//! counters of the progress line.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::wire::Wire;
use crate::cluster::{Plan, Probe};
use crate::history::{Call, Ended, Recorder};
use crate::net::Member;
use crate::schedule::{Dice, Pace};

/// Counters for people.
#[derive(Debug, Default)]
pub struct Tally {
    /// Acknowledged.
    pub ok: AtomicU64,
    /// Refused.
    pub fail: AtomicU64,
    /// Of unknown outcome.
    pub unknown: AtomicU64,
}

/// What lanes share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Field {
    /// Who is where.
    pub plan: Arc<Plan>,
    /// Questions that are not history.
    pub probe: Probe,
    /// The history.
    pub recorder: Recorder,
    /// Operations a second, all lanes together.
    pub rate: u32,
    /// Bytes of a message body.
    pub body_bytes: usize,
    /// Counters.
    pub tally: Arc<Tally>,
    /// The seed of the run.
    pub dice: Dice,
    /// Becomes true when lanes must end.
    pub stop: watch::Receiver<bool>,
    began: Instant,
    next_process: Arc<AtomicU64>,
    acked: Arc<Mutex<BTreeSet<u64>>>,
}

impl Field {
    /// A field for one run.
    pub fn new(
        plan: Arc<Plan>,
        probe: Probe,
        recorder: Recorder,
        dice: Dice,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            plan,
            probe,
            recorder,
            rate: 100,
            body_bytes: 256,
            tally: Arc::default(),
            dice,
            stop,
            began: Instant::now(),
            next_process: Arc::default(),
            acked: Arc::default(),
        }
    }

    /// A connection book of its own for a lane or a few.
    pub fn wire(&self) -> Wire {
        Wire::new(self.plan.clone())
    }

    /// A new process number.
    pub fn process(&self) -> u32 {
        u32::try_from(self.next_process.fetch_add(1, Ordering::Relaxed)).unwrap_or(u32::MAX - 1)
    }

    /// Whether lanes must end.
    pub fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits, unless lanes must end before.
    pub async fn wait(&self, time: Duration) {
        if !time.is_zero() {
            let mut stop = self.stop.clone();
            let _ = tokio::time::timeout(time, stop.wait_for(|stop| *stop)).await;
        }
    }

    /// Waits for a lane's next moment; says whether there is one.
    pub async fn next_turn(&self, pace: &mut Pace) -> bool {
        self.wait(pace.wait(self.began.elapsed())).await;
        !self.stopped()
    }

    /// Records one operation around the request that does it.
    pub async fn record(&self, process: u32, call: Call, request: impl Future<Output = Ended>) -> Ended {
        let op = self.recorder.invoke(process, call);
        let ended = request.await;
        self.recorder.complete(process, op, &ended);
        let counter = match &ended {
            Ended::Ok(_) => &self.tally.ok,
            Ended::Fail(_) => &self.tally.fail,
            Ended::Unknown(_) => &self.tally.unknown,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        ended
    }

    /// Notes a value as acknowledged, for drains that wait until every one has been seen.
    pub fn acknowledged(&self, value: u64) {
        self.acked.lock().unwrap_or_else(PoisonError::into_inner).insert(value);
    }

    /// Notes a value as seen; what is left is what a drain still waits for.
    pub fn seen(&self, value: u64) {
        self.acked.lock().unwrap_or_else(PoisonError::into_inner).remove(&value);
    }

    /// How many acknowledged values have not been seen.
    pub fn missing(&self) -> usize {
        self.acked.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Which broker a lane talks to.
#[derive(Clone, Debug)]
pub struct Target {
    brokers: Vec<Member>,
    now: Member,
    wanders: bool,
    dice: Dice,
}

impl Target {
    /// A lane that stays with whoever serves it, or one that tries everybody in turn of chance.
    pub fn new(plan: &Plan, wanders: bool, mut dice: Dice) -> Self {
        // In the classic modes only the master serves.
        let brokers: Vec<Member> = if plan.mode.is_raft() { plan.brokers().collect() } else { vec![0] };
        let now = *dice.pick(&brokers).unwrap_or(&0);
        Self { brokers, now, wanders, dice }
    }

    /// The broker for the next operation.
    pub fn next(&mut self) -> Member {
        if self.wanders {
            self.turn();
        }
        self.now
    }

    /// The last operation ended so.
    pub fn learn(&mut self, ended: &Ended) {
        if !matches!(ended, Ended::Ok(_)) {
            self.turn();
        }
    }

    /// On to another broker.
    pub fn turn(&mut self) {
        let others: Vec<Member> = self.brokers.iter().copied().filter(|member| *member != self.now).collect();
        self.now = self.dice.pick(&others).copied().unwrap_or(self.now);
    }
}
