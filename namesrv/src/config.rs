//! What a name server can be told: RocketMQ's keys of `NamesrvConfig` and `NettyServerConfig` that
//! have a meaning here, and three of our own.
//!
//! Always true: a key that RocketMQ knows is never called unknown. Called by the command line and
//! by UPDATE_NAMESRV_CONFIG; `mqlocal` and tests build one directly.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use daemon::config::{effective, home};
use daemon::{Binding, Bound, DaemonError, Millis, Properties, Seconds, Section};

use crate::route_table::RouteRules;

daemon::setting_words! {
    /// Where figures are shown.
    pub enum MetricsExporter {
        /// Nowhere.
        Disable = "DISABLE",
        /// At `/metrics`, as Prometheus reads it.
        Prom = "PROM",
    }
}

daemon::settings! {
    /// The routes: what is answered, where the little that is kept is kept.
    pub struct NamesrvConfig {
        /// File of the KV configuration (order topics and what tools put there).
        kv_config_path: String = home() + "/namesrv/kvConfig.json", "kvConfigPath", important;
        /// File that UPDATE_NAMESRV_CONFIG writes to; with `-c` it is that file.
        config_store_path: String = home() + "/namesrv/namesrv.properties", "configStorePath", important;
        /// Whether routes carry the order configuration of their topic (namespace ORDER_TOPIC_CONFIG).
        order_message_enable: bool = false, "orderMessageEnable", live;
        /// Whether a registering broker is sent the order configuration of all topics.
        return_order_topic_config_to_broker: bool = true, "returnOrderTopicConfigToBroker", live;
        /// How often silent brokers are looked for, in milliseconds.
        scan_not_active_broker_interval: Millis = Millis(5000), "scanNotActiveBrokerInterval" in 1..=3_600_000;
        /// Where a master is missing, its smallest slave is shown as id 0, read-only. For brokers with
        /// enableSlaveActingMaster; Raft groups need no key.
        support_acting_master: bool = false, "supportActingMaster", live;
        /// Whether the list of all topics is answered.
        enable_all_topic_list: bool = true, "enableAllTopicList", live;
        /// Whether the other topic lists are answered.
        enable_topic_list: bool = true, "enableTopicList", live;
        /// Whether the members of a broker name are told when their smallest id changes.
        notify_min_broker_id_changed: bool = false, "notifyMinBrokerIdChanged", live;
        /// Whether routes are refused for a while after the start, until brokers had time to register.
        need_wait_for_service: bool = false, "needWaitForService";
        /// That while, in seconds.
        wait_seconds_for_service: Seconds = Seconds(45), "waitSecondsForService" in 0..=3600;
        /// Whether a full registration removes the topics that it no longer names.
        delete_topic_with_broker_registration: bool = false, "deleteTopicWithBrokerRegistration", live;
        /// Keys that UPDATE_NAMESRV_CONFIG refuses, separated by semicolons.
        config_black_list: String = String::from("configBlackList;configStorePath;kvConfigPath"), "configBlackList";
        /// Directory of the log file namesrv.log; empty: the log goes to stderr. Not a key of RocketMQ.
        log_directory: String = String::new(), "logDirectory";
        /// Where figures are shown. RocketMQ has this key for brokers.
        metrics_exporter_type: MetricsExporter = MetricsExporter::Disable, "metricsExporterType";
        /// Address of the figures; empty: every address of this machine.
        metrics_prom_exporter_host: String = String::new(), "metricsPromExporterHost";
        /// TCP port of the figures.
        metrics_prom_exporter_port: u16 = 5557, "metricsPromExporterPort";
    }
}

daemon::settings! {
    /// The sockets.
    pub struct NettyServerConfig {
        /// Address that is listened on.
        bind_address: String = String::from("0.0.0.0"), "bindAddress", important;
        /// TCP port that is listened on.
        listen_port: u16 = 9876, "listenPort" in 0..=65535, important;
        /// A connection on which nothing was read or written for so many seconds is closed.
        server_channel_max_idle_time_seconds: Seconds = Seconds(120), "serverChannelMaxIdleTimeSeconds" in 1..=86_400;
        /// Connections that are served at a time. Not a key of RocketMQ.
        server_connections_max: usize = 65_536, "serverConnectionsMax" in 1..=1_000_000;
    }
}

