//! The commit log as replication sees it, so that its tests need no disk; and the store as such a log.

use bytes::Bytes;
use std::sync::Arc;
use store::{MessageStore, StoreError};
use tokio::sync::watch;

/// Told the new end of the log, or why the bytes could not be appended.
pub type Appended = Box<dyn FnOnce(Result<u64, StoreError>) + Send>;

/// A commit log that is read by a master and appended to by a slave.
pub trait HaLog: Send + Sync + 'static {
    /// The first byte that is still kept.
    fn begin(&self) -> u64;
    /// One past the last written byte.
    fn end(&self) -> u64;
    /// One past the last byte that is as safe as the flush mode promises: only that is streamed and acknowledged.
    fn readable(&self) -> u64;
    /// Whether the log is known to end after a whole record.
    fn ends_whole(&self) -> bool;
    /// Size of one file, in bytes.
    fn segment_bytes(&self) -> u64;
    /// Readable bytes from `position`, at most `bytes_max`, not beyond the file they begin in.
    fn read(&self, position: u64, bytes_max: usize) -> Result<Bytes, StoreError>;
    /// Says whenever the readable end moved.
    fn watch_readable(&self) -> watch::Receiver<u64>;
    /// Appends a master's bytes verbatim, back to back; on an empty log `position` may be the start of any file.
    fn append(&self, position: u64, parts: Vec<Bytes>, done: Appended) -> Result<(), StoreError>;
}

/// The store's log.
#[derive(Debug)]
pub struct StoreLog {
    store: Arc<MessageStore>,
    readable: watch::Sender<u64>,
}

impl StoreLog {
    /// Watches the log of this store from now on.
    pub fn new(store: Arc<MessageStore>) -> Self {
        let readable = watch::Sender::new(store.readable());
        let there = readable.clone();
        store.on_readable(move |end| {
            there.send_replace(end);
        });
        Self { store, readable }
    }
}

impl HaLog for StoreLog {
    fn begin(&self) -> u64 {
        self.store.commit_log_min()
    }

    fn end(&self) -> u64 {
        self.store.commit_log_max()
    }

    fn readable(&self) -> u64 {
        self.store.readable()
    }

    fn ends_whole(&self) -> bool {
        self.store.applied() == self.store.commit_log_max()
    }

    fn segment_bytes(&self) -> u64 {
        self.store.segment_bytes()
    }

    fn read(&self, position: u64, bytes_max: usize) -> Result<Bytes, StoreError> {
        self.store.read_log(position, bytes_max)
    }

    fn watch_readable(&self) -> watch::Receiver<u64> {
        self.readable.subscribe()
    }

    fn append(&self, position: u64, parts: Vec<Bytes>, done: Appended) -> Result<(), StoreError> {
        self.store.append_raw(position, parts, done)
    }
}
