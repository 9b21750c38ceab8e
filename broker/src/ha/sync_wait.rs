//! What SYNC_MASTER's sends wait for: one watermark for all of them, and whether there is a slave to wait for at all.
//!
//! Always true: the store is told the mode first and the watermark after it, so that no send of a new mode is answered with
//! the position of an old slave. Called whenever a slave came, went or acknowledged, and from time to time, because a slave
//! falls behind by saying nothing.

use super::slaves::Slaves;
use parking_lot::Mutex;
use remoting::burst;
use std::sync::Arc;
use store::{MessageStore, Replication};

/// The waits of one SYNC_MASTER.
#[derive(Debug)]
pub struct SyncWait {
    store: Arc<MessageStore>,
    slaves: Arc<Slaves>,
    gap_max: u64,
    mode: Mutex<Replication>,
}

impl SyncWait {
    /// Sends wait for a slave from now on; at first there is none.
    pub fn new(store: Arc<MessageStore>, slaves: Arc<Slaves>, gap_max: u64) -> Self {
        store.set_replication(Replication::Unavailable);
        Self { store, slaves, gap_max, mode: Mutex::new(Replication::Unavailable) }
    }

    /// Looks at the slaves again.
    pub fn refresh(&self) {
        let now = self.slaves.replication(self.store.commit_log_max(), self.gap_max);
        {
            let mut mode = self.mode.lock();
            if *mode != now {
                *mode = now;
                self.store.set_replication(now);
                match now {
                    Replication::Awaited => tracing::info!("a slave is near enough: sends wait for it"),
                    Replication::Unavailable | Replication::Off => {
                        tracing::warn!("no slave is near enough: sends are answered SLAVE_NOT_AVAILABLE");
                    }
                }
            }
        }
        if now == Replication::Awaited {
            // Answers for many connections: this thread writes them, instead of waking each connection's task.
            burst::of(|| self.store.replicated(self.slaves.furthest()));
        }
    }
}
