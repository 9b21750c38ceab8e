//! A reader that follows one queue at one replica, and the drain that reads a queue to its end.

use std::time::{Duration, Instant};

use super::field::Field;
use super::wire::Wire;
use crate::check::log::Drain;
use crate::history::{Answer, Call, Ended};
use crate::net::Member;

/// The group that readers pull for.
pub(super) const READERS: &str = "JepsenReaders";

/// A reader at the end of its queue looks again after this.
const LOOKS_AGAIN: Duration = Duration::from_millis(40);

/// A final drain that makes no progress for this long has failed.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);

/// Follows a queue until the stop sign. `at` picks the replica for each pull.
pub(super) async fn follow(
    field: Field,
    queue: u32,
    mut at: impl FnMut() -> Member,
    mut heard: impl FnMut(&[(u64, u64)]),
) {
    let (wire, process) = (field.wire(), field.process());
    let mut next = 0;
    while !field.stopped() {
        let node = at();
        let call = Call::Pull { queue, from: next, node };
        let ended = field.record(process, call, wire.pull(node, READERS, queue, next)).await;
        let Ended::Ok(Answer::Batch { items, min, .. }) = ended else {
            field.wait(LOOKS_AGAIN * 3).await;
            continue;
        };
        heard(&items);
        match items.last() {
            Some((last, _)) => next = last + 1,
            None => {
                next = next.max(min);
                field.wait(LOOKS_AGAIN).await;
            }
        }
    }
}

/// Reads every queue of the topic from its beginning to its end at one replica.
pub(super) async fn drain(field: &Field, source: &str, member: Member) -> Result<Vec<Drain>, String> {
    let wire = field.wire();
    let mut drains = Vec::new();
    for queue in 0..field.plan.queues {
        drains.push(drain_queue(&wire, source, member, queue).await?);
    }
    Ok(drains)
}

async fn drain_queue(wire: &Wire, source: &str, member: Member, queue: u32) -> Result<Drain, String> {
    let deadline = Instant::now() + DRAIN_PATIENCE;
    let first = ask(deadline, || wire.head(member, queue)).await?;
    let end = ask(deadline, || wire.tail(member, queue)).await?;
    let mut values: Vec<Option<u64>> = Vec::new();
    let mut progress = Instant::now();
    while first + (values.len() as u64) < end {
        let next = first + values.len() as u64;
        match wire.pull(member, READERS, queue, next).await {
            Ended::Ok(Answer::Batch { items, .. }) if !items.is_empty() => {
                for (offset, value) in items {
                    let index = usize::try_from(offset.saturating_sub(first)).unwrap_or(0);
                    if index >= values.len() {
                        values.resize(index, None);
                        values.push(Some(value));
                    }
                }
                progress = Instant::now();
            }
            other if progress.elapsed() > DRAIN_PATIENCE => {
                return Err(format!("queue {queue} of {source} stops at {next} of {end}: {other:?}"));
            }
            _ => tokio::time::sleep(LOOKS_AGAIN).await,
        }
    }
    Ok(Drain { source: source.to_owned(), queue, first, values })
}

async fn ask<F: Future<Output = Ended>>(
    deadline: Instant,
    mut question: impl FnMut() -> F,
) -> Result<u64, String> {
    loop {
        match question().await {
            Ended::Ok(Answer::End(offset)) => return Ok(offset),
            other if Instant::now() > deadline => return Err(format!("offsets are not answered: {other:?}")),
            _ => tokio::time::sleep(LOOKS_AGAIN).await,
        }
    }
}
