//! The machine's own file system.
//!
//! Always true: nothing is written through a map, and a file is never made shorter than what was mapped of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use rustix::fs::{FallocateFlags, FlockOperation};

use crate::disk::{DirectoryEntry, Disk, DiskFile, DiskLock, OpenHow, Space};
use crate::mapped;
use crate::planted::{Bug, planted};

/// The most slices that one `pwritev` takes on Linux (`UIO_MAXIOV`).
const SLICES_MAX: usize = 1024;

/// The machine's own file system.
#[derive(Debug, Default, Clone, Copy)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut missing: Vec<PathBuf> = Vec::new();
        let mut at = path;
        while !at.as_os_str().is_empty() && !at.exists() {
            missing.push(at.to_path_buf());
            match at.parent() {
                Some(parent) => at = parent,
                None => break,
            }
        }
        for directory in missing.iter().rev() {
            match fs::create_dir(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => self.sync_dir(&parent_of(directory))?,
            }
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            match entry.metadata() {
                Ok(metadata) => {
                    entries.push(describe(entry.file_name().to_string_lossy().into_owned(), &metadata)?)
                }
                // Removed between the two calls.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    fn metadata(&self, path: &Path) -> io::Result<DirectoryEntry> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        describe(name, &fs::metadata(path)?)
    }

    fn open(&self, path: &Path, how: OpenHow) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match how {
            OpenHow::Read => &mut options,
            OpenHow::Write => options.write(true),
            OpenHow::Create => options.write(true).create(true).truncate(false),
            OpenHow::CreateNew => options.write(true).create_new(true),
        };
        Ok(Arc::new(RealFile { file: options.open(path)?, map: RwLock::new(Bytes::new()) }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if planted(Bug::DirectoryUnsynced) {
            return Ok(());
        }
        File::open(path)?.sync_all()
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let figures = rustix::fs::statvfs(path)?;
        Ok(Space {
            total: figures.f_blocks * figures.f_frsize,
            available: figures.f_bavail * figures.f_frsize,
            used: figures.f_blocks.saturating_sub(figures.f_bfree) * figures.f_frsize,
        })
    }

    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        // `flock` keeps other brokers of this very process away; the record lock is the one that a Java broker takes.
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DiskLock::holding(file)),
            Err(rustix::io::Errno::ACCESS) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The directory that holds `path`; the current one for a bare name.
pub(crate) fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

fn describe(name: String, metadata: &fs::Metadata) -> io::Result<DirectoryEntry> {
    let is_directory = metadata.is_dir();
    let bytes = if is_directory { 0 } else { metadata.len() };
    Ok(DirectoryEntry { name, is_directory, bytes, modified: metadata.modified()? })
}

#[derive(Debug)]
struct RealFile {
    file: File,
    /// The whole file as it was when it was last mapped; empty until the first `read_bytes`.
    map: RwLock<Bytes>,
}

impl RealFile {
    /// Maps the file as it is now; a file that grew since is mapped again, old slices keep the old map.
    fn map_up_to(&self, end: usize) -> io::Result<Bytes> {
        let mut map = self.map.write();
        if map.len() < end {
            let len = usize::try_from(self.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
            if len < end {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            *map = mapped::map(&self.file, len)?;
        }
        Ok(map.clone())
    }
}

impl DiskFile for RealFile {
    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, position)
    }

    fn write_vectored_at(&self, mut position: u64, slices: &[IoSlice<'_>]) -> io::Result<()> {
        for slices in slices.chunks(SLICES_MAX) {
            let total: usize = slices.iter().map(|slice| slice.len()).sum();
            let mut written = loop {
                match rustix::io::pwritev(&self.file, slices, position) {
                    Err(rustix::io::Errno::INTR) => {}
                    other => break other?,
                }
            };
            position += total as u64;
            if written == total {
                continue;
            }
            // A short write is rare (a signal, a nearly full disk): write what is left slice by slice.
            let mut at = position - total as u64 + written as u64;
            for slice in slices {
                let skip = written.min(slice.len());
                written -= skip;
                self.file.write_all_at(&slice[skip..], at)?;
                at += (slice.len() - skip) as u64;
            }
        }
        Ok(())
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match self.file.read_at(&mut buffer[read..], position + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn read_bytes(&self, position: u64, len: usize) -> io::Result<Bytes> {
        if len == 0 {
            return Ok(Bytes::new());
        }
        let start = usize::try_from(position).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(len).ok_or(io::ErrorKind::UnexpectedEof)?;
        {
            let map = self.map.read();
            if end <= map.len() {
                return Ok(map.slice(start..end));
            }
        }
        Ok(self.map_up_to(end)?.slice(start..end))
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.file)?)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, len) {
            // A file system that cannot reserve room still gives the file its size.
            Err(rustix::io::Errno::OPNOTSUPP) if self.len()? < len => self.set_len(len),
            Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            other => Ok(other?),
        }
    }

    fn zero(&self, position: u64, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        let how = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.file, how, position, len) {
            Err(rustix::io::Errno::OPNOTSUPP) => write_zeros(&self.file, position, len),
            other => Ok(other?),
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let map = self.map.read();
        if len < map.len() as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a mapped file is not made shorter"));
        }
        self.file.set_len(len)
    }
}

/// Zeroes a range on a file system that cannot do it by itself.
fn write_zeros(file: &File, mut position: u64, mut len: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    while len > 0 {
        let count = len.min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..count as usize], position)?;
        position += count;
        len -= count;
    }
    Ok(())
}

#[cfg(test)]
#[path = "real_tests.rs"]
mod tests;
