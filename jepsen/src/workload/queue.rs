//! *queue*: a group of consumers that come and go, share the queues, and commit what they did.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::field::{Field, Target};
use super::log::prepare_topic;
use super::shares::shares;
use super::wire::{Extra, Wire};
use super::{Boxed, Run, Workload};
use crate::check::log::Drain;
use crate::check::{Finding, queue};
use crate::history::{Answer, Call, Ended, Key};
use crate::schedule::{Dice, Pace};

const GROUP: &str = "JepsenConsumers";

/// Consumers of the group.
const CONSUMERS: u32 = 3;

/// How often a consumer says that it is alive and looks who else is.
const REBALANCES: Duration = Duration::from_millis(1_000);

/// How often it commits.
const COMMITS: Duration = Duration::from_millis(300);

/// A consumer lives about this long, then goes without a word and comes back as another.
const LIFE: Duration = Duration::from_secs(15);

/// After the last fault, everything must be delivered within this.
const DRAIN_WAITS: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct QueueWorkload;

impl Workload for QueueWorkload {
    fn prepare(&self, field: &Field) -> Boxed<bool> {
        let field = field.clone();
        Box::pin(async move {
            let Some(leader) = field.probe.leader().await else { return false };
            let made = field.wire().make_group(leader, GROUP).await;
            matches!(made, Ended::Ok(_)) && prepare_topic(field).await
        })
    }

    fn lanes(&self, field: &Field) -> Vec<Boxed<()>> {
        let count = Pace::lanes(field.rate);
        let mut lanes: Vec<Boxed<()>> =
            (0..count).map(|lane| Box::pin(write(field.clone(), lane, count)) as Boxed<()>).collect();
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
        vec![queue::check(run.operations, queue::QueueRules { offsets_may_go_back: !run.mode.is_raft() })]
    }
}

async fn write(field: Field, lane: u32, lanes: u32) {
    let (wire, process) = (field.wire(), field.process());
    let dice = field.dice.fork(&format!("writer {lane}"));
    let mut pace = Pace::new(field.rate, lanes, lane, dice.fork("pace"));
    let mut target = Target::new(&field.plan, lane % 4 == 1, dice.fork("target"));
    let mut choice = dice.fork("queue");
    let mut sequence = 0;
    while field.next_turn(&mut pace).await {
        let value = u64::from(process) << 32 | sequence;
        sequence += 1;
        let queue = u32::try_from(choice.below(u64::from(field.plan.queues))).unwrap_or(0);
        let send = wire.send(target.next(), queue, value, field.body_bytes, Extra::default());
        let ended = field.record(process, Call::Send { queue, value }, send).await;
        if matches!(ended, Ended::Ok(_)) {
            field.acknowledged(value);
        }
        target.learn(&ended);
    }
}

/// Lives of one consumer, one after the other.
async fn consume(field: Field, lane: u32) {
    let mut dice = field.dice.fork(&format!("consumer {lane}"));
    let mut life = 0;
    while !field.stopped() {
        life += 1;
        let span = LIFE.mul_f64(0.5 + f64::from(u32::try_from(dice.below(1_000)).unwrap_or(0)) / 1_000.0);
        let name = format!("10.78.0.{lane}@{lane}#{life}");
        let mut consumer = Consumer::new(&field, name, dice.fork("life"));
        consumer.live(Instant::now() + span).await;
    }
}

/// One consumer, from its first heartbeat to its silent end.
struct Consumer {
    field: Field,
    wire: Wire,
    process: u32,
    name: String,
    target: Target,
    /// Next offset of each owned queue.
    owned: BTreeMap<u32, u64>,
    /// What was committed last of each owned queue.
    committed: BTreeMap<u32, u64>,
}

impl Consumer {
    fn new(field: &Field, name: String, dice: Dice) -> Self {
        Self {
            field: field.clone(),
            wire: field.wire(),
            process: field.process(),
            name,
            target: Target::new(&field.plan, false, dice),
            owned: BTreeMap::new(),
            committed: BTreeMap::new(),
        }
    }

    async fn live(&mut self, until: Instant) {
        let (mut rebalance_at, mut commit_at) = (Instant::now(), Instant::now() + COMMITS);
        while Instant::now() < until && !self.field.stopped() {
            if Instant::now() >= rebalance_at {
                self.rebalance().await;
                rebalance_at = Instant::now() + REBALANCES;
            }
            let mut idle = true;
            for queue in self.owned.keys().copied().collect::<Vec<_>>() {
                idle &= !self.pull(queue).await;
            }
            if Instant::now() >= commit_at {
                self.commit().await;
                commit_at = Instant::now() + COMMITS;
            }
            if idle {
                self.field.wait(Duration::from_millis(30)).await;
            }
        }
        // Half of the consumers go without committing what they did last.
        if self.process.is_multiple_of(2) {
            self.commit().await;
        }
    }

    async fn rebalance(&mut self) {
        let member = self.target.next();
        if !matches!(self.wire.heartbeat(member, &self.name, GROUP).await, Ended::Ok(_)) {
            self.target.turn();
            return;
        }
        let Some(members) = self.wire.group_members(member, GROUP).await else { return };
        let mine = shares(&members, &self.name, self.field.plan.queues);
        let given_up: Vec<u32> = self.owned.keys().copied().filter(|queue| !mine.contains(queue)).collect();
        for queue in given_up {
            self.commit_queue(queue).await;
            self.owned.remove(&queue);
            self.committed.remove(&queue);
        }
        for queue in mine {
            if !self.owned.contains_key(&queue) {
                self.take(queue).await;
            }
        }
    }

    /// A new owner begins where the group's offset is.
    async fn take(&mut self, queue: u32) {
        let member = self.target.next();
        let ask = self.wire.committed(member, GROUP, queue);
        let ended = self.field.record(self.process, Call::Read { key: key(queue) }, ask).await;
        match ended {
            Ended::Ok(Answer::Value(offset)) => {
                self.owned.insert(queue, offset.unwrap_or(0));
            }
            _ => self.target.turn(),
        }
    }

    /// Pulls and "consumes" once; says whether there was anything.
    async fn pull(&mut self, queue: u32) -> bool {
        let Some(next) = self.owned.get(&queue).copied() else { return false };
        let ended = self.wire.pull(self.target.next(), GROUP, queue, next).await;
        let Ended::Ok(Answer::Batch { items, .. }) = ended else {
            self.target.turn();
            return false;
        };
        for &(offset, value) in &items {
            let call = Call::Consume { consumer: self.process, queue, offset, value };
            let op = self.field.recorder.invoke(self.process, call);
            self.field.recorder.complete(self.process, op, &Ended::Ok(Answer::Done));
            self.field.seen(value);
            self.owned.insert(queue, offset + 1);
        }
        !items.is_empty()
    }

    async fn commit(&mut self) {
        for queue in self.owned.keys().copied().collect::<Vec<_>>() {
            self.commit_queue(queue).await;
        }
    }

    async fn commit_queue(&mut self, queue: u32) {
        let Some(offset) = self.owned.get(&queue).copied() else { return };
        if self.committed.get(&queue) == Some(&offset) {
            return;
        }
        let commit = self.wire.commit(self.target.next(), GROUP, queue, offset);
        let ended =
            self.field.record(self.process, Call::Write { key: key(queue), value: offset }, commit).await;
        match ended {
            Ended::Ok(_) => {
                self.committed.insert(queue, offset);
            }
            _ => self.target.turn(),
        }
    }
}

fn key(queue: u32) -> Key {
    Key(format!("offset of queue {queue}"))
}
