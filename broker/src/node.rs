//! One broker as its processors see it: the rooms, by name. Holds no rules of its own beyond small look-ups that
//! many processors share.

use crate::arrivals::Arrivals;
use crate::clients::ClientRegistry;
use crate::clock::now_ms;
use crate::config::{Identity, LiveConfig};
use crate::delay_levels::DelayLevels;
use crate::error::BrokerError;
use crate::gate::Gate;
use crate::ha::Part;
use crate::journal::Journal;
use crate::message_log::MessageLog;
use crate::metadata::{Group, Metadata, MetadataCommand, Topic};
use crate::order_locks::OrderLocks;
use crate::registration::Rounds;
use crate::stats::{BrokerStats, DayTotals, StatItem, Throughput};
use crate::workers::Workers;
use disk::Disk;
use parking_lot::{Mutex, RwLock};
use protocol::body::{SubscriptionGroupConfig, TopicConfig};
use protocol::message_id::UniqueKey;
use remoting::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::Duration;
use store::MessageStore;

/// How long an answer waits for name servers to know a new topic; they know it at the latest 30 s later.
const REGISTERED_WITHIN: Duration = Duration::from_millis(1_500);

/// The figures of the broker as a whole, kept at hand for the hot paths.
#[derive(Debug)]
pub struct BrokerCounters {
    /// BROKER_PUT_NUMS.
    pub put: Arc<StatItem>,
    /// BROKER_GET_NUMS.
    pub got: Arc<StatItem>,
}

/// The rooms of one broker.
#[derive(Debug)]
pub struct Node {
    /// The configuration as it is now.
    pub config: Arc<LiveConfig>,
    /// The file it came from; admin requests write their changes there.
    pub config_file: Option<PathBuf>,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Names and addresses.
    pub identity: Identity,
    /// Topics, groups, offsets.
    pub metadata: Arc<Metadata>,
    /// The door through which they change.
    pub journal: Journal,
    /// The Raft group that this broker is a replica of.
    pub group: Option<Arc<crate::replication::Group>>,
    /// The part in classic replication.
    pub part: Arc<Part>,
    /// Where messages go.
    pub log: Arc<dyn MessageLog>,
    /// Where messages are read.
    pub store: Arc<MessageStore>,
    /// Who is connected.
    pub clients: RwLock<ClientRegistry<Arc<Connection>>>,
    /// Pulls that wait, and what wakes them.
    pub arrivals: Arc<Arrivals>,
    /// Locks of orderly consumers.
    pub locks: Mutex<OrderLocks>,
    /// Delay levels.
    pub delay_levels: DelayLevels,
    /// Statistics by name and key.
    pub stats: BrokerStats,
    /// Statistics of the whole broker.
    pub counters: BrokerCounters,
    /// Rates of the last minutes.
    pub throughput: Throughput,
    /// Totals by day.
    pub day_totals: Mutex<DayTotals>,
    /// Registration at the name servers.
    pub rounds: Arc<Rounds>,
    /// Reads that may wait for a disk.
    pub cold_reads: Workers,
    /// Requests that may wait for a disk, a name server or another client.
    pub errands: Workers,
    /// Whether the node serves.
    pub gate: Gate,
    /// When it started, in milliseconds since 1970.
    pub started_ms: i64,
    /// Messages this many bytes behind the end of the log are thought to be in memory.
    pub memory_span: u64,
    /// Counts the unique keys that it makes.
    pub unique_keys: AtomicU16,
}

impl Node {
    /// Whether this broker does what only one of its name may do: a slave does not, a replica does while it leads.
    pub fn leads(&self) -> bool {
        !self.is_slave() && self.group.as_ref().is_none_or(|group| group.standing.leads())
    }

    /// Whether this broker follows a master.
    pub fn is_slave(&self) -> bool {
        self.part.slave().is_some()
    }