/// Keys that RocketMQ's name server knows and that have no meaning here: thread pools, Netty's
/// own buffers and selectors, the controller.
pub const INERT_KEYS: &[&str] = &[
    "rocketmqHome",
    "productEnvName",
    "clusterTest",
    "clientRequestThreadPoolNums",
    "defaultThreadPoolNums",
    "clientRequestThreadPoolQueueCapacity",
    "defaultThreadPoolQueueCapacity",
    "unRegisterBrokerQueueCapacity",
    "enableControllerInNamesrv",
    "controllerDLegerGroup",
    "controllerDLegerPeers",
    "controllerDLegerSelfId",
    "serverWorkerThreads",
    "serverCallbackExecutorThreads",
    "serverSelectorThreads",
    "serverOnewaySemaphoreValue",
    "serverAsyncSemaphoreValue",
    "serverSocketBacklog",
    "serverSocketSndBufSize",
    "serverSocketRcvBufSize",
    "writeBufferHighWaterMark",
    "writeBufferLowWaterMark",
    "serverPooledByteBufAllocatorEnable",
    "useEpollNativeSelector",
    "enableShutdownGracefully",
    "shutdownWaitTimeSeconds",
    "serverNettyWorkerGroupEnable",
];

/// The whole configuration of a name server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The routes.
    pub namesrv: NamesrvConfig,
    /// The sockets.
    pub netty: NettyServerConfig,
}

impl Config {
    /// Sets what the text says; all that is wrong is one error.
    pub fn update(&mut self, properties: &Properties) -> Result<Bound, DaemonError> {
        let binding =
            Binding::new(properties).bind(&mut self.namesrv).bind(&mut self.netty).inert(INERT_KEYS);
        let address = self.netty.bind_address.parse::<IpAddr>().is_ok();
        let host = &self.namesrv.metrics_prom_exporter_host;
        let path_text = |path: &str| !path.trim().is_empty();
        binding
            .check(address, "bindAddress", &self.netty.bind_address, "an IP address of this machine")
            .check(
                host.is_empty() || host.parse::<IpAddr>().is_ok(),
                "metricsPromExporterHost",
                host,
                "an IP address of this machine, or nothing",
            )
            .check(path_text(&self.namesrv.kv_config_path), "kvConfigPath", "", "the path of a file")
            .check(path_text(&self.namesrv.config_store_path), "configStorePath", "", "the path of a file")
            .finish()
    }

    /// All present values, or the important ones.
    pub fn effective(&self, important_only: bool) -> Properties {
        effective(&[&self.namesrv, &self.netty], important_only)
    }

    /// Whether a change of this key takes effect without a restart.
    pub fn is_live(&self, key: &str) -> bool {
        let keys = self.namesrv.keys().into_iter().chain(self.netty.keys());
        keys.into_iter().any(|known| known.name == key && known.is_live())
    }

    /// Where to listen. Port 0 lets the system choose.
    pub fn listen_address(&self) -> SocketAddr {
        let address = self.netty.bind_address.parse().unwrap_or_else(|_| IpAddr::from([0, 0, 0, 0]));
        SocketAddr::new(address, self.netty.listen_port)
    }

