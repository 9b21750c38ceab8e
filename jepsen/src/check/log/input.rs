//! What the log checker reads.

use serde::{Deserialize, Serialize};

use crate::history::{Answer, Call, Operation, Outcome, Placed};

/// One send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Unique in the run.
    pub value: u64,
    /// The queue that was asked for.
    pub queue: u32,
    /// When it began.
    pub invoked: u64,
    /// When it was acknowledged or refused; `None` if nobody knows.
    pub returned: Option<u64>,
    /// Where it stands, if acknowledged.
    pub placed: Option<Placed>,
    /// It was definitely refused.
    pub refused: bool,
}

/// One successful read of messages or of the end of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who read: what one reader was handed must not be gone for it later.
    pub session: u64,
    /// The queue.
    pub queue: u32,
    /// When it began.
    pub invoked: u64,
    /// When the answer was there.
    pub returned: u64,
    /// Offset and value of each message.
    pub items: Vec<(u64, u64)>,
    /// One past the last offset, as the server said.
    pub end: u64,
    /// The end is promised to be the newest (a tail question), not just true at some time.
    pub exact: bool,
}

/// What one source holds of one queue when all is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Who was read: `consumer`, or a replica's files.
    pub source: String,
    /// Dense number of the queue.
    pub queue: u32,
    /// First offset that is kept.
    pub first: u64,
    /// The values from there on; `None` is an offset without a message.
    pub values: Vec<Option<u64>>,
}

/// A whole run, as the log checker sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogHistory {
    /// All sends.
    pub sent: Vec<Sent>,
    /// All successful reads.
    pub seen: Vec<Seen>,
    /// All final drains.
    pub drains: Vec<Drain>,
}

/// What the mode promises beyond the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogRules {
    /// Old messages may be gone.
    pub retention: bool,
    /// Tail questions are linearizable.
    pub exact_tails: bool,
}

impl LogHistory {
    /// Picks the sends and reads out of a run.
    pub fn from_operations(operations: &[Operation], drains: Vec<Drain>) -> Self {
        let mut history = Self { drains, ..Self::default() };
        for operation in operations {
            match &operation.call {
                Call::Send { queue, value } => history.sent.push(sent(operation, *queue, *value)),
                Call::Pull { queue, .. } => {
                    if let Some(Answer::Batch { items, end, .. }) = &operation.answer {
                        history.seen.extend(seen(operation, *queue, items.clone(), *end, false));
                    }
                }
                Call::Tail { queue, .. } => {
                    if let Some(Answer::End(end)) = operation.answer {
                        history.seen.extend(seen(operation, *queue, Vec::new(), end, true));
                    }
                }
                Call::SendDelayed { .. }
                | Call::SendOrdered { .. }
                | Call::Write { .. }
                | Call::Read { .. }
                | Call::Standing { .. }
                | Call::LogEnd { .. }
                | Call::Consume { .. } => {}
            }
        }
        history
    }
}

fn sent(operation: &Operation, queue: u32, value: u64) -> Sent {
    let placed = match operation.answer {
        Some(Answer::Placed(placed)) if operation.outcome == Outcome::Ok => Some(placed),
        _ => None,
    };
    let known = operation.outcome != Outcome::Unknown;
    Sent {
        value,
        queue,
        invoked: operation.invoked,
        returned: operation.returned.filter(|_| known),
        placed,
        refused: operation.outcome == Outcome::Fail,
    }
}

fn seen(operation: &Operation, queue: u32, items: Vec<(u64, u64)>, end: u64, exact: bool) -> Option<Seen> {
    Some(Seen {
        session: u64::from(operation.process),
        queue,
        invoked: operation.invoked,
        returned: operation.returned?,
        items,
        end,
        exact,
    })
}
