//! From a properties text to a configuration that can be started, or to one error with all that is wrong.

use super::identity::{is_host, parse_ip};
use super::inert::INERT_KEYS;
use super::{BrokerKeys, BrokerRole, Identity, RaftKeys, StoreKeys};
use crate::delay_levels::DelayLevels;
use daemon::{Binding, Bound, ByteCount, DaemonError, Properties, Section};
use std::net::ToSocketAddrs;
use std::path::PathBuf;

/// Everything that the configuration file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// Identity, network, clients.
    pub broker: BrokerKeys,
    /// Storage.
    pub store: StoreKeys,
    /// Raft mode.
    pub raft: RaftKeys,
}

impl Config {
    /// Reads a configuration; the second value names the keys that were not bound.
    pub fn parse(properties: &Properties) -> Result<(Self, Bound), DaemonError> {
        Self::default().with(properties)
    }

    /// This configuration with some keys changed.
    pub fn with(&self, changes: &Properties) -> Result<(Self, Bound), DaemonError> {
        let mut config = self.clone();
        let binding = Binding::new(changes)
            .bind(&mut config.broker)
            .bind(&mut config.store)
            .bind(&mut config.raft)
            .inert(INERT_KEYS);
        let bound = check(binding, &config).finish()?;
        Ok((config, bound))
    }

    /// All values in effect (`-p`), or the important ones (`-m`): what the file leaves open is filled in, as in RocketMQ.
    pub fn effective(&self, identity: &Identity, important_only: bool) -> Properties {
        daemon::config::effective(&self.filled(identity).sections(), important_only)
    }

    /// This configuration with nothing left open that others see as something.
    fn filled(&self, identity: &Identity) -> Self {
        let mut filled = self.clone();
        filled.broker.broker_name = identity.broker.to_string();
        filled.broker.broker_id = identity.broker_id;
        filled.broker.listen_port = identity.address.port();
        filled.broker.broker_ip1 = host_of(&identity.advertised);
        filled.broker.broker_ip2 = host_of(&identity.ha_advertised);
        filled.store.ha_listen_port = identity.ha_address.port();
        filled.store.commit_log_dir = self.commit_log_dir().display().to_string();
        filled.store.ha_fallbehind_max = ByteCount(self.store.gap_max());
        filled
    }

    /// Whether a change of this key takes effect without a restart.
    pub fn is_live(&self, key: &str) -> bool {
        self.sections()
            .iter()
            .flat_map(|section| section.keys())
            .any(|known| known.name == key && known.is_live())
    }

    /// Where the store lies.
    pub fn root_dir(&self) -> PathBuf {
        PathBuf::from(&self.store.root_dir)
    }

    /// Where the commit log lies.
    pub fn commit_log_dir(&self) -> PathBuf {
        match self.store.commit_log_dir.as_str() {
            "" => self.root_dir().join("commitlog"),
            configured => PathBuf::from(configured),
        }
    }