    /// Where figures are shown, if they are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        let address =
            self.namesrv.metrics_prom_exporter_host.parse().unwrap_or_else(|_| IpAddr::from([0, 0, 0, 0]));
        let shown = self.namesrv.metrics_exporter_type == MetricsExporter::Prom;
        shown.then(|| SocketAddr::new(address, self.namesrv.metrics_prom_exporter_port))
    }

    /// The file of the KV configuration.
    pub fn kv_config_path(&self) -> PathBuf {
        PathBuf::from(&self.namesrv.kv_config_path)
    }

    /// What concerns the route table.
    pub fn route_rules(&self) -> RouteRules {
        RouteRules {
            delete_missing_topics: self.namesrv.delete_topic_with_broker_registration,
            support_acting_master: self.namesrv.support_acting_master,
        }
    }

    /// Whether UPDATE_NAMESRV_CONFIG may not change this key.
    pub fn is_black_listed(&self, key: &str) -> bool {
        self.namesrv.config_black_list.split(';').any(|listed| listed.trim() == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Config, Bound), DaemonError> {
        let mut config = Config::default();
        let bound = config.update(&Properties::parse(text)?)?;
        Ok((config, bound))
    }

    #[test]
    fn rocketmqs_keys_have_rocketmqs_defaults() {
        let text = Config::default().effective(false).to_text();
        for line in [
            "bindAddress=0.0.0.0",
            "configBlackList=configBlackList;configStorePath;kvConfigPath",
            "deleteTopicWithBrokerRegistration=false",
            "enableAllTopicList=true",
            "enableTopicList=true",
            "listenPort=9876",
            "needWaitForService=false",
            "notifyMinBrokerIdChanged=false",
            "orderMessageEnable=false",
            "returnOrderTopicConfigToBroker=true",
            "scanNotActiveBrokerInterval=5000",
            "serverChannelMaxIdleTimeSeconds=120",
            "supportActingMaster=false",
            "waitSecondsForService=45",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("/namesrv/kvConfig.json\n"), "{text}");
    }

    #[test]
    fn what_is_printed_can_be_loaded() {
        let config = Config::default();
        assert_eq!(read(&config.effective(false).to_text()).unwrap().0, config);
    }

    #[test]
    fn shipped_samples_load_without_a_warning() {
        let samples = [
            "supportActingMaster=true",
            "listenPort=9876\nenableControllerInNamesrv=true\ncontrollerDLegerGroup=group1\n\
             controllerDLegerPeers=n0-127.0.0.1:9877;n1-127.0.0.1:9887;n2-127.0.0.1:9897\ncontrollerDLegerSelfId=n0",
        ];
        for sample in samples {
            assert_eq!(read(sample).unwrap().1.unknown, [""; 0], "{sample}");
        }
    }

    #[test]
    fn our_sample_loads_and_names_no_unknown_key() {
        let sample = include_str!("../../conf/namesrv.conf");
        let (config, bound) = read(sample).unwrap();
        assert_eq!((bound.unknown, bound.inert), (vec![], vec![]));
        assert_eq!(config.netty.listen_port, 9876);
        // A commented key is a promise too: every line `#key=default` must load and be the default.
        let commented = sample.lines().filter_map(|line| line.strip_prefix('#'));
        let commented: Vec<_> = commented.filter(|line| line.contains('=') && !line.contains(' ')).collect();
        let (all, bound) = read(&commented.join("\n")).unwrap();
        assert_eq!(bound.unknown, [""; 0]);
        let mut expected = Config::default();
        expected.namesrv.kv_config_path.clone_from(&all.namesrv.kv_config_path);
        expected.namesrv.config_store_path.clone_from(&all.namesrv.config_store_path);
        assert_eq!(all, expected);
        let keys = all.namesrv.keys().into_iter().chain(all.netty.keys());
        for key in keys {
            assert!(
                sample.contains(&format!("{}=", key.name)),
                "{} is not explained in the sample",
                key.name
            );
        }
    }

    #[test]
    fn all_that_is_wrong_is_one_line() {
        let error = read("listenPort=no\nbindAddress=here\nkvConfigPath=\nneedWaitForService=1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "4 wrong configuration values: \
             needWaitForService=1 (allowed: true or false); \
             listenPort=no (allowed: a whole number from 0 to 65535); \
             bindAddress=here (allowed: an IP address of this machine); \
             kvConfigPath= (allowed: the path of a file)"
        );
    }

    #[test]
    fn the_black_list_is_a_list() {
        let (config, _) = read("configBlackList=a; b ;listenPort").unwrap();
        assert!(config.is_black_listed("b") && config.is_black_listed("listenPort"));
        assert!(!config.is_black_listed("kvConfigPath"));
    }
}
