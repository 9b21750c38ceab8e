//! Who follows us and how far: a pure table.
//!
//! The position that counts for SYNC_MASTER is the furthest that any slave has acknowledged, as in RocketMQ 4.x
//! (`push2SlaveMaxOffset`): the documentation promises one more copy, not all.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use store::Replication;

/// One slave, for `haStatus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlaveView {
    /// Where it connects from.
    pub address: SocketAddr,
    /// The end of its log, as it last said.
    pub acknowledged: u64,
    /// Where the next transfer begins.
    pub transfer_from: u64,
    /// Bytes sent to it since it connected.
    pub sent_bytes: u64,
    /// Bytes sent to it in the last whole second.
    pub bytes_per_second: u64,
    /// What `sent_bytes` was a second ago.
    sampled_bytes: u64,
}

/// The slaves that are connected now.
#[derive(Debug, Default)]
pub struct Slaves {
    table: Mutex<BTreeMap<u64, SlaveView>>,
}

impl Slaves {
    /// A slave said hello with its end of the log.
    pub(super) fn add(&self, id: u64, address: SocketAddr, acknowledged: u64) {
        let view = SlaveView {
            address,
            acknowledged,
            transfer_from: acknowledged,
            sent_bytes: 0,
            bytes_per_second: 0,
            sampled_bytes: 0,
        };
        self.table.lock().insert(id, view);
    }

    /// A slave acknowledged.
    pub(super) fn acknowledge(&self, id: u64, acknowledged: u64) {
        if let Some(slave) = self.table.lock().get_mut(&id) {
            slave.acknowledged = acknowledged;
        }
    }

    /// Bytes went out to a slave.
    pub(super) fn sent(&self, id: u64, bytes: u64, transfer_from: u64) {
        if let Some(slave) = self.table.lock().get_mut(&id) {
            slave.sent_bytes += bytes;
            slave.transfer_from = transfer_from;
        }
    }

    /// A slave is gone.
    pub(super) fn remove(&self, id: u64) {
        self.table.lock().remove(&id);
    }

    /// A second is over.
    pub fn sample(&self) {
        for slave in self.table.lock().values_mut() {
            slave.bytes_per_second = slave.sent_bytes - slave.sampled_bytes;
            slave.sampled_bytes = slave.sent_bytes;
        }
    }

    /// All that are connected.
    pub fn views(&self) -> Vec<SlaveView> {
        self.table.lock().values().cloned().collect()
    }

    /// Up to here at least one slave has everything.
    pub fn furthest(&self) -> u64 {
        self.table.lock().values().map(|slave| slave.acknowledged).max().unwrap_or(0)
    }

    /// How many are near enough to count as in sync.
    pub fn in_sync(&self, end: u64, gap_max: u64) -> usize {
        self.table.lock().values().filter(|slave| slave.is_in_sync(end, gap_max)).count()
    }

    /// What a SYNC_MASTER's sends may hope for now.
    pub fn replication(&self, end: u64, gap_max: u64) -> Replication {
        if self.in_sync(end, gap_max) > 0 { Replication::Awaited } else { Replication::Unavailable }
    }
}

impl SlaveView {
    /// Whether it is near enough to be waited for.
    pub fn is_in_sync(&self, end: u64, gap_max: u64) -> bool {
        end.saturating_sub(self.acknowledged) < gap_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 1))
    }

    #[test]
    fn the_furthest_slave_decides_what_is_replicated() {
        let slaves = Slaves::default();
        assert_eq!(slaves.furthest(), 0);
        slaves.add(1, address(), 10);
        slaves.add(2, address(), 0);
        slaves.acknowledge(2, 5);
        assert_eq!(slaves.furthest(), 10);
        slaves.acknowledge(2, 30);
        assert_eq!(slaves.furthest(), 30);
        slaves.remove(2);
        slaves.acknowledge(2, 40);
        assert_eq!(slaves.furthest(), 10);
    }

    #[test]
    fn a_slave_that_fell_too_far_behind_is_no_slave_to_wait_for() {
        let slaves = Slaves::default();
        assert_eq!(slaves.replication(0, 256), Replication::Unavailable);
        slaves.add(1, address(), 100);
        assert_eq!(slaves.replication(355, 256), Replication::Awaited);
        assert_eq!(slaves.replication(356, 256), Replication::Unavailable);
        slaves.acknowledge(1, 101);
        assert_eq!(slaves.replication(356, 256), Replication::Awaited);
        slaves.remove(1);
        assert_eq!(slaves.replication(0, 256), Replication::Unavailable);
    }

    #[test]
    fn a_second_counts_what_was_sent_in_it() {
        let slaves = Slaves::default();
        slaves.add(1, address(), 0);
        slaves.sent(1, 700, 700);
        slaves.sample();
        slaves.sent(1, 30, 730);
        assert_eq!(slaves.views()[0].bytes_per_second, 700);
        slaves.sample();
        assert_eq!((slaves.views()[0].bytes_per_second, slaves.views()[0].sent_bytes), (30, 730));
    }
}
