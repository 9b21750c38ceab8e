//! A log's bytes on disk: a directory of files of one size, each named by its start offset in 20 digits, as RocketMQ names them.
//!
//! Always true: the segments are contiguous; each has its full size; a segment's name is durable before its first byte is
//! written; bytes handed out stay readable after their segment was dropped. One thread writes (by convention of the owner),
//! any thread reads or syncs. `store` keeps commit log and consume queues in these, `raft-log` the replicated log.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use crate::disk::{DirectoryEntry, Disk, DiskFile, OpenHow};
use crate::error::DiskError;

/// Digits of a segment's name. Source: RocketMQ 5.3.3 `UtilAll.offset2FileName`.
const NAME_DIGITS: usize = 20;

/// The one directory that a file system itself puts at the root of a volume.
const VOLUME_DIRECTORY: &str = "lost+found";

/// What becomes of a last segment without its full size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It gets its size, and what it lost is mended by its owner.
    Mended,
    /// It gets its size only while nothing was ever written to it.
    Whole,
    /// It gets its size, and nothing in it is durable anyway.
    Rebuildable,
}

/// One segment, as retention sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// The position of its first byte.
    pub start: u64,
    /// The position after its last byte.
    pub end: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

/// A directory of segments.
#[derive(Debug)]
pub struct Segments {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    segment_bytes: u64,
    /// Whether new segments are made durable at once and get their room reserved.
    durable: bool,
    kept: RwLock<Kept>,
    /// Held while names are made or removed, so that `prepare_next` on another thread cannot cross `write_at` or `truncate`.
    naming: Mutex<()>,
}

#[derive(Debug)]
struct Kept {
    /// Where the first segment begins; where the next one will begin when there is none.
    start: u64,
    files: VecDeque<Arc<Segment>>,
}

/// One file, opened when it is first used.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    file: OnceLock<Arc<dyn DiskFile>>,
}

impl Segments {
    /// Opens a directory of segments whose bytes must survive: commit logs. Makes the directory when it is missing.
    /// A last segment that somebody cut short gets its size back: who opens it so mends what it lost from elsewhere.
    pub fn open(disk: Arc<dyn Disk>, directory: PathBuf, segment_bytes: u64) -> Result<Self, DiskError> {
        Self::open_as(disk, directory, segment_bytes, Kind::Mended)
    }

    /// The same, for a log of which there is no other copy: a last segment that is short and holds something was cut by
    /// damage, or is of a log with smaller segments, and neither is to be touched.
    pub fn open_whole(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        segment_bytes: u64,
    ) -> Result<Self, DiskError> {
        Self::open_as(disk, directory, segment_bytes, Kind::Whole)
    }

    /// Opens a directory of segments that can be rebuilt from a log: consume queues.
    /// A new segment is sparse and costs no sync: after a crash it may be short (then it is extended) or gone.
    pub fn open_rebuildable(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        segment_bytes: u64,
    ) -> Result<Self, DiskError> {
        Self::open_as(disk, directory, segment_bytes, Kind::Rebuildable)
    }

