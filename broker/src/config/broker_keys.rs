//! The keys that say who the broker is and how it treats clients. Source of names and defaults: RocketMQ 5.3.3
//! `BrokerConfig`, `NettyServerConfig`.

use daemon::{Millis, Seconds};

daemon::settings! {
    /// Identity, network, topics and groups, consumption, protection.
    pub struct BrokerKeys {
        /// Cluster that the broker belongs to.
        cluster_name: String = String::from("DefaultCluster"), "brokerClusterName", important;
        /// Name that master and slaves of one broker share; empty means the host's name.
        broker_name: String = String::new(), "brokerName", important;
        /// 0 is the master; slaves have a positive id.
        broker_id: i64 = 0, "brokerId" in -1..=i64::MAX, important;
        /// Address or host name that clients are told; messages carry its address as store host. Empty means the address of
        /// the default route.
        broker_ip1: String = String::new(), "brokerIP1", important;
        /// Address or host name that slaves are told; empty means the same as brokerIP1.
        broker_ip2: String = String::new(), "brokerIP2";
        /// Address that the ports are bound to.
        bind_address: String = String::from("0.0.0.0"), "bindAddress";
        /// TCP port for clients; the fast port is two below it. 0 takes a free one.
        listen_port: u16 = 10911, "listenPort", important;
        /// Whether the fast port (listenPort - 2) must be served. By default it is served when it is free.
        fast_port_required: bool = false, "fastPortRequired";
        /// Name servers, separated by semicolons.
        namesrv_addr: String = String::new(), "namesrvAddr", important;
        /// What the broker as a whole permits: 4 read, 2 write.
        broker_permission: i32 = 6, "brokerPermission" in 0..=7, live;
        /// Region that messages and send answers name.
        region_id: String = String::from("DefaultRegion"), "regionId", live;
        /// How often all topics are registered, in milliseconds.
        register_period: Millis = Millis(30_000), "registerNameServerPeriod" in 10_000..=60_000;
        /// How long one name server may take to answer a registration, in milliseconds.
        register_timeout: Millis = Millis(24_000), "registerBrokerTimeoutMills" in 100..=60_000, live;
        /// A client that sends no heartbeat for so long is forgotten, in milliseconds.
        channel_expired_timeout: Millis = Millis(120_000), "channelExpiredTimeout" in 1_000..=3_600_000;
        /// Keys that the admin request for configuration may not change, separated by semicolons.
        config_black_list: String = String::from("configBlackList;brokerConfigPath"), "configBlackList";

        /// Queues of TBW102, the most that an automatically created topic gets.
        default_topic_queue_nums: u32 = 8, "defaultTopicQueueNums" in 1..=1024, live;
        /// Whether a send to an unknown topic may create it.
        auto_create_topic: bool = true, "autoCreateTopicEnable", important, live;
        /// Whether the topic named like the cluster gets sixteen queues.
        cluster_topic: bool = true, "clusterTopicEnable";
        /// Whether the topic named like the broker may be written and inherited from.
        broker_topic: bool = true, "brokerTopicEnable";
        /// Whether an unknown consumer group is created on first use.
        auto_create_group: bool = true, "autoCreateSubscriptionGroup", important, live;
        /// Whether admin requests may not touch system topics.
        validate_system_topic: bool = true, "validateSystemTopicWhenUpdateTopic", live;
        /// Whether the message trace topic is created.
        trace_topic: bool = false, "traceTopicEnable";
        /// Name of the message trace topic.
        trace_topic_name: String = String::from("RMQ_SYS_TRACE_TOPIC"), "msgTraceTopicName";
        /// Whether clients should trace their messages.
        trace_on: bool = true, "traceOn", live;
        /// Whether a changed consumer group tells its members.
        notify_consumer_ids: bool = true, "notifyConsumerIdsChangedEnable", live;
        /// Whether transactional messages are refused.
        reject_transaction: bool = false, "rejectTransactionMessage", live;
        /// Whether answers to requests between clients are stored too, in the reply topic of the cluster.
        store_replies: bool = true, "storeReplyMessageEnable", live;
        /// Most topics.
        topics_max: usize = 100_000, "topicsMax" in 100..=10_000_000;
        /// Most consumer groups, and most groups with registered clients.
        groups_max: usize = 100_000, "groupsMax" in 100..=10_000_000;

        /// Whether pulls that find nothing wait as long as the client asks.
        long_polling: bool = true, "longPollingEnable", live;
        /// How long they wait when long polling is off, in milliseconds.
        short_polling: Millis = Millis(1_000), "shortPollingTimeMills" in 1..=60_000, live;
        /// Most pulls that wait at the same time; beyond it they are answered at once.
        held_pulls_max: usize = 100_000, "heldPullsMax" in 1..=10_000_000;
        /// How often consumer offsets are written to their file, in milliseconds.
        flush_consumer_offset: Millis = Millis(5_000), "flushConsumerOffsetInterval" in 100..=600_000;
        /// Whether consumers that fall far behind are sent to a slave.
        slave_read: bool = false, "slaveReadEnable", live;
        /// Whether lite pull consumers are served.
        lite_pull: bool = true, "litePullMessageEnable", live;
        /// Whether an offset reset happens here instead of in the clients.
        server_side_reset: bool = true, "useServerSideResetOffset", live;
        /// Threads that read messages far from the tail, so that a slow disk holds up nobody else.
        cold_read_threads: usize = 2, "pullMessageThreadPoolNums" in 1..=256;
        /// Most pulls that wait for one of those threads; beyond it they are told to come back.
        cold_reads_max: usize = 10_000, "pullThreadPoolQueueCapacity" in 1..=1_000_000;

        /// No send is taken before this time, in milliseconds since 1970.
        accept_sends_after: i64 = 0, "startAcceptSendRequestTimeStamp", live;
        /// A client connection without traffic for so long is closed, in seconds.
        idle_max: Seconds = Seconds(120), "serverChannelMaxIdleTimeSeconds" in 1..=86_400;
        /// Most client connections.
        connections_max: usize = 20_000, "connectionsMax" in 1..=1_000_000;
        /// How long a graceful stop waits for requests that are being worked on, in seconds.
        shutdown_wait: Seconds = Seconds(30), "shutdownWaitTimeSeconds" in 0..=3_600;
        /// Directory of the log file; empty means that the log goes to stderr.
        log_directory: String = String::new(), "logDirectory";
        /// `PROM` serves figures for Prometheus.
        metrics_exporter: MetricsExporter = MetricsExporter::Disable, "metricsExporterType";
        /// Port of those figures.
        metrics_port: u16 = 5557, "metricsPromExporterPort";
        /// Address of those figures; empty means all.
        metrics_host: String = String::new(), "metricsPromExporterHost";
    }
}

daemon::setting_words! {
    /// How figures leave the process.
    pub enum MetricsExporter {
        /// Not at all.
        Disable = "DISABLE",
        /// As a page that Prometheus reads.
        Prom = "PROM",
    }
}
