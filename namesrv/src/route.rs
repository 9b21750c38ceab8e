//! Answers about routes: where the queues of a topic are, who forms a cluster or a broker name.
//!
//! In a Raft group the smallest id present stands as id 0 while there is no other: old clients
//! that see no id 0 fail at once, and a replica can hold or forward what it is sent.

use protocol::body::{BrokerData, BrokerMemberGroup, ClusterInfo, QueueData, TopicRouteData};
use protocol::json::Value;
use protocol::perm;

use crate::route_table::{Broker, BrokerAddress, Queues, RouteTable, Topic};

/// Topics by which the members of a broker name find each other; they show everyone as he is.
/// Source: RocketMQ 5.3.3 `TopicValidator.SYNC_BROKER_MEMBER_GROUP_PREFIX`.
const MEMBER_GROUP_TOPIC_PREFIX: &str = "rmq_sys_SYNC_BROKER_MEMBER_";

impl RouteTable {
    /// The route of a topic, without its order configuration; `None` when nobody holds it.
    pub fn route(&self, topic_name: &str) -> Option<TopicRouteData> {
        let topic = self.topics.get(topic_name)?;
        let acting_masters =
            self.rules.support_acting_master && !topic_name.starts_with(MEMBER_GROUP_TOPIC_PREFIX);
        let mut route = TopicRouteData::default();
        for (name, queues) in &topic.queues {
            route.queue_datas.push(queue_data(name, queues));
            let Some(broker) = self.brokers.get(name) else { continue };
            let mut data = broker_data(name, broker);
            if acting_masters && is_acted_for(broker, queues) {
                data.broker_addrs = broker.with_smallest_as_master();
            }
            for address in data.broker_addrs.values() {
                let key = BrokerAddress { cluster: broker.cluster.clone(), address: address.clone() };
                let servers =
                    self.live.get(&key).map(|live| live.filter_servers.as_slice()).unwrap_or_default();
                if !servers.is_empty() {
                    route.filter_server_table.insert(address.clone(), servers.to_vec());
                }
            }
            route.broker_datas.push(data);
        }
        route.topic_queue_mapping_by_broker = mappings(topic);
        (!route.broker_datas.is_empty()).then_some(route)
    }

    /// All clusters, broker names and addresses.
    pub fn cluster_info(&self) -> ClusterInfo {
        ClusterInfo {
            broker_addr_table: self
                .brokers
                .iter()
                .map(|(name, broker)| (name.clone(), broker_data(name, broker)))
                .collect(),
            cluster_addr_table: self
                .clusters
                .iter()
                .map(|(cluster, names)| (cluster.clone(), names.iter().cloned().collect()))
                .collect(),
        }
    }

    /// The members of a broker name, each under the id that it registered.
    pub fn member_group(&self, cluster: &str, broker_name: &str) -> BrokerMemberGroup {
        BrokerMemberGroup {
            cluster: cluster.to_owned(),
            broker_name: broker_name.to_owned(),
            broker_addrs: self
                .brokers
                .get(broker_name)
                .map(|broker| broker.addresses.clone())
                .unwrap_or_default(),
        }
    }
}

/// Keeps the brokers of one zone, and those without a master: their slaves serve any zone.
pub fn keep_zone(route: &mut TopicRouteData, zone: &str) {
    let in_zone = |data: &BrokerData| {
        let same = data.zone_name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(zone));
        same || !data.broker_addrs.contains_key(&crate::route_table::MASTER_ID)
    };
    let (kept, removed): (Vec<_>, Vec<_>) =
        std::mem::take(&mut route.broker_datas).into_iter().partition(in_zone);
    route.broker_datas = kept;
    for data in removed {
        route.queue_datas.retain(|queues| queues.broker_name != data.broker_name);
        for address in data.broker_addrs.values() {
            route.filter_server_table.remove(address);
        }
    }
}

/// Whether the smallest slave acts for a master that is away: only where writing was taken away.
fn is_acted_for(broker: &Broker, queues: &Queues) -> bool {
    !broker.has_master() && broker.enable_acting_master && !perm::is_writable(queues.perm)
}

fn broker_data(name: &str, broker: &Broker) -> BrokerData {
    BrokerData {
        cluster: broker.cluster.clone(),
        broker_name: name.to_owned(),
        broker_addrs: broker.shown_addresses(),
        zone_name: broker.zone.clone(),
        enable_acting_master: broker.enable_acting_master,
    }
}

fn queue_data(broker_name: &str, queues: &Queues) -> QueueData {
    QueueData {
        broker_name: broker_name.to_owned(),
        read_queue_nums: queues.read_nums,
        write_queue_nums: queues.write_nums,
        perm: queues.perm,
        topic_sys_flag: queues.sys_flag,
    }
}

/// The static mapping of the topic, by broker name; `None` for a topic that has none.
fn mappings(topic: &Topic) -> Option<Value> {
    let members = topic.mappings.iter().map(|(name, mapping)| (Value::String(name.clone()), mapping.clone()));
    (!topic.mappings.is_empty()).then(|| Value::Object(members.collect()))
}
