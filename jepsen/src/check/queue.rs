//! Push consumers: everything acknowledged is delivered at least once, nothing else ever is, and
//! committed offsets never go back after a commit was acknowledged.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::finding::Finding;
use crate::history::{Answer, Call, Operation, Outcome};

/// What the group of one queue did with its offset.
#[derive(Debug, Default)]
struct Commits {
    /// Invoked, returned if acknowledged, value.
    written: Vec<(u64, Option<u64>, u64)>,
    /// Invoked, value.
    read: Vec<(u64, Option<u64>)>,
}

/// What the mode promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueRules {
    /// Offsets are written to a file every five seconds (classic modes), so a crash may set them back.
    pub offsets_may_go_back: bool,
}

/// Judges a run of the queue workload.
pub fn check(operations: &[Operation], rules: QueueRules) -> Finding {
    let mut finding = Finding::new("queue");
    let mut sent: HashMap<u64, &Operation> = HashMap::new();
    let mut delivered: HashMap<u64, u64> = HashMap::new();
    let mut places: HashMap<(u32, u64), u64> = HashMap::new();
    let mut commits: BTreeMap<&str, Commits> = BTreeMap::new();
    for operation in operations {
        match &operation.call {
            Call::Send { value, .. } => {
                sent.insert(*value, operation);
            }
            Call::Consume { queue, offset, value, .. } => {
                *delivered.entry(*value).or_insert(0) += 1;
                let known = places.insert((*queue, *offset), *value);
                if let Some(other) = known.filter(|other| other != value) {
                    finding.anomaly("one offset, two values", || {
                        format!("{queue}/{offset}: {other} and {value}")
                    });
                }
            }
            Call::Write { key, value } if operation.outcome != Outcome::Fail => {
                let acked = operation.returned.filter(|_| operation.outcome == Outcome::Ok);
                commits.entry(&key.0).or_default().written.push((operation.invoked, acked, *value));
            }
            Call::Read { key } => {
                if let Some(Answer::Value(value)) = operation.answer {
                    commits.entry(&key.0).or_default().read.push((operation.invoked, value));
                }
            }
            Call::Write { .. }
            | Call::SendDelayed { .. }
            | Call::SendOrdered { .. }
            | Call::Pull { .. }
            | Call::Standing { .. }
            | Call::LogEnd { .. }
            | Call::Tail { .. } => {}
        }
    }
    deliveries(&sent, &delivered, &mut finding);
    for (key, commits) in &commits {
        offsets(key, commits, rules, &mut finding);
    }
    finding
}

fn deliveries(sent: &HashMap<u64, &Operation>, delivered: &HashMap<u64, u64>, finding: &mut Finding) {
    let acked: HashSet<u64> =
        sent.values().filter(|send| send.outcome == Outcome::Ok).filter_map(|send| value(send)).collect();
    finding.figure("acknowledged", acked.len() as u64);
    finding.figure("delivered", delivered.len() as u64);
    finding.figure("delivered again", delivered.values().map(|times| times - 1).sum());
    if acked.is_empty() {
        finding.doubt("nothing acknowledged", || "a run that wrote nothing proves nothing".to_owned());
    }
    for value in acked.iter().filter(|value| !delivered.contains_key(value)) {
        finding.anomaly("never delivered", || format!("value {value} was acknowledged"));
    }
    for value in delivered.keys() {
        match sent.get(value) {
            None => finding.anomaly("phantom", || format!("value {value} was never sent")),
            Some(send) if send.outcome == Outcome::Fail => {
                finding.anomaly("refused but delivered", || format!("value {value}"));
            }
            Some(_) => {}
        }
    }
}

fn value(operation: &Operation) -> Option<u64> {
    match operation.call {
        Call::Send { value, .. } => Some(value),
        _ => None,
    }
}

