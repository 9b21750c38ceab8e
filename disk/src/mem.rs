//! A disk in memory that forgets what was not synced, and fails when it is told to.
//!
//! A test writes through it, takes the power with `crash` or `crash_with(seed)`, opens everything anew and looks what is left.
//! Handles and locks from before a crash are dead. Names follow their directory's sync: unsynced ones are lost, newest first.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use crate::disk::{DirectoryEntry, Disk, DiskFile, DiskLock, OpenHow, Space};
use crate::faults::{Chance, Faults};
use crate::mem_file::{Change, Inode};
use crate::real::parent_of;

type Names = BTreeMap<PathBuf, Node>;

/// A disk in memory; clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemDisk(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    inodes: Vec<Inode>,
    names: Names,
    /// The names as they would be found after a crash.
    durable_names: Names,
    /// Changes of names that were not synced, oldest first.
    unsynced_names: Vec<NameChange>,
    /// Counts crashes: a handle of an earlier life is dead.
    life: u64,
    locks: Vec<PathBuf>,
    capacity: Option<u64>,
    faults: Faults,
    syncs: u64,
    changes: u64,
    /// Whether syncs of files wait, and who wakes them.
    held: Arc<(Mutex<bool>, Condvar)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

/// One atomic change of the name space.
#[derive(Debug, Clone)]
struct NameChange {
    removed: Option<PathBuf>,
    added: Option<(PathBuf, Node)>,
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        if let Some(path) = &self.removed {
            names.remove(path);
        }
        if let Some((path, node)) = &self.added {
            names.insert(path.clone(), *node);
        }
    }

    fn touches(&self, directory: &Path) -> bool {
        let is_in = |path: &PathBuf| parent_of(path) == directory;
        self.removed.as_ref().is_some_and(is_in) || self.added.as_ref().is_some_and(|(path, _)| is_in(path))
    }
}

impl MemDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the power: everything that was not synced is gone.
    pub fn crash(&self) {
        self.0.lock().crash(None);
    }

    /// Takes the power: of what was not synced some is kept, some torn, some gone, as the seed says.
    pub fn crash_with(&self, seed: u64) {
        self.0.lock().crash(Some(Chance::from_seed(seed)));
    }

    /// The `nth` sync of a file from now fails with EIO and loses what it should have kept, as Linux does.
    pub fn fail_sync(&self, nth: u64) {
        self.0.lock().faults.fail_sync(nth);
    }

    /// The `nth` write from now fails with `kind`, for instance `StorageFull`.
    pub fn fail_write(&self, nth: u64, kind: io::ErrorKind) {
        self.0.lock().faults.fail_write(nth, kind);
    }

    /// The `nth` read from now fails with EIO.
    pub fn fail_read(&self, nth: u64) {
        self.0.lock().faults.fail_read(nth);
    }

    /// Lets syncs of files wait until they are held no more, as on a disk that takes its time.
    pub fn hold_syncs(&self, are_held: bool) {
        let held = Arc::clone(&self.0.lock().held);
        *held.0.lock() = are_held;
        held.1.notify_all();
    }

    /// After this many more changes (writes, syncs, names) nothing works until the next `crash`.
    pub fn power_off_after(&self, changes: u64) {
        self.0.lock().faults.power_off_after(changes);
    }

    /// Lets the disk hold this many bytes in all.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.0.lock().capacity = bytes;
    }

    /// Flips a bit of a file's durable bytes.
    pub fn damage(&self, path: &Path, position: u64) {
        let mut inner = self.0.lock();
        if let Some(Node::File(inode)) = inner.names.get(path).copied() {
            inner.inodes[inode].damage(position);
        }
    }

    /// How many file syncs there were so far.
    pub fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    /// How many changes there were so far; see `power_off_after`.
    pub fn changes(&self) -> u64 {
        self.0.lock().changes
    }
}

impl Inner {
    fn crash(&mut self, mut chance: Option<Chance>) {
        for inode in &mut self.inodes {
            inode.crash(chance.as_mut());
        }
        let count = self.unsynced_names.len() as u64;
        let kept = chance.as_mut().map_or(0, |chance| chance.below(count + 1));
        for change in self.unsynced_names.drain(..).take(kept as usize) {
            change.apply(&mut self.durable_names);
        }
        self.names = self.durable_names.clone();
        self.life += 1;
        self.locks.clear();
        self.faults = Faults::default();
    }

