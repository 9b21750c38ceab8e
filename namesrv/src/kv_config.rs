//! The KV configuration: namespaces of keys and values that tools keep in a name server.
//!
//! Pure: a table, its limits, and the JSON text of its file, which is RocketMQ's. The one
//! namespace with a meaning is [`ORDER_TOPIC_CONFIG`]. Called by the processor; the file is
//! written by `files`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Namespace of the order configuration of topics: topic to `broker:queues;broker:queues`.
pub const ORDER_TOPIC_CONFIG: &str = "ORDER_TOPIC_CONFIG";

/// Bytes of all namespaces, keys and values together. Every change rewrites the file.
pub const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Keys and values of one namespace.
pub type Namespace = BTreeMap<String, String>;

/// All namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KvConfig {
    config_table: BTreeMap<String, Namespace>,
}

impl KvConfig {
    /// Reads the text of a file.
    pub fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// The text of a file.
    pub fn to_json(&self) -> Vec<u8> {
        // Maps of strings cannot fail to be written to memory.
        serde_json::to_vec_pretty(self)
            .unwrap_or_else(|error| unreachable!("maps of strings are JSON: {error}"))
    }

    /// A value.
    pub fn get(&self, namespace: &str, key: &str) -> Option<&str> {
        self.config_table.get(namespace)?.get(key).map(String::as_str)
    }

    /// A whole namespace.
    pub fn namespace(&self, namespace: &str) -> Option<&Namespace> {
        self.config_table.get(namespace)
    }

    /// Sets a value; false, and nothing changed, when the table would grow past its limit.
    #[must_use]
    pub fn put(&mut self, namespace: &str, key: &str, value: &str) -> bool {
        if self.bytes() + namespace.len() + key.len() + value.len() > BYTES_MAX {
            return false;
        }
        self.config_table.entry(namespace.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
        true
    }

    /// Takes a key out; false when it was not there.
    pub fn delete(&mut self, namespace: &str, key: &str) -> bool {
        self.config_table.get_mut(namespace).and_then(|keys| keys.remove(key)).is_some()
    }

    fn bytes(&self) -> usize {
        let of = |(key, value): (&String, &String)| key.len() + value.len();
        self.config_table.iter().map(|(name, keys)| name.len() + keys.iter().map(of).sum::<usize>()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_read_and_deleted() {
        let mut kv = KvConfig::default();
        assert!(kv.put("N", "k", "v") && kv.put("N", "k", "w") && kv.put("M", "k", "x"));
        assert_eq!(kv.get("N", "k"), Some("w"));
        assert_eq!(kv.namespace("N").unwrap().len(), 1);
        assert!(kv.delete("N", "k") && !kv.delete("N", "k") && !kv.delete("X", "k"));
        assert_eq!(kv.get("N", "k"), None);
        assert_eq!(kv.get("M", "k"), Some("x"));
    }

    #[test]
    fn the_file_is_rocketmqs() {
        let mut kv = KvConfig::default();
        assert!(kv.put(ORDER_TOPIC_CONFIG, "T", "a:4;b:4"));
        let text = String::from_utf8(kv.to_json()).unwrap();
        assert_eq!(
            text.replace(['\n', ' '], ""),
            r#"{"configTable":{"ORDER_TOPIC_CONFIG":{"T":"a:4;b:4"}}}"#
        );
        assert_eq!(KvConfig::parse(text.as_bytes()), Some(kv));
        assert_eq!(KvConfig::parse(b"{}"), Some(KvConfig::default()));
        assert_eq!(KvConfig::parse(b"{\"configTable\":7}"), None);
        assert_eq!(KvConfig::parse(b""), None);
    }

    #[test]
    fn it_does_not_grow_past_its_limit() {
        let mut kv = KvConfig::default();
        assert!(kv.put("N", "k", &"v".repeat(BYTES_MAX - 2)));
        assert!(!kv.put("N", "l", "v"));
        assert_eq!(kv.get("N", "l"), None);
    }
}
