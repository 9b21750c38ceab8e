//! What is put into the store, and what the one who put it learns.

use std::fmt;
use std::sync::Arc;

use bytes::BytesMut;
use smallvec::SmallVec;

use crate::consume_queue::ConsumeQueue;
use crate::error::StoreError;

/// Called once, on a thread of the store: it must not wait for the store, nor for a peer.
pub type Done = Box<dyn FnOnce(Result<PutResult, StoreError>) + Send>;

/// Messages for one queue.
pub struct Put {
    /// The queue, from [`crate::MessageStore::queue`].
    pub queue: Arc<ConsumeQueue>,
    /// One or more records back to back, as `protocol::message::encode_record` writes them. They get consecutive queue
    /// offsets and lie in one segment.
    pub records: BytesMut,
    /// Wait for the disk (SYNC_FLUSH) and for the slave (SYNC_MASTER): the message property `WAIT`, true when absent.
    pub wait: bool,
    /// Learns what happened.
    pub done: Done,
}

impl fmt::Debug for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put")
            .field("queue", &self.queue)
            .field("bytes", &self.records.len())
            .finish_non_exhaustive()
    }
}

/// How far a stored message got within the time that its sender waits. Stored it is in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutStatus {
    /// All that was asked for.
    Ok,
    /// The disk did not answer within `syncFlushTimeout`.
    FlushDiskTimeout,
    /// The slave did not answer within `slaveTimeout`.
    FlushSlaveTimeout,
    /// There is no slave near enough.
    SlaveNotAvailable,
}

/// Where the messages of a put are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutResult {
    /// How far they got.
    pub status: PutStatus,
    /// The physical offset of each record.
    pub physical_offsets: SmallVec<[u64; 1]>,
    /// The queue offset of the first record; the others follow.
    pub queue_offset: u64,
    /// When they were stored, in ms.
    pub store_timestamp: i64,
}
