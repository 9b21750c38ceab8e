//! *register*: a consumer offset and a topic's number of queues, each as a linearizable register.
//!
//! Registers are used for a while and then left for new ones, so that no search grows too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::field::{Field, Target};
use super::log::prepare_topic;
use super::{Boxed, Run, Workload};
use crate::check::Finding;
use crate::check::log::Drain;
use crate::check::register::{SearchLimits, check};
use crate::history::{Answer, Call, Ended, Key};
use crate::schedule::Pace;

/// Lanes; more make the search explode.
const LANES: u32 = 6;

/// Operations a second at most, whatever the run's rate is.
const RATE_MAX: u32 = 400;

/// Operations on one register before the lanes move on.
const LIFE: u64 = 600;

/// A lane that met trouble reads so often before it writes again.
const READS_FIRST: u32 = 2;

/// How many registers are in use at once.
const WIDTH: u64 = 4;

#[derive(Debug)]
pub(super) struct RegisterWorkload;

impl Workload for RegisterWorkload {
    fn prepare(&self, field: &Field) -> Boxed<bool> {
        prepare_topic(field.clone())
    }

    fn lanes(&self, field: &Field) -> Vec<Boxed<()>> {
        let shared = Arc::new(Shared::default());
        (0..LANES).map(|lane| Box::pin(work(field.clone(), shared.clone(), lane)) as Boxed<()>).collect()
    }

    fn drain(&self, _field: &Field) -> Boxed<Result<Vec<Drain>, String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn reads_files(&self) -> bool {
        false
    }

    fn check(&self, run: Run<'_>) -> Vec<Finding> {
        let limits = SearchLimits { offsets_may_go_back: !run.mode.is_raft(), ..SearchLimits::default() };
        vec![check(run.operations, limits)]
    }
}

/// What the lanes agree on.
#[derive(Debug, Default)]
struct Shared {
    operations: AtomicU64,
    values: AtomicU64,
}

async fn work(field: Field, shared: Arc<Shared>, lane: u32) {
    let (wire, process) = (field.wire(), field.process());
    let dice = field.dice.fork(&format!("register {lane}"));
    let mut pace = Pace::new(field.rate.min(RATE_MAX), LANES, lane, dice.fork("pace"));
    let mut target = Target::new(&field.plan, lane % 3 == 1, dice.fork("target"));
    let mut choice = dice.fork("choice");
    let mut made = std::collections::BTreeSet::new();
    let mut reads_first = 0_u32;
    while field.next_turn(&mut pace).await {
        let epoch = shared.operations.fetch_add(1, Ordering::Relaxed) / (LIFE * WIDTH);
        // What a crash took shows only to who reads before anybody writes again.
        let number = if reads_first > 0 { u64::from(lane) } else { choice.below(WIDTH) };
        let register = Register::numbered(epoch, number % WIDTH);
        // The group must be known before an offset of it can be; that is not part of the register.
        if let Register::Offset { group, .. } = &register
            && !made.contains(group)
        {
            if let Ended::Ok(Answer::Done) = wire.make_group(target.next(), group).await {
                made.insert(group.clone());
            } else {
                target.turn();
            }
            continue;
        }
        let (key, node) = (register.key(), target.next());
        let ended = if choice.chance(50) && reads_first == 0 {
            let value = register.value(shared.values.fetch_add(1, Ordering::Relaxed) + 1);
            let call = Call::Write { key, value };
            match &register {
                Register::Offset { group, queue } => {
                    field.record(process, call, wire.commit(node, group, *queue, value)).await
                }
                Register::Topic { topic } => {
                    field.record(process, call, wire.set_topic(node, topic, value)).await
                }
            }
        } else {
            let call = Call::Read { key };
            match &register {
                Register::Offset { group, queue } => {
                    field.record(process, call, wire.committed(node, group, *queue)).await
                }
                Register::Topic { topic } => field.record(process, call, wire.get_topic(node, topic)).await,
            }
        };
        reads_first = if matches!(ended, Ended::Ok(_)) { reads_first.saturating_sub(1) } else { READS_FIRST };
        target.learn(&ended);
    }
}

/// One register of the cluster.
#[derive(Debug)]
enum Register {
    Offset { group: String, queue: u32 },
    Topic { topic: String },
}

impl Register {
    fn numbered(epoch: u64, number: u64) -> Self {
        match number {
            0 => Self::Topic { topic: format!("JepsenRegister-{epoch}") },
            queue => Self::Offset {
                group: format!("JepsenRegister-{epoch}"),
                queue: u32::try_from(queue).unwrap_or(0),
            },
        }
    }

    fn key(&self) -> Key {
        match self {
            Self::Offset { group, queue } => Key::offset(group, *queue),
            Self::Topic { topic } => Key::queues(topic),
        }
    }

    /// Offsets may be any number; a topic may not have ten thousand queues, so its values come round again, but
    /// not within the life of one topic, which is [`LIFE`] times [`WIDTH`] operations.
    fn value(&self, value: u64) -> u64 {
        match self {
            Self::Offset { .. } => value,
            Self::Topic { .. } => (value % (2 * LIFE * WIDTH)) + 1,
        }
    }
}
