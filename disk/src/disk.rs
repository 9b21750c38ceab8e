//! The seam between the house and the file system: what a disk can do, in as few words as possible.
//!
//! There are two disks, `RealDisk` and `MemDisk`; all code above takes `Arc<dyn Disk>`, so that a test can take the power away.

use std::any::Any;
use std::fmt::{self, Debug};
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenHow {
    /// To read a file that exists.
    Read,
    /// To read and write a file that exists.
    Write,
    /// To read and write; the file is made when it does not exist.
    Create,
    /// To read and write a file that must not exist yet.
    CreateNew,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The last component of the path.
    pub name: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// The size of the file; 0 for a directory.
    pub bytes: u64,
    /// When its bytes last changed.
    pub modified: SystemTime,
}

/// How much room a file system has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// The size of the file system.
    pub total: u64,
    /// What an ordinary process may still write.
    pub available: u64,
    /// Bytes that files hold; what is neither used nor available is reserved for others.
    pub used: u64,
}

impl Space {
    /// The used part of what we could ever use, from 0.0 to 1.0, as `df` counts it: a quota or blocks reserved for others
    /// are no use to us, and no sign of fullness. A file system without a size counts as full.
    pub fn used_ratio(&self) -> f64 {
        let reachable = self.used + self.available;
        if reachable == 0 { 1.0 } else { self.used as f64 / reachable as f64 }
    }

    /// How many bytes must go until no more than this part is used.
    pub fn above(&self, percent: u8) -> u64 {
        self.used.saturating_sub((self.used + self.available) / 100 * u64::from(percent))
    }
}

/// A lock on a directory's lock file; released when dropped, or when the process dies.
pub struct DiskLock(#[allow(dead_code, reason = "held for its Drop")] Box<dyn Any + Send + Sync>);

impl DiskLock {
    /// Wraps whatever releases the lock when it is dropped.
    pub(crate) fn holding(guard: impl Any + Send + Sync) -> Self {
        Self(Box::new(guard))
    }
}

impl Debug for DiskLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskLock")
    }
}

/// A file system.
pub trait Disk: Send + Sync + Debug {
    /// Makes a directory and its missing parents, and syncs each new name into the directory that holds it.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Lists a directory in the order of names.
    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>>;
    /// Tells what a name stands for.
    fn metadata(&self, path: &Path) -> io::Result<DirectoryEntry>;
    /// Opens a file. The name of a new file is durable only after `sync_dir` of its directory.
    fn open(&self, path: &Path, how: OpenHow) -> io::Result<Arc<dyn DiskFile>>;
    /// Removes a file; who has it open, or holds bytes of it, keeps them.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and all that is in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Renames a file, replacing what bore the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Whether the name exists.
    fn exists(&self, path: &Path) -> bool;
    /// The room on the file system that holds `path`.
    fn space(&self, path: &Path) -> io::Result<Space>;
    /// Locks the file at `path` (made when missing) against every other process and against this one;
    /// `WouldBlock` when somebody else has it.
    fn lock(&self, path: &Path) -> io::Result<DiskLock>;
}

/// An open file.
pub trait DiskFile: Send + Sync + Debug {
    /// Writes all of `bytes`.
    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()>;
    /// Writes all slices back to back with as few system calls as possible.
    fn write_vectored_at(&self, position: u64, slices: &[IoSlice<'_>]) -> io::Result<()>;
    /// Reads until the buffer is full or the file ends; tells how many bytes were read.
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Shares bytes of the file; on a real disk a slice of a map, without a copy.
    /// Meant for preallocated files: what is handed out must not be written again while somebody reads it.
    fn read_bytes(&self, position: u64, len: usize) -> io::Result<Bytes>;
    /// Makes bytes and size durable. After an error nobody knows what was kept: the caller must not try again.
    fn sync_data(&self) -> io::Result<()>;
    /// Makes the file at least `len` bytes long with room reserved on the disk, so that a later write cannot find it full.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Sets a range inside the file to zero, without giving its room back.
    fn zero(&self, position: u64, len: u64) -> io::Result<()>;
    /// The size of the file.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Sets the size; refused below what was mapped, because readers of a map beyond the end of a file die by signal.
    fn set_len(&self, len: u64) -> io::Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_nobody_here_can_use_are_no_sign_of_fullness() {
        // 252 GiB in all, 12 used, 80 to be had: what `df` calls 13 %.
        let space = Space { total: 252, available: 80, used: 12 };
        assert!((0.13..0.14).contains(&space.used_ratio()));
        assert_eq!(Space { total: 0, available: 0, used: 0 }.used_ratio(), 1.0);
    }
}