    fn change(&mut self) -> io::Result<()> {
        self.changes += 1;
        self.faults.change()
    }

    fn rename_or_so(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    fn used(&self) -> u64 {
        let sizes = self.names.values().map(|node| match node {
            Node::File(inode) => self.inodes[*inode].seen.len() as u64,
            Node::Directory => 0,
        });
        sizes.sum()
    }

    /// Refuses to let `inode` grow to `end` when the disk has no room for it.
    fn check_room(&self, inode: usize, end: u64) -> io::Result<()> {
        let growth = end.saturating_sub(self.inodes[inode].seen.len() as u64);
        match self.capacity {
            Some(capacity) if growth > 0 && self.used() + growth > capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    fn is_directory(&self, path: &Path) -> bool {
        let is_root = path.parent().is_none() || path == Path::new(".");
        is_root || self.names.get(path) == Some(&Node::Directory)
    }

    fn describe(&self, path: &Path, node: Node) -> DirectoryEntry {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match node {
            Node::Directory => {
                DirectoryEntry { name, is_directory: true, bytes: 0, modified: SystemTime::UNIX_EPOCH }
            }
            Node::File(inode) => {
                let inode = &self.inodes[inode];
                let bytes = inode.seen.len() as u64;
                DirectoryEntry { name, is_directory: false, bytes, modified: inode.modified }
            }
        }
    }
}

impl Disk for MemDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.0.lock();
        let mut missing: Vec<&Path> = path.ancestors().filter(|part| !inner.is_directory(part)).collect();
        missing.retain(|part| !part.as_os_str().is_empty());
        for directory in missing.into_iter().rev() {
            inner.change()?;
            let node = (directory.to_path_buf(), Node::Directory);
            inner.rename_or_so(NameChange { removed: None, added: Some(node.clone()) });
            inner.unsynced_names.pop();
            inner.durable_names.insert(node.0, node.1);
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let mut inner = self.0.lock();
        inner.faults.read()?;
        if !inner.is_directory(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let children = inner.names.iter().filter(|(child, _)| child.parent() == Some(path));
        Ok(children.map(|(child, node)| inner.describe(child, *node)).collect())
    }

    fn metadata(&self, path: &Path) -> io::Result<DirectoryEntry> {
        let inner = self.0.lock();
        let node = inner.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(inner.describe(path, *node))
    }

    fn open(&self, path: &Path, how: OpenHow) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.0.lock();
        let inode = match (inner.names.get(path).copied(), how) {
            (Some(Node::Directory), _) => return Err(io::ErrorKind::IsADirectory.into()),
            (Some(Node::File(_)), OpenHow::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(Node::File(inode)), _) => inode,
            (None, OpenHow::Read | OpenHow::Write) => return Err(io::ErrorKind::NotFound.into()),
            (None, OpenHow::Create | OpenHow::CreateNew) => {
                if !inner.is_directory(&parent_of(path)) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                inner.change()?;
                inner.inodes.push(Inode::empty());
                let inode = inner.inodes.len() - 1;
                inner.rename_or_so(NameChange {
                    removed: None,
                    added: Some((path.to_path_buf(), Node::File(inode))),
                });
                inode
            }
        };
        Ok(Arc::new(MemFile { disk: self.0.clone(), inode, life: inner.life }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.change()?;
        match inner.names.get(path) {
            Some(Node::File(_)) => {
                inner.rename_or_so(NameChange { removed: Some(path.to_path_buf()), added: None });
                Ok(())
            }
            Some(Node::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.change()?;
        let doomed: Vec<PathBuf> =
            inner.names.keys().filter(|name| name.starts_with(path)).cloned().collect();
        if doomed.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        for name in doomed.into_iter().rev() {
            inner.rename_or_so(NameChange { removed: Some(name), added: None });
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.change()?;
        let node = inner.names.get(from).copied().ok_or(io::ErrorKind::NotFound)?;
        if matches!(node, Node::Directory) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        inner.rename_or_so(NameChange {
            removed: Some(from.to_path_buf()),
            added: Some((to.to_path_buf(), node)),
        });
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.change()?;
        let inner = &mut *inner;
        let (synced, unsynced) =
            inner.unsynced_names.drain(..).partition(|change: &NameChange| change.touches(path));
        inner.unsynced_names = unsynced;
        for change in &synced as &Vec<NameChange> {
            change.apply(&mut inner.durable_names);
        }
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        let inner = self.0.lock();
        inner.is_directory(path) || inner.names.contains_key(path)
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        let inner = self.0.lock();
        let total = inner.capacity.unwrap_or(1 << 40);
        Ok(Space { total, available: total.saturating_sub(inner.used()), used: inner.used() })
    }

    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        let file = self.open(path, OpenHow::Create)?;
        drop(file);
        let mut inner = self.0.lock();
        if inner.locks.iter().any(|locked| locked == path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        inner.locks.push(path.to_path_buf());
        Ok(DiskLock::holding(MemLock { disk: self.0.clone(), path: path.to_path_buf(), life: inner.life }))
    }
}

struct MemLock {
    disk: Arc<Mutex<Inner>>,
    path: PathBuf,
    life: u64,
}

impl Drop for MemLock {
    fn drop(&mut self) {
        let mut inner = self.disk.lock();
        if inner.life == self.life {
            inner.locks.retain(|locked| *locked != self.path);
        }
    }
}

#[derive(Debug)]
struct MemFile {
    disk: Arc<Mutex<Inner>>,
    inode: usize,
    life: u64,
}

impl MemFile {
    /// Runs `deed` unless the disk crashed since this handle was opened.
    fn alive<T>(&self, deed: impl FnOnce(&mut Inner) -> io::Result<T>) -> io::Result<T> {
        let mut inner = self.disk.lock();
        if inner.life != self.life {
            return Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the disk crashed since this file was opened",
            ));
        }
        deed(&mut inner)
    }
}

impl DiskFile for MemFile {
    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.alive(|inner| {
            inner.change()?;
            inner.faults.write()?;
            inner.check_room(self.inode, position + bytes.len() as u64)?;
            inner.inodes[self.inode].change(Change::Write { position, bytes: bytes.to_vec() });
            Ok(())
        })
    }

    fn write_vectored_at(&self, position: u64, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(slices.iter().map(|slice| slice.len()).sum());
        for slice in slices {
            bytes.extend_from_slice(slice);
        }
        self.write_at(position, &bytes)
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.alive(|inner| {
            inner.faults.read()?;
            let seen = &inner.inodes[self.inode].seen;
            let start = (position as usize).min(seen.len());
            let count = buffer.len().min(seen.len() - start);
            buffer[..count].copy_from_slice(&seen[start..start + count]);
            Ok(count)
        })
    }

    fn read_bytes(&self, position: u64, len: usize) -> io::Result<Bytes> {
        let mut buffer = vec![0; len];
        if self.read_at(position, &mut buffer)? < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(buffer.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        let held = Arc::clone(&self.disk.lock().held);
        held.1.wait_while(&mut held.0.lock(), |are_held| *are_held);
        self.alive(|inner| {
            inner.change()?;
            inner.syncs += 1;
            let outcome = inner.faults.sync();
            match outcome {
                Ok(()) => inner.inodes[self.inode].sync(),
                Err(_) => inner.inodes[self.inode].forget_unsynced(),
            }
            outcome
        })
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.alive(|inner| {
            inner.change()?;
            inner.check_room(self.inode, len)?;
            if (inner.inodes[self.inode].seen.len() as u64) < len {
                inner.inodes[self.inode].change(Change::SetLen(len));
            }
            Ok(())
        })
    }

    fn zero(&self, position: u64, len: u64) -> io::Result<()> {
        self.alive(|inner| {
            inner.change()?;
            inner.inodes[self.inode].change(Change::Zero { position, len });
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.alive(|inner| Ok(inner.inodes[self.inode].seen.len() as u64))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.alive(|inner| {
            inner.change()?;
            inner.inodes[self.inode].change(Change::SetLen(len));
            Ok(())
        })
    }
}

#[cfg(test)]
#[path = "mem_tests.rs"]
mod tests;
