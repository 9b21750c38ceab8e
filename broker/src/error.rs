//! Everything that can go wrong in the broker, and the one door to the wire's response codes.

use daemon::DaemonError;
use disk::DiskError;
use protocol::{BodyError, HeaderError, MessageError, NameError, ResponseCode};
use remoting::RemotingError;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use store::StoreError;

/// Why a request was refused, or why the broker cannot start.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it, and the fields are the numbers in them")]
pub enum BrokerError {
    // what a request itself gets wrong; where RocketMQ 5.3.3 has words for it, the text begins with them: people and
    // tools look for those
    /// The code is not served; the text is RocketMQ's.
    #[error(" request type {0} not supported")]
    CodeUnsupported(i32),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("request body: {0}")]
    Body(#[from] BodyError),
    #[error("{0}")]
    Name(#[from] NameError),
    #[error("request parameter {name} is {value}: {allowed}")]
    Parameter { name: &'static str, value: String, allowed: &'static str },
    #[error("{0}")]
    Message(#[from] MessageError),

    // sends
    #[error("the broker is not writable for topic {topic}")]
    BrokerNotWritable { topic: String },
    #[error("Sending message to topic[{topic}] is forbidden.")]
    TopicNotSendable { topic: String },
    #[error("topic[{topic}] not exist, apply first please!")]
    TopicUnknown { topic: String },
    #[error("request queueId[{queue}] is illegal, topic:[{topic}] has {queues} queues")]
    QueueIllegal { topic: String, queue: i32, queues: u32 },
    #[error("message body has {bytes} bytes, at most {max} are allowed")]
    BodyTooLong { bytes: usize, max: u64 },
    #[error("message properties have {bytes} bytes, at most {max} are allowed")]
    PropertiesTooLong { bytes: usize, max: usize },
    #[error("a batch may not hold {what}")]
    BatchIllegal { what: &'static str },
    #[error("transactional messages are not served by this broker")]
    TransactionUnserved,
    #[error("the broker refuses transactional messages (rejectTransactionMessage)")]
    TransactionRejected,
    #[error("timer messages are not served by this broker; use a delay level")]
    TimerUnserved,
    #[error("the broker takes messages from {from_ms} on")]
    NotYetAccepting { from_ms: i64 },
    #[error("[OVERLOAD]system busy, start flow control for a while")]
    Busy,
    #[error("the broker is stopping")]
    Stopping,
    #[error("the broker is starting")]
    Opening,
    #[error("service not available now: messages are put to a slave")]
    Slave,
    #[error(transparent)]
    Store(#[from] StoreError),

    // pulls, groups, offsets
    #[error("the broker is not readable")]
    BrokerNotReadable,
    #[error("lite pull is switched off on this broker")]
    LitePullDisabled,
    #[error("subscription group [{group}] does not exist")]
    GroupUnknown { group: String },
    #[error("subscription group no permission, {group}")]
    ConsumeDisabled { group: String },
    #[error("the consumer group[{group}] can not consume by broadcast way")]
    BroadcastDisabled { group: String },
    #[error("the topic[{topic}] pulling message is forbidden")]
    TopicNotReadable { topic: String },
    #[error("topic {topic} is forbidden to consumer group {group}")]
    GroupForbidden { group: String, topic: String },
    #[error("parse the consumer's subscription failed: {expression:?}")]
    SubscriptionMalformed { expression: String },
    #[error("the consumer's group info not exist: {group} has no live member here")]
    SubscriptionUnknown { group: String },
    #[error("the consumer's subscription not exist: {group} does not subscribe to {topic}")]
    TopicUnsubscribed { group: String, topic: String },
    #[error("the consumer's subscription not latest: {group} and {topic}, {known} is older than {asked}")]
    SubscriptionOld { group: String, topic: String, known: i64, asked: i64 },
    #[error("the broker does not support consumer to filter message by {0}")]
    FilterUnserved(String),
    #[error("Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first")]
    OffsetUnknown,
    #[error("no consumer for this group, {group}")]
    GroupEmpty { group: String },
    #[error("the consumer group[{group}] not online")]
    ConsumerOffline { group: String },
    #[error("the producer group[{group}] not exist")]
    ProducerOffline { group: String },
    #[error("client {client} of group {group} is too old (version {version}) for this request")]
    ClientTooOld { client: String, group: String, version: i32 },
    #[error("client {client} did not answer: {source}")]
    ClientSilent { client: String, source: RemotingError },

    // answers of clients to each other, in RocketMQ's words
    #[error("push reply message fail, channel of <{client}> not found.")]
    ReplyClientOffline { client: String },
    #[error("reply message properties[REPLY_TO_CLIENT] is null")]
    ReplyToNobody,
    #[error("push reply message to {client}fail.")]
    ReplySilent { client: String },
    #[error("push reply message to {client} return fail, response code: {code}")]
    ReplyRefused { client: String, code: i32 },

    // admin and queries
    #[error("can not find message by the offset, {offset}")]
    MessageMissing { offset: i64 },
    #[error("no message is known by this key")]
    QueryEmpty,
    #[error("topic[{topic}] not exist")]
    AdminTopicUnknown { topic: String },
    #[error("{queue}@{topic} is not exist!")]
    ConsumeQueueUnknown { topic: String, queue: u32 },
    #[error("The topic[{topic}] is conflict with system topic.")]
    SystemTopic { topic: String },
    #[error("the statistics {name} of {key} are not there")]
    StatsUnknown { name: String, key: String },
    #[error("no permission to change the configuration key {key}")]
    ConfigKeyForbidden { key: String },
    #[error("the table is full: at most {max} {what}")]
    TableFull { what: &'static str, max: usize },

    // starting
    #[error(transparent)]
    Daemon(Arc<DaemonError>),
    #[error("{0}")]
    Disk(Arc<DiskError>),
    #[error("cannot make the directory {}: {source}", path.display())]
    ConfigDirectory { path: PathBuf, source: Arc<std::io::Error> },
    #[error("cannot listen on {address}: {source}")]
    Bind { address: SocketAddr, source: Arc<std::io::Error> },
    #[error(transparent)]
    Remoting(RemotingError),
    #[error("cannot start the threads of {what}: {source}")]
    Threads { what: &'static str, source: Arc<std::io::Error> },
    #[error("{mode} is not served by this release")]
    ModeUnserved { mode: &'static str },

    // Raft mode
    #[error("this replica does not lead its group; nothing was done")]
    NotLeader,
    #[error("the lead was lost while this was under way: it may have been done, or not")]
    OutcomeUnknown,
    #[error("the group refused: {0}")]
    Proposal(String),
    #[error("raft: {0}")]
    Raft(String),
}

impl From<DaemonError> for BrokerError {
    fn from(error: DaemonError) -> Self {
        Self::Daemon(Arc::new(error))
    }
}

/// Which code a client is told. Clients act on codes: 17, 14, 1, 16 make a producer try another broker, 2 does not.
impl From<&BrokerError> for ResponseCode {
    fn from(error: &BrokerError) -> Self {
        match error {
            BrokerError::CodeUnsupported(_) => Self::RequestCodeNotSupported,
            BrokerError::Name(_)
            | BrokerError::Parameter { .. }
            | BrokerError::QueueIllegal { .. }
            | BrokerError::SystemTopic { .. } => Self::InvalidParameter,
            BrokerError::Message(_)
            | BrokerError::BodyTooLong { .. }
            | BrokerError::PropertiesTooLong { .. }
            | BrokerError::BatchIllegal { .. } => Self::MessageIllegal,
            BrokerError::BrokerNotWritable { .. }
            | BrokerError::TopicNotSendable { .. }
            | BrokerError::TransactionUnserved
            | BrokerError::TransactionRejected
            | BrokerError::BrokerNotReadable
            | BrokerError::LitePullDisabled
            | BrokerError::ConsumeDisabled { .. }
            | BrokerError::BroadcastDisabled { .. }
            | BrokerError::TopicNotReadable { .. }
            | BrokerError::GroupForbidden { .. }
            | BrokerError::ConfigKeyForbidden { .. } => Self::NoPermission,
            BrokerError::TopicUnknown { .. } | BrokerError::AdminTopicUnknown { .. } => Self::TopicNotExist,
            BrokerError::Busy => Self::SystemBusy,
            BrokerError::Stopping | BrokerError::Opening | BrokerError::Slave | BrokerError::NotLeader => {
                Self::ServiceNotAvailable
            }
            BrokerError::Store(error) => store_code(error),
            BrokerError::GroupUnknown { .. } => Self::SubscriptionGroupNotExist,
            BrokerError::SubscriptionMalformed { .. } => Self::SubscriptionParseFailed,
            BrokerError::SubscriptionUnknown { .. } | BrokerError::TopicUnsubscribed { .. } => {
                Self::SubscriptionNotExist
            }
            BrokerError::SubscriptionOld { .. } => Self::SubscriptionNotLatest,
            BrokerError::OffsetUnknown | BrokerError::QueryEmpty => Self::QueryNotFound,
            BrokerError::ConsumerOffline { .. } => Self::ConsumerNotOnline,
            BrokerError::ClientSilent { .. } => Self::ConsumeMsgTimeout,
            BrokerError::Header(_)
            | BrokerError::Body(_)
            | BrokerError::TimerUnserved
            | BrokerError::NotYetAccepting { .. }
            | BrokerError::FilterUnserved(_)
            | BrokerError::GroupEmpty { .. }
            | BrokerError::ConsumeQueueUnknown { .. }
            | BrokerError::ProducerOffline { .. }
            | BrokerError::ReplyClientOffline { .. }
            | BrokerError::ReplyToNobody
            | BrokerError::ReplySilent { .. }
            | BrokerError::ReplyRefused { .. }
            | BrokerError::ClientTooOld { .. }
            | BrokerError::MessageMissing { .. }
            | BrokerError::StatsUnknown { .. }
            | BrokerError::TableFull { .. }
            | BrokerError::Daemon(_)
            | BrokerError::Disk(_)
            | BrokerError::ConfigDirectory { .. }
            | BrokerError::Bind { .. }
            | BrokerError::Remoting(_)
            | BrokerError::Threads { .. }
            | BrokerError::OutcomeUnknown
            | BrokerError::Proposal(_)
            | BrokerError::Raft(_)
            | BrokerError::ModeUnserved { .. } => Self::SystemError,
        }
    }
}

/// What a failed put or read means to a client: 14 is tried elsewhere, 1 says that nobody knows.
fn store_code(error: &StoreError) -> ResponseCode {
    match error {
        StoreError::Busy { .. } => ResponseCode::SystemBusy,
        StoreError::DiskFull { .. } | StoreError::ShuttingDown | StoreError::ForeignLog => {
            ResponseCode::ServiceNotAvailable
        }
        StoreError::TooLarge { .. } | StoreError::NotRecords { .. } | StoreError::PropertiesHole { .. } => {
            ResponseCode::MessageIllegal
        }
        StoreError::TopicName { .. } => ResponseCode::InvalidParameter,
        StoreError::QueueDeleted { .. } => ResponseCode::TopicNotExist,
        StoreError::Config(_)
        | StoreError::Disk(_)
        | StoreError::Failed
        | StoreError::Unconfirmed
        | StoreError::NotContiguous { .. }
        | StoreError::QueueDiverged { .. }
        | StoreError::RecordDamaged { .. }
        | StoreError::Thread { .. }
        | StoreError::QueueFile { .. } => ResponseCode::SystemError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_producer_may_try_elsewhere_has_a_code_that_makes_it_try() {
        let retried = [17, 14, 1, 16];
        for error in [
            BrokerError::TopicUnknown { topic: "T".to_owned() },
            BrokerError::Stopping,
            BrokerError::Slave,
            BrokerError::Store(StoreError::DiskFull { used_percent: 95 }),
            BrokerError::NotYetAccepting { from_ms: 1 },
        ] {
            assert!(retried.contains(&ResponseCode::from(&error).number()), "{error}");
        }
    }

    #[test]
    fn an_unknown_code_is_answered_with_rocketmqs_words() {
        let error = BrokerError::CodeUnsupported(4242);
        assert_eq!(error.to_string(), " request type 4242 not supported");
        assert_eq!(ResponseCode::from(&error), ResponseCode::RequestCodeNotSupported);
    }
}
