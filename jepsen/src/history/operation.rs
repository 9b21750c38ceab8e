//! Invocations joined with their completions: the form that checkers want.

use std::collections::HashMap;

use super::event::{Answer, Call, Event, FaultNote, Kind};
use crate::error::{Error, Result};

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was acknowledged.
    Ok,
    /// It certainly never took effect.
    Fail,
    /// It may have taken effect, or may yet.
    Unknown,
}

/// One operation of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Number in the run.
    pub op: u64,
    /// Which lane did it.
    pub process: u32,
    /// When it was about to be sent.
    pub invoked: u64,
    /// When the client knew of its end; for an unknown outcome, when the client gave up.
    pub returned: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// What was asked.
    pub call: Call,
    /// What was answered.
    pub answer: Option<Answer>,
    /// Why it failed.
    pub error: Option<String>,
}

/// Every phase of every fault, with its time.
pub type Faults = Vec<(u64, FaultNote)>;

/// Joins the events of a history, in the order of invocation. What never completed is unknown.
pub fn pair(events: impl IntoIterator<Item = Event>) -> Result<(Vec<Operation>, Faults)> {
    let mut operations: Vec<Operation> = Vec::new();
    let mut open: HashMap<u64, usize> = HashMap::new();
    let mut faults = Vec::new();
    for event in events {
        match event.kind {
            Kind::Fault => faults.extend(event.fault.map(|note| (event.at, note))),
            Kind::Invoke => {
                let call = event
                    .call
                    .ok_or(Error::HistoryTorn { op: event.op, fault: "was invoked without a call" })?;
                if open.insert(event.op, operations.len()).is_some() {
                    return Err(Error::HistoryTorn { op: event.op, fault: "was invoked twice" });
                }
                operations.push(Operation {
                    op: event.op,
                    process: event.process,
                    invoked: event.at,
                    returned: None,
                    outcome: Outcome::Unknown,
                    call,
                    answer: None,
                    error: None,
                });
            }
            Kind::Ok | Kind::Fail | Kind::Info => {
                let at = open
                    .remove(&event.op)
                    .ok_or(Error::HistoryTorn { op: event.op, fault: "completed without being open" })?;
                let operation = &mut operations[at];
                operation.returned = Some(event.at);
                operation.answer = event.answer;
                operation.error = event.error;
                operation.outcome = match event.kind {
                    Kind::Ok => Outcome::Ok,
                    Kind::Fail => Outcome::Fail,
                    Kind::Info | Kind::Invoke | Kind::Fault => Outcome::Unknown,
                };
            }
        }
    }
    Ok((operations, faults))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: u64, op: u64, kind: Kind) -> Event {
        let call = (kind == Kind::Invoke).then_some(Call::Send { queue: 0, value: op });
        Event { at, process: 0, op, kind, call, answer: None, error: None, fault: None }
    }

    #[test]
    fn what_never_completes_is_unknown() {
        let (operations, _) =
            pair([event(1, 1, Kind::Invoke), event(2, 2, Kind::Invoke), event(3, 1, Kind::Ok)]).unwrap();
        assert_eq!(operations[0].outcome, Outcome::Ok);
        assert_eq!(operations[0].returned, Some(3));
        assert_eq!(operations[1].outcome, Outcome::Unknown);
        assert_eq!(operations[1].returned, None);
    }

    #[test]
    fn a_history_that_contradicts_itself_is_refused() {
        assert!(pair([event(1, 1, Kind::Ok)]).is_err());
        assert!(pair([event(1, 1, Kind::Invoke), event(2, 1, Kind::Invoke)]).is_err());
        assert!(pair([event(1, 1, Kind::Invoke), event(2, 1, Kind::Ok), event(3, 1, Kind::Fail)]).is_err());
    }
}
