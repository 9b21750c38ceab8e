//! *log*: writers send unique values to many queues, readers follow every queue at the master and
//! at the others, tails are asked for everywhere; in the end everybody's copy is read whole.

use std::time::Duration;

use super::field::{Field, Target};
use super::wire::Extra;
use super::{Boxed, Run, Workload, reader};
use crate::check::log::{Drain, LogHistory, LogRules};
use crate::check::{Finding, excuse, log};
use crate::history::Call;
use crate::net::Member;
use crate::schedule::Pace;

/// Lanes that ask for tails, and how often each does.
const TAIL_LANES: u32 = 2;
const TAILS_A_SECOND: u32 = 40;

/// One lane in this many goes to a broker of chance each time: followers must serve too.
const WANDERER_EVERY: u32 = 4;

/// How often each broker is tried, so that recovery is measured to this.
const PULSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct LogWorkload;

impl Workload for LogWorkload {
    fn prepare(&self, field: &Field) -> Boxed<bool> {
        prepare_topic(field.clone())
    }

    fn lanes(&self, field: &Field) -> Vec<Boxed<()>> {
        let mut lanes: Vec<Boxed<()>> = Vec::new();
        let count = Pace::lanes(field.rate);
        lanes.extend((0..count).map(|lane| Box::pin(write(field.clone(), lane, count)) as Boxed<()>));
        if field.plan.mode.is_raft() {
            lanes.extend(
                field.plan.brokers().map(|member| Box::pin(pulse(field.clone(), member)) as Boxed<()>),
            );
        }
        lanes.extend((0..TAIL_LANES).map(|lane| Box::pin(ask_tails(field.clone(), lane)) as Boxed<()>));
        for queue in 0..field.plan.queues {
            let mut target =
                Target::new(&field.plan, queue % 2 == 1, field.dice.fork(&format!("reader {queue}")));
            let at = move || target.next();
            lanes.push(Box::pin(reader::follow(field.clone(), queue, at, |_| {})));
        }
        lanes
    }

    fn drain(&self, field: &Field) -> Boxed<Result<Vec<Drain>, String>> {
        let field = field.clone();
        Box::pin(async move {
            let mut drains = reader::drain(&field, "consumer", 0).await?;
            if field.plan.mode.is_raft() {
                for member in field.plan.brokers().filter(|member| *member != 0) {
                    drains.extend(reader::drain(&field, &format!("consumer at n{member}"), member).await?);
                }
            }
            Ok(drains)
        })
    }

    fn reads_files(&self) -> bool {
        true
    }

    fn check(&self, run: Run<'_>) -> Vec<Finding> {
        let history = LogHistory::from_operations(run.operations, run.drains);
        let strikes: Vec<u64> = run.faults.iter().map(|(at, _)| *at).collect();
        let (history, documented) = excuse::excuse(history, run.promise, &strikes);
        let rules = LogRules { retention: run.retention, exact_tails: true };
        vec![log::check(&history, rules), documented]
    }
}

/// Makes the run's topic; used by every workload that sends.
pub(super) fn prepare_topic(field: Field) -> Boxed<bool> {
    Box::pin(async move {
        let Some(leader) = field.probe.leader().await else { return false };
        field.probe.make_topic(leader, &field.plan.topic, field.plan.queues).await
    })
}

async fn write(field: Field, lane: u32, lanes: u32) {
    let (wire, process) = (field.wire(), field.process());
    let dice = field.dice.fork(&format!("writer {lane}"));
    let mut pace = Pace::new(field.rate, lanes, lane, dice.fork("pace"));
    let mut target = Target::new(&field.plan, lane % WANDERER_EVERY == 1, dice.fork("target"));
    let mut choice = dice.fork("queue");
    let mut sequence = 0;
    while field.next_turn(&mut pace).await {
        let value = u64::from(process) << 32 | sequence;
        sequence += 1;
        let queue = u32::try_from(choice.below(u64::from(field.plan.queues))).unwrap_or(0);
        let send = wire.send(target.next(), queue, value, field.body_bytes, Extra::default());
        target.learn(&field.record(process, Call::Send { queue, value }, send).await);
    }
}

/// One send to one broker every [`PULSE`], whether or not the ones before were answered: the first of
/// them to succeed after a fault tells when the cluster was back, however long lanes still wait.
async fn pulse(field: Field, member: Member) {
    let (wire, process) = (field.wire(), field.process());
    let mut choice = field.dice.fork(&format!("pulse {member}"));
    let mut sends = tokio::task::JoinSet::new();
    let mut sequence = 0;
    while !field.stopped() {
        let value = u64::from(process) << 32 | sequence;
        sequence += 1;
        let queue = u32::try_from(choice.below(u64::from(field.plan.queues))).unwrap_or(0);
        let (wire, sending) = (wire.clone(), field.clone());
        sends.spawn(async move {
            let send = wire.send(member, queue, value, sending.body_bytes, Extra::default());
            sending.record(process, Call::Send { queue, value }, send).await;
        });
        while sends.try_join_next().is_some() {}
        field.wait(PULSE).await;
    }
    while sends.join_next().await.is_some() {}
}

async fn ask_tails(field: Field, lane: u32) {
    let (wire, process) = (field.wire(), field.process());
    let dice = field.dice.fork(&format!("tail {lane}"));
    let mut pace = Pace::new(TAILS_A_SECOND, 1, 0, dice.fork("pace"));
    let mut target = Target::new(&field.plan, lane.is_multiple_of(2), dice.fork("target"));
    let mut choice = dice.fork("queue");
    while field.next_turn(&mut pace).await {
        let queue = u32::try_from(choice.below(u64::from(field.plan.queues))).unwrap_or(0);
        let node = target.next();
        target.learn(&field.record(process, Call::Tail { queue, node }, wire.tail(node, queue)).await);
    }
}
