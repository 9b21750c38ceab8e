//! The route table: which broker holds which queues of which topic, and who is alive.
//!
//! Pure: time is an argument, answers are values, no socket, file or clock. Always true:
//! - a topic has at least one queue entry, and each entry's broker name was registered;
//! - a broker name has at least one address and belongs to the cluster that lists it;
//! - every address in the table has a live entry, and leaves with it;
//! - `generation` grows whenever an answer to a client can have changed.
//!
//! The deeds stand in `registration`, `removal`, `route` and `topics`. Called by the processor,
//! under one lock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use protocol::body::DataVersion;
use protocol::json::Value;
use protocol::perm;

/// The id of a master.
pub const MASTER_ID: i64 = 0;

/// A broker that is silent for so long is gone, unless its registration says otherwise.
/// Source: RocketMQ 5.3.3 `RouteInfoManager.DEFAULT_BROKER_CHANNEL_EXPIRED_TIME`.
pub const SILENCE_MAX: Duration = Duration::from_secs(120);

/// Addresses that may be registered at a time.
pub const ADDRESSES_MAX: usize = 10_000;

/// Queue entries (a topic on a broker name) of the whole table. At about 150 bytes each they
/// stay below 150 MiB.
pub const QUEUE_ENTRIES_MAX: usize = 1_000_000;

/// Longest name or address that is taken into the table.
pub const NAME_BYTES_MAX: usize = 512;

/// Longest description of a static topic, as JSON.
pub const MAPPING_BYTES_MAX: usize = 64 * 1024;

/// What the configuration says about routes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteRules {
    /// A full registration removes the topics that it no longer names.
    pub delete_missing_topics: bool,
    /// Where a master is missing, the smallest slave is shown as id 0, without write permission.
    pub support_acting_master: bool,
}

/// One broker process: its cluster and its address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BrokerAddress {
    /// Name of the cluster.
    pub cluster: String,
    /// `ip:port` that clients use.
    pub address: String,
}

/// Queues of one topic on one broker name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues {
    /// Queues to read from.
    pub read_nums: i32,
    /// Queues to write to.
    pub write_nums: i32,
    /// Permission bits.
    pub perm: i32,
    /// Unit bits.
    pub sys_flag: i32,
}

impl Queues {
    pub(crate) fn without_write(self) -> Self {
        Self { perm: self.perm & !perm::WRITE, ..self }
    }
}

/// A topic on all the brokers that hold it.
#[derive(Debug, Default)]
pub(crate) struct Topic {
    /// By broker name.
    pub(crate) queues: BTreeMap<String, Queues>,
    /// Static topics: by broker name, passed on as they came.
    pub(crate) mappings: BTreeMap<String, Value>,
}

/// A broker name and the processes behind it.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) cluster: String,
    /// Id to address.
    pub(crate) addresses: BTreeMap<i64, String>,
    pub(crate) zone: Option<String>,
    pub(crate) enable_acting_master: bool,
    /// The processes form a Raft group: id 0 never stays empty, and is fenced by term.
    pub(crate) raft_group: bool,
    /// Highest state version (in a Raft group: term) that was registered as id 0.
    pub(crate) fence: i64,
}

impl Broker {
    pub(crate) fn min_id(&self) -> Option<i64> {
        self.addresses.keys().next().copied()
    }

    pub(crate) fn has_master(&self) -> bool {
        self.addresses.contains_key(&MASTER_ID)
    }

    /// The addresses with the smallest id shown as id 0.
    pub(crate) fn with_smallest_as_master(&self) -> BTreeMap<i64, String> {
        let mut addresses = self.addresses.clone();
        if let Some((_, address)) = addresses.pop_first() {
            addresses.insert(MASTER_ID, address);
        }
        addresses
    }

    /// The addresses as everybody sees them: in a Raft group id 0 is always there.
    pub(crate) fn shown_addresses(&self) -> BTreeMap<i64, String> {
        if self.raft_group { self.with_smallest_as_master() } else { self.addresses.clone() }
    }
}

