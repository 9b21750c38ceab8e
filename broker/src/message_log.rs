//! Where messages go: the seam between the processors and whatever makes a message safe.
//!
//! In the classic modes that is the store itself; in Raft mode it is the replicated log, which calls `done` when a
//! majority has the message.

use remoting::turn;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use store::{MessageStore, Put, StoreError};

/// Takes messages. A refusal comes at once; everything else through `Put::done`, exactly once.
pub trait MessageLog: Send + Sync + Debug {
    /// Stores messages of one queue.
    fn put(&self, put: Put) -> Result<(), StoreError>;
}

/// The store itself. What a network thread puts it appends at the end of its turn, and answers: it need not wake another
/// thread for that, and nobody hears of a message later than its own thread is free.
pub struct StoreLog {
    store: Arc<MessageStore>,
    append: turn::Deed,
}

impl StoreLog {
    /// Puts into this store.
    pub fn new(store: &Arc<MessageStore>) -> Self {
        let appended = Arc::clone(store);
        Self { store: Arc::clone(store), append: Arc::new(move || appended.append_here()) }
    }
}

impl Debug for StoreLog {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("StoreLog").finish_non_exhaustive()
    }
}

impl MessageLog for StoreLog {
    fn put(&self, put: Put) -> Result<(), StoreError> {
        if turn::at_end(&self.append) { self.store.put_to_append(put) } else { self.store.put(put) }
    }
}
