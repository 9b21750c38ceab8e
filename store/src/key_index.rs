//! Messages by key: entries gathered in memory, sealed into sorted files when there are enough.
//!
//! The directory is `keyindex/`, not RocketMQ's `index/`: the format is our own, and a Java broker must not find it.
//! Always true: an entry may be missing only for what a recovery dispatches again, and it may be there twice or for a message
//! that is gone; who asks compares the message's own text. One thread extends, one persists, anybody asks.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, DiskError, DiskFile, OpenHow};
use parking_lot::{Mutex, RwLock};

use crate::error::StoreError;
use crate::index_file::{ENTRY_BYTES, Entry, IndexFile, TimeSpan};
use crate::store::unless_full;

/// The name of the file that holds the unsealed entries.
const RUN_NAME: &str = "run";
const SEALED_EXTENSION: &str = "idx";
/// So many entries are copied while the index is held: a quarter of a MiB, some tens of microseconds.
const COPIED_ENTRIES_MAX: usize = 16 * 1024;

/// The index of one store.
#[derive(Debug)]
pub(crate) struct KeyIndex {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    run_max: usize,
    parts: RwLock<Parts>,
    /// Held while entries go to the disk.
    persisting: Mutex<Persisting>,
}

#[derive(Debug, Default)]
struct Persisting {
    run_file: Option<RunFile>,
    /// Where runs are sorted: memory of megabytes that is fetched anew each time costs more than the sorting.
    sorted: Vec<Entry>,
}

#[derive(Debug)]
struct Parts {
    run: Vec<Entry>,
    run_times: TimeSpan,
    /// Oldest first.
    sealed: Vec<Arc<IndexFile>>,
    /// Store time and physical offset of the newest message that was indexed.
    newest: (i64, u64),
}

/// What a copy of the run is of.
struct RunCopy {
    count: usize,
    times: TimeSpan,
    /// The store time of the newest message then; whatever was added later is not older.
    newest: i64,
}

/// The unsealed entries on the disk, in the order of the log.
#[derive(Debug)]
struct RunFile {
    file: Arc<dyn DiskFile>,
    /// So many entries of the run are written.
    written: usize,
}

