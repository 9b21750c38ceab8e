//! The registry of clients: pure, over whatever stands for a connection; time is an argument.
//!
//! Always true: a connection that is closed or silent for too long is in no group; a group without members is gone.
//! Whatever heartbeats can grow has a limit. `processor::client_manage` feeds it, pulls and sends look things up.

use super::consumers::{ConsumerGroup, ConsumerSettings};
use super::producers::Producers;
use super::subscription::Subscription;
use protocol::LanguageCode;
use protocol::body::SubscriptionData;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often silent clients are looked for. Source: RocketMQ `ClientHousekeepingService`.
pub const EXPIRE_SCAN: Duration = Duration::from_secs(10);

/// The group of the producer inside each consumer. Source: RocketMQ `MixAll.CLIENT_INNER_PRODUCER_GROUP`.
const CLIENT_INNER_PRODUCER: &str = "CLIENT_INNER_PRODUCER";

/// One client in one group.
#[derive(Debug, Clone)]
pub struct Client<C> {
    /// Its connection's number.
    pub connection_id: u64,
    /// Its connection.
    pub connection: C,
    /// `ip@instance`.
    pub client_id: Arc<str>,
    /// What it is written in.
    pub language: LanguageCode,
    /// Its protocol version.
    pub version: i32,
    /// When it last sent a heartbeat.
    pub last_heartbeat: Instant,
    /// The same, in milliseconds since 1970, for people.
    pub last_heartbeat_ms: i64,
}

/// What heartbeats may grow.
#[derive(Debug, Clone, Copy)]
pub struct RegistryLimits {
    /// Groups, of producers and of consumers each.
    pub groups: usize,
    /// Groups of one connection.
    pub groups_of_connection: usize,
    /// Topics that one group subscribes to.
    pub topics_of_group: usize,
}

impl Default for RegistryLimits {
    fn default() -> Self {
        Self { groups: 100_000, groups_of_connection: 4_096, topics_of_group: 4_096 }
    }
}

/// What a heartbeat did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// Nothing that others need to know.
    Known,
    /// The group has a new member, or wants something else: its members must share queues anew.
    Changed,
    /// A limit was met; the client is not registered.
    Full,
}

/// What a scan found.
#[derive(Debug)]
pub struct Expired<C> {
    /// Connections that said nothing for too long, to be closed.
    pub connections: Vec<C>,
    /// Consumer groups that lost a member.
    pub changed_groups: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Memberships {
    producers: HashSet<Box<str>>,
    consumers: HashSet<Box<str>>,
}

impl Memberships {
    fn len(&self) -> usize {
        self.producers.len() + self.consumers.len()
    }
}

/// Who is connected.
#[derive(Debug)]
pub struct ClientRegistry<C> {
    producers: Producers<C>,
    consumers: HashMap<Box<str>, ConsumerGroup<C>>,
    connections: HashMap<u64, Memberships>,
    limits: RegistryLimits,
}

impl<C: Clone> ClientRegistry<C> {
    /// Nobody is connected.
    pub fn new(limits: RegistryLimits) -> Self {
        Self {
            producers: Producers::default(),
            consumers: HashMap::new(),
            connections: HashMap::new(),
            limits,
        }
    }

    /// A heartbeat of a producer.
    pub fn register_producer(&mut self, group: &str, client: &Client<C>) -> Registered {
        let is_known_group = self.producers.groups.contains_key(group);
        if !is_known_group && self.producers.groups.len() >= self.limits.groups {
            return Registered::Full;
        }
        let memberships = self.connections.entry(client.connection_id).or_default();
        if !memberships.producers.contains(group) {
            if memberships.len() >= self.limits.groups_of_connection {
                return Registered::Full;
            }
            memberships.producers.insert(group.into());
        }
        if self.producers.put(group, client) { Registered::Changed } else { Registered::Known }
    }

    /// A heartbeat of a consumer.
    pub fn register_consumer(
        &mut self,
        group: &str,
        settings: ConsumerSettings,
        subscriptions: Vec<SubscriptionData>,
        client: &Client<C>,
    ) -> Registered {
        let is_known_group = self.consumers.contains_key(group);
        if (!is_known_group && self.consumers.len() >= self.limits.groups)
            || subscriptions.len() > self.limits.topics_of_group
        {
            return Registered::Full;
        }
        let memberships = self.connections.entry(client.connection_id).or_default();
        if !memberships.consumers.contains(group) {
            if memberships.len() >= self.limits.groups_of_connection {
                return Registered::Full;
            }
            memberships.consumers.insert(group.into());
        }
        if !is_known_group {
            self.consumers.insert(group.into(), ConsumerGroup::new(settings));
        }
        let Some(members) = self.consumers.get_mut(group) else { return Registered::Full };
        let is_new = members.join(client, settings);
        let wants_else = members.subscribe(subscriptions);
        if is_new || wants_else { Registered::Changed } else { Registered::Known }
    }

