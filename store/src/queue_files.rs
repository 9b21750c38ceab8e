//! The files of one consume queue: sparse, of one size, named by the byte at which they begin in the queue.
//!
//! Always true: the files are contiguous and have their full size; at most one stays open per queue, and no more in all than
//! the store allows. A new file's name is durable only after `sync`: until then the log can rebuild what is in it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use disk::{Disk, DiskError, DiskFile, OpenHow};
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use crate::error::StoreError;
use crate::unit::{UNIT_BYTES, Unit};

const UNIT: usize = UNIT_BYTES as usize;
/// Units of a file are filled or blanked in pieces of this many.
const CHUNK_UNITS: u64 = 4096;
/// So many units are read without an allocation.
const STACK_UNITS: usize = 64;

/// How many files of consume queues may stay open, and how many do.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    open: AtomicUsize,
    max: usize,
}

impl OpenFiles {
    pub(crate) fn new(max: usize) -> Self {
        Self { open: AtomicUsize::new(0), max }
    }

    /// Whether no more files may stay open.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.open.load(Ordering::Relaxed) >= self.max
    }

    fn try_take(&self) -> bool {
        self.open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < self.max).then_some(open + 1))
            .is_ok()
    }

    fn give_back(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The files of one queue.
#[derive(Debug)]
pub(crate) struct QueueFiles {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    file_bytes: u64,
    open_files: Arc<OpenFiles>,
    state: Mutex<State>,
    /// Set by every use, cleared by the sweep that closes what nobody used since.
    is_used: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// The byte at which the first file begins.
    start: u64,
    count: u64,
    handle: Option<(u64, Arc<dyn DiskFile>)>,
    /// Files written since the last sync.
    unsynced: SmallVec<[u64; 2]>,
    /// A file whose end was blanked after a crash, and not synced since. Until a clean stop nobody believes it anyway.
    blanked: Option<u64>,
    is_name_unsynced: bool,
    is_directory_made: bool,
}

impl QueueFiles {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        file_bytes: u64,
        open_files: Arc<OpenFiles>,
    ) -> Self {
        Self {
            disk,
            directory,
            file_bytes,
            open_files,
            state: Mutex::default(),
            is_used: AtomicBool::new(false),
        }
    }

    /// Learns which files there are.
    pub(crate) fn load(&self) -> Result<(), StoreError> {
        let list =
            self.disk.list(&self.directory).map_err(|error| DiskError::io("list", &self.directory, error))?;
        let mut starts = Vec::with_capacity(list.len());
        for entry in &list {
            let foreign = || StoreError::QueueFile {
                path: self.directory.join(&entry.name),
                file_bytes: self.file_bytes,
            };
            let start =
                parse_name(&entry.name).filter(|start| !entry.is_directory && start % self.file_bytes == 0);
            let start = start.ok_or_else(foreign)?;
            if entry.bytes > self.file_bytes {
                return Err(foreign());
            }
            starts.push((start, entry.bytes));
        }
        starts.sort_unstable();
        for pair in starts.windows(2) {
            if pair[0].0 + self.file_bytes != pair[1].0 {
                let path = self.path(pair[0].0 + self.file_bytes);
                return Err(StoreError::QueueFile { path, file_bytes: self.file_bytes });
            }
        }
        let mut state = self.state.lock();
        state.is_directory_made = true;
        state.start = starts.first().map_or(0, |(start, _)| *start);
        state.count = starts.len() as u64;
        for (start, bytes) in starts {
            // A crash came between making the file and giving it its size.
            if bytes < self.file_bytes {
                let file = self.open(start, OpenHow::Write)?;
                file.set_len(self.file_bytes)
                    .map_err(|error| DiskError::io("extend", &self.path(start), error))?;
            }
        }
        Ok(())
    }

    /// The first unit that a file could hold, and the unit after the last.
    pub(crate) fn span(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.start / UNIT_BYTES, (state.start + state.count * self.file_bytes) / UNIT_BYTES)
    }

    /// Units per file.
    pub(crate) fn file_units(&self) -> u64 {
        self.file_bytes / UNIT_BYTES
    }

    /// Reads up to `count` units from unit `from` on; fewer when a file ends.
    pub(crate) fn read(&self, from: u64, count: usize, out: &mut Vec<Unit>) -> Result<(), StoreError> {
        let position = from * UNIT_BYTES;
        let start = position - position % self.file_bytes;
        let count = count.min(((start + self.file_bytes - position) / UNIT_BYTES) as usize);
        let mut small = [0; STACK_UNITS * UNIT];
        let mut large = Vec::new();
        let buffer = if count <= STACK_UNITS {
            &mut small[..count * UNIT]
        } else {
            large.resize(count * UNIT, 0);
            large.as_mut_slice()
        };
        let file = self.file(start)?;
        let read = file
            .read_at(position - start, buffer)
            .map_err(|error| DiskError::io("read", &self.path(start), error))?;
        out.extend(buffer[..read].as_chunks::<UNIT>().0.iter().map(Unit::decode));
        Ok(())
    }

    /// Reads one unit; blank where there is none.
    pub(crate) fn unit(&self, at: u64) -> Result<Unit, StoreError> {
        self.reader().unit(at)
    }

    /// Reads unit after unit.
    pub(crate) fn reader(&self) -> UnitReader<'_> {
        UnitReader { files: self, file: None }
    }

    /// Writes units from unit `from` on, making files as they are needed. A queue that begins inside its first file gets
    /// that file filled before its first unit.
    pub(crate) fn write(&self, from: u64, units: &[Unit]) -> Result<(), StoreError> {
        let mut from = from;
        let mut units = units;
        while !units.is_empty() {
            let start = self.start_of(from);
            let left = self.file_units() - from % self.file_units();
            let (now, rest) = units.split_at(units.len().min(left as usize));
            self.ensure(start, from)?;
            self.write_inside(start, from, now)?;
            from += now.len() as u64;
            units = rest;
        }
        Ok(())
    }

    /// Makes what was written durable.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let (unsynced, is_name_unsynced) = {
            let mut state = self.state.lock();
            (std::mem::take(&mut state.unsynced), std::mem::take(&mut state.is_name_unsynced))
        };
        for start in unsynced {
            self.sync_file(start)?;
        }
        if is_name_unsynced {
            self.disk
                .sync_dir(&self.directory)
                .map_err(|error| DiskError::io("sync", &self.directory, error))?;
        }
        Ok(())
    }

    /// Makes durable what was blanked after a crash: what comes next may be a clean stop, after which the files are believed.
    pub(crate) fn sync_blanked(&self) -> Result<(), StoreError> {
        let blanked = self.state.lock().blanked.take();
        blanked.map_or(Ok(()), |start| self.sync_file(start))
    }

    fn sync_file(&self, start: u64) -> Result<(), StoreError> {
        if self.holds(start) {
            let file = self.file(start)?;
            file.sync_data().map_err(|error| DiskError::io("sync", &self.path(start), error))?;
        }
        Ok(())
    }

    /// Whether something was written since the last sync.
    pub(crate) fn is_unsynced(&self) -> bool {
        let state = self.state.lock();
        !state.unsynced.is_empty() || state.is_name_unsynced
    }

    /// Forgets everything from unit `end` on: later files go, what is written of this one is blanked. Units are dense here.
    pub(crate) fn cut(&self, end: u64) -> Result<(), StoreError> {
        self.drop_after(end)?;
        let (first, limit) = self.span();
        let mut at = end.max(first);
        let mut units = Vec::new();
        // As a rule there is nothing to blank.
        let mut count = STACK_UNITS;
        while at < limit {
            units.clear();
            self.read(at, count, &mut units)?;
            count = CHUNK_UNITS as usize;
            let written = units.iter().take_while(|unit| !unit.is_blank()).count() as u64;
            if written == 0 {
                break;
            }
            self.fill(at, at + written, Unit::BLANK)?;
            at += written;
        }
        Ok(())
    }

    /// Forgets everything from unit `end` on, after a crash: a power cut may have kept later units and not the ones before.
    pub(crate) fn cut_torn(&self, end: u64) -> Result<(), StoreError> {
        self.drop_after(end)?;
        let (first, limit) = self.span();
        let end = end.max(first);
        if end == limit {
            return Ok(());
        }
        let start = self.start_of(end);
        self.state.lock().blanked = Some(start);
        let file = self.file(start)?;
        // Shorter and long again: nothing need be read, and the file stays sparse. `load` knows a file that stayed short.
        for bytes in [end * UNIT_BYTES - start, self.file_bytes] {
            file.set_len(bytes).map_err(|error| DiskError::io("blank", &self.path(start), error))?;
        }
        Ok(())
    }

    /// Removes the files that end at or before unit `unit`, except the last.
    pub(crate) fn drop_before(&self, unit: u64) -> Result<usize, StoreError> {
        let mut dropped = 0;
        loop {
            let mut state = self.state.lock();
            if state.count < 2 || state.start + self.file_bytes > unit * UNIT_BYTES {
                return Ok(dropped);
            }
            let start = state.start;
            state.start += self.file_bytes;
            self.drop_file(state, start)?;
            dropped += 1;
        }
    }

    /// Removes the directory with all files.
    pub(crate) fn remove_all(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        let is_made = state.is_directory_made;
        if state.handle.is_some() {
            self.open_files.give_back();
        }
        *state = State::default();
        if is_made && self.disk.exists(&self.directory) {
            let removed = self.disk.remove_dir_all(&self.directory);
            removed.map_err(|error| DiskError::io("remove", &self.directory, error))?;
        }
        Ok(())
    }

    /// Closes the open file unless it was used since the last call.
    pub(crate) fn close_unused(&self) {
        if self.is_used.swap(false, Ordering::Relaxed) {
            return;
        }
        let mut state = self.state.lock();
        if state.handle.take().is_some() {
            self.open_files.give_back();
        }
    }

    /// Removes the files that hold no unit before `end`; a queue from 0 on keeps its first.
    fn drop_after(&self, end: u64) -> Result<(), StoreError> {
        let end_byte = end * UNIT_BYTES;
        loop {
            let state = self.state.lock();
            let last = state.start + state.count.saturating_sub(1) * self.file_bytes;
            let is_needed = last < end_byte || (last == 0 && end == 0);
            if state.count == 0 || is_needed {
                return Ok(());
            }
            self.drop_file(state, last)?;
        }
    }

    /// Removes the first or the last file.
    fn drop_file(&self, mut state: MutexGuard<'_, State>, start: u64) -> Result<(), StoreError> {
        state.count -= 1;
        state.unsynced.retain(|unsynced| *unsynced != start);
        state.is_name_unsynced = true;
        self.drop_handle(&mut state, start);
        drop(state);
        self.remove(start)
    }

    fn write_inside(&self, start: u64, from: u64, units: &[Unit]) -> Result<(), StoreError> {
        let mut bytes = Vec::with_capacity(units.len() * UNIT);
        for unit in units {
            bytes.extend_from_slice(&unit.encode());
        }
        self.note_unsynced(start);
        let file = self.file(start)?;
        file.write_at(from * UNIT_BYTES - start, &bytes)
            .map_err(|error| DiskError::io("write", &self.path(start), error))?;
        Ok(())
    }

    fn note_unsynced(&self, start: u64) {
        let mut state = self.state.lock();
        if !state.unsynced.contains(&start) {
            state.unsynced.push(start);
        }
    }

    /// Writes `unit` to all places from `from` to `to`, which lie in one file.
    fn fill(&self, from: u64, to: u64, unit: Unit) -> Result<(), StoreError> {
        let mut at = from;
        while at < to {
            let count = (to - at).min(CHUNK_UNITS);
            let start = self.start_of(at);
            self.write_inside(start, at, &vec![unit; count as usize])?;
            at += count;
        }
        Ok(())
    }

    /// Makes the file that begins at `start` unless it exists; the queue's first is filled up to unit `from`.
    fn ensure(&self, start: u64, from: u64) -> Result<(), StoreError> {
        if self.holds(start) {
            return Ok(());
        }
        self.make(start)?;
        let is_first = self.state.lock().count == 0;
        if is_first {
            // Before the file counts: should the disk be full now, the next try begins anew.
            self.fill(start / UNIT_BYTES, from, Unit::PREFILL)?;
        }
        let mut state = self.state.lock();
        assert!(
            is_first || state.start + state.count * self.file_bytes == start,
            "the files of a queue are contiguous"
        );
        if is_first {
            state.start = start;
        }
        state.count += 1;
        state.is_name_unsynced = true;
        Ok(())
    }

    /// Makes a file of full size, and the directory for it.
    fn make(&self, start: u64) -> Result<(), StoreError> {
        if !self.state.lock().is_directory_made {
            let made = self.disk.create_dir_all(&self.directory);
            made.map_err(|error| DiskError::io("create", &self.directory, error))?;
            // Whatever becomes of the file: a queue that is restarted takes it away with the directory.
            self.state.lock().is_directory_made = true;
        }
        let path = self.path(start);
        let file =
            self.disk.open(&path, OpenHow::Create).map_err(|error| DiskError::io("create", &path, error))?;
        file.set_len(self.file_bytes).map_err(|error| DiskError::io("extend", &path, error))?;
        Ok(())
    }

    fn holds(&self, start: u64) -> bool {
        let state = self.state.lock();
        state.start <= start && start < state.start + state.count * self.file_bytes
    }

    /// The open file, kept open when there is room for one more.
    fn file(&self, start: u64) -> Result<Arc<dyn DiskFile>, StoreError> {
        self.is_used.store(true, Ordering::Relaxed);
        let mut state = self.state.lock();
        if let Some((open, file)) = &state.handle
            && *open == start
        {
            return Ok(file.clone());
        }
        let file = self.open(start, OpenHow::Write)?;
        if state.handle.is_some() || self.open_files.try_take() {
            state.handle = Some((start, file.clone()));
        }
        Ok(file)
    }

    fn drop_handle(&self, state: &mut State, start: u64) {
        if state.handle.as_ref().is_some_and(|(open, _)| *open == start) {
            state.handle = None;
            self.open_files.give_back();
        }
    }

    fn open(&self, start: u64, how: OpenHow) -> Result<Arc<dyn DiskFile>, StoreError> {
        let path = self.path(start);
        Ok(self.disk.open(&path, how).map_err(|error| DiskError::io("open", &path, error))?)
    }

    fn remove(&self, start: u64) -> Result<(), StoreError> {
        let path = self.path(start);
        Ok(self.disk.remove(&path).map_err(|error| DiskError::io("remove", &path, error))?)
    }

    /// Where the file of a unit begins.
    fn start_of(&self, unit: u64) -> u64 {
        let position = unit * UNIT_BYTES;
        position - position % self.file_bytes
    }

    fn path(&self, start: u64) -> PathBuf {
        self.directory.join(format!("{start:020}"))
    }
}