    fn open_as(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        segment_bytes: u64,
        kind: Kind,
    ) -> Result<Self, DiskError> {
        let durable = kind != Kind::Rebuildable;
        assert!(segment_bytes > 0, "a segment has at least one byte");
        disk.create_dir_all(&directory).map_err(|error| DiskError::io("create", &directory, error))?;
        let entries = disk.list(&directory).map_err(|error| DiskError::io("list", &directory, error))?;
        let found = check_entries(&directory, entries, segment_bytes)?;
        let start = found.first().map_or(0, |(start, _)| *start);
        let mut files: VecDeque<_> =
            found.iter().map(|(start, _)| Arc::new(Segment::named(&directory, *start))).collect();
        if let (Some(last), Some((_, bytes))) = (files.back(), found.last())
            && *bytes < segment_bytes
        {
            if kind == Kind::Whole && !last.is_blank(&*disk)? {
                let path = last.path.clone();
                return Err(DiskError::SegmentSize { path, bytes: *bytes, segment_bytes });
            }
            // A crash came between making the file and giving it its size.
            match last.fill(&*disk, segment_bytes, durable) {
                // The disk is full. Without its full size a file was never written: it goes, and is made again when needed.
                Err(error) if error.is_full() && last.is_blank(&*disk)? => {
                    tracing::warn!(path = %last.path.display(), "the disk is full: a file that was begun is removed");
                    disk.remove(&last.path).map_err(|error| DiskError::io("remove", &last.path, error))?;
                    files.pop_back();
                }
                filled => filled?,
            }
        }
        let kept = RwLock::new(Kept { start, files });
        Ok(Self { disk, directory, segment_bytes, durable, kept, naming: Mutex::new(()) })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The size of each segment.
    pub fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// The position of the first kept byte.
    pub fn start(&self) -> u64 {
        self.kept.read().start
    }

    /// The end of the last segment file, written or not; equal to `start` when there is none.
    pub fn end(&self) -> u64 {
        let kept = self.kept.read();
        kept.start + kept.files.len() as u64 * self.segment_bytes
    }

    /// The start of the segment that holds, or will hold, `position`.
    pub fn segment_start(&self, position: u64) -> u64 {
        position - position % self.segment_bytes
    }

    /// The segments, oldest first, with the times of their last writes.
    pub fn list(&self) -> Result<Vec<SegmentInfo>, DiskError> {
        let (first, paths): (u64, Vec<PathBuf>) = {
            let kept = self.kept.read();
            (kept.start, kept.files.iter().map(|segment| segment.path.clone()).collect())
        };
        let mut infos = Vec::with_capacity(paths.len());
        for (index, path) in paths.iter().enumerate() {
            let start = first + index as u64 * self.segment_bytes;
            match self.disk.metadata(path) {
                Ok(entry) => {
                    infos.push(SegmentInfo {
                        start,
                        end: start + self.segment_bytes,
                        modified: entry.modified,
                    });
                }
                // Dropped by another thread since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(DiskError::io("stat", path, error)),
            }
        }
        Ok(infos)
    }

    /// Writes slices back to back inside one segment. Makes the next segment when `position` is where it begins;
    /// an empty directory takes any position, its first segment then begins at the segment boundary below.
    pub fn write_at(&self, position: u64, slices: &[IoSlice<'_>]) -> Result<(), DiskError> {
        let len: u64 = slices.iter().map(|slice| slice.len() as u64).sum();
        if position % self.segment_bytes + len > self.segment_bytes {
            return Err(self.out_of_range(position, len));
        }
        let segment = match self.segment_at(position) {
            Some(segment) => segment,
            None => {
                self.make_segment(self.segment_start(position))?;
                self.segment_at(position).ok_or_else(|| self.out_of_range(position, len))?
            }
        };
        segment
            .file(&*self.disk)?
            .write_vectored_at(position % self.segment_bytes, slices)
            .map_err(|error| DiskError::io("write", &segment.path, error))
    }

    /// Shares `len` bytes inside one segment, without a copy on a real disk.
    pub fn read(&self, position: u64, len: usize) -> Result<Bytes, DiskError> {
        let at = position % self.segment_bytes;
        if at + len as u64 > self.segment_bytes {
            return Err(self.out_of_range(position, len as u64));
        }
        if len == 0 {
            return Ok(Bytes::new());
        }
        let kept = self.kept.read();
        let Some(segment) = self.find(&kept, position) else {
            drop(kept);
            return Err(self.out_of_range(position, len as u64));
        };
        segment
            .file(&*self.disk)?
            .read_bytes(at, len)
            .map_err(|error| DiskError::io("read", &segment.path, error))
    }

    /// Makes what was written in `from..to` durable. Safe beside `write_at`; segments dropped meanwhile are passed over.
    pub fn sync(&self, from: u64, to: u64) -> Result<(), DiskError> {
        let mut start = self.segment_start(from).max(self.start());
        while start < to {
            if let Some(segment) = self.segment_at(start) {
                segment
                    .file(&*self.disk)?
                    .sync_data()
                    .map_err(|error| DiskError::io("sync", &segment.path, error))?;
            }
            start += self.segment_bytes;
        }
        Ok(())
    }

    /// Cuts everything from `position` on: later segments are unlinked, newest first, the rest of this one is zeroed; durable
    /// when it returns. Between the two a crash can leave stale bytes behind `position`, never a later segment.
    pub fn truncate(&self, position: u64) -> Result<(), DiskError> {
        let _naming = self.naming.lock();
        if position < self.start() {
            return Err(self.out_of_range(position, 0));
        }
        let mut removed = false;
        while self.end() > position && self.end() - self.segment_bytes >= position {
            let Some(last) = self.kept.write().files.pop_back() else { break };
            self.disk.remove(&last.path).map_err(|error| DiskError::io("remove", &last.path, error))?;
            removed = true;
        }
        if removed {
            self.sync_directory()?;
        }
        let at = position % self.segment_bytes;
        if at > 0
            && let Some(segment) = self.segment_at(position)
        {
            let file = segment.file(&*self.disk)?;
            file.zero(at, self.segment_bytes - at)
                .map_err(|error| DiskError::io("zero", &segment.path, error))?;
            file.sync_data().map_err(|error| DiskError::io("sync", &segment.path, error))?;
        }
        Ok(())
    }

    /// Unlinks whole segments that end at or before `position`, oldest first, and tells where they began.
    /// Bytes of them that readers hold stay valid.
    pub fn drop_before(&self, position: u64) -> Result<Vec<u64>, DiskError> {
        let _naming = self.naming.lock();
        let mut dropped = Vec::new();
        loop {
            let (first, start) = {
                let mut kept = self.kept.write();
                if kept.files.is_empty() || kept.start + self.segment_bytes > position {
                    break;
                }
                let start = kept.start;
                kept.start += self.segment_bytes;
                (kept.files.pop_front(), start)
            };
            if let Some(first) = first {
                self.disk.remove(&first.path).map_err(|error| DiskError::io("remove", &first.path, error))?;
                dropped.push(start);
            }
        }
        if !dropped.is_empty() {
            self.sync_directory()?;
        }
        Ok(dropped)
    }

    /// Unlinks every segment, newest first, durably; the next write may begin anywhere.
    pub fn clear(&self) -> Result<(), DiskError> {
        self.truncate(self.start())
    }

    /// Makes the segment after the one that holds `position`, so that the writer does not wait for it; callable from any thread.
    pub fn prepare_next(&self, position: u64) -> Result<(), DiskError> {
        let next = self.segment_start(position) + self.segment_bytes;
        if self.end() == next && !self.kept.read().files.is_empty() {
            self.make_segment(next)
        } else {
            Ok(())
        }
    }

    /// Makes the segment that begins at `start`, unless it exists.
    fn make_segment(&self, start: u64) -> Result<(), DiskError> {
        let _naming = self.naming.lock();
        let (is_empty, end) = (self.kept.read().files.is_empty(), self.end());
        if !is_empty && self.start() <= start && start < end {
            return Ok(());
        }
        if !is_empty && start != end {
            return Err(self.out_of_range(start, 0));
        }
        let segment = Segment::named(&self.directory, start);
        segment.fill(&*self.disk, self.segment_bytes, self.durable)?;
        if self.durable {
            // A new segment's name lives in its directory: without this sync a crash can lose the whole file, although its
            // bytes were synced and acknowledged.
            self.sync_directory()?;
        }
        let mut kept = self.kept.write();
        if is_empty {
            kept.start = start;
        }
        kept.files.push_back(Arc::new(segment));
        Ok(())
    }

    fn sync_directory(&self) -> Result<(), DiskError> {
        self.disk.sync_dir(&self.directory).map_err(|error| DiskError::io("sync", &self.directory, error))
    }

    fn segment_at(&self, position: u64) -> Option<Arc<Segment>> {
        self.find(&self.kept.read(), position).cloned()
    }

    fn find<'a>(&self, kept: &'a Kept, position: u64) -> Option<&'a Arc<Segment>> {
        let index = position.checked_sub(kept.start)? / self.segment_bytes;
        kept.files.get(usize::try_from(index).ok()?)
    }

