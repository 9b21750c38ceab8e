//! A broker says who it is and what it holds: the rules by which it enters the route table.
//!
//! The order of the rules is RocketMQ's; where two processes want the same id, the higher state
//! version wins. In a Raft group the state version of id 0 is the term: an older one never
//! comes back, even when the newer master is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use protocol::body::DataVersion;
use protocol::json::{Json, Value};

use crate::route_table::{
    ADDRESSES_MAX, Broker, BrokerAddress, Live, MAPPING_BYTES_MAX, MASTER_ID, MinIdChange, NAME_BYTES_MAX,
    QUEUE_ENTRIES_MAX, Queues, RouteTable, SILENCE_MAX,
};

/// What a broker registers.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// Cluster and address.
    pub broker: BrokerAddress,
    /// The name that its replicas share.
    pub broker_name: String,
    /// 0 is the master.
    pub broker_id: i64,
    /// Where it serves replication.
    pub ha_address: String,
    /// Its availability zone.
    pub zone: Option<String>,
    /// Silence after which it is gone; `None` is the default.
    pub silence_max: Option<Duration>,
    /// Whether a slave may act for it; `None` says a 4.x broker.
    pub acting_master: Option<bool>,
    /// Whether its broker name is a Raft group, whose id 0 must never stay empty.
    pub raft_group: bool,
    /// Version of its topics; its state version fences the id.
    pub data_version: DataVersion,
    /// Its topics.
    pub topics: BTreeMap<String, Queues>,
    /// Its static topics, passed on as they came.
    pub mappings: BTreeMap<String, Value>,
    /// Its filter servers; `None` leaves them as they are.
    pub filter_servers: Option<Vec<String>>,
    /// The connection that carried this.
    pub connection: u64,
}

/// The live master of a broker name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Its address.
    pub address: String,
    /// Where it serves replication.
    pub ha_address: String,
}

/// What became of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// It stands in the table.
    Accepted {
        /// For an id other than 0: the live master.
        master: Option<Master>,
        /// Set when the newcomer has the smallest id now.
        min_id_change: Option<MinIdChange>,
    },
    /// A newer state version holds the id: ignored, and answered as a success without data.
    Fenced {
        /// The newer state version.
        by: i64,
    },
    /// A first registration with a single topic: the full one must come first.
    SingleTopic,
    /// The table would grow past its limits, or a name is too long.
    TooMuch,
}

impl RouteTable {
    /// Takes a registration.
    pub fn register(&mut self, new: Registration, now: Instant) -> Registered {
        if self.is_too_much(&new) {
            return Registered::TooMuch;
        }
        if let Some(by) = self.fence(&new) {
            self.forget_newcomer(&new.broker);
            return Registered::Fenced { by };
        }
        let slot_free = self
            .brokers
            .get(&new.broker_name)
            .is_none_or(|broker| !broker.addresses.contains_key(&new.broker_id));
        if slot_free && new.topics.len() == 1 {
            return Registered::SingleTopic;
        }
        self.leave_old_name(&new);
        let entered = self.enter(&new);
        if entered.is_source {
            self.take_topics(&new, entered.first);
        }
        let min_id_change = entered.is_new_min.then(|| self.min_id_change(&new)).flatten();
        let master = self.master_for(&new);
        self.refresh(new, now);
        Registered::Accepted { master, min_id_change }
    }

    fn is_too_much(&self, new: &Registration) -> bool {
        let long = |name: &String| name.len() > NAME_BYTES_MAX;
        let names = [&new.broker.cluster, &new.broker.address, &new.broker_name, &new.ha_address];
        names.into_iter().chain(&new.zone).chain(new.topics.keys()).chain(new.mappings.keys()).any(long)
            || new.filter_servers.iter().flatten().any(long)
            || new.mappings.values().any(|mapping| mapping.to_json().len() > MAPPING_BYTES_MAX)
            || (self.live.len() >= ADDRESSES_MAX && !self.live.contains_key(&new.broker))
            || (self.queue_entries + new.topics.len() > QUEUE_ENTRIES_MAX && self.grows_past_limit(new))
    }

    /// The exact count, made only near the limit.
    fn grows_past_limit(&self, new: &Registration) -> bool {
        let held = |topic: &&String| {
            self.topics.get(*topic).is_some_and(|topic| topic.queues.contains_key(&new.broker_name))
        };
        let added = new.topics.keys().filter(|topic| !held(topic)).count();
        self.queue_entries + added > QUEUE_ENTRIES_MAX
    }

    /// The newer state version that keeps this registration out, if there is one.
    fn fence(&self, new: &Registration) -> Option<i64> {
        let broker = self.brokers.get(&new.broker_name)?;
        let version = new.data_version.state_version;
        if broker.raft_group && new.broker_id == MASTER_ID && broker.fence > version {
            return Some(broker.fence);
        }
        let holder = broker.addresses.get(&new.broker_id).filter(|holder| **holder != new.broker.address)?;
        let key = BrokerAddress { cluster: new.broker.cluster.clone(), address: holder.clone() };
        let held = self.live.get(&key)?.data_version.state_version;
        (held > version).then_some(held)
    }

    /// A process that was refused an id must not stay alive without one. Under another id of the
    /// group it stays as it is.
    fn forget_newcomer(&mut self, newcomer: &BrokerAddress) {
        let Some(live) = self.live.get(newcomer) else { return };
        let stays = self
            .brokers
            .get(&live.broker_name)
            .is_some_and(|broker| broker.addresses.values().any(|address| *address == newcomer.address));
        if !stays {
            self.live.remove(newcomer);
        }
    }

