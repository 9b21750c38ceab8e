//! Where messages go: the seam between the processors and whatever makes a message safe.
//!
//! In the classic modes that is the store itself; in Raft mode it is the replicated log, which calls `done` when a
//! majority has the message.

use std::fmt::Debug;
use store::{MessageStore, Put, StoreError};

/// Takes messages. A refusal comes at once; everything else through `Put::done`, exactly once.
pub trait MessageLog: Send + Sync + Debug {
    /// Stores messages of one queue.
    fn put(&self, put: Put) -> Result<(), StoreError>;
}

impl MessageLog for MessageStore {
    fn put(&self, put: Put) -> Result<(), StoreError> {
        Self::put(self, put)
    }
}
