//! Settings of a client, a producer, a consumer. Every default names where it comes from.

use std::path::PathBuf;
use std::time::Duration;

use protocol::body::{ConsumeFromWhere, MessageModel};

/// Settings of a [`crate::Client`]. Sources: RocketMQ 5.3.3 `ClientConfig`, unless said otherwise.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Addresses (`host:port`) of the name servers.
    pub name_servers: Vec<String>,
    /// Our id towards brokers. Empty: `ip@pid#n`, another one for each client of the process.
    pub client_id: String,
    /// How often routes in use are asked anew: `pollNameServerInterval`.
    pub route_poll: Duration,
    /// How often brokers hear of us: `heartbeatBrokerInterval`.
    pub heartbeat: Duration,
    /// Time for one answer of a name server, and for administration: `mqClientApiTimeout`.
    pub call_timeout: Duration,
    /// Time to connect. Shorter than Java's 3 s, so that a dead host leaves time for another within one send.
    pub connect_timeout: Duration,
    /// Routes kept at most; those not used longest go first.
    pub routes_max: usize,
}

impl ClientConfig {
    /// Settings with these name servers, given as `host:port` and separated by `;`.
    pub fn new(name_servers: &str) -> Self {
        let name_servers = name_servers.split(';').map(str::trim).filter(|address| !address.is_empty());
        Self { name_servers: name_servers.map(str::to_owned).collect(), ..Self::default() }
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            name_servers: Vec::new(),
            client_id: String::new(),
            route_poll: Duration::from_secs(30),
            heartbeat: Duration::from_secs(30),
            call_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(1),
            routes_max: 10_000,
        }
    }
}

/// Settings of a producer. Sources: RocketMQ 5.3.3 `DefaultMQProducer`.
#[derive(Debug, Clone)]
pub struct ProducerConfig {
    /// The producer group.
    pub group: String,
    /// Time for one send with all its attempts: `sendMsgTimeout`.
    pub send_timeout: Duration,
    /// Attempts after the first that may do a send twice: `retryTimesWhenSendFailed`. Attempts that certainly did
    /// nothing (refused connections, a broker without leader) are repeated as long as time is left.
    pub retries: u32,
    /// Bodies from this size on are compressed: `compressMsgBodyOverHowmuch`.
    pub compress_bytes_min: usize,
    /// Larger bodies are refused here: `maxMessageSize`.
    pub message_bytes_max: usize,
    /// Queues of a topic that a send creates: `defaultTopicQueueNums`.
    pub default_topic_queue_nums: i32,
    /// Sends by callback that may be under way: `backPressureForAsyncSendNum`.
    pub sends_max: usize,
}

impl ProducerConfig {
    /// The defaults for this group.
    pub fn new(group: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            send_timeout: Duration::from_secs(3),
            retries: 2,
            compress_bytes_min: 4096,
            message_bytes_max: 4 << 20,
            default_topic_queue_nums: 4,
            sends_max: 10_000,
        }
    }
}

/// Settings of a consumer. Sources: RocketMQ 5.3.3 `DefaultMQPushConsumer`, `DefaultLitePullConsumer`.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// The consumer group.
    pub group: String,
    /// Topics with their tag expressions.
    pub subscriptions: Vec<(String, String)>,
    /// Whether the members share the messages or each gets all.
    pub model: MessageModel,
    /// Where a new group begins.
    pub from_where: ConsumeFromWhere,
    /// For `ConsumeFromTimestamp`: milliseconds since 1970.
    pub from_timestamp: i64,
    /// Messages that the listener is given at once: `consumeMessageBatchMaxSize`.
    pub consume_batch_max: usize,
    /// Calls of the listener at the same time: `consumeThreadMin`.
    pub concurrency: usize,
    /// How long a listener may take before its messages are given back: `consumeTimeout`, 15 min.
    pub consume_timeout: Duration,
    /// Messages asked for by one pull: `pullBatchSize`.
    pub pull_batch: i32,
    /// How long the broker may hold a pull: `brokerSuspendMaxTimeMillis`.
    pub hold_max: Duration,
    /// Time for one pull, holding included: `consumerTimeoutMillisWhenSuspend`.
    pub pull_timeout: Duration,
    /// Pause after a pull failed: `pullTimeDelayMillsWhenException`.
    pub pull_pause: Duration,
    /// Messages of one queue in memory: `pullThresholdForQueue`.
    pub cached_messages_max: usize,
    /// Bytes of one queue in memory: `pullThresholdSizeForQueue`, 100 MiB.
    pub cached_bytes_max: usize,
    /// Distance between the first and the last message in memory of one queue: `consumeConcurrentlyMaxSpan`.
    pub cached_span_max: u64,
    /// How often offsets go to the broker or the file: `persistConsumerOffsetInterval`.
    pub persist: Duration,
    /// How often queues are shared out anew without a cause. Source: `RebalanceService`, 20 s.
    pub rebalance: Duration,
    /// Failures after which a message goes to the dead letters; −1: the broker's (16), for orderly ones never.
    pub reconsume_times_max: i32,
    /// Pause before an orderly queue goes on after a failure: `suspendCurrentQueueTimeMillis`.
    pub suspend: Duration,
    /// Directory of the offset files of broadcasting consumers. Java's is `~/.rocketmq_offsets`.
    pub offset_directory: PathBuf,
    /// Whether offsets of a pull consumer are committed as messages are polled: `autoCommit`.
    pub auto_commit: bool,
}

impl ConsumerConfig {
    /// The defaults for this group, without subscriptions.
    pub fn new(group: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            subscriptions: Vec::new(),
            model: MessageModel::Clustering,
            from_where: ConsumeFromWhere::ConsumeFromLastOffset,
            from_timestamp: 0,
            consume_batch_max: 1,
            concurrency: 20,
            consume_timeout: Duration::from_secs(15 * 60),
            pull_batch: 32,
            hold_max: Duration::from_secs(15),
            pull_timeout: Duration::from_secs(30),
            pull_pause: Duration::from_secs(1),
            cached_messages_max: 1000,
            cached_bytes_max: 100 << 20,
            cached_span_max: 2000,
            persist: Duration::from_secs(5),
            rebalance: Duration::from_secs(20),
            reconsume_times_max: -1,
            suspend: Duration::from_secs(1),
            offset_directory: PathBuf::from(".rocketmq_offsets"),
            auto_commit: true,
        }
    }

    /// With one more topic; `expression` is `*` or `TagA || TagB`.
    #[must_use]
    pub fn subscribe(mut self, topic: impl Into<String>, expression: impl Into<String>) -> Self {
        self.subscriptions.push((topic.into(), expression.into()));
        self
    }
}
