//! The one door to files: segments, group flush, small files replaced whole, a faulty disk in memory.
//!
//! What is always true here: writes are `pwrite` and `fdatasync`, so that a sick disk is an `Err` and not a signal;
//! reads of preallocated files are slices of a read-only map; a name in a directory is synced before anything relies on it.
//! `store` and `raft-log` call this crate from threads that they own; nothing in it is asynchronous.

mod disk;
mod error;
mod faults;
mod group_flush;
mod mapped;
mod mem;
mod mem_file;
mod planted;
mod real;
mod segments;
mod small_file;

pub use disk::{DirectoryEntry, Disk, DiskFile, DiskLock, OpenHow, Space};
pub use error::DiskError;
pub use group_flush::GroupFlush;
pub use mem::MemDisk;
pub use planted::{Bug, planted};
pub use real::RealDisk;
pub use segments::{SegmentInfo, Segments};
pub use small_file::{bak_path, read_or_bak, read_whole, replace_file};
