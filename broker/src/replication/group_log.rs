//! Where messages go in Raft mode: to the replicated log, if this replica leads.

use std::sync::Arc;

use raft_log::RaftLog;
use store::{MessageStore, Put, StoreError};

use super::stamper;
use super::standing::Standing;
use crate::message_log::MessageLog;

/// Proposes messages.
#[derive(Debug)]
pub(crate) struct GroupLog {
    log: Arc<RaftLog>,
    store: Arc<MessageStore>,
    standing: Arc<Standing>,
}

impl GroupLog {
    pub(crate) fn new(log: Arc<RaftLog>, store: Arc<MessageStore>, standing: Arc<Standing>) -> Self {
        Self { log, store, standing }
    }
}

impl MessageLog for GroupLog {
    fn put(&self, put: Put) -> Result<(), StoreError> {
        if !self.standing.leads() {
            return Err(StoreError::ShuttingDown);
        }
        if self.store.is_disk_full() {
            return Err(StoreError::DiskFull { used_percent: 90 });
        }
        match stamper::proposal(put) {
            Ok(proposal) => {
                self.log.propose(proposal);
                Ok(())
            }
            Err((error, _)) => Err(error),
        }
    }
}
