//! The commit log as replication sees it, so that its tests need no disk.

use bytes::Bytes;
use store::StoreError;
use tokio::sync::watch;

/// Told the new end of the log, or why the bytes could not be appended.
pub type Appended = Box<dyn FnOnce(Result<u64, StoreError>) + Send>;

/// A commit log that is read by a master and appended to by a slave.
pub trait HaLog: Send + Sync + 'static {
    /// First kept byte.
    fn start(&self) -> u64;
    /// One past the last written byte.
    fn end(&self) -> u64;
    /// Size of one file, in bytes.
    fn segment_bytes(&self) -> u64;
    /// Bytes from `position`, at most `bytes_max`, not beyond the file they begin in.
    fn read(&self, position: u64, bytes_max: usize) -> Result<Bytes, StoreError>;
    /// Says whenever the end moved.
    fn written(&self) -> watch::Receiver<u64>;
    /// Appends a master's bytes verbatim; on an empty log `position` may be the start of any file.
    fn append(&self, position: u64, bytes: Bytes, done: Appended) -> Result<(), StoreError>;
}
