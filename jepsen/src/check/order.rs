//! Ordered streams: whoever consumes a stream sees its values in the order of their sending.
//!
//! A value may be handed out again, and then the ones after it again; but the first time that a
//! value is handed out, every acknowledged smaller one of its stream has been handed out before.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::finding::Finding;
use crate::history::{Call, Operation, Outcome};

/// Judges a run of the order workload.
pub fn check(operations: &[Operation]) -> Finding {
    let mut finding = Finding::new("order");
    let mut stream_of: HashMap<u64, (u32, Outcome)> = HashMap::new();
    let mut waiting: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
    for operation in operations {
        let Call::SendOrdered { stream, value } = operation.call else { continue };
        stream_of.insert(value, (stream, operation.outcome));
        if operation.outcome == Outcome::Ok {
            waiting.entry(stream).or_default().insert(value);
        }
    }
    finding.figure("acknowledged", waiting.values().map(|values| values.len() as u64).sum());
    if waiting.is_empty() {
        finding.doubt("nothing acknowledged", || "a run that wrote nothing proves nothing".to_owned());
    }
    let mut consumed: Vec<&Operation> =
        operations.iter().filter(|operation| matches!(operation.call, Call::Consume { .. })).collect();
    consumed.sort_by_key(|operation| operation.invoked);
    for operation in &consumed {
        let Call::Consume { value, .. } = operation.call else { continue };
        let Some((stream, outcome)) = stream_of.get(&value).copied() else {
            finding.anomaly("phantom", || format!("value {value} was never sent"));
            continue;
        };
        if outcome == Outcome::Fail {
            finding.anomaly("refused but delivered", || format!("value {value}"));
        }
        let missing = waiting.entry(stream).or_default();
        missing.remove(&value);
        if let Some(earlier) = missing.range(..value).next_back() {
            finding.anomaly("out of order", || {
                format!("stream {stream}: {value} was handed out before {earlier}")
            });
        }
    }
    for (stream, values) in &waiting {
        for value in values {
            finding.anomaly("never delivered", || format!("stream {stream}: {value}"));
        }
    }
    overlaps(&consumed, &mut finding);
    finding
}

/// Two consumers inside one queue at once: the lock of an orderly consumer lives in the broker's
/// memory with a lease, so this is told and counted, not condemned.
fn overlaps(consumed: &[&Operation], finding: &mut Finding) {
    let mut inside: HashMap<u32, (u32, u64)> = HashMap::new();
    for operation in consumed {
        let Call::Consume { consumer, queue, .. } = operation.call else { continue };
        let until = operation.returned.unwrap_or(operation.invoked);
        if let Some((other, busy)) = inside.get(&queue)
            && *other != consumer
            && *busy > operation.invoked
        {
            let other = *other;
            finding
                .remark("two consumers in one queue", || format!("{other} and {consumer} in queue {queue}"));
        }
        inside.insert(queue, (consumer, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::history::Answer;

    fn send(value: u64, outcome: Outcome) -> Operation {
        operation(value, 2 * value, outcome, Call::SendOrdered { stream: 1, value })
    }

    fn consume(consumer: u32, value: u64, at: u64) -> Operation {
        operation(value, at, Outcome::Ok, Call::Consume { consumer, queue: 0, offset: value, value })
    }

    fn operation(op: u64, invoked: u64, outcome: Outcome, call: Call) -> Operation {
        let answer = Some(Answer::Done);
        Operation { op, process: 0, invoked, returned: Some(invoked + 5), outcome, call, answer, error: None }
    }

    fn sends() -> Vec<Operation> {
        vec![send(1, Outcome::Ok), send(2, Outcome::Unknown), send(3, Outcome::Ok)]
    }

    #[test]
    fn order_with_redelivery_is_valid() {
        let mut run = sends();
        run.extend([consume(0, 1, 100), consume(0, 3, 110), consume(1, 1, 120), consume(1, 3, 130)]);
        assert_eq!(check(&run).verdict, Verdict::Valid);
    }

    #[test]
    fn a_skipped_or_lost_value_is_caught() {
        let mut run = sends();
        run.extend([consume(0, 3, 100), consume(0, 1, 110)]);
        assert_eq!(check(&run).of("out of order"), 1);
        let mut run = sends();
        run.push(consume(0, 1, 100));
        assert_eq!(check(&run).of("never delivered"), 1);
        let mut run = sends();
        run.extend([consume(0, 1, 100), consume(0, 3, 110), consume(0, 7, 120)]);
        assert_eq!(check(&run).of("phantom"), 1);
    }

    #[test]
    fn two_consumers_at_once_are_told() {
        let mut run = sends();
        run.extend([consume(0, 1, 100), consume(1, 1, 103), consume(1, 3, 110)]);
        let finding = check(&run);
        assert_eq!(finding.verdict, Verdict::Valid);
        assert_eq!(finding.of("two consumers in one queue"), 1);
    }
}