    fn out_of_range(&self, position: u64, len: u64) -> DiskError {
        DiskError::OutOfRange { position, len, start: self.start(), end: self.end() }
    }
}

impl Segment {
    fn named(directory: &Path, start: u64) -> Self {
        Self { path: directory.join(format!("{start:0NAME_DIGITS$}")), file: OnceLock::new() }
    }

    fn file(&self, disk: &dyn Disk) -> Result<&Arc<dyn DiskFile>, DiskError> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = disk
            .open(&self.path, OpenHow::Write)
            .map_err(|error| DiskError::io("open", &self.path, error))?;
        Ok(self.file.get_or_init(|| file))
    }

    /// Whether nothing was ever written: a log's first bytes are never zeros.
    fn is_blank(&self, disk: &dyn Disk) -> Result<bool, DiskError> {
        let mut head = [0; 8];
        let read = self.file(disk)?.read_at(0, &mut head);
        read.map_err(|error| DiskError::io("read", &self.path, error))?;
        Ok(head == [0; 8])
    }

    /// Makes the file if need be and gives it its full size.
    fn fill(&self, disk: &dyn Disk, segment_bytes: u64, durable: bool) -> Result<(), DiskError> {
        let file = disk
            .open(&self.path, OpenHow::Create)
            .map_err(|error| DiskError::io("create", &self.path, error))?;
        if durable {
            file.allocate(segment_bytes).map_err(|error| DiskError::io("allocate", &self.path, error))?;
            file.sync_data().map_err(|error| DiskError::io("sync", &self.path, error))?;
        } else {
            file.set_len(segment_bytes).map_err(|error| DiskError::io("extend", &self.path, error))?;
        }
        let _ = self.file.set(file);
        Ok(())
    }
}

