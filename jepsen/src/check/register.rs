//! Registers, by a Wing-and-Gong search with unknown outcomes resolved before it starts.
//!
//! Written values are unique, so an unknown write is decided by what was read: if anybody read
//! its value it took effect before that read returned, and if nobody did, a history with it is
//! legal exactly if the one without it is. Nothing is left for the search to guess; a search that
//! still runs out of time says unknown.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use porcupine_rs::{CheckResult, Model, Operation as Interval, check_operations_timeout};

use super::finding::Finding;
use crate::history::{Answer, Call, Key, Operation, Outcome};

/// Bounds of the search, and of the promise.
#[derive(Clone, Copy, Debug)]
pub struct SearchLimits {
    /// Consumer offsets are written to files now and then (classic modes), so a crash may set them back.
    pub offsets_may_go_back: bool,
    /// Operations on one register; the search's memory grows with their square.
    pub operations_max: usize,
    /// Time for one register.
    pub timeout: Duration,
}

impl Default for SearchLimits {
    fn default() -> Self {
        Self { offsets_may_go_back: false, operations_max: 3_000, timeout: Duration::from_secs(30) }
    }
}

#[derive(Clone, Debug)]
struct Register;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Write(u64),
    Read(Option<u64>),
}

impl Model for Register {
    type State = Option<u64>;
    type Op = Deed;
    type Metadata = ();

    fn init() -> Self::State {
        None
    }

    fn step(state: &Self::State, op: &Self::Op) -> (bool, Self::State) {
        match op {
            Deed::Write(value) => (true, Some(*value)),
            Deed::Read(value) => (value == state, *state),
        }
    }
}

/// One operation whose outcome is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Certain {
    process: u32,
    invoked: u64,
    returned: u64,
    deed: Deed,
}

/// Judges every register of a run.
pub fn check(operations: &[Operation], limits: SearchLimits) -> Finding {
    let mut finding = Finding::new("register");
    let mut keys: BTreeMap<&Key, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        if let Call::Write { key, .. } | Call::Read { key } = &operation.call {
            keys.entry(key).or_default().push(operation);
        }
    }
    finding.figure("registers", keys.len() as u64);
    if keys.is_empty() {
        finding.doubt("no register", || "nothing was written or read".to_owned());
    }
    let mut total = 0;
    for (key, operations) in keys {
        let certain = resolve(key, &operations, &mut finding);
        total += certain.len() as u64;
        if certain.len() > limits.operations_max {
            finding.doubt("too long to search", || format!("{} operations on {}", certain.len(), key.0));
            continue;
        }
        match check_operations_timeout(&intervals(&certain), limits.timeout) {
            CheckResult::Ok => {}
            CheckResult::Illegal => {
                let excused = limits.offsets_may_go_back && !key.is_topic();
                finding.documented(excused, "not linearizable", || format!("register {}", key.0));
            }
            CheckResult::Unknown => finding.doubt("search ran out of time", || format!("register {}", key.0)),
        }
    }
    finding.figure("operations", total);
    finding
}

/// Decides every unknown outcome, and names reads of what nobody wrote.
fn resolve(key: &Key, operations: &[&Operation], finding: &mut Finding) -> Vec<Certain> {
    let mut first_read: HashMap<u64, u64> = HashMap::new();
    let mut certain = Vec::new();
    for operation in operations {
        let (Some(Answer::Value(value)), Some(returned)) = (&operation.answer, operation.returned) else {
            continue;
        };
        if let Some(value) = value {
            let first = first_read.entry(*value).or_insert(returned);
            *first = returned.min(*first);
        }
        let deed = Deed::Read(*value);
        certain.push(Certain { process: operation.process, invoked: operation.invoked, returned, deed });
    }
    let mut writes: HashMap<u64, Outcome> = HashMap::new();
    for operation in operations {
        let Call::Write { value, .. } = operation.call else { continue };
        if writes.insert(value, operation.outcome).is_some() {
            finding.doubt("value written twice", || format!("{value} to {}", key.0));
        }
        let returned = match (operation.outcome, operation.returned, first_read.get(&value)) {
            (Outcome::Ok, Some(returned), _) => returned,
            (Outcome::Unknown, _, Some(first)) => *first,
            (Outcome::Ok, None, _) | (Outcome::Unknown, _, None) | (Outcome::Fail, _, _) => continue,
        };
        if returned < operation.invoked {
            finding.anomaly("read before it was written", || format!("{value} of {}", key.0));
            continue;
        }
        let deed = Deed::Write(value);
        certain.push(Certain { process: operation.process, invoked: operation.invoked, returned, deed });
    }
    for value in first_read.keys() {
        match writes.get(value) {
            None => finding.anomaly("phantom", || format!("{value} of {} was never written", key.0)),
            Some(Outcome::Fail) => {
                finding.anomaly("refused but kept", || format!("{value} of {} was refused", key.0));
            }
            Some(Outcome::Ok | Outcome::Unknown) => {}
        }
    }
    certain
}

/// A return and an invocation in the same microsecond are taken as concurrent: no false alarm.
fn intervals(certain: &[Certain]) -> Vec<Interval<Register>> {
    let time = |micros: u64, half: i64| i64::try_from(micros).unwrap_or(i64::MAX / 4) * 2 + half;
    let interval = |one: &Certain| Interval {
        client_id: Some(one.process),
        call_time: time(one.invoked, 0),
        return_time: time(one.returned, 1),
        op: one.deed,
        metadata: None,
    };
    certain.iter().map(interval).collect()
}

#[cfg(test)]
#[path = "register_tests.rs"]
mod tests;
