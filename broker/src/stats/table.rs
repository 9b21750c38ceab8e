//! The statistics by name and key.
//!
//! Always true: at most `limit` items exist; beyond that, counting goes on in one item that nobody can ask
//! for, so that a peer that invents keys costs nothing. Hot paths keep the `Arc` of their items and never
//! come here again.

use super::{StatItem, StatName};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

type Items = HashMap<Box<str>, Arc<StatItem>>;

/// All statistics of one broker.
#[derive(Debug)]
pub struct BrokerStats {
    names: Vec<RwLock<Items>>,
    beyond: Arc<StatItem>,
    limit: usize,
}

impl BrokerStats {
    /// Empty statistics; each name keeps at most `limit` keys.
    pub fn new(limit: usize) -> Self {
        Self {
            names: StatName::ALL.iter().map(|_| RwLock::default()).collect(),
            beyond: Arc::default(),
            limit,
        }
    }

    /// The item of a name and key, made on first use.
    pub fn item(&self, name: StatName, key: &str) -> Arc<StatItem> {
        let items = self.items(name);
        if let Some(item) = items.read().get(key) {
            return Arc::clone(item);
        }
        let mut items = items.write();
        if items.len() >= self.limit && !items.contains_key(key) {
            return Arc::clone(&self.beyond);
        }
        Arc::clone(items.entry(key.into()).or_default())
    }

    /// The item of a name and key, if anything was ever counted there.
    pub fn find(&self, name: StatName, key: &str) -> Option<Arc<StatItem>> {
        self.items(name).read().get(key).cloned()
    }

    /// Counts one.
    pub fn add(&self, name: StatName, key: &str, value: u64) {
        self.item(name, key).add(value, 1);
    }

    /// Forgets the items whose key names this topic or group as one of its `@` parts.
    pub fn forget(&self, part: &str) {
        for items in &self.names {
            items.write().retain(|key, _| !key.split('@').any(|have| have == part));
        }
    }

    /// Takes the snapshots that are due every 10 s.
    pub fn sample_minute(&self, now_ms: i64) {
        self.for_each(|item| item.sample_minute(now_ms));
    }

    /// Takes the snapshots that are due every 10 min.
    pub fn sample_hour(&self, now_ms: i64) {
        self.for_each(|item| item.sample_hour(now_ms));
    }

    /// Takes the snapshots that are due every hour.
    pub fn sample_day(&self, now_ms: i64) {
        self.for_each(|item| item.sample_day(now_ms));
    }

    fn items(&self, name: StatName) -> &RwLock<Items> {
        &self.names[name as usize]
    }

    fn for_each(&self, deed: impl Fn(&StatItem)) {
        for items in &self.names {
            items.read().values().for_each(|item| deed(item));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_under_a_name_and_key_is_found_there_and_nowhere_else() {
        let stats = BrokerStats::new(10);
        stats.add(StatName::TopicPutNums, "T", 3);
        stats.sample_minute(0);
        stats.add(StatName::TopicPutNums, "T", 4);
        stats.sample_minute(10_000);
        let item = stats.find(StatName::TopicPutNums, "T").expect("counted");
        assert_eq!(item.windows().minute.sum, 7);
        assert!(stats.find(StatName::TopicPutSize, "T").is_none());
        assert!(stats.find(StatName::TopicPutNums, "U").is_none());
    }

    #[test]
    fn invented_keys_stop_growing_the_table_at_its_limit() {
        let stats = BrokerStats::new(2);
        for key in ["a", "b", "c", "d"] {
            stats.add(StatName::TopicPutNums, key, 1);
        }
        assert!(stats.find(StatName::TopicPutNums, "b").is_some());
        assert!(stats.find(StatName::TopicPutNums, "c").is_none());
        stats.forget("a");
        stats.add(StatName::TopicPutNums, "c", 1);
        assert!(stats.find(StatName::TopicPutNums, "c").is_some());
    }

    #[test]
    fn a_deleted_topic_or_group_takes_its_statistics_along() {
        let stats = BrokerStats::new(10);
        stats.add(StatName::GroupGetNums, "T@G", 1);
        stats.add(StatName::GroupGetNums, "TT@G", 1);
        stats.forget("T");
        assert!(stats.find(StatName::GroupGetNums, "T@G").is_none());
        assert!(stats.find(StatName::GroupGetNums, "TT@G").is_some());
    }
}
