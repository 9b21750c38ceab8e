//! Rules 1 to 4: what stands where.

use std::collections::{BTreeMap, HashMap};

use super::input::{LogHistory, LogRules, Sent};
use crate::check::Finding;
use crate::history::Answer;

/// The final log of one queue: the union of all drains, which rule 2 says are equal.
#[derive(Debug, Default)]
pub(super) struct Truth {
    first: u64,
    values: Vec<Option<u64>>,
}

impl Truth {
    /// One past the last offset.
    pub(super) fn end(&self) -> u64 {
        self.first + self.values.len() as u64
    }

    fn at(&self, offset: u64) -> Option<u64> {
        let index = usize::try_from(offset.checked_sub(self.first)?).ok()?;
        self.values.get(index).copied().flatten()
    }
}

/// Where everything is.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The final log of each queue.
    pub(super) truths: BTreeMap<u32, Truth>,
    /// Where each value stands.
    pub(super) of_value: HashMap<u64, (u32, u64)>,
}

pub(super) fn check(history: &LogHistory, rules: LogRules, finding: &mut Finding) -> Places {
    let by_value: HashMap<u64, &Sent> = history.sent.iter().map(|sent| (sent.value, sent)).collect();
    let mut places = Places { truths: truths(history, rules, finding), of_value: HashMap::new() };
    locate(&mut places, &by_value, finding);
    acknowledgements(history, &places, rules, finding);
    reads(history, &places, &by_value, finding);
    places
}

/// Rule 2: the union of the drains of each queue, and all in which they differ.
fn truths(history: &LogHistory, rules: LogRules, finding: &mut Finding) -> BTreeMap<u32, Truth> {
    let mut truths: BTreeMap<u32, Truth> = BTreeMap::new();
    for drain in &history.drains {
        let end = drain.first + drain.values.len() as u64;
        let truth =
            truths.entry(drain.queue).or_insert_with(|| Truth { first: drain.first, values: Vec::new() });
        let first = truth.first.min(drain.first);
        let mut values = vec![None; usize::try_from(truth.end().max(end) - first).unwrap_or(0)];
        place(&mut values, first, truth.first, &truth.values);
        *truth = Truth { first, values };
    }
    for drain in &history.drains {
        let Some(truth) = truths.get_mut(&drain.queue) else { continue };
        let end = drain.first + drain.values.len() as u64;
        if end != truth.end() {
            let whole = truth.end();
            finding.anomaly("drains end differently", || {
                format!("queue {} ends at {end} in {}, elsewhere at {whole}", drain.queue, drain.source)
            });
        }
        if drain.first > 0 && !rules.retention {
            finding.anomaly("beginning is gone", || {
                format!("queue {} begins at {} in {}", drain.queue, drain.first, drain.source)
            });
        }
        for (offset, value) in (drain.first..).zip(&drain.values) {
            let Some(value) = *value else {
                finding.anomaly("hole", || {
                    format!("queue {} has nothing at {offset} in {}", drain.queue, drain.source)
                });
                continue;
            };
            let index = usize::try_from(offset - truth.first).unwrap_or(usize::MAX);
            match truth.values[index] {
                None => truth.values[index] = Some(value),
                Some(other) if other != value => finding.anomaly("drains differ", || {
                    format!(
                        "queue {} offset {offset}: {value} in {}, {other} elsewhere",
                        drain.queue, drain.source
                    )
                }),
                Some(_) => {}
            }
        }
    }
    truths
}

fn place(into: &mut [Option<u64>], first: u64, at: u64, values: &[Option<u64>]) {
    let start = usize::try_from(at - first).unwrap_or(usize::MAX);
    for (slot, value) in into.iter_mut().skip(start).zip(values) {
        *slot = *value;
    }
}

/// Rules 1 and 4 on the final log: each value once, sent, not refused, in its own queue.
fn locate(places: &mut Places, by_value: &HashMap<u64, &Sent>, finding: &mut Finding) {
    for (queue, truth) in &places.truths {
        for (offset, value) in (truth.first..).zip(&truth.values) {
            let Some(value) = *value else { continue };
            if value == Answer::GARBLED {
                finding.anomaly("garbled", || {
                    format!("queue {queue} offset {offset} holds what nobody could send")
                });
                continue;
            }
            if let Some((other_queue, other)) = places.of_value.insert(value, (*queue, offset)) {
                finding.anomaly("duplicate", || {
                    format!("value {value} stands at {other_queue}/{other} and at {queue}/{offset}")
                });
            }
            origin(value, *queue, offset, by_value, finding);
        }
    }
}

