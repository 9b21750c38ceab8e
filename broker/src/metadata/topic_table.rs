//! The topics, by name.
//!
//! Always true: each change gives the table another version; a topic that is replaced is a new `Arc`, so that whoever
//! holds the old one sees one consistent configuration.

use super::command::MetadataCommand;
use super::version::{Stamp, next};
use crate::stats::StatItem;
use protocol::body::{DataVersion, TopicConfig};
use protocol::perm;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// One topic and what the hot paths keep with it.
#[derive(Debug)]
pub struct Topic {
    /// Its configuration.
    pub config: TopicConfig,
    /// What is put into it, counted; filled by the first send.
    pub counters: OnceLock<PutCounters>,
}

/// The statistics of puts into one topic.
#[derive(Debug)]
pub struct PutCounters {
    /// TOPIC_PUT_NUMS.
    pub messages: Arc<StatItem>,
    /// TOPIC_PUT_SIZE.
    pub bytes: Arc<StatItem>,
    /// Those of each queue.
    pub queues: Box<[QueueCounters]>,
}

/// The statistics of puts into one queue.
#[derive(Debug)]
pub struct QueueCounters {
    /// QUEUE_PUT_NUMS.
    pub messages: Arc<StatItem>,
    /// QUEUE_PUT_SIZE.
    pub bytes: Arc<StatItem>,
    /// TOPIC_PUT_LATENCY.
    pub latency: Arc<StatItem>,
}

impl Topic {
    fn new(config: TopicConfig) -> Self {
        Self { config, counters: OnceLock::new() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.topic_name
    }

    /// Queues that may be read: ids below this.
    pub fn read_queues(&self) -> u32 {
        u32::try_from(self.config.read_queue_nums).unwrap_or(0)
    }

    /// Queues that may be written: ids below this.
    pub fn write_queues(&self) -> u32 {
        u32::try_from(self.config.write_queue_nums).unwrap_or(0)
    }

    /// All queues that there are: ids below this.
    pub fn queues(&self) -> u32 {
        self.read_queues().max(self.write_queues())
    }

    /// Whether it may be read.
    pub fn is_readable(&self) -> bool {
        perm::is_readable(self.config.perm)
    }

    /// Whether it may be written.
    pub fn is_writable(&self) -> bool {
        perm::is_writable(self.config.perm)
    }
}

/// The topics of one broker. A copy shares the topics.
#[derive(Debug, Clone, Default)]
pub struct TopicTable {
    topics: HashMap<Box<str>, Arc<Topic>>,
    version: DataVersion,
}

impl TopicTable {
    /// A table as it was read from its file.
    pub fn from_parts(configs: impl IntoIterator<Item = TopicConfig>, version: DataVersion) -> Self {
        let topics = configs.into_iter().map(entry).collect();
        Self { topics, version }
    }

    /// A topic.
    pub fn get(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.topics.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// All topics, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// The table's version.
    pub fn version(&self) -> &DataVersion {
        &self.version
    }

    /// Makes one change, if it is one of topics.
    pub fn apply(&mut self, command: &MetadataCommand, limit: usize) {
        match command {
            MetadataCommand::PutTopics { configs, stamp } => self.put(configs, limit, *stamp),
            MetadataCommand::DeleteTopic { topic, stamp } => drop(self.remove(topic, *stamp)),
            _ => {}
        }
    }

    /// Adds topics, or changes those that are known; beyond `limit` topics, new ones are left out.
    pub fn put(&mut self, configs: &[TopicConfig], limit: usize, stamp: Stamp) {
        let mut changed = false;
        for config in configs {
            let known = self.topics.get(config.topic_name.as_str());
            let fits = known.is_some() || self.topics.len() < limit;
            if fits && known.is_none_or(|known| known.config != *config) {
                self.topics.extend([entry(config.clone())]);
                changed = true;
            }
        }
        if changed {
            self.version = next(&self.version, stamp);
        }
    }

    /// Takes a topic out.
    pub fn remove(&mut self, name: &str, stamp: Stamp) -> bool {
        let was_there = self.topics.remove(name).is_some();
        if was_there {
            self.version = next(&self.version, stamp);
        }
        was_there
    }
}

fn entry(config: TopicConfig) -> (Box<str>, Arc<Topic>) {
    (config.topic_name.as_str().into(), Arc::new(Topic::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { at_ms: 5, state_version: 2 };

    fn topic(name: &str, queues: i32) -> TopicConfig {
        TopicConfig {
            topic_name: name.into(),
            read_queue_nums: queues,
            write_queue_nums: queues,
            ..TopicConfig::default()
        }
    }

    #[test]
    fn only_a_real_change_moves_the_version() {
        let mut table = TopicTable::default();
        table.put(&[topic("T", 4)], 10, STAMP);
        assert_eq!(table.version().counter, 1);
        assert_eq!((table.version().timestamp, table.version().state_version), (5, 2));
        table.put(&[topic("T", 4)], 10, STAMP);
        assert_eq!(table.version().counter, 1);
        table.put(&[topic("T", 8)], 10, STAMP);
        assert_eq!(table.version().counter, 2);
        assert_eq!(table.get("T").map(|topic| topic.queues()), Some(8));
        assert!(!table.remove("U", STAMP));
        assert!(table.remove("T", STAMP));
        assert_eq!(table.version().counter, 3);
    }

    #[test]
    fn the_table_stops_at_its_limit_but_known_topics_still_change() {
        let mut table = TopicTable::default();
        table.put(&[topic("A", 1), topic("B", 1), topic("C", 1)], 2, STAMP);
        assert_eq!(table.len(), 2);
        assert!(table.get("C").is_none());
        table.put(&[topic("A", 9)], 2, STAMP);
        assert_eq!(table.get("A").map(|topic| topic.read_queues()), Some(9));
    }
}
