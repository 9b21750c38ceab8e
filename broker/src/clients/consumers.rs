//! The consumers of each group, and what the group subscribes to.
//!
//! Always true: a group exists only while it has a member; its subscriptions are those of the last heartbeat that
//! brought any, whoever sent it (members of a group must agree, as in RocketMQ).

use super::registry::Client;
use super::subscription::Subscription;
use protocol::body::{ConsumeFromWhere, ConsumeType, MessageModel, SubscriptionData};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// How a group consumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// Push or pull.
    pub consume_type: ConsumeType,
    /// Clustering or broadcasting.
    pub message_model: MessageModel,
    /// Where a new group begins.
    pub consume_from_where: ConsumeFromWhere,
}

/// One group of consumers.
#[derive(Debug, Clone)]
pub struct ConsumerGroup<C> {
    /// How it consumes.
    pub settings: ConsumerSettings,
    /// What it wants, by topic.
    pub subscriptions: BTreeMap<Box<str>, Arc<Subscription>>,
    pub(super) members: HashMap<u64, Client<C>>,
}

impl<C: Clone> ConsumerGroup<C> {
    pub(super) fn new(settings: ConsumerSettings) -> Self {
        Self { settings, subscriptions: BTreeMap::new(), members: HashMap::new() }
    }

    /// The clients of the group.
    pub fn members(&self) -> impl Iterator<Item = &Client<C>> {
        self.members.values()
    }

    /// Their ids, each once.
    pub fn client_ids(&self) -> BTreeSet<String> {
        self.members.values().map(|client| client.client_id.to_string()).collect()
    }

    /// Their connections.
    pub fn connections(&self) -> Vec<C> {
        self.members.values().map(|client| client.connection.clone()).collect()
    }

    /// The member with this id.
    pub fn find(&self, client_id: &str) -> Option<&Client<C>> {
        self.members.values().find(|client| &*client.client_id == client_id)
    }

    /// Adds or renews a member; says whether it is new.
    pub(super) fn join(&mut self, client: &Client<C>, settings: ConsumerSettings) -> bool {
        self.settings = settings;
        self.members.insert(client.connection_id, client.clone()).is_none()
    }

    /// Takes over what a heartbeat says; says whether the group now wants something else.
    pub(super) fn subscribe(&mut self, subscriptions: Vec<SubscriptionData>) -> bool {
        let mut changed = false;
        let mut wanted: BTreeSet<Box<str>> = BTreeSet::new();
        for data in subscriptions {
            wanted.insert(data.topic.as_str().into());
            let known = self.subscriptions.get(data.topic.as_str());
            let is_newer = known.is_none_or(|known| data.sub_version > known.data.sub_version);
            if !is_newer {
                continue;
            }
            changed |= known.is_none_or(|known| known.data.sub_string != data.sub_string);
            self.subscriptions.insert(data.topic.as_str().into(), Arc::new(Subscription::new(data)));
        }
        let before = self.subscriptions.len();
        self.subscriptions.retain(|topic, _| wanted.contains(topic));
        changed | (self.subscriptions.len() != before)
    }
}