    /// The name servers, in the order of the file.
    pub fn name_servers(&self) -> Vec<String> {
        let words = self.broker.namesrv_addr.split(';').map(str::trim);
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// Whether the broker follows a master.
    pub fn is_slave(&self) -> bool {
        !self.raft.enabled && self.store.broker_role == BrokerRole::Slave
    }

    /// The delay levels.
    pub fn delay_levels(&self) -> DelayLevels {
        DelayLevels::parse(&self.store.delay_levels).unwrap_or_default()
    }

    fn sections(&self) -> [&dyn Section; 3] {
        [&self.broker, &self.store, &self.raft]
    }
}

/// The host of an address as others are told it; an IPv6 address loses its brackets.
fn host_of(advertised: &str) -> String {
    let host = advertised.rsplit_once(':').map_or(advertised, |(host, _)| host);
    host.trim_matches(['[', ']']).to_owned()
}

/// Holds the values against each other and against what their texts must say.
fn check<'a>(binding: Binding<'a>, config: &Config) -> Binding<'a> {
    let (broker, store) = (&config.broker, &config.store);
    let is_open_or_host = |text: &str| text.trim().is_empty() || is_host(text);
    let mut binding = binding
        .check(parse_ip(&broker.bind_address).is_some(), "bindAddress", &broker.bind_address, "an IP address")
        .check(
            is_open_or_host(&broker.broker_ip1),
            "brokerIP1",
            &broker.broker_ip1,
            "an IP address or a host name",
        )
        .check(
            is_open_or_host(&broker.broker_ip2),
            "brokerIP2",
            &broker.broker_ip2,
            "an IP address or a host name",
        )
        .check(!broker.cluster_name.trim().is_empty(), "brokerClusterName", "", "a name")
        .check(
            config.name_servers().iter().all(|address| is_host_and_port(address)),
            "namesrvAddr",
            &broker.namesrv_addr,
            "host:port;host:port",
        )
        .check(
            DelayLevels::parse(&store.delay_levels).is_ok(),
            "messageDelayLevel",
            &store.delay_levels,
            "durations such as 1s 5m 2h, shortest first",
        )
        .check(
            hours(&store.delete_when).is_some(),
            "deleteWhen",
            &store.delete_when,
            "hours from 00 to 23, separated by ;",
        )
        .check(
            !store.commit_log_dir.contains(','),
            "storePathCommitLog",
            &store.commit_log_dir,
            "one directory: several, separated by commas, are not served",
        )
        .check(
            store.consume_queue_segment.0.is_multiple_of(20),
            "mappedFileSizeConsumeQueue",
            store.consume_queue_segment.0,
            "a multiple of 20",
        )
        .check(!store.root_dir.trim().is_empty(), "storePathRootDir", "", "a directory")
        .check(
            !config.is_slave() || broker.broker_id > 0,
            "brokerId",
            broker.broker_id,
            "more than 0 for a SLAVE",
        )
        .check(
            store.ha_master_address.trim().is_empty() || is_host_and_port(store.ha_master_address.trim()),
            "haMasterAddress",
            &store.ha_master_address,
            "host:port",
        )
        .check(
            store.ha_heartbeat < store.ha_housekeeping,
            "haHousekeepingInterval",
            store.ha_housekeeping.duration().as_millis(),
            "more than haSendHeartbeatInterval",
        );
    for wrong in config.raft.wrong() {
        binding = binding.check(false, wrong.key, wrong.value, wrong.allowed);
    }
    binding
}

/// The hours of `deleteWhen`.
pub(crate) fn hours(text: &str) -> Option<Vec<u8>> {
    let words = text.split(';').map(str::trim).filter(|word| !word.is_empty());
    let hours: Option<Vec<u8>> = words.map(|word| word.parse().ok().filter(|hour| *hour < 24)).collect();
    hours.filter(|hours| !hours.is_empty())
}

