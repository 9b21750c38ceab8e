//! One line of a history. Times are microseconds since the run began, taken from one monotonic
//! clock, so that "returned before" means before.

use serde::{Deserialize, Serialize};

/// What an event is about its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The client is about to send the request.
    Invoke,
    /// The server said that it did it.
    Ok,
    /// It certainly did not happen and never will.
    Fail,
    /// Nobody knows: it may have happened, or may yet happen.
    Info,
    /// Not a client's doing: a fault began, was skipped, or ended.
    Fault,
}

/// What is being written or read, for registers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(pub String);

impl Key {
    /// A consumer group's offset in a queue.
    pub fn offset(group: &str, queue: u32) -> Self {
        Self(format!("offset of {group} in queue {queue}"))
    }

    /// A topic's number of queues.
    pub fn queues(topic: &str) -> Self {
        Self(format!("queues of {topic}"))
    }

    /// Whether it names a topic's configuration, which every mode keeps once it was acknowledged.
    pub fn is_topic(&self) -> bool {
        self.0.starts_with("queues of ")
    }
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Append a value to a queue.
    Send {
        /// Dense number of the queue in the run.
        queue: u32,
        /// Unique in the run.
        value: u64,
    },
    /// Append a value that may be delivered only after a delay.
    SendDelayed {
        /// Unique in the run.
        value: u64,
        /// How long it must stay hidden.
        delay_ms: u64,
    },
    /// Append a value that belongs to an ordered stream.
    SendOrdered {
        /// The stream; one writer, one queue.
        stream: u32,
        /// Unique in the run, growing within the stream.
        value: u64,
    },
    /// Read messages from an offset.
    Pull {
        /// Dense number of the queue.
        queue: u32,
        /// First offset wanted.
        from: u64,
        /// Which replica was asked.
        node: u32,
    },
    /// Ask where a queue ends.
    Tail {
        /// Dense number of the queue.
        queue: u32,
        /// Which replica was asked.
        node: u32,
    },
    /// Write a register.
    Write {
        /// The register.
        key: Key,
        /// Unique among the writes of the key.
        value: u64,
    },
    /// Read a register.
    Read {
        /// The register.
        key: Key,
    },
    /// Ask a replica in which term it is and whether it leads.
    Standing {
        /// Which replica was asked.
        node: u32,
    },
    /// Read from a replica's files where its log ends.
    LogEnd {
        /// Whose files.
        node: u32,
    },
    /// A consumer was handed a message (invoke: handed over, ok: it returned success).
    Consume {
        /// Which consumer instance.
        consumer: u32,
        /// Dense number of the queue.
        queue: u32,
        /// Where the message stood.
        offset: u64,
        /// What it said.
        value: u64,
    },
}

/// Where an acknowledged message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Dense number of the queue the server names.
    pub queue: u32,
    /// Queue offset.
    pub offset: u64,
    /// Physical offset, from the message id.
    pub physical: u64,
}

/// What the server answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To a send.
    Placed(Placed),
    /// To a pull: offset and value of each message, and the end that the server claimed.
    Batch {
        /// The messages; a value that cannot be understood is [`Answer::GARBLED`].
        items: Vec<(u64, u64)>,
        /// One past the last offset, as the server sees it.
        end: u64,
        /// First offset that is still kept.
        min: u64,
    },
    /// To a tail question, or to a look into files.
    End(u64),
    /// To a register read; `None` is "never written".
    Value(Option<u64>),
    /// To a question about a replica's standing.
    Standing {
        /// The term that it is in.
        term: u64,
        /// Whether it says that it leads and serves.
        leads: bool,
    },
    /// To a write or a consumption.
    Done,
}

impl Answer {
    /// Stands for a body that nobody could have sent.
    pub const GARBLED: u64 = u64::MAX;
}

/// What became of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultPhase {
    /// It really happened.
    Installed,
    /// It could not be tried.
    Skipped,
    /// It was tried, and nobody can tell whether it took hold.
    Indeterminate,
    /// It is over.
    Healed,
}

/// A fault in the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultNote {
    /// Number of the fault in the plan; phases of one fault share it.
    pub id: u32,
    /// Name of the nemesis.
    pub nemesis: String,
    /// What became of it.
    pub phase: FaultPhase,
    /// The nodes it struck.
    pub nodes: Vec<u32>,
    /// What exactly was done, for people.
    pub what: String,
}

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Microseconds since the run began.
    pub at: u64,
    /// Which lane of the workload; faults have [`Event::NEMESIS`].
    pub process: u32,
    /// Number of the operation; its invocation and its completion share it.
    pub op: u64,
    /// Invocation, completion or fault.
    pub kind: Kind,
    /// On an invocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
    /// On an `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// On a `fail` or an `info`: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// On a fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultNote>,
}

impl Event {
    /// The process number of the fault injector.
    pub const NEMESIS: u32 = u32::MAX;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_and_comes_back_as_it_was() {
        let event = Event {
            at: 1,
            process: 2,
            op: 3,
            kind: Kind::Ok,
            call: None,
            answer: Some(Answer::Batch { items: vec![(7, 8)], end: 9, min: 0 }),
            error: None,
            fault: None,
        };
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(
            line,
            r#"{"at":1,"process":2,"op":3,"kind":"ok","answer":{"batch":{"items":[[7,8]],"end":9,"min":0}}}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }
}