    /// Lets a message pass, or says why none is taken: the node stops, or its master is another.
    pub fn check_writable(&self) -> Result<(), BrokerError> {
        self.gate.check()?;
        if self.is_slave() { Err(BrokerError::Slave) } else { Ok(()) }
    }

    /// Adds or changes topics, and returns when the name servers know them.
    pub fn put_topics(&self, configs: Vec<TopicConfig>) -> Result<(), BrokerError> {
        if configs.is_empty() {
            return Ok(());
        }
        self.journal.propose(&MetadataCommand::PutTopics { configs, stamp: self.journal.stamp() })?;
        self.register_and_wait();
        Ok(())
    }

    /// Adds those of these topics that are missing, and returns when the name servers know them.
    pub fn make_topics(&self, configs: Vec<TopicConfig>) -> Result<(), BrokerError> {
        if self.journal.make(MetadataCommand::PutTopics { configs, stamp: self.journal.stamp() })? {
            self.register_and_wait();
        }
        Ok(())
    }

    /// Adds those of these consumer groups that are missing.
    pub fn make_groups(&self, configs: Vec<SubscriptionGroupConfig>) -> Result<(), BrokerError> {
        self.journal.make(MetadataCommand::PutGroups { configs, stamp: self.journal.stamp() }).map(|_| ())
    }

    /// Registers at all name servers, and returns when those that answer have answered.
    pub fn register_and_wait(&self) {
        let ticket = self.rounds.ask();
        if !self.rounds.wait(ticket, REGISTERED_WITHIN) {
            tracing::debug!("a name server takes its time; going on");
        }
    }

    /// A topic for the broker's own purposes, made when it is missing.
    pub fn topic_or_make(
        &self,
        name: &str,
        queues: i32,
        perm: i32,
        sys_flag: i32,
    ) -> Result<Arc<Topic>, BrokerError> {
        if let Some(topic) = self.metadata.topic(name) {
            return Ok(topic);
        }
        let config = TopicConfig { topic_sys_flag: sys_flag, ..TopicConfig::new(name, queues, queues, perm) };
        self.make_topics(vec![config])?;
        let max = self.config.get().broker.topics_max;
        self.metadata.topic(name).ok_or(BrokerError::TableFull { what: "topics", max })
    }

    /// A consumer group, made when it is missing and may be made.
    pub fn group_or_make(&self, name: &str) -> Result<Arc<Group>, BrokerError> {
        if let Some(group) = self.metadata.group(name) {
            return Ok(group);
        }
        self.check_new_group(name)?;
        self.make_groups(vec![SubscriptionGroupConfig::new(name)])?;
        self.metadata.group(name).ok_or_else(|| self.groups_full())
    }

    /// Lets a new consumer group pass, or says why it may not be made by the way.
    pub fn check_new_group(&self, name: &str) -> Result<(), BrokerError> {
        let may_make = self.config.get().broker.auto_create_group;
        if !may_make && !name.starts_with(protocol::topic::SYSTEM_GROUP_PREFIX) {
            return Err(BrokerError::GroupUnknown { group: name.to_owned() });
        }
        Ok(protocol::topic::validate_group(name)?)
    }

    /// What is said when a group was put and is not there.
    pub fn groups_full(&self) -> BrokerError {
        BrokerError::TableFull { what: "consumer groups", max: self.config.get().broker.groups_max }
    }

    /// A unique key for a message whose producer made none.
    pub fn unique_key(&self) -> String {
        const MONTH_MS: i64 = 31 * 24 * 60 * 60 * 1000;
        let key = UniqueKey {
            ip: self.identity.address.ip(),
            pid: std::process::id() as u16,
            loader_hash: u32::from(self.identity.address.port()),
            month_millis: u32::try_from(now_ms().rem_euclid(MONTH_MS)).unwrap_or(0),
            counter: self.unique_keys.fetch_add(1, Relaxed),
        };
        key.text()
    }
}
