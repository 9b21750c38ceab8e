//! The tables together, and the one function that changes them.

use super::command::MetadataCommand;
use super::{ConsumerOffsets, DelayProgress, Group, GroupTable, Members, Topic, TopicTable};
use parking_lot::RwLock;
use std::sync::Arc;

/// What the tables may grow to.
#[derive(Debug, Clone, Copy)]
pub struct MetadataLimits {
    /// Topics.
    pub topics: usize,
    /// Consumer groups.
    pub groups: usize,
    /// Consumer offsets.
    pub offsets: usize,
}

/// The metadata of one broker.
#[derive(Debug)]
pub struct Metadata {
    /// Topics.
    pub topics: RwLock<TopicTable>,
    /// Consumer groups.
    pub groups: RwLock<GroupTable>,
    /// Consumer offsets.
    pub offsets: ConsumerOffsets,
    /// Delayed messages.
    pub delays: DelayProgress,
    /// Replicas of a Raft group; empty in the classic modes.
    pub members: Members,
    limits: MetadataLimits,
}

impl Metadata {
    /// Empty tables.
    pub fn new(limits: MetadataLimits) -> Self {
        Self {
            topics: RwLock::default(),
            groups: RwLock::default(),
            offsets: ConsumerOffsets::new(limits.offsets),
            delays: DelayProgress::default(),
            members: Members::default(),
            limits,
        }
    }

    /// A topic.
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().get(name).cloned()
    }

    /// A consumer group.
    pub fn group(&self, name: &str) -> Option<Arc<Group>> {
        self.groups.read().get(name).cloned()
    }

    /// Empties all tables, for others to be put in their place.
    pub fn clear(&self) {
        *self.topics.write() = TopicTable::default();
        *self.groups.write() = GroupTable::default();
        self.offsets.clear();
        self.delays.clear();
        self.members.clear();
    }

    /// What of a change is about topics or groups that are not there; nothing when all are.
    pub fn missing_of(&self, mut command: MetadataCommand) -> Option<MetadataCommand> {
        let is_left = match &mut command {
            MetadataCommand::PutTopics { configs, .. } => {
                configs.retain(|config| self.topic(&config.topic_name).is_none());
                !configs.is_empty()
            }
            MetadataCommand::PutGroups { configs, .. } => {
                configs.retain(|config| self.group(&config.group_name).is_none());
                !configs.is_empty()
            }
            _ => true,
        };
        is_left.then_some(command)
    }

    /// The topics as they will be after a change.
    pub fn topics_after(&self, command: &MetadataCommand) -> TopicTable {
        let mut topics = self.topics.read().clone();
        topics.apply(command, self.limits.topics);
        topics
    }

    /// The groups as they will be after a change.
    pub fn groups_after(&self, command: &MetadataCommand) -> GroupTable {
        let mut groups = self.groups.read().clone();
        groups.apply(command, self.limits.groups);
        groups
    }

    /// Makes one change. The same changes in the same order give the same tables everywhere.
    pub fn apply(&self, command: &MetadataCommand) {
        match command {
            MetadataCommand::PutTopics { .. } => self.topics.write().apply(command, self.limits.topics),
            MetadataCommand::DeleteTopic { topic, .. } => {
                self.topics.write().apply(command, self.limits.topics);
                self.offsets.remove_topic(topic);
            }
            MetadataCommand::PutGroups { .. } | MetadataCommand::Forbid { .. } => {
                self.groups.write().apply(command, self.limits.groups);
            }
            MetadataCommand::DeleteGroup { group, clean_offsets, .. } => {
                self.groups.write().apply(command, self.limits.groups);
                if *clean_offsets {
                    self.offsets.remove_group(group);
                }
            }
            MetadataCommand::CommitOffsets { commits } => {
                for commit in commits {
                    self.offsets.commit(&commit.group, &commit.topic, commit.queue, commit.offset);
                }
            }
            MetadataCommand::ResetOffsets { group, topic, offsets } => {
                self.offsets.assign_reset(group, topic, offsets);
            }
            MetadataCommand::TakeReset { group, topic, queue } => {
                self.offsets.take_reset(group, topic, *queue);
            }
            MetadataCommand::CloneOffsets { source, target, topic } => {
                self.offsets.clone_group(source, target, topic.as_deref());
            }
            MetadataCommand::Announce { node, address } => self.members.announce(*node, address),
            MetadataCommand::DelayProgress { levels } => {
                for (&level, &offset) in levels {
                    self.delays.advance(level, offset);
                }
            }
            MetadataCommand::QueueEnds { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{OffsetCommit, Stamp, system_groups};
    use protocol::body::TopicConfig;

    #[test]
    fn a_deleted_topic_takes_its_offsets_along_and_a_group_only_when_asked() {
        let stamp = Stamp { at_ms: 1, state_version: 0 };
        let metadata = Metadata::new(MetadataLimits { topics: 10, groups: 10, offsets: 10 });
        let topic = TopicConfig { topic_name: "T".into(), ..TopicConfig::default() };
        let commit = |topic: &str| OffsetCommit {
            group: "TOOLS_CONSUMER".to_owned(),
            topic: topic.to_owned(),
            queue: 0,
            offset: 3,
        };
        metadata.apply(&MetadataCommand::PutTopics { configs: vec![topic], stamp });
        metadata.apply(&MetadataCommand::PutGroups { configs: system_groups(), stamp });
        metadata.apply(&MetadataCommand::CommitOffsets { commits: vec![commit("T"), commit("U")] });
        metadata.apply(&MetadataCommand::DeleteTopic { topic: "T".to_owned(), stamp });
        assert!(metadata.topic("T").is_none());
        assert_eq!(metadata.offsets.get("TOOLS_CONSUMER", "T", 0), None);
        let delete = |clean_offsets| MetadataCommand::DeleteGroup {
            group: "TOOLS_CONSUMER".to_owned(),
            clean_offsets,
            stamp,
        };
        metadata.apply(&delete(false));
        assert!(metadata.group("TOOLS_CONSUMER").is_none());
        assert_eq!(metadata.offsets.get("TOOLS_CONSUMER", "U", 0), Some(3));
        metadata.apply(&delete(true));
        assert!(metadata.offsets.is_empty());
    }
}
