//! The consumer groups, by name, and which topics are forbidden to them.
//!
//! Always true: each change gives the table another version.

use super::command::MetadataCommand;
use super::version::{Stamp, next};
use protocol::body::{DataVersion, SubscriptionGroupConfig};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// One consumer group.
#[derive(Debug)]
pub struct Group {
    /// Its configuration.
    pub config: SubscriptionGroupConfig,
}

/// Topic → forbidden bits (bit 0: reading), by group.
pub type Forbidden = BTreeMap<String, BTreeMap<String, i32>>;

/// The consumer groups of one broker. A copy shares the groups.
#[derive(Debug, Clone, Default)]
pub struct GroupTable {
    groups: HashMap<Box<str>, Arc<Group>>,
    forbidden: Forbidden,
    version: DataVersion,
}

impl GroupTable {
    /// A table as it was read from its file.
    pub fn from_parts(
        configs: impl IntoIterator<Item = SubscriptionGroupConfig>,
        forbidden: Forbidden,
        version: DataVersion,
    ) -> Self {
        Self { groups: configs.into_iter().map(entry).collect(), forbidden, version }
    }

    /// A group.
    pub fn get(&self, name: &str) -> Option<&Arc<Group>> {
        self.groups.get(name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// All groups, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values()
    }

    /// The table's version.
    pub fn version(&self) -> &DataVersion {
        &self.version
    }

    /// What is forbidden to whom.
    pub fn forbidden(&self) -> &Forbidden {
        &self.forbidden
    }

    /// Whether the group may not read the topic.
    pub fn is_forbidden(&self, group: &str, topic: &str) -> bool {
        !self.forbidden.is_empty() && self.forbidden_bits(group, topic) & 1 != 0
    }

    /// The forbidden bits of a group for a topic.
    pub fn forbidden_bits(&self, group: &str, topic: &str) -> i32 {
        self.forbidden.get(group).and_then(|topics| topics.get(topic)).copied().unwrap_or(0)
    }

    /// Makes one change, if it is one of groups.
    pub fn apply(&mut self, command: &MetadataCommand, limit: usize) {
        match command {
            MetadataCommand::PutGroups { configs, stamp } => self.put(configs, limit, *stamp),
            MetadataCommand::DeleteGroup { group, stamp, .. } => drop(self.remove(group, *stamp)),
            MetadataCommand::Forbid { group, topic, bits, stamp } => self.forbid(group, topic, *bits, *stamp),
            _ => {}
        }
    }

    /// Adds groups, or changes those that are known; beyond `limit` groups, new ones are left out.
    pub fn put(&mut self, configs: &[SubscriptionGroupConfig], limit: usize, stamp: Stamp) {
        let mut changed = false;
        for config in configs {
            let known = self.groups.get(config.group_name.as_str());
            let fits = known.is_some() || self.groups.len() < limit;
            if fits && known.is_none_or(|known| known.config != *config) {
                self.groups.extend([entry(config.clone())]);
                changed = true;
            }
        }
        if changed {
            self.version = next(&self.version, stamp);
        }
    }

    /// Takes a group out.
    pub fn remove(&mut self, name: &str, stamp: Stamp) -> bool {
        let was_there = self.groups.remove(name).is_some();
        let was_forbidden = self.forbidden.remove(name).is_some();
        if was_there || was_forbidden {
            self.version = next(&self.version, stamp);
        }
        was_there
    }

    /// Sets what is forbidden to a group in a topic; 0 allows everything.
    pub fn forbid(&mut self, group: &str, topic: &str, bits: i32, stamp: Stamp) {
        if self.forbidden_bits(group, topic) == bits {
            return;
        }
        if bits == 0 {
            if let Some(topics) = self.forbidden.get_mut(group) {
                topics.remove(topic);
                if topics.is_empty() {
                    self.forbidden.remove(group);
                }
            }
        } else {
            self.forbidden.entry(group.to_owned()).or_default().insert(topic.to_owned(), bits);
        }
        self.version = next(&self.version, stamp);
    }
}

fn entry(config: SubscriptionGroupConfig) -> (Box<str>, Arc<Group>) {
    (config.group_name.as_str().into(), Arc::new(Group { config }))
}

/// The groups that a broker has from the start. Source: reference 6.4, RocketMQ `SubscriptionGroupManager.init`.
pub fn system_groups() -> Vec<SubscriptionGroupConfig> {
    let named = |name: &str| SubscriptionGroupConfig {
        group_name: name.into(),
        ..SubscriptionGroupConfig::default()
    };
    [
        "TOOLS_CONSUMER",
        "FILTERSRV_CONSUMER",
        "SELF_TEST_C_GROUP",
        "CID_ONS-HTTP-PROXY",
        "CID_ONSAPI_PULL",
        "CID_ONSAPI_PERMISSION",
        "CID_ONSAPI_OWNER",
    ]
    .map(named)
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { at_ms: 5, state_version: 0 };

    #[test]
    fn what_is_forbidden_is_forgotten_with_its_group_or_when_it_is_allowed_again() {
        let mut table = GroupTable::default();
        table.put(&system_groups(), 100, STAMP);
        table.forbid("G", "T", 1, STAMP);
        assert!(table.is_forbidden("G", "T"));
        assert!(!table.is_forbidden("G", "U"));
        table.forbid("G", "T", 0, STAMP);
        assert!(table.forbidden().is_empty());
        table.forbid("G", "T", 1, STAMP);
        table.remove("G", STAMP);
        assert!(!table.is_forbidden("G", "T"));
        assert_eq!(table.version().counter, 5);
    }

    #[test]
    fn a_repeated_configuration_changes_nothing() {
        let mut table = GroupTable::default();
        table.put(&system_groups(), 100, STAMP);
        table.put(&system_groups(), 100, STAMP);
        assert_eq!(table.version().counter, 1);
        assert!(table.get("TOOLS_CONSUMER").is_some());
    }
}
