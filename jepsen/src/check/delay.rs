//! Delayed messages: each acknowledged one is delivered, never before its time. Brokers deliver at least once, as
//! RocketMQ's do: progress is noted behind the message, so what a fault comes between may be delivered again. That is
//! counted; without a fault it is wrong.

use std::collections::HashMap;

use super::finding::Finding;
use crate::history::{Call, Operation, Outcome};

/// What the mode promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DelayRules {
    /// A second delivery breaks a promise (no fault struck); otherwise it is counted.
    pub once: bool,
    /// How much earlier than due a delivery may be, for clocks that differ, in microseconds.
    pub early_us: u64,
}

/// When it was handed out, and where it stood.
type Delivery = (u64, (u32, u64));

/// Judges a run of the delay workload.
pub fn check(operations: &[Operation], rules: DelayRules) -> Finding {
    let mut finding = Finding::new("delay");
    let mut delivered: HashMap<u64, Vec<Delivery>> = HashMap::new();
    for operation in operations {
        if let Call::Consume { queue, offset, value, .. } = operation.call {
            delivered.entry(value).or_default().push((operation.invoked, (queue, offset)));
        }
    }
    let mut lateness = Vec::new();
    let mut acked = 0;
    for operation in operations {
        let Call::SendDelayed { value, delay_ms } = operation.call else { continue };
        acked += u64::from(operation.outcome == Outcome::Ok);
        let times = delivered.remove(&value).unwrap_or_default();
        let Some(first) = times.iter().map(|(at, _)| *at).min() else {
            if operation.outcome == Outcome::Ok {
                finding.anomaly("never delivered", || {
                    format!("value {value}, due {delay_ms} ms after {} us", operation.invoked)
                });
            }
            continue;
        };
        if operation.outcome == Outcome::Fail {
            finding.anomaly("refused but delivered", || format!("value {value}"));
        }
        let due = operation.invoked + delay_ms * 1_000;
        if first + rules.early_us < due {
            finding
                .anomaly("too early", || format!("value {value} came {} us before it was due", due - first));
        }
        lateness.push(first.saturating_sub(due));
        repeats(value, &times, rules, &mut finding);
    }
    for value in delivered.keys() {
        finding.anomaly("phantom", || format!("value {value} was never sent"));
    }
    finding.figure("acknowledged", acked);
    if acked == 0 {
        finding.doubt("nothing acknowledged", || "a run that wrote nothing proves nothing".to_owned());
    }
    lateness.sort_unstable();
    if let Some(last) = lateness.last() {
        finding.figure("late at most, ms", last / 1_000);
        finding.figure("late in the middle, ms", lateness[lateness.len() / 2] / 1_000);
    }
    finding
}

/// A consumer may be handed one message again; a second message with the same value is another matter.
fn repeats(value: u64, times: &[Delivery], rules: DelayRules, finding: &mut Finding) {
    let places: std::collections::BTreeSet<(u32, u64)> = times.iter().map(|(_, place)| *place).collect();
    if places.len() > 1 {
        let tell = || format!("value {value} stands at {} places", places.len());
        if rules.once {
            finding.anomaly("delivered as two messages", tell);
        } else {
            finding.remark("delivered as two messages", tell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::history::Answer;

    const CALM: DelayRules = DelayRules { once: true, early_us: 1_000 };

    fn operation(invoked: u64, outcome: Outcome, call: Call) -> Operation {
        let answer = Some(Answer::Done);
        Operation {
            op: 0,
            process: 0,
            invoked,
            returned: Some(invoked + 1),
            outcome,
            call,
            answer,
            error: None,
        }
    }

    fn send(value: u64, outcome: Outcome) -> Operation {
        operation(0, outcome, Call::SendDelayed { value, delay_ms: 1_000 })
    }

    fn consume(value: u64, at: u64, offset: u64) -> Operation {
        operation(at, Outcome::Ok, Call::Consume { consumer: 0, queue: 0, offset, value })
    }

    #[test]
    fn in_time_is_valid_and_lateness_is_measured() {
        let finding =
            check(&[send(1, Outcome::Ok), consume(1, 1_200_000, 0), consume(1, 1_300_000, 0)], CALM);
        assert_eq!(finding.verdict, Verdict::Valid);
        assert_eq!(finding.of("late at most, ms"), 200);
    }

    #[test]
    fn too_early_never_and_phantom_are_caught() {
        assert_eq!(check(&[send(1, Outcome::Ok), consume(1, 900_000, 0)], CALM).of("too early"), 1);
        assert_eq!(check(&[send(1, Outcome::Ok)], CALM).of("never delivered"), 1);
        assert_eq!(
            check(&[send(1, Outcome::Fail), consume(1, 1_200_000, 0)], CALM).of("refused but delivered"),
            1
        );
        assert_eq!(
            check(&[send(1, Outcome::Ok), consume(1, 1_200_000, 0), consume(2, 1, 1)], CALM).of("phantom"),
            1
        );
    }

    #[test]
    fn a_second_message_is_invalid_only_where_once_is_promised() {
        let run = [send(1, Outcome::Ok), consume(1, 1_200_000, 0), consume(1, 1_300_000, 1)];
        assert_eq!(check(&run, CALM).verdict, Verdict::Invalid);
        assert_eq!(check(&run, DelayRules { once: false, early_us: 0 }).verdict, Verdict::Valid);
    }
}