/// A registered process.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) broker_name: String,
    pub(crate) last_seen: Instant,
    pub(crate) silence_max: Duration,
    pub(crate) data_version: DataVersion,
    /// The connection that registered last.
    pub(crate) connection: u64,
    pub(crate) ha_address: String,
    pub(crate) filter_servers: Vec<String>,
}

/// The smallest id of a broker name changed; its members may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinIdChange {
    /// The broker name.
    pub broker_name: String,
    /// The smallest id now.
    pub id: i64,
    /// Its address.
    pub address: String,
    /// Who went, if that was the cause.
    pub offline_address: Option<String>,
    /// Where the new smallest id serves replication, if it has just come.
    pub ha_address: Option<String>,
    /// Who is told.
    pub tell: Vec<String>,
}

/// The tables of a name server.
#[derive(Debug, Default)]
pub struct RouteTable {
    pub(crate) rules: RouteRules,
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) brokers: BTreeMap<String, Broker>,
    pub(crate) clusters: BTreeMap<String, BTreeSet<String>>,
    pub(crate) live: HashMap<BrokerAddress, Live>,
    pub(crate) queue_entries: usize,
    pub(crate) generation: u64,
}

impl RouteTable {
    /// An empty table.
    pub fn new(rules: RouteRules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Changes the rules.
    pub fn set_rules(&mut self, rules: RouteRules) {
        self.rules = rules;
        self.changed();
    }

    /// Grows whenever an answer to a client can have changed: encoded answers are kept by it.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Says that something outside the table that goes into answers has changed.
    pub fn changed(&mut self) {
        self.generation += 1;
    }

    /// How many broker processes are registered.
    pub fn address_count(&self) -> usize {
        self.live.len()
    }

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// A process said that it is alive. False when nobody knows it.
    pub fn heartbeat(&mut self, broker: &BrokerAddress, now: Instant) -> bool {
        self.live.get_mut(broker).map(|live| live.last_seen = now).is_some()
    }

    /// The data version that a process registered last.
    pub fn data_version(&self, broker: &BrokerAddress) -> Option<DataVersion> {
        self.live.get(broker).map(|live| live.data_version)
    }

    /// Sets the queues of a topic on a broker name.
    pub(crate) fn set_queues(&mut self, topic: &str, broker_name: &str, queues: Queues) {
        let entry = match self.topics.get_mut(topic) {
            Some(entry) => entry,
            None => self.topics.entry(topic.to_owned()).or_default(),
        };
        match entry.queues.get_mut(broker_name) {
            Some(present) if *present == queues => return,
            Some(present) => *present = queues,
            None => {
                entry.queues.insert(broker_name.to_owned(), queues);
                self.queue_entries += 1;
            }
        }
        self.generation += 1;
    }

    /// Takes a broker name out of the topics that `goes` picks; topics that nobody holds any more vanish.
    pub(crate) fn drop_queues(&mut self, broker_name: &str, goes: impl Fn(&str) -> bool) {
        let mut dropped = 0;
        self.topics.retain(|name, topic| {
            if goes(name) && topic.queues.remove(broker_name).is_some() {
                topic.mappings.remove(broker_name);
                dropped += 1;
            }
            !topic.queues.is_empty()
        });
        if dropped > 0 {
            self.queue_entries -= dropped;
            self.generation += 1;
        }
    }

    /// Clears the write bit of all queues of a broker name; tells how many topics it has.
    pub(crate) fn clear_write(&mut self, broker_name: &str) -> usize {
        self.update_queues(broker_name, Queues::without_write)
    }

    pub(crate) fn update_queues(&mut self, broker_name: &str, update: impl Fn(Queues) -> Queues) -> usize {
        let mut count = 0;
        for topic in self.topics.values_mut() {
            if let Some(queues) = topic.queues.get_mut(broker_name) {
                *queues = update(*queues);
                count += 1;
            }
        }
        self.generation += 1;
        count
    }
}

#[cfg(test)]
#[path = "route_table_tests.rs"]
mod tests;