    /// One address is one broker: when it comes back under another broker name or cluster, what
    /// it was before goes.
    fn leave_old_name(&mut self, new: &Registration) {
        if self.live.get(&new.broker).is_some_and(|live| live.broker_name == new.broker_name) {
            return;
        }
        let same_address = self.live.keys().filter(|other| other.address == new.broker.address);
        for other in same_address.cloned().collect::<Vec<_>>() {
            self.unregister(&other);
        }
    }

    /// Gives the address its place under the broker name and the cluster.
    fn enter(&mut self, new: &Registration) -> Entered {
        let first_name = !self.brokers.contains_key(&new.broker_name);
        let broker = self.brokers.entry(new.broker_name.clone()).or_insert_with(|| Broker {
            cluster: new.broker.cluster.clone(),
            addresses: BTreeMap::new(),
            zone: None,
            enable_acting_master: false,
            raft_group: false,
            fence: i64::MIN,
        });
        let before = (broker.shown_addresses(), broker.zone.clone(), broker.enable_acting_master);
        let min_before = broker.min_id().unwrap_or(MASTER_ID);
        broker.enable_acting_master = new.acting_master.unwrap_or(false);
        broker.zone.clone_from(&new.zone);
        broker.raft_group = new.raft_group;
        // A role switch: the same process under another id.
        broker.addresses.retain(|id, address| *id == new.broker_id || *address != new.broker.address);
        let replaced = broker.addresses.insert(new.broker_id, new.broker.address.clone());
        if new.broker_id == MASTER_ID {
            broker.fence = broker.fence.max(new.data_version.state_version);
        }
        let knows_roles = new.acting_master.is_some() || new.raft_group;
        let is_smallest = broker.min_id() == Some(new.broker_id);
        let entered = Entered {
            first: first_name || replaced.is_none(),
            is_source: new.broker_id == MASTER_ID || (knows_roles && is_smallest),
            is_new_min: new.broker_id < min_before,
        };
        let is_changed =
            before != (broker.shown_addresses(), broker.zone.clone(), broker.enable_acting_master);
        let names = self.clusters.entry(new.broker.cluster.clone()).or_default();
        if names.insert(new.broker_name.clone()) || is_changed {
            self.generation += 1;
        }
        entered
    }

    /// Takes the topics of the broker name from its master, or from the replica that stands for it.
    fn take_topics(&mut self, new: &Registration, first: bool) {
        if self.rules.delete_missing_topics && new.mappings.is_empty() {
            self.drop_queues(&new.broker_name, |topic| !new.topics.contains_key(topic));
        }
        let version_changed = self.data_version(&new.broker) != Some(new.data_version);
        let stands_in_readonly =
            new.broker_id != MASTER_ID && new.acting_master == Some(true) && !new.raft_group;
        for (topic, queues) in &new.topics {
            let known =
                self.topics.get(topic).is_some_and(|topic| topic.queues.contains_key(&new.broker_name));
            if first || version_changed || !known {
                let queues = if stands_in_readonly { queues.without_write() } else { *queues };
                self.set_queues(topic, &new.broker_name, queues);
            }
        }
        if first || version_changed {
            for (topic, mapping) in &new.mappings {
                if let Some(entry) = self.topics.get_mut(topic) {
                    entry.mappings.insert(new.broker_name.clone(), mapping.clone());
                    self.generation += 1;
                }
            }
        }
    }

    fn refresh(&mut self, new: Registration, now: Instant) {
        let before = self.live.remove(&new.broker);
        let kept = before.map(|live| live.filter_servers).unwrap_or_default();
        let filter_servers = new.filter_servers.unwrap_or_else(|| kept.clone());
        if filter_servers != kept {
            self.generation += 1;
        }
        let live = Live {
            broker_name: new.broker_name,
            last_seen: now,
            silence_max: new.silence_max.unwrap_or(SILENCE_MAX),
            data_version: new.data_version,
            connection: new.connection,
            ha_address: new.ha_address,
            filter_servers,
        };
        self.live.insert(new.broker, live);
    }

    fn master_for(&self, new: &Registration) -> Option<Master> {
        if new.broker_id == MASTER_ID {
            return None;
        }
        let address = self.brokers.get(&new.broker_name)?.addresses.get(&MASTER_ID)?;
        let key = BrokerAddress { cluster: new.broker.cluster.clone(), address: address.clone() };
        let live = self.live.get(&key)?;
        Some(Master { address: key.address, ha_address: live.ha_address.clone() })
    }

    fn min_id_change(&self, new: &Registration) -> Option<MinIdChange> {
        let addresses = &self.brokers.get(&new.broker_name)?.addresses;
        let (id, address) = addresses.first_key_value()?;
        let others: BTreeSet<_> =
            addresses.iter().filter(|(other, _)| addresses.len() == 1 || *other != id).collect();
        Some(MinIdChange {
            broker_name: new.broker_name.clone(),
            id: *id,
            address: address.clone(),
            offline_address: None,
            ha_address: Some(new.ha_address.clone()),
            tell: others.into_iter().map(|(_, address)| address.clone()).collect(),
        })
    }
}

/// What entering the table means for the rest of a registration.
struct Entered {
    /// Broker name or id are new: topics are taken whatever their version.
    first: bool,
    /// Its topics count for the broker name.
    is_source: bool,
    /// It has a smaller id than any before it.
    is_new_min: bool,
}