/// Looks at many units, one after the other, and opens each file once for that, however few may stay open.
pub(crate) struct UnitReader<'f> {
    files: &'f QueueFiles,
    file: Option<(u64, Arc<dyn DiskFile>)>,
}

impl UnitReader<'_> {
    /// Reads one unit; blank where there is none.
    pub(crate) fn unit(&mut self, at: u64) -> Result<Unit, StoreError> {
        let position = at * UNIT_BYTES;
        let start = position - position % self.files.file_bytes;
        let file = match self.file.take() {
            Some((open, file)) if open == start => file,
            _ => self.files.file(start)?,
        };
        let mut bytes = [0; UNIT];
        let read = file
            .read_at(position - start, &mut bytes)
            .map_err(|error| DiskError::io("read", &self.files.path(start), error))?;
        self.file = Some((start, file));
        Ok(if read == UNIT { Unit::decode(&bytes) } else { Unit::BLANK })
    }
}

impl Drop for QueueFiles {
    fn drop(&mut self) {
        if self.state.get_mut().handle.take().is_some() {
            self.open_files.give_back();
        }
    }
}

fn parse_name(name: &str) -> Option<u64> {
    let is_decimal = name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
    if is_decimal { name.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use std::io;

    use disk::MemDisk;

    use super::*;
    use crate::consume_queue::{ConsumeQueue, Continuity};

    const FILE_UNITS: u64 = 20;
    /// All messages of these tests lie before.
    const LOG_END: u64 = 10_000;

    fn queue(disk: &MemDisk) -> ConsumeQueue {
        let open_files = Arc::new(OpenFiles::new(8));
        let disk = Arc::new(disk.clone());
        ConsumeQueue::new(disk, "/T/0".into(), FILE_UNITS * UNIT_BYTES, open_files, Arc::from("T"), 0)
    }

    fn extend(queue: &ConsumeQueue, offset: u64) {
        let unit = Unit { physical_offset: offset * 100, bytes: 100, tags_code: 0 };
        queue.extend(offset, unit, Continuity::Restored).unwrap();
    }

    #[test]
    fn a_file_that_could_not_be_filled_because_the_disk_was_full_is_filled_later() {
        let disk = MemDisk::new();
        let before = queue(&disk);
        before.restart_at(12).unwrap();
        (12..14).for_each(|offset| extend(&before, offset));
        disk.fail_write(1, io::ErrorKind::StorageFull);
        assert!(before.write_out().is_err());
        before.write_out().unwrap();
        before.sync().unwrap();
        let after = queue(&disk);
        after.load().unwrap();
        after.keep_before(LOG_END, None).unwrap();
        assert_eq!(after.max_offset(), 14);
        assert_eq!(after.unit(11).unwrap(), Some(Unit::PREFILL));
        assert_eq!(after.unit(12).unwrap().map(|unit| unit.physical_offset), Some(1200));
    }

    #[test]
    fn a_queue_restarted_after_the_disk_was_full_leaves_no_file_behind() {
        let disk = MemDisk::new();
        let before = queue(&disk);
        before.restart_at(12).unwrap();
        extend(&before, 12);
        disk.fail_write(1, io::ErrorKind::StorageFull);
        assert!(before.write_out().is_err());
        before.restart_at(52).unwrap();
        extend(&before, 52);
        before.write_out().unwrap();
        let after = queue(&disk);
        after.load().unwrap();
        after.keep_before(LOG_END, None).unwrap();
        assert_eq!(after.max_offset(), 53);
    }
}
