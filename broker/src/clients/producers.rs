//! The producers of each group.

use super::registry::Client;
use std::collections::HashMap;

/// Group → connection → producer.
#[derive(Debug)]
pub(super) struct Producers<C> {
    pub(super) groups: HashMap<Box<str>, HashMap<u64, Client<C>>>,
}

impl<C> Default for Producers<C> {
    fn default() -> Self {
        Self { groups: HashMap::new() }
    }
}

impl<C: Clone> Producers<C> {
    /// Adds or renews a producer; says whether it is new.
    pub(super) fn put(&mut self, group: &str, client: &Client<C>) -> bool {
        let members = match self.groups.get_mut(group) {
            Some(members) => members,
            None => self.groups.entry(group.into()).or_default(),
        };
        members.insert(client.connection_id, client.clone()).is_none()
    }

    /// Takes a producer out of a group.
    pub(super) fn remove(&mut self, group: &str, connection_id: u64) {
        let Some(members) = self.groups.get_mut(group) else { return };
        members.remove(&connection_id);
        if members.is_empty() {
            self.groups.remove(group);
        }
    }
}
