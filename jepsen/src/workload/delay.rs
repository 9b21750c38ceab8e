//! *delay*: messages that must stay hidden for a while, across every fault.

use std::time::{Duration, Instant};

use super::field::{Field, Target};
use super::log::prepare_topic;
use super::wire::Extra;
use super::{Boxed, Run, Workload, reader};
use crate::check::Finding;
use crate::check::delay::{DelayRules, check};
use crate::check::log::Drain;
use crate::history::{Answer, Call, Ended};
use crate::schedule::Pace;

/// The first levels of the run's `messageDelayLevel`, in milliseconds.
const LEVELS_MS: [u64; 3] = [1_000, 2_000, 5_000];

/// After the last fault, the last message is due this much later at most.
const DRAIN_WAITS: Duration = Duration::from_secs(60);

/// Clocks of two machines in one are one clock; a millisecond is what its stamps are rounded to.
const EARLY_US: u64 = 1_000;

#[derive(Debug)]
pub(super) struct DelayWorkload;

impl Workload for DelayWorkload {
    fn prepare(&self, field: &Field) -> Boxed<bool> {
        prepare_topic(field.clone())
    }

    fn lanes(&self, field: &Field) -> Vec<Boxed<()>> {
        let count = Pace::lanes(field.rate);
        let mut lanes: Vec<Boxed<()>> =
            (0..count).map(|lane| Box::pin(write(field.clone(), lane, count)) as Boxed<()>).collect();
        lanes.extend((0..field.plan.queues).map(|queue| Box::pin(listen(field.clone(), queue)) as Boxed<()>));
        lanes
    }

    fn drain(&self, field: &Field) -> Boxed<Result<Vec<Drain>, String>> {
        let field = field.clone();
        Box::pin(async move {
            let (stop, receiver) = tokio::sync::watch::channel(false);
            let mut listening = field.clone();
            listening.stop = receiver;
            let lanes = (0..field.plan.queues).map(|queue| tokio::spawn(listen(listening.clone(), queue)));
            let lanes: Vec<_> = lanes.collect();
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
        vec![check(run.operations, DelayRules { once: run.faults.is_empty(), early_us: EARLY_US })]
    }
}

async fn write(field: Field, lane: u32, lanes: u32) {
    let (wire, process) = (field.wire(), field.process());
    let dice = field.dice.fork(&format!("writer {lane}"));
    let mut pace = Pace::new(field.rate, lanes, lane, dice.fork("pace"));
    let mut target = Target::new(&field.plan, lane % 4 == 1, dice.fork("target"));
    let mut choice = dice.fork("choice");
    let mut sequence = 0;
    while field.next_turn(&mut pace).await {
        let value = u64::from(process) << 32 | sequence;
        sequence += 1;
        let queue = u32::try_from(choice.below(u64::from(field.plan.queues))).unwrap_or(0);
        let level = usize::try_from(choice.below(LEVELS_MS.len() as u64)).unwrap_or(0);
        let extra = Extra { delay_level: u32::try_from(level).unwrap_or(0) + 1 };
        let call = Call::SendDelayed { value, delay_ms: LEVELS_MS[level] };
        let ended = field
            .record(process, call, wire.send(target.next(), queue, value, field.body_bytes, extra))
            .await;
        if matches!(ended, Ended::Ok(_)) {
            field.acknowledged(value);
        }
        target.learn(&ended);
    }
}

/// Follows a queue; each message is a consumption.
async fn listen(field: Field, queue: u32) {
    let process = field.process();
    let mut target = Target::new(&field.plan, false, field.dice.fork(&format!("listener {queue}")));
    let hearing = field.clone();
    let heard = move |items: &[(u64, u64)]| {
        for &(offset, value) in items {
            let op =
                hearing.recorder.invoke(process, Call::Consume { consumer: process, queue, offset, value });
            hearing.recorder.complete(process, op, &Ended::Ok(Answer::Done));
            hearing.seen(value);
        }
    };
    let mut turns = 0_u32;
    let at = move || {
        // A reader does not learn how its pulls end; it changes its broker now and then instead.
        turns += 1;
        if turns.is_multiple_of(50) {
            target.turn();
        }
        target.next()
    };
    reader::follow(field, queue, at, heard).await;
}
