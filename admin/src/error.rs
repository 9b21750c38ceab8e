//! What can go wrong between mqadmin and the servers. Commands add words of their own with `anyhow`.

use protocol::{BodyError, HeaderError, MessageError, RemotingCommand, ResponseCode};
use remoting::RemotingError;

/// An error of this room.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No name server is given, neither with `-n` nor in the environment.
    #[error("no name server is given: use -n, or set NAMESRV_ADDR")]
    NoNameServer,
    /// The network failed.
    #[error(transparent)]
    Remoting(#[from] RemotingError),
    /// The peer answered with a code that is no success.
    #[error("{peer} answered {code} {name}: {remark}", name = name_of(*code))]
    Refused {
        /// Who answered.
        peer: String,
        /// The response code.
        code: i32,
        /// Its text, on one line.
        remark: String,
    },
    /// The answer's body cannot be read.
    #[error("the answer of {peer} cannot be read: {source}")]
    Body {
        /// Who answered.
        peer: String,
        /// What is wrong with it.
        source: BodyError,
    },
    /// The answer's header cannot be read.
    #[error("the answer of {peer} cannot be read: {source}")]
    Header {
        /// Who answered.
        peer: String,
        /// What is wrong with it.
        source: HeaderError,
    },
    /// A message or an id cannot be read.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The name server knows no such cluster.
    #[error("cluster {cluster} is unknown to the name server; known: {known}")]
    ClusterUnknown {
        /// The name that was asked for.
        cluster: String,
        /// Those that exist.
        known: String,
    },
    /// No broker has the group's retry topic.
    #[error("group {group} is unknown: it has never been online, and has no topic {retry_topic}")]
    GroupUnknown {
        /// The group's name.
        group: String,
        /// The topic that its first member would have made.
        retry_topic: String,
    },
    /// No route leads to the broker.
    #[error("no address of broker {broker} is known")]
    BrokerUnknown {
        /// The broker's name.
        broker: String,
    },
}

impl AdminError {
    /// A refusal; what was said over several lines comes to one.
    pub(crate) fn refused(peer: &str, answer: RemotingCommand) -> Self {
        let remark = answer.remark.unwrap_or_default();
        let remark = remark.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        Self::Refused { peer: peer.to_owned(), code: answer.code, remark }
    }

    /// Whether the peer refused with this code.
    pub fn is(&self, expected: ResponseCode) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == expected.number())
    }
}

fn name_of(code: i32) -> &'static str {
    ResponseCode::try_from(code).map_or("", ResponseCode::name)
}
