//! What tools ask about topics, and what they change by hand: lists, deletion, permissions.

use std::collections::BTreeSet;

use protocol::perm;
use protocol::sys_flag::topic::{UNIT, UNIT_SUBSCRIPTION};

use crate::route_table::{NAME_BYTES_MAX, QUEUE_ENTRIES_MAX, Queues, RouteTable};

/// Which unit topics are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitTopics {
    /// Topics of a unit.
    Unit,
    /// Topics that a unit subscribes to.
    HasUnitSubscription,
    /// The same without the topics of a unit.
    HasUnitSubscriptionAndNoUnit,
}

impl RouteTable {
    /// Every topic.
    pub fn all_topics(&self) -> Vec<String> {
        self.topics.keys().cloned().collect()
    }

    /// The topics that a cluster's brokers hold.
    pub fn topics_of_cluster(&self, cluster: &str) -> Vec<String> {
        let Some(names) = self.clusters.get(cluster) else { return Vec::new() };
        let held =
            self.topics.iter().filter(|(_, topic)| topic.queues.keys().any(|name| names.contains(name)));
        held.map(|(name, _)| name.clone()).collect()
    }

    /// Names that are topics of the system, clusters and broker names, and some broker's address.
    pub fn system_topics(&self) -> (Vec<String>, Option<String>) {
        let names = self.clusters.iter().flat_map(|(cluster, names)| std::iter::once(cluster).chain(names));
        let names: BTreeSet<_> = names.cloned().collect();
        let address = self.brokers.values().find_map(|broker| broker.addresses.values().next().cloned());
        (names.into_iter().collect(), address)
    }

    /// The topics with these unit flags, by their flags on the first broker that holds them.
    pub fn unit_topics(&self, which: UnitTopics) -> Vec<String> {
        let wanted = |flag: i32| match which {
            UnitTopics::Unit => flag & UNIT != 0,
            UnitTopics::HasUnitSubscription => flag & UNIT_SUBSCRIPTION != 0,
            UnitTopics::HasUnitSubscriptionAndNoUnit => flag & UNIT_SUBSCRIPTION != 0 && flag & UNIT == 0,
        };
        let flagged = self
            .topics
            .iter()
            .filter(|(_, topic)| topic.queues.values().next().is_some_and(|queues| wanted(queues.sys_flag)));
        flagged.map(|(name, _)| name.clone()).collect()
    }

    /// Forgets a topic, everywhere or on the brokers of one cluster.
    pub fn delete_topic(&mut self, topic: &str, cluster: Option<&str>) {
        let names: Vec<_> = match (cluster, self.topics.get(topic)) {
            (None, Some(entry)) => entry.queues.keys().cloned().collect(),
            (Some(cluster), Some(_)) => self.clusters.get(cluster).into_iter().flatten().cloned().collect(),
            (_, None) => return,
        };
        for name in names {
            self.drop_queues(&name, |candidate| candidate == topic);
        }
    }

    /// Adds a topic by hand; false, and nothing changed, when a broker name is unknown or the
    /// table is full.
    pub fn register_topic(&mut self, topic: &str, queues: &[(String, Queues)]) -> bool {
        let known = queues.iter().all(|(name, _)| self.brokers.contains_key(name));
        let fits = topic.len() <= NAME_BYTES_MAX && self.queue_entries + queues.len() <= QUEUE_ENTRIES_MAX;
        if !known || !fits {
            return false;
        }
        for (name, queues) in queues {
            self.set_queues(topic, name, *queues);
        }
        true
    }

    /// Takes the write permission from all queues of a broker name, until it registers a change;
    /// tells how many topics it holds.
    pub fn wipe_write_perm(&mut self, broker_name: &str) -> usize {
        self.clear_write(broker_name)
    }

    /// Gives read and write permission to all queues of a broker name; tells how many topics it holds.
    pub fn add_write_perm(&mut self, broker_name: &str) -> usize {
        self.update_queues(broker_name, |queues| Queues { perm: perm::READ | perm::WRITE, ..queues })
    }
}