/// A read that began after an acknowledged commit answers at least it, unless a smaller commit
/// was begun after that commit was.
fn offsets(key: &str, commits: &Commits, rules: QueueRules, finding: &mut Finding) {
    for (asked, answer) in &commits.read {
        let before = commits.written.iter().filter(|(_, acked, _)| acked.is_some_and(|acked| acked < *asked));
        let Some((begun, _, floor)) = before.max_by_key(|(_, _, value)| *value) else { continue };
        let answer = answer.unwrap_or(0);
        let overwritten = commits.written.iter().any(|(invoked, acked, value)| {
            *value == answer && acked.is_none_or(|acked| acked > *begun) && *invoked > 0
        });
        if answer < *floor && !overwritten {
            finding.documented(rules.offsets_may_go_back, "offset went back", || {
                format!("{key}: {floor} was committed, {answer} is answered to a question of {asked} us")
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    const RAFT: QueueRules = QueueRules { offsets_may_go_back: false };

    use crate::history::{Key, Placed};

    fn done(
        op: u64,
        invoked: u64,
        returned: u64,
        outcome: Outcome,
        call: Call,
        answer: Option<Answer>,
    ) -> Operation {
        Operation { op, process: 0, invoked, returned: Some(returned), outcome, call, answer, error: None }
    }

    fn send(value: u64, outcome: Outcome) -> Operation {
        let placed = Answer::Placed(Placed { queue: 0, offset: value, physical: value });
        done(value, 1, 2, outcome, Call::Send { queue: 0, value }, Some(placed))
    }

    fn consume(value: u64, offset: u64) -> Operation {
        done(
            value,
            3,
            4,
            Outcome::Ok,
            Call::Consume { consumer: 0, queue: 0, offset, value },
            Some(Answer::Done),
        )
    }

    fn commit(value: u64, invoked: u64, returned: u64) -> Operation {
        let key = Key("0".to_owned());
        done(value, invoked, returned, Outcome::Ok, Call::Write { key, value }, Some(Answer::Done))
    }

    fn question(value: u64, invoked: u64) -> Operation {
        let key = Key("0".to_owned());
        done(value, invoked, invoked + 1, Outcome::Ok, Call::Read { key }, Some(Answer::Value(Some(value))))
    }

    #[test]
    fn at_least_once_is_valid_and_not_at_all_is_not() {
        let twice = [send(1, Outcome::Ok), send(2, Outcome::Unknown), consume(1, 0), consume(1, 0)];
        assert_eq!(check(&twice, RAFT).verdict, Verdict::Valid);
        assert_eq!(check(&twice, RAFT).of("delivered again"), 1);
        assert_eq!(
            check(&[send(1, Outcome::Ok), send(2, Outcome::Ok), consume(1, 0)], RAFT).of("never delivered"),
            1
        );
    }

    #[test]
    fn phantoms_refused_and_changed_messages_are_caught() {
        assert_eq!(check(&[send(1, Outcome::Ok), consume(1, 0), consume(9, 1)], RAFT).of("phantom"), 1);
        assert_eq!(check(&[send(1, Outcome::Fail), consume(1, 0)], RAFT).of("refused but delivered"), 1);
        let changed = [send(1, Outcome::Ok), send(2, Outcome::Ok), consume(1, 0), consume(2, 0)];
        assert_eq!(check(&changed, RAFT).of("one offset, two values"), 1);
    }

    #[test]
    fn an_offset_that_goes_back_is_caught_unless_somebody_put_it_back() {
        let back = [send(1, Outcome::Ok), consume(1, 0), commit(5, 1, 2), commit(9, 3, 4), question(5, 6)];
        assert_eq!(check(&back, RAFT).of("offset went back"), 1);
        let classic = QueueRules { offsets_may_go_back: true };
        assert_eq!(check(&back, classic).verdict, Verdict::Valid);
        assert_eq!(check(&back, classic).of("offset went back (as documented)"), 1);
        let late = [send(1, Outcome::Ok), consume(1, 0), commit(9, 3, 4), commit(5, 1, 5), question(5, 6)];
        assert_eq!(check(&late, RAFT).verdict, Verdict::Valid);
    }
}
