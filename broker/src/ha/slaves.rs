//! Who follows us and how far: a pure table.
//!
//! The position that counts for SYNC_MASTER is the furthest that any slave has acknowledged, as in
//! RocketMQ 4.x (`push2SlaveMaxOffset`): the documentation promises one more copy, not all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use parking_lot::Mutex;
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
    /// When it connected.
    pub since: Instant,
}

/// The slaves that are connected now.
#[derive(Debug, Default)]
pub struct Slaves {
    table: Mutex<BTreeMap<u64, SlaveView>>,
}

impl Slaves {
    /// A slave said hello with its end of the log.
    pub(super) fn add(&self, id: u64, address: SocketAddr, acknowledged: u64, now: Instant) {
        let view = SlaveView { address, acknowledged, transfer_from: acknowledged, sent_bytes: 0, since: now };
        self.table.lock().insert(id, view);
    }

    /// A slave acknowledged; says up to where at least one slave has everything.
    pub(super) fn acknowledge(&self, id: u64, acknowledged: u64) -> u64 {
        let mut table = self.table.lock();
        if let Some(slave) = table.get_mut(&id) {
            slave.acknowledged = acknowledged;
        }
        table.values().map(|slave| slave.acknowledged).max().unwrap_or(0)
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

    /// All that are connected.
    pub fn views(&self) -> Vec<SlaveView> {
        self.table.lock().values().cloned().collect()
    }

    /// How many are near enough to count as in sync.
    pub fn in_sync(&self, end: u64, gap_max: u64) -> usize {
        self.table.lock().values().filter(|slave| end.saturating_sub(slave.acknowledged) < gap_max).count()
    }

    /// What a SYNC_MASTER's sends may hope for now.
    pub fn replication(&self, end: u64, gap_max: u64) -> Replication {
        if self.in_sync(end, gap_max) > 0 { Replication::Awaited } else { Replication::Unavailable }
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
        slaves.add(1, address(), 10, Instant::now());
        slaves.add(2, address(), 0, Instant::now());
        assert_eq!(slaves.acknowledge(2, 5), 10);
        assert_eq!(slaves.acknowledge(2, 30), 30);
        slaves.remove(2);
        assert_eq!(slaves.acknowledge(1, 11), 11);
    }

    #[test]
    fn a_slave_that_fell_too_far_behind_is_no_slave_to_wait_for() {
        let slaves = Slaves::default();
        assert_eq!(slaves.replication(0, 256), Replication::Unavailable);
        slaves.add(1, address(), 100, Instant::now());
        assert_eq!(slaves.replication(355, 256), Replication::Awaited);
        assert_eq!(slaves.replication(356, 256), Replication::Unavailable);
    }
}
