//! What can go wrong for an application that produces or consumes.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::{BodyError, HeaderError, MessageError, NameError, ResponseCode};
use remoting::RemotingError;

/// An error of this room.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// No name server is configured.
    #[error("no name server address is given")]
    NoNameServer,
    /// No name server answered.
    #[error("none of {tried} name servers answered: {last}")]
    NameServers {
        /// How many were asked.
        tried: usize,
        /// What the last one failed with.
        last: RemotingError,
    },
    /// The name servers know no broker that has the topic.
    #[error("no route to topic {topic}")]
    NoRoute {
        /// The topic.
        topic: String,
    },
    /// The topic has a route, but no queue in it can take the request now.
    #[error("topic {topic} has no {what} queue with a reachable master")]
    NoQueue {
        /// The topic.
        topic: String,
        /// `writable` or `readable`.
        what: &'static str,
    },
    /// The broker is in no route we know.
    #[error("no address of broker {broker} is known")]
    BrokerUnknown {
        /// The broker's name.
        broker: String,
    },
    /// The network failed.
    #[error(transparent)]
    Remoting(#[from] RemotingError),
    /// The broker answered with a code that is no success.
    #[error("{peer} answered {code}: {remark}", remark = remark.as_deref().unwrap_or("no remark"))]
    Refused {
        /// Who answered.
        peer: String,
        /// The response code.
        code: i32,
        /// Its text.
        remark: Option<String>,
    },
    /// The budget of time was used up.
    #[error("not sent within {budget:?} in {attempts} attempts; last: {last}")]
    BudgetSpent {
        /// The budget.
        budget: Duration,
        /// How often we tried.
        attempts: u32,
        /// The last failure.
        last: Arc<ClientError>,
    },
    /// A name that RocketMQ's rules refuse.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A message that cannot be sent as it is.
    #[error("message of {len} bytes, at most {max} are allowed")]
    MessageSize {
        /// Body length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// A batch that RocketMQ's rules refuse.
    #[error("batch refused: {reason}")]
    Batch {
        /// Which rule.
        reason: &'static str,
    },
    /// As many sends as allowed are under way.
    #[error("{limit} sends are under way already")]
    TooManySends {
        /// The limit.
        limit: usize,
    },
    /// A queue selector returned a position that does not exist.
    #[error("queue {chosen} was selected, there are {queues}")]
    Selected {
        /// The position returned.
        chosen: usize,
        /// How many there are.
        queues: usize,
    },
    /// What a broker sent cannot be read.
    #[error("answer of {peer} is malformed: {source}")]
    Header {
        /// Who answered.
        peer: String,
        /// What is wrong.
        source: HeaderError,
    },
    /// What a broker sent cannot be read.
    #[error("body from {peer} is malformed: {source}")]
    Body {
        /// Who answered.
        peer: String,
        /// What is wrong.
        source: BodyError,
    },
    /// A message cannot be encoded or decoded.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The file of local offsets cannot be read or written.
    #[error("offsets in {path}: {source}")]
    OffsetFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The file of local offsets is no JSON of ours.
    #[error("offsets in {path} are malformed: {source}")]
    OffsetFileBroken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: BodyError,
    },
    /// The queue is not assigned to this consumer.
    #[error("queue {queue_id} of {topic} at {broker} is not assigned to this consumer")]
    NotAssigned {
        /// The topic.
        topic: String,
        /// The broker's name.
        broker: String,
        /// The queue.
        queue_id: i32,
    },
    /// The client was stopped.
    #[error("the client is stopped")]
    Stopped,
}

impl ClientError {
    /// The broker's response code, if it answered with one.
    pub fn response_code(&self) -> Option<ResponseCode> {
        match self {
            Self::Refused { code, .. } => ResponseCode::try_from(*code).ok(),
            Self::BudgetSpent { last, .. } => last.response_code(),
            _ => None,
        }
    }
}
