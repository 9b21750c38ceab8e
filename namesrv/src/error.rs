//! What can go wrong in a name server, and the one door to the wire's response codes.

use std::path::PathBuf;

use daemon::DaemonError;
use disk::DiskError;
use protocol::{BodyError, HeaderError, ResponseCode};
use remoting::RemotingError;

/// Why a name server does not start.
#[derive(Debug, thiserror::Error)]
pub enum NamesrvError {
    /// Configuration, logging, signals or the metrics endpoint.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// The port is taken, or the address is not ours.
    #[error(transparent)]
    Listen(#[from] RemotingError),
    /// The KV configuration cannot be read.
    #[error("kvConfigPath: {0}")]
    KvUnreadable(DiskError),
    /// The KV configuration cannot be written.
    #[error("kvConfigPath={} is not writable: {source}", path.display())]
    KvUnwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The thread for files or the runtime cannot be made.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such request, or not here.
    #[error(" request type {0} not supported")]
    CodeUnknown(i32),
    /// A header field is missing or wrong.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The body cannot be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body is not what was sent.
    #[error("crc32 not match")]
    BodyCrc,
    /// A first registration with a single topic.
    #[error("register broker failed")]
    SingleTopic,
    /// The table is full, or a name too long.
    #[error("register broker failed, a limit of this name server is reached")]
    TooMuch,
    /// The name server waits for brokers to register.
    #[error("name server not ready")]
    NotReady,
    /// Nobody holds the topic.
    #[error(
        "No topic route info in name server for the topic: {topic}\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."
    )]
    TopicUnknown {
        /// The topic.
        topic: String,
    },
    /// Topic lists are switched off.
    #[error("disable")]
    ListDisabled,
    /// No such key.
    #[error("No config item, Namespace: {namespace} Key: {key}")]
    KeyUnknown {
        /// The namespace.
        namespace: String,
        /// The key.
        key: String,
    },
    /// No such namespace.
    #[error("No config item, Namespace: {namespace}")]
    NamespaceUnknown {
        /// The namespace.
        namespace: String,
    },
    /// The KV configuration is full.
    #[error("the KV configuration is full")]
    KvFull,
    /// A key that may not be changed.
    #[error("Can not update config in black list.")]
    ConfigForbidden,
    /// Wrong values for the configuration.
    #[error(transparent)]
    ConfigWrong(#[from] DaemonError),
    /// Too many changes wait for the disk.
    #[error("too many changes wait for the disk")]
    FilesBusy,
    /// A change could not be kept, and was not made.
    #[error(transparent)]
    NotKept(#[from] DiskError),
}

impl From<&Refusal> for ResponseCode {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::CodeUnknown(_) => Self::RequestCodeNotSupported,
            Refusal::TopicUnknown { .. } => Self::TopicNotExist,
            Refusal::KeyUnknown { .. } | Refusal::NamespaceUnknown { .. } => Self::QueryNotFound,
            Refusal::ConfigForbidden => Self::NoPermission,
            Refusal::FilesBusy => Self::SystemBusy,
            Refusal::Header(_)
            | Refusal::Body(_)
            | Refusal::BodyCrc
            | Refusal::SingleTopic
            | Refusal::TooMuch
            | Refusal::NotReady
            | Refusal::ListDisabled
            | Refusal::KvFull
            | Refusal::ConfigWrong(_)
            | Refusal::NotKept(_) => Self::SystemError,
        }
    }
}
