//! Where messages go in Raft mode: to the replicated log, which refuses them when this replica does not lead.

use std::sync::Arc;

use raft_log::RaftLog;
use store::{MessageStore, Put, StoreError};

use super::group::Group;
use super::in_flight::InFlight;
use super::stamper;
use crate::message_log::MessageLog;

/// Proposes messages.
#[derive(Debug)]
pub(crate) struct GroupLog {
    log: Arc<RaftLog>,
    store: Arc<MessageStore>,
    in_flight: Arc<InFlight>,
}

impl GroupLog {
    pub(crate) fn new(group: &Group, store: Arc<MessageStore>) -> Self {
        Self { log: Arc::clone(&group.log), store, in_flight: Arc::clone(&group.in_flight) }
    }
}

impl MessageLog for GroupLog {
    fn put(&self, put: Put) -> Result<(), StoreError> {
        if self.store.is_disk_full() {
            return Err(StoreError::DiskFull { used_percent: 90 });
        }
        self.log.propose(stamper::proposal(put, &self.in_flight)?);
        Ok(())
    }
}
