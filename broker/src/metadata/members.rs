//! Where the replicas of a Raft group are found by clients: each says so when it begins to lead.
//!
//! Always true: an address is where that node's clients went when it last announced itself; so a follower knows where
//! to send what only the leader may answer.

use parking_lot::RwLock;
use std::collections::BTreeMap;

/// Node → `host:port` of its broker.
#[derive(Debug, Default)]
pub struct Members {
    addresses: RwLock<BTreeMap<u64, String>>,
}

impl Members {
    /// Where a node's clients go, if it ever said so.
    pub fn address(&self, node: u64) -> Option<String> {
        self.addresses.read().get(&node).cloned()
    }

    /// A node says where its clients go.
    pub fn announce(&self, node: u64, address: &str) {
        self.addresses.write().insert(node, address.to_owned());
    }

    /// All that were announced.
    pub fn all(&self) -> BTreeMap<u64, String> {
        self.addresses.read().clone()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.addresses.write().clear();
    }
}
