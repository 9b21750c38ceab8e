//! *order*: streams of values, one writer and one queue each, consumed by whoever holds the lock
//! of the queue.

use std::time::{Duration, Instant};

use super::field::{Field, Target};
use super::log::prepare_topic;
use super::wire::{Extra, Wire};
use super::{Boxed, Run, Workload};
use crate::check::log::Drain;
use crate::check::{Finding, order};
use crate::history::{Answer, Call, Ended};
use crate::schedule::{Dice, Pace};

const GROUP: &str = "JepsenOrderly";

/// Consumers that fight for the locks.
const CONSUMERS: u32 = 2;

/// How long a consumer keeps its locks before it lets others have a turn.
const TURN: Duration = Duration::from_secs(4);

/// Locks are renewed this often; a broker forgets them after a minute.
const RENEWS: Duration = Duration::from_secs(1);

/// After the last fault, everything must be delivered within this; longer than a lost lock lives.
const DRAIN_WAITS: Duration = Duration::from_secs(90);

#[derive(Debug)]
pub(super) struct OrderWorkload;

impl Workload for OrderWorkload {
    fn prepare(&self, field: &Field) -> Boxed<bool> {
        let field = field.clone();
        Box::pin(async move {
            let Some(leader) = field.probe.leader().await else { return false };
            let made = field.wire().make_group(leader, GROUP).await;
            matches!(made, Ended::Ok(_)) && prepare_topic(field).await
        })
    }

    fn lanes(&self, field: &Field) -> Vec<Boxed<()>> {
        let streams = Pace::lanes(field.rate).min(32);
        let mut lanes: Vec<Boxed<()>> =
            (0..streams).map(|stream| Box::pin(write(field.clone(), stream, streams)) as Boxed<()>).collect();
        lanes.extend((0..CONSUMERS).map(|lane| Box::pin(consume(field.clone(), lane)) as Boxed<()>));
        lanes
    }

    fn drain(&self, field: &Field) -> Boxed<Result<Vec<Drain>, String>> {
        let field = field.clone();
        Box::pin(async move {
            let (stop, receiver) = tokio::sync::watch::channel(false);
            let mut consuming = field.clone();
            consuming.stop = receiver;
            let lanes: Vec<_> =
                (0..CONSUMERS).map(|lane| tokio::spawn(consume(consuming.clone(), 100 + lane))).collect();
            let deadline = Instant::now() + DRAIN_WAITS;
            while field.missing() > 0 && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let _ = stop.send(true);
            for lane in lanes {
                let _ = lane.await;
            }
            Ok(Vec::new())
        })
    }

    fn reads_files(&self) -> bool {
        false
    }

    fn check(&self, run: Run<'_>) -> Vec<Finding> {
        vec![order::check(run.operations)]
    }
}

/// One writer: the next value is sent only after the one before it was answered. A value of unknown
/// outcome is never sent again, so the stream stays in order whatever became of it.
async fn write(field: Field, stream: u32, streams: u32) {
    let (wire, process) = (field.wire(), field.process());
    let dice = field.dice.fork(&format!("stream {stream}"));
    let mut pace = Pace::new(field.rate, streams, stream, dice.fork("pace"));
    let mut target = Target::new(&field.plan, stream % 4 == 1, dice.fork("target"));
    let queue = stream % field.plan.queues;
    let mut sequence = 0;
    while field.next_turn(&mut pace).await {
        let value = u64::from(process) << 32 | sequence;
        sequence += 1;
        let send = wire.send(target.next(), queue, value, field.body_bytes, Extra::default());
        let ended = field.record(process, Call::SendOrdered { stream, value }, send).await;
        if matches!(ended, Ended::Ok(_)) {
            field.acknowledged(value);
        }
        target.learn(&ended);
    }
}

async fn consume(field: Field, lane: u32) {
    let mut dice = field.dice.fork(&format!("orderly {lane}"));
    let mut turns = 0;
    while !field.stopped() {
        turns += 1;
        let name = format!("10.78.1.{lane}@{lane}#{turns}");
        let mut consumer = Orderly {
            wire: field.wire(),
            process: field.process(),
            target: Target::new(&field.plan, false, dice.fork("turn")),
            field: field.clone(),
            name,
        };
        consumer.turn(&mut dice).await;
    }
}

struct Orderly {
    field: Field,
    wire: Wire,
    process: u32,
    name: String,
    target: Target,
}

impl Orderly {
    /// Takes what locks it can get, consumes for a while, gives them back.
    async fn turn(&mut self, dice: &mut Dice) {
        let wanted: Vec<u32> = (0..self.field.plan.queues).filter(|_| dice.chance(60)).collect();
        let until = Instant::now() + TURN;
        while Instant::now() < until && !self.field.stopped() {
            let member = self.target.next();
            let held = match self.wire.heartbeat(member, &self.name, GROUP).await {
                Ended::Ok(_) => self.wire.lock(member, &self.name, GROUP, &wanted).await,
                Ended::Fail(_) | Ended::Unknown(_) => None,
            };
            let Some(held) = held else {
                self.target.turn();
                self.field.wait(Duration::from_millis(200)).await;
                continue;
            };
            let renew_at = Instant::now() + RENEWS;
            while Instant::now() < renew_at && !self.field.stopped() {
                let mut idle = true;
                for queue in &held {
                    idle &= !self.step(*queue).await;
                }
                if idle {
                    self.field.wait(Duration::from_millis(50)).await;
                }
            }
        }
        self.wire.unlock(self.target.next(), &self.name, GROUP, &wanted).await;
    }

    /// Asks where the group is, consumes one batch, commits; says whether there was anything.
    async fn step(&mut self, queue: u32) -> bool {
        let member = self.target.next();
        let next = match self.wire.committed(member, GROUP, queue).await {
            Ended::Ok(Answer::Value(offset)) => offset.unwrap_or(0),
            _ => {
                self.target.turn();
                return false;
            }
        };
        let Ended::Ok(Answer::Batch { items, .. }) = self.wire.pull(member, GROUP, queue, next).await else {
            return false;
        };
        for &(offset, value) in &items {
            let call = Call::Consume { consumer: self.process, queue, offset, value };
            let op = self.field.recorder.invoke(self.process, call);
            self.field.recorder.complete(self.process, op, &Ended::Ok(Answer::Done));
            self.field.seen(value);
        }
        if let Some((last, _)) = items.last() {
            let _ = self.wire.commit(member, GROUP, queue, last + 1).await;
        }
        !items.is_empty()
    }
}
