//! What this node remembers of the stores of its peers: how far each acknowledged the log to it.
//!
//! Kept in memory, by store: a disk that was set back by a while, as a restored copy of a machine is, lacks what its store
//! acknowledged, and cannot know it by itself. Whoever led it then does, and says so with the first words of every connection.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// The memory.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// By store: the index plus one; 0 for none.
    next_index: Mutex<HashMap<u128, Arc<AtomicU64>>>,
    /// Whether this node leads, so that nobody can have cut what was acknowledged to it.
    leads: AtomicU64,
    /// The committed index plus one, as far as this node knows.
    next_committed: AtomicU64,
}

/// Where the acknowledgements of one store are noted.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledged(Arc<AtomicU64>);

impl Acknowledged {
    pub(crate) fn note(&self, index: u64) {
        self.0.fetch_max(index + 1, Ordering::Relaxed);
    }
}

impl Memory {
    /// Takes note of what this node is.
    pub(crate) fn stand(&self, leads: bool, committed: Option<u64>) {
        self.leads.store(leads.into(), Ordering::Relaxed);
        self.next_committed.fetch_max(committed.map_or(0, |index| index + 1), Ordering::Relaxed);
    }

    /// Where to note what a store acknowledges.
    pub(crate) fn of(&self, store: u128) -> Acknowledged {
        Acknowledged(self.next_index.lock().entry(store).or_default().clone())
    }

    /// The last index that a store must hold, as far as this node knows: what it acknowledged, unless another leader may
    /// have cut it since, which never happens to what is committed.
    pub(crate) fn acknowledged(&self, store: u128) -> Option<u64> {
        let next = self.next_index.lock().get(&store)?.load(Ordering::Relaxed);
        let leads = self.leads.load(Ordering::Relaxed) != 0;
        let limit = if leads { u64::MAX } else { self.next_committed.load(Ordering::Relaxed) };
        next.min(limit).checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_lead_remembers_only_what_nobody_can_have_cut() {
        let memory = Memory::default();
        assert_eq!(memory.acknowledged(7), None);
        let of = memory.of(7);
        assert_eq!(memory.acknowledged(7), None);
        memory.stand(true, Some(3));
        of.note(5);
        of.note(4);
        assert_eq!(memory.acknowledged(7), Some(5));
        memory.stand(false, Some(4));
        assert_eq!(memory.acknowledged(7), Some(4));
        memory.stand(false, Some(9));
        assert_eq!(memory.acknowledged(7), Some(5));
        assert_eq!(memory.acknowledged(8), None);
    }
}