    /// A producer leaves its group.
    pub fn unregister_producer(&mut self, group: &str, connection_id: u64) {
        self.producers.remove(group, connection_id);
        if let Some(memberships) = self.connections.get_mut(&connection_id) {
            memberships.producers.remove(group);
        }
    }

    /// A consumer leaves its group; says whether it was there.
    pub fn unregister_consumer(&mut self, group: &str, connection_id: u64) -> bool {
        if let Some(memberships) = self.connections.get_mut(&connection_id) {
            memberships.consumers.remove(group);
        }
        self.leave(group, connection_id)
    }

    /// A connection is gone; names the consumer groups that lost a member.
    pub fn closed(&mut self, connection_id: u64) -> BTreeSet<String> {
        let Some(memberships) = self.connections.remove(&connection_id) else { return BTreeSet::new() };
        for group in &memberships.producers {
            self.producers.remove(group, connection_id);
        }
        let left = memberships.consumers.into_iter().filter(|group| self.leave(group, connection_id));
        left.map(String::from).collect()
    }

    /// Forgets the clients that were silent for longer than `silence_max`.
    pub fn expire(&mut self, now: Instant, silence_max: Duration) -> Expired<C> {
        let is_silent =
            |client: &Client<C>| now.saturating_duration_since(client.last_heartbeat) > silence_max;
        let producers = self.producers.groups.values().flat_map(HashMap::values);
        let consumers = self.consumers.values().flat_map(|group| group.members.values());
        let silent: HashMap<u64, C> = producers
            .chain(consumers)
            .filter(|client| is_silent(client))
            .map(|client| (client.connection_id, client.connection.clone()))
            .collect();
        let mut changed_groups = BTreeSet::new();
        for connection_id in silent.keys() {
            changed_groups.append(&mut self.closed(*connection_id));
        }
        Expired { connections: silent.into_values().collect(), changed_groups }
    }

    /// A group of consumers, while it has members.
    pub fn consumer_group(&self, group: &str) -> Option<&ConsumerGroup<C>> {
        self.consumers.get(group)
    }

    /// What a group wants of a topic, and how it consumes.
    pub fn subscription(
        &self,
        group: &str,
        topic: &str,
    ) -> Option<(ConsumerSettings, Option<Arc<Subscription>>)> {
        let group = self.consumers.get(group)?;
        Some((group.settings, group.subscriptions.get(topic).cloned()))
    }

    /// The groups whose members subscribe to a topic.
    pub fn groups_consuming(&self, topic: &str) -> BTreeSet<String> {
        let groups = self.consumers.iter().filter(|(_, group)| group.subscriptions.contains_key(topic));
        groups.map(|(name, _)| name.to_string()).collect()
    }

    /// The producers of a group.
    pub fn producers_of(&self, group: &str) -> Vec<Client<C>> {
        self.producers.groups.get(group).into_iter().flat_map(HashMap::values).cloned().collect()
    }

    /// Whether any application sends; consumers have a producer of their own for what they send back.
    pub fn has_producers(&self) -> bool {
        self.producers.groups.keys().any(|group| &**group != CLIENT_INNER_PRODUCER)
    }

    /// The producer with this id, whatever its group.
    pub fn producer(&self, client_id: &str) -> Option<&Client<C>> {
        let mut producers = self.producers.groups.values().flat_map(HashMap::values);
        producers.find(|client| &*client.client_id == client_id)
    }

    /// All producers by group.
    pub fn all_producers(&self) -> BTreeMap<String, Vec<Client<C>>> {
        let groups = self.producers.groups.iter();
        groups.map(|(group, members)| (group.to_string(), members.values().cloned().collect())).collect()
    }

    /// How many groups have members: producers, consumers.
    pub fn group_counts(&self) -> (usize, usize) {
        (self.producers.groups.len(), self.consumers.len())
    }

    fn leave(&mut self, group: &str, connection_id: u64) -> bool {
        let Some(members) = self.consumers.get_mut(group) else { return false };
        let was_there = members.members.remove(&connection_id).is_some();
        if members.members.is_empty() {
            self.consumers.remove(group);
        }
        was_there
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