/// Turns a listing into `(start, bytes)` of contiguous segments, or says what is wrong with it.
fn check_entries(
    directory: &Path,
    entries: Vec<DirectoryEntry>,
    segment_bytes: u64,
) -> Result<Vec<(u64, u64)>, DiskError> {
    let mut found: Vec<(u64, u64)> = Vec::with_capacity(entries.len());
    for entry in entries {
        if entry.is_directory && entry.name == VOLUME_DIRECTORY {
            continue;
        }
        let start = parse_name(&entry.name).filter(|start| !entry.is_directory && start % segment_bytes == 0);
        let Some(start) = start else {
            let directory = directory.to_path_buf();
            return Err(DiskError::ForeignFile { directory, name: entry.name, segment_bytes });
        };
        found.push((start, entry.bytes));
    }
    found.sort_unstable();
    for pair in found.windows(2) {
        let (missing, next) = (pair[0].0 + segment_bytes, pair[1].0);
        if missing != next {
            return Err(DiskError::SegmentGap { directory: directory.to_path_buf(), missing, next });
        }
    }
    let last = found.len().saturating_sub(1);
    for (index, (start, bytes)) in found.iter().enumerate() {
        if *bytes > segment_bytes || (*bytes < segment_bytes && index != last) {
            let path = directory.join(format!("{start:0NAME_DIGITS$}"));
            return Err(DiskError::SegmentSize { path, bytes: *bytes, segment_bytes });
        }
    }
    Ok(found)
}

fn parse_name(name: &str) -> Option<u64> {
    let is_decimal = name.len() == NAME_DIGITS && name.bytes().all(|byte| byte.is_ascii_digit());
    if is_decimal { name.parse().ok() } else { None }
}

#[cfg(test)]
#[path = "segments_tests.rs"]
mod tests;
