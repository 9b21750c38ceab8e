//! How a broker leaves the route table: it says so, its connection closes, or it falls silent.
//!
//! What stays is consistent: an address takes its live entry with it, the last address takes the
//! broker name, its queues and its cluster membership. A Raft group that keeps an address keeps
//! its queues with all permissions; elsewhere an acting master's group loses its write bits.

use std::time::Instant;

use crate::route_table::{BrokerAddress, MinIdChange, RouteTable};

/// Who left, and what follows from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// The processes that left.
    pub gone: Vec<BrokerAddress>,
    /// Their connections.
    pub connections: Vec<u64>,
    /// Broker names whose smallest id went.
    pub min_id_changes: Vec<MinIdChange>,
}

impl RouteTable {
    /// A broker says that it leaves.
    pub fn unregister(&mut self, broker: &BrokerAddress) -> Removal {
        self.remove(vec![broker.clone()])
    }

    /// A connection closed: whoever registered over it last is gone.
    pub fn connection_closed(&mut self, connection: u64) -> Removal {
        let gone = self.live.iter().filter(|(_, live)| live.connection == connection);
        let gone = gone.map(|(broker, _)| broker.clone()).collect();
        self.remove(gone)
    }

    /// Removes whoever was silent for too long; the caller closes the connections.
    pub fn expire(&mut self, now: Instant) -> Removal {
        let silent = self
            .live
            .iter()
            .filter(|(_, live)| now.saturating_duration_since(live.last_seen) > live.silence_max);
        let silent = silent.map(|(broker, _)| broker.clone()).collect();
        self.remove(silent)
    }

    fn remove(&mut self, mut brokers: Vec<BrokerAddress>) -> Removal {
        brokers.sort_unstable_by(|a, b| (&a.cluster, &a.address).cmp(&(&b.cluster, &b.address)));
        let mut removal = Removal::default();
        for broker in brokers {
            let Some(live) = self.live.remove(&broker) else { continue };
            removal.connections.push(live.connection);
            removal.min_id_changes.extend(self.remove_address(&live.broker_name, &broker));
            removal.gone.push(broker);
        }
        removal.connections.sort_unstable();
        removal.connections.dedup();
        removal
    }

    /// Takes an address from its broker name, and what depended on it.
    fn remove_address(&mut self, broker_name: &str, gone: &BrokerAddress) -> Option<MinIdChange> {
        let broker = self.brokers.get_mut(broker_name)?;
        let min_before = broker.min_id();
        let count_before = broker.addresses.len();
        broker.addresses.retain(|_, address| *address != gone.address);
        if broker.addresses.len() == count_before {
            return None;
        }
        self.generation += 1;
        let broker = self.brokers.get(broker_name)?;
        let Some((id, address)) = broker.addresses.first_key_value() else {
            self.remove_name(broker_name);
            return None;
        };
        let change = (min_before != Some(*id)).then(|| MinIdChange {
            broker_name: broker_name.to_owned(),
            id: *id,
            address: address.clone(),
            offline_address: Some(gone.address.clone()),
            ha_address: None,
            tell: broker.addresses.values().cloned().collect(),
        });
        if broker.enable_acting_master && !broker.raft_group && !broker.has_master() {
            self.clear_write(broker_name);
        }
        change
    }

    fn remove_name(&mut self, broker_name: &str) {
        self.brokers.remove(broker_name);
        self.clusters.retain(|_, names| {
            names.remove(broker_name);
            !names.is_empty()
        });
        self.drop_queues(broker_name, |_| true);
    }
}