fn is_host_and_port(address: &str) -> bool {
    match address.rsplit_once(':') {
        // Names are resolved when they are used; here only the form counts.
        Some((host, port)) => !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0),
        None => address.to_socket_addrs().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(Config, Bound), DaemonError> {
        Config::parse(&Properties::parse(text).expect("properties"))
    }

    #[test]
    fn the_shipped_broker_conf_of_rocketmq_is_understood() {
        let text = "brokerClusterName = DefaultCluster\nbrokerName = broker-a\nbrokerId = 0\ndeleteWhen = 04\n\
                    fileReservedTime = 48\nbrokerRole = ASYNC_MASTER\nflushDiskType = ASYNC_FLUSH\n";
        let (config, bound) = parse(text).expect("valid");
        assert_eq!(config.broker.broker_name, "broker-a");
        assert_eq!(config.store.file_reserved.0, 48);
        assert!(bound.unknown.is_empty());
    }

    #[test]
    fn a_dledger_file_is_understood() {
        let text = "brokerClusterName = RaftCluster\nbrokerName=RaftNode00\nlistenPort=30911\n\
                    namesrvAddr=127.0.0.1:9876\nstorePathRootDir=store/node00\n\
                    storePathCommitLog=store/node00/commitlog\nenableDLegerCommitLog=true\ndLegerGroup=RaftNode00\n\
                    dLegerPeers=n0-127.0.0.1:40911;n1-127.0.0.1:40912;n2-127.0.0.1:40913\ndLegerSelfId=n0\n\
                    sendMessageThreadPoolNums=16\n";
        let (config, bound) = parse(text).expect("valid");
        assert_eq!(config.raft.peer_list().expect("peers").len(), 3);
        assert_eq!(bound.inert, ["sendMessageThreadPoolNums"]);
        assert!(bound.unknown.is_empty());
    }

    #[test]
    fn all_wrong_values_end_in_one_error_and_unknown_keys_are_named() {
        let error = parse("listenPort=x\nbindAddress=here\ndeleteWhen=25\nbrokerRole=BOSS\nnamesrvAddr=a:b")
            .expect_err("wrong");
        let text = error.to_string();
        for key in ["listenPort=x", "bindAddress=here", "deleteWhen=25", "brokerRole=BOSS", "namesrvAddr=a:b"]
        {
            assert!(text.contains(key), "{key} in {text}");
        }
        let (_, bound) = parse("listenPort=1\nlistnPort=2").expect("valid");
        assert_eq!(bound.unknown, ["listnPort"]);
    }

    #[test]
    fn ratios_of_a_full_disk_may_have_any_order_as_in_rocketmq() {
        // Many a production file sets the first alone, above the second's default.
        let (config, _) = parse("diskMaxUsedSpaceRatio=88\nfileReservedTime=0").expect("valid");
        assert_eq!((config.store.disk_used_max, config.store.disk_clean_forcibly), (88, 85));
        let error = parse("storePathCommitLog=/a/commitlog,/b/commitlog").expect_err("several");
        assert!(error.to_string().contains("storePathCommitLog"), "{error}");
    }

    #[test]
    fn a_slave_needs_an_id_of_its_own() {
        assert!(parse("brokerRole=SLAVE").expect_err("wrong").to_string().contains("brokerId"));
        assert!(parse("brokerRole=SLAVE\nbrokerId=1").expect("valid").0.is_slave());
        assert!(parse("haHousekeepingInterval=5000\nhaMasterAddress=here").is_err());
    }

    #[test]
    fn no_key_is_both_bound_and_inert() {
        let config = Config::default();
        for section in config.sections() {
            for key in section.keys() {
                assert!(!INERT_KEYS.contains(&key.name), "{}", key.name);
            }
        }
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same_configuration() {
        let (config, _) = parse("brokerName=b\nlistenPort=1000\ndeleteWhen=04;16").expect("valid");
        let identity = config.identity();
        let (again, bound) = Config::parse(&config.effective(&identity, false)).expect("valid");
        assert_eq!(again, config.filled(&identity));
        assert_eq!(again.identity(), identity);
        assert!(bound.unknown.is_empty());
    }

    #[test]
    fn what_the_file_leaves_open_is_printed_as_it_will_be() {
        let (config, _) = parse("bindAddress=127.0.0.1\nlistenPort=1000\nbrokerId=7\nstorePathRootDir=/data")
            .expect("valid");
        let all = config.effective(&config.identity(), false);
        let name = super::super::identity::broker_name(&config.broker);
        for (key, value) in [
            ("brokerName", name.as_str()),
            ("brokerIP1", "127.0.0.1"),
            ("brokerIP2", "127.0.0.1"),
            // Whoever is no slave is the master, whatever its file says.
            ("brokerId", "0"),
            ("haListenPort", "1001"),
            ("storePathCommitLog", "/data/commitlog"),
            ("haSlaveFallbehindMax", "268435456"),
        ] {
            assert_eq!(all.get(key), Some(value), "{key}");
        }
        let important = config.effective(&config.identity(), true);
        assert_eq!(important.get("brokerIP1"), Some("127.0.0.1"));
        assert_eq!(important.get("haSlaveFallbehindMax"), None);
    }
}