impl KeyIndex {
    /// Opens the index with what it knows of the log before `log_end`; the rest is dispatched again.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        root: &Path,
        run_max: usize,
        log_end: u64,
    ) -> Result<Self, StoreError> {
        let directory = root.join("keyindex");
        disk.create_dir_all(&directory).map_err(|error| DiskError::io("create", &directory, error))?;
        let sealed = load_sealed(&disk, &directory)?;
        let sealed_end = sealed.last().map_or(0, |file| file.physical_last + 1);
        let mut run = load_run(&*disk, &directory.join(RUN_NAME))?;
        // What a crash left behind the checkpoint may be torn. What was sealed just before it is here twice, and stays: a sealed
        // file may speak of a log that lost its end since, and then entries at its places are of other messages.
        run.truncate(run.iter().take_while(|entry| entry.physical_offset < log_end).count());
        let newest =
            (0, run.last().map_or_else(|| sealed_end.saturating_sub(1), |entry| entry.physical_offset));
        let parts = Parts { run, run_times: TimeSpan::ALWAYS, sealed, newest };
        let index =
            Self { disk, directory, run_max, parts: RwLock::new(parts), persisting: Mutex::default() };
        // The run on the disk is written anew, lest what was cut off comes back. Should it come back because the disk is full
        // now, it stands for messages that are compared, as all are.
        unless_full(index.rewrite_run(), "the index's run")?;
        Ok(index)
    }

    /// Adds the entries of messages stored at `times`; `position` is the last of them.
    pub(crate) fn extend(&self, entries: &[Entry], times: TimeSpan, position: u64) {
        let mut parts = self.parts.write();
        if parts.run.is_empty() {
            parts.run_times = times;
        }
        parts.run_times.last = parts.run_times.last.max(times.last);
        parts.run.extend_from_slice(entries);
        parts.newest = (times.last, position);
    }

    /// Whether enough is gathered to seal a file.
    pub(crate) fn is_full(&self) -> bool {
        self.parts.read().run.len() >= self.run_max
    }

    /// Store time and physical offset of the newest indexed message.
    pub(crate) fn newest(&self) -> (i64, u64) {
        self.parts.read().newest
    }

    /// Makes all entries durable; seals them when they are enough.
    pub(crate) fn persist(&self) -> Result<(), StoreError> {
        let mut persisting = self.persisting.lock();
        if self.is_full() {
            self.seal(&mut persisting.sorted)?;
            persisting.run_file = None;
        }
        self.write_run(&mut persisting.run_file)
    }

    /// Calls `found` with the physical offsets of messages whose key may have this hash, newest first.
    pub(crate) fn find(
        &self,
        hash: u64,
        begin: i64,
        end: i64,
        found: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let (in_memory, sealed) = {
            let parts = self.parts.read();
            let mut in_memory = Vec::new();
            if parts.run_times.meets(begin, end) {
                let of_hash = parts.run.iter().rev().filter(|entry| entry.hash == hash);
                in_memory.extend(of_hash.map(|entry| entry.physical_offset));
            }
            (in_memory, parts.sealed.clone())
        };
        for offset in in_memory {
            if found(offset).is_break() {
                return Ok(());
            }
        }
        for file in sealed.iter().rev().filter(|file| file.times.meets(begin, end)) {
            let walked = match file.find(hash, found) {
                // Retention was faster: the file's messages are gone as well.
                Err(error) if error.is_not_found() && !self.holds(file) => continue,
                walked => walked?,
            };
            if walked.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Removes the files that only know messages before `log_start`.
    pub(crate) fn trim(&self, log_start: u64) -> Result<usize, StoreError> {
        let gone: Vec<_> = {
            let mut parts = self.parts.write();
            let (gone, kept) = parts.sealed.drain(..).partition(|file| file.physical_last < log_start);
            parts.sealed = kept;
            gone
        };
        for file in &gone {
            let file: &Arc<IndexFile> = file;
            file.remove()?;
        }
        Ok(gone.len())
    }

    fn holds(&self, file: &Arc<IndexFile>) -> bool {
        self.parts.read().sealed.iter().any(|held| Arc::ptr_eq(held, file))
    }

    /// Seals the run. It stays where it is until the sealed file can take its place: should the disk be full, nothing has
    /// changed.
    fn seal(&self, sorted: &mut Vec<Entry>) -> Result<(), StoreError> {
        let copy = self.copy_run(sorted);
        let first = sorted.first().map_or(0, |entry| entry.physical_offset);
        sorted.sort_unstable();
        let path = self.directory.join(format!("{first:020}.{SEALED_EXTENSION}"));
        let file = IndexFile::seal(&self.disk, path, sorted, copy.times)?;
        self.replace_run(&copy, file);
        Ok(())
    }

    /// Copies the run piece by piece: it goes on growing, and whoever adds to it shall not wait for megabytes.
    fn copy_run(&self, into: &mut Vec<Entry>) -> RunCopy {
        into.clear();
        loop {
            let parts = self.parts.read();
            let left = &parts.run[into.len()..];
            if left.is_empty() {
                return RunCopy { count: into.len(), times: parts.run_times, newest: parts.newest.0 };
            }
            into.extend_from_slice(&left[..left.len().min(COPIED_ENTRIES_MAX)]);
        }
    }

    /// Puts a sealed file into the place of what it holds; what was added since the copy is the next run.
    fn replace_run(&self, copy: &RunCopy, file: IndexFile) {
        let mut parts = self.parts.write();
        parts.run.drain(..copy.count);
        parts.run_times = TimeSpan { first: copy.newest, last: copy.newest.max(parts.newest.0) };
        // A run that was sealed before a kill and is sealed again after it has got the name, and the file, that it had.
        let at = parts.sealed.partition_point(|known| known.path() < file.path());
        if parts.sealed.get(at).is_some_and(|known| known.path() == file.path()) {
            parts.sealed.remove(at);
        }
        parts.sealed.insert(at, Arc::new(file));
    }

    fn rewrite_run(&self) -> Result<(), StoreError> {
        let mut persisting = self.persisting.lock();
        persisting.run_file = None;
        self.write_run(&mut persisting.run_file)
    }

    /// Appends what is new of the run to its file; a new file replaces the old one by its name only when it is whole.
    fn write_run(&self, run_file: &mut Option<RunFile>) -> Result<(), StoreError> {
        let path = self.directory.join(RUN_NAME);
        let failed = |error| DiskError::io("write", &path, error);
        let written = run_file.as_ref().map_or(0, |run| run.written);
        let bytes: Vec<u8> = {
            let parts = self.parts.read();
            parts.run[written..].iter().flat_map(Entry::encode).collect()
        };
        let count = bytes.len() / ENTRY_BYTES;
        match run_file {
            Some(_) if count == 0 => {}
            Some(run) => {
                run.file.write_at((run.written * ENTRY_BYTES) as u64, &bytes).map_err(failed)?;
                run.file.sync_data().map_err(failed)?;
                run.written += count;
            }
            None => {
                let temporary = self.directory.join("run.tmp");
                if self.disk.exists(&temporary) {
                    self.disk.remove(&temporary).map_err(failed)?;
                }
                let file = self.disk.open(&temporary, OpenHow::CreateNew).map_err(failed)?;
                file.write_at(0, &bytes).map_err(failed)?;
                file.sync_data().map_err(failed)?;
                self.disk.rename(&temporary, &path).map_err(failed)?;
                self.disk.sync_dir(&self.directory).map_err(failed)?;
                *run_file = Some(RunFile { file, written: count });
            }
        }
        Ok(())
    }
}

fn load_sealed(disk: &Arc<dyn Disk>, directory: &Path) -> Result<Vec<Arc<IndexFile>>, StoreError> {
    let list = disk.list(directory).map_err(|error| DiskError::io("list", directory, error))?;
    let mut sealed: Vec<Arc<IndexFile>> = Vec::new();
    for entry in list {
        let path = directory.join(&entry.name);
        if path.extension().is_none_or(|extension| extension != SEALED_EXTENSION) {
            continue;
        }
        match IndexFile::open(disk, path.clone())? {
            Some(file) => sealed.push(Arc::new(file)),
            None => {
                tracing::error!(path = %path.display(), "not an index file, its messages cannot be found by key")
            }
        }
    }
    // Only the newest can have met a crash; the older ones were whole when the newest was begun.
    if let Some(newest) = sealed.last()
        && !newest.is_whole()?
    {
        tracing::error!(
            first = newest.physical_first,
            "the newest index file is damaged, it is rebuilt as far as the log is read"
        );
        newest.remove()?;
        sealed.pop();
    }
    Ok(sealed)
}

fn load_run(disk: &dyn Disk, path: &Path) -> Result<Vec<Entry>, StoreError> {
    let bytes = disk::read_whole(disk, path)?.unwrap_or_default();
    Ok(bytes.as_chunks::<ENTRY_BYTES>().0.iter().map(Entry::decode).collect())
}

#[cfg(test)]
mod tests {
    use disk::MemDisk;

    use super::*;

    fn entry(n: u64) -> Entry {
        Entry { hash: n % 5, physical_offset: n * 100 }
    }

    fn add(index: &KeyIndex, numbers: std::ops::Range<u64>) {
        numbers.for_each(|n| index.extend(&[entry(n)], TimeSpan::at(n as i64), n * 100));
    }

    fn found(index: &KeyIndex, hash: u64, begin: i64, end: i64) -> Vec<u64> {
        let mut offsets = Vec::new();
        let each = &mut |offset| {
            offsets.push(offset / 100);
            ControlFlow::Continue(())
        };
        index.find(hash, begin, end, each).unwrap();
        offsets
    }

    fn open(disk: &MemDisk, log_end: u64) -> KeyIndex {
        KeyIndex::open(Arc::new(disk.clone()), Path::new("/"), 10, log_end).unwrap()
    }

    #[test]
    fn keys_are_found_newest_first_in_memory_in_sealed_files_and_after_a_restart() {
        let disk = MemDisk::new();
        let index = open(&disk, 0);
        for n in 0..34 {
            index.extend(&[entry(n)], TimeSpan::at(n as i64), n * 100);
            if n % 3 == 0 {
                index.persist().unwrap();
            }
        }
        let expected = [31, 26, 21, 16, 11, 6, 1];
        assert_eq!(found(&index, 1, i64::MIN, i64::MAX), expected);
        assert_eq!(index.newest(), (33, 3300));
        drop(index);
        let index = open(&disk, 3400);
        assert_eq!(found(&index, 1, i64::MIN, i64::MAX), expected);
        assert_eq!(found(&index, 9, i64::MIN, i64::MAX), [0; 0]);
    }

    #[test]
    fn what_is_added_while_a_run_is_sealed_is_found_and_sealed_with_the_next() {
        let disk = MemDisk::new();
        let index = open(&disk, 0);
        let add = |numbers| add(&index, numbers);
        add(0..20);
        let mut sorted = Vec::new();
        let copy = index.copy_run(&mut sorted);
        add(20..25);
        sorted.sort_unstable();
        let file = IndexFile::seal(&index.disk, "/keyindex/0.idx".into(), &sorted, copy.times).unwrap();
        assert_eq!((sorted.len(), file.times), (20, TimeSpan { first: 0, last: 19 }));
        assert_eq!(found(&index, 1, i64::MIN, i64::MAX), [21, 16, 11, 6, 1]);
        index.replace_run(&copy, file);
        assert_eq!(found(&index, 1, i64::MIN, i64::MAX), [21, 16, 11, 6, 1]);
        assert_eq!(found(&index, 3, 21, 24), [23], "the next run has times of its own");
        add(25..30);
        index.persist().unwrap();
        assert_eq!(index.parts.read().sealed.len(), 2);
        assert_eq!(found(&index, 3, 21, 24), [28, 23]);
        assert_eq!(found(&index, 3, 0, 18), [18, 13, 8, 3]);
    }

    #[test]
    fn a_run_that_cannot_be_sealed_because_the_disk_is_full_is_sealed_later() {
        let disk = MemDisk::new();
        let index = open(&disk, 0);
        let add = |numbers| add(&index, numbers);
        add(0..8);
        index.persist().unwrap();
        add(8..12);
        for nth in 1..=2 {
            disk.fail_write(nth, std::io::ErrorKind::StorageFull);
            assert!(index.persist().is_err());
            assert_eq!(found(&index, 1, i64::MIN, i64::MAX), [11, 6, 1]);
        }
        add(12..13);
        index.persist().unwrap();
        assert_eq!(index.parts.read().sealed.len(), 1);
        drop(index);
        assert_eq!(found(&open(&disk, 1300), 2, i64::MIN, i64::MAX), [12, 7, 2]);
    }

    #[test]
    fn after_a_crash_the_index_knows_what_was_persisted_before_the_checkpoint() {
        for seed in 0..50 {
            let disk = MemDisk::new();
            let index = open(&disk, 0);
            for n in 0..27 {
                index.extend(&[entry(n)], TimeSpan::at(n as i64), n * 100);
                if n == 20 {
                    index.persist().unwrap();
                }
            }
            disk.power_off_after(seed % 7);
            let _ = index.persist();
            disk.crash_with(seed);
            drop(index);
            let index = open(&disk, 2001);
            for n in 21..27 {
                index.extend(&[entry(n)], TimeSpan::at(n as i64), n * 100);
            }
            let mut offsets = found(&index, 1, i64::MIN, i64::MAX);
            offsets.dedup();
            assert_eq!(offsets, [26, 21, 16, 11, 6, 1], "seed {seed}");
        }
    }

    #[test]
    fn a_run_that_is_sealed_again_after_a_kill_takes_the_place_of_its_file() {
        let disk = MemDisk::new();
        let fill = |index: &KeyIndex, numbers: std::ops::Range<u64>| {
            add(index, numbers);
            index.persist().unwrap();
        };
        let index = open(&disk, 0);
        fill(&index, 0..12);
        fill(&index, 12..24);
        drop(index);
        // No checkpoint came: the log is read from its start.
        let index = open(&disk, 0);
        fill(&index, 0..12);
        assert_eq!(found(&index, 1, i64::MIN, i64::MAX), [21, 16, 11, 6, 1]);
        fill(&index, 12..24);
        assert_eq!(found(&index, 1, i64::MIN, i64::MAX), [21, 16, 11, 6, 1]);
        assert_eq!(index.trim(10_000).unwrap(), 2);
        assert_eq!(disk.list(Path::new("/keyindex")).unwrap().len(), 1, "the run");
    }

    #[test]
    fn keys_of_messages_that_took_the_place_of_lost_ones_are_kept() {
        let disk = MemDisk::new();
        let index = open(&disk, 0);
        add(&index, 0..20);
        index.persist().unwrap();
        drop(index);
        // A power cut took the end of the log, but not the file that was sealed of it.
        let index = open(&disk, 1001);
        index.extend(&[Entry { hash: 77, physical_offset: 1500 }], TimeSpan::at(20), 1500);
        index.persist().unwrap();
        drop(index);
        assert_eq!(found(&open(&disk, 1501), 77, i64::MIN, i64::MAX), [15]);
    }

    #[test]
    fn a_query_goes_on_when_retention_removes_a_file_that_it_has_not_come_to() {
        let disk = MemDisk::new();
        let index = open(&disk, 0);
        for n in 0..20 {
            index.extend(&[entry(n)], TimeSpan::at(n as i64), n * 100);
            index.persist().unwrap();
        }
        let mut offsets = Vec::new();
        let each = &mut |offset| {
            index.trim(1000).unwrap();
            offsets.push(offset / 100);
            ControlFlow::Continue(())
        };
        index.find(1, i64::MIN, i64::MAX, each).unwrap();
        assert_eq!(offsets, [16, 11]);
    }

    #[test]
    fn a_file_that_is_missing_though_nobody_removed_it_is_an_error() {
        let disk = MemDisk::new();
        let index = open(&disk, 0);
        add(&index, 0..12);
        index.persist().unwrap();
        disk.remove(Path::new("/keyindex/00000000000000000000.idx")).unwrap();
        assert!(index.find(1, i64::MIN, i64::MAX, &mut |_| ControlFlow::Continue(())).is_err());
        index.trim(10_000).unwrap();
    }

    #[test]
    fn files_of_deleted_messages_go_and_files_of_other_times_are_not_opened() {
        let disk = MemDisk::new();
        let index = open(&disk, 0);
        for n in 0..30 {
            index.extend(&[entry(n)], TimeSpan::at(n as i64), n * 100);
            index.persist().unwrap();
        }
        assert_eq!(found(&index, 1, 0, 9), [6, 1]);
        assert_eq!(index.trim(1000).unwrap(), 1);
        assert_eq!(found(&index, 1, i64::MIN, i64::MAX), [26, 21, 16, 11]);
        let kept = disk.list(Path::new("/keyindex")).unwrap();
        assert_eq!(kept.len(), 3, "two sealed files and the run: {kept:?}");
    }
}