fn origin(value: u64, queue: u32, offset: u64, by_value: &HashMap<u64, &Sent>, finding: &mut Finding) {
    match by_value.get(&value) {
        None => finding.anomaly("phantom", || format!("value {value} at {queue}/{offset} was never sent")),
        Some(sent) if sent.refused => {
            finding.anomaly("refused but kept", || format!("value {value} at {queue}/{offset} was refused"));
        }
        Some(sent) if sent.queue != queue => finding.anomaly("wrong queue", || {
            format!("value {value} was sent to queue {} and stands at {queue}/{offset}", sent.queue)
        }),
        Some(_) => {}
    }
}

/// Rule 3, and rule 1 on the acknowledgements themselves.
fn acknowledgements(history: &LogHistory, places: &Places, rules: LogRules, finding: &mut Finding) {
    let mut acked: BTreeMap<u32, BTreeMap<u64, (u64, bool)>> = BTreeMap::new();
    let mut physicals: HashMap<u64, u64> = HashMap::new();
    for sent in &history.sent {
        let Some(placed) = sent.placed else { continue };
        if placed.queue != sent.queue {
            finding.anomaly("wrong queue", || {
                format!(
                    "value {} was sent to queue {}, acknowledged in {}",
                    sent.value, sent.queue, placed.queue
                )
            });
        }
        let Some(truth) = places.truths.get(&placed.queue) else {
            finding.doubt("not drained", || format!("queue {} has no final drain", placed.queue));
            continue;
        };
        if placed.offset < truth.first && rules.retention {
            finding.count("older than what is kept");
            continue;
        }
        let kept = truth.at(placed.offset) == Some(sent.value);
        if let Some((other, _)) =
            acked.entry(placed.queue).or_default().insert(placed.offset, (sent.value, kept))
        {
            finding.anomaly("one offset acknowledged twice", || {
                format!("{}/{} for {other} and for {}", placed.queue, placed.offset, sent.value)
            });
        }
        if let Some(other) = physicals.insert(placed.physical, sent.value) {
            finding.anomaly("one position acknowledged twice", || {
                format!("physical offset {} for {other} and for {}", placed.physical, sent.value)
            });
        }
        if !kept && let Some((queue, offset)) = places.of_value.get(&sent.value) {
            finding.anomaly("moved", || {
                format!(
                    "value {} acknowledged at {}/{}, stands at {queue}/{offset}",
                    sent.value, placed.queue, placed.offset
                )
            });
        }
    }
    for (queue, offsets) in &acked {
        lost(*queue, offsets, places, finding);
    }
}

/// What was acknowledged and is not there, split by where it is missing: a lost end smells of a
/// missing sync or a truncation, a lost middle of a corruption, a lost beginning of retention.
fn lost(queue: u32, offsets: &BTreeMap<u64, (u64, bool)>, places: &Places, finding: &mut Finding) {
    let first_kept = offsets.iter().find(|(_, (_, kept))| *kept).map(|(offset, _)| *offset);
    let last_kept = offsets.iter().rev().find(|(_, (_, kept))| *kept).map(|(offset, _)| *offset);
    for (offset, (value, kept)) in offsets {
        if *kept || places.of_value.contains_key(value) {
            continue;
        }
        let kind = match (first_kept, last_kept) {
            (Some(first), _) if *offset < first => "lost at the beginning",
            (_, Some(last)) if *offset < last => "lost in the middle",
            _ => "lost at the end",
        };
        finding.count("lost");
        let instead = places.truths.get(&queue).and_then(|truth| truth.at(*offset));
        finding.anomaly(kind, || {
            format!("value {value} acknowledged at {queue}/{offset}, there is {instead:?}")
        });
    }
}

/// Rules 1, 2, 4 and 6 on what was read while it happened.
fn reads(history: &LogHistory, places: &Places, by_value: &HashMap<u64, &Sent>, finding: &mut Finding) {
    let mut messages = 0;
    for seen in &history.seen {
        let Some(truth) = places.truths.get(&seen.queue) else {
            if !seen.items.is_empty() {
                finding.doubt("not drained", || format!("queue {} has no final drain", seen.queue));
            }
            continue;
        };
        if seen.end > truth.end() {
            finding.anomaly("end was seen too far", || {
                format!("queue {} was said to end at {}, it ends at {}", seen.queue, seen.end, truth.end())
            });
        }
        for &(offset, value) in &seen.items {
            messages += 1;
            if truth.at(offset) == Some(value) || offset < truth.first {
                continue;
            }
            if value == Answer::GARBLED {
                finding.anomaly("garbled", || format!("a read of {}/{offset}", seen.queue));
                continue;
            }
            if !by_value.contains_key(&value) {
                origin(value, seen.queue, offset, by_value, finding);
            }
            let now = truth.at(offset);
            finding.anomaly("read what was not committed", || {
                format!("{}/{offset} was {value} at {} us, finally it is {now:?}", seen.queue, seen.returned)
            });
        }
    }
    finding.figure("messages read", messages);
}
