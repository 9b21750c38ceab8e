//! One sealed part of the key index: entries sorted by hash, then a footer. Written once, never changed.
//!
//! File: entries of 16 bytes (hash 8, physical offset 8, little endian), sorted; footer of 56 bytes: magic, count, first and
//! last physical offset, first and last store time, checksum of the entries, checksum of the footer before it.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, DiskError, DiskFile, OpenHow};

use crate::error::StoreError;

/// "TRIIDX" and the version of the format.
const MAGIC: [u8; 8] = *b"TRIIDX01";
pub(crate) const ENTRY_BYTES: usize = 16;
const FOOTER_BYTES: usize = 8 + 8 + 4 * 8 + 4 + 4;
/// Entries written at once: 64 KiB, which stay in the cache between encoding and writing.
const PIECE_ENTRIES: usize = 4096;
/// Entries read at once while a hash's entries are walked.
const WALK_ENTRIES: u64 = 32;

/// Where a message with a key of this hash lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) hash: u64,
    pub(crate) physical_offset: u64,
}

impl Entry {
    pub(crate) fn encode(&self) -> [u8; ENTRY_BYTES] {
        (u128::from(self.hash) | u128::from(self.physical_offset) << 64).to_le_bytes()
    }

    pub(crate) fn decode(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let both = u128::from_le_bytes(*bytes);
        Self { hash: both as u64, physical_offset: (both >> 64) as u64 }
    }
}

/// The store times of the messages that entries stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeSpan {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl TimeSpan {
    /// Every time: of entries whose times are not known any more.
    pub(crate) const ALWAYS: Self = Self { first: i64::MIN, last: i64::MAX };

    pub(crate) fn at(time: i64) -> Self {
        Self { first: time, last: time }
    }

    pub(crate) fn meets(&self, begin: i64, end: i64) -> bool {
        self.first <= end && begin <= self.last
    }
}

/// A sealed file.
#[derive(Debug)]
pub(crate) struct IndexFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    count: u64,
    pub(crate) physical_first: u64,
    pub(crate) physical_last: u64,
    pub(crate) times: TimeSpan,
}

impl IndexFile {
    /// Writes sorted entries to a new file, durably.
    pub(crate) fn seal(
        disk: &Arc<dyn Disk>,
        path: PathBuf,
        entries: &[Entry],
        times: TimeSpan,
    ) -> Result<Self, StoreError> {
        assert!(entries.is_sorted(), "a sealed index is sorted");
        let offsets = || entries.iter().map(|entry| entry.physical_offset);
        let physical_first = offsets().min().unwrap_or_default();
        let physical_last = offsets().max().unwrap_or_default();
        let mut footer = Vec::with_capacity(FOOTER_BYTES);
        footer.extend_from_slice(&MAGIC);
        for number in
            [entries.len() as u64, physical_first, physical_last, times.first as u64, times.last as u64]
        {
            footer.extend_from_slice(&number.to_le_bytes());
        }
        write_whole(&**disk, &path, entries, footer)?;
        let count = entries.len() as u64;
        Ok(Self { disk: disk.clone(), path, count, physical_first, physical_last, times })
    }

    /// Opens a sealed file by its footer; `None` when it is not one.
    pub(crate) fn open(disk: &Arc<dyn Disk>, path: PathBuf) -> Result<Option<Self>, StoreError> {
        let failed = |error| DiskError::io("read", &path, error);
        let file = disk.open(&path, OpenHow::Read).map_err(failed)?;
        let len = file.len().map_err(failed)?;
        let Some(entries_bytes) = len.checked_sub(FOOTER_BYTES as u64) else { return Ok(None) };
        let mut footer = [0; FOOTER_BYTES];
        file.read_at(entries_bytes, &mut footer).map_err(failed)?;
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| footer[at + byte]));
        let count = number(8);
        let crc = u32::from_le_bytes(std::array::from_fn(|byte| footer[FOOTER_BYTES - 4 + byte]));
        let is_sound = footer.starts_with(&MAGIC)
            && crc == crc32fast::hash(&footer[..FOOTER_BYTES - 4])
            && count.checked_mul(ENTRY_BYTES as u64) == Some(entries_bytes);
        if !is_sound {
            return Ok(None);
        }
        let times = TimeSpan { first: number(32) as i64, last: number(40) as i64 };
        let (physical_first, physical_last) = (number(16), number(24));
        Ok(Some(Self { disk: disk.clone(), path, count, physical_first, physical_last, times }))
    }

    /// Whether the entries have the checksum that the footer names.
    pub(crate) fn is_whole(&self) -> Result<bool, StoreError> {
        let failed = |error| DiskError::io("read", &self.path, error);
        let file = self.disk.open(&self.path, OpenHow::Read).map_err(failed)?;
        let mut bytes = vec![0; self.count as usize * ENTRY_BYTES + FOOTER_BYTES];
        file.read_at(0, &mut bytes).map_err(failed)?;
        let (entries, footer) = bytes.split_at(self.count as usize * ENTRY_BYTES);
        Ok(footer[FOOTER_BYTES - 8..FOOTER_BYTES - 4] == crc32fast::hash(entries).to_le_bytes())
    }

    /// Calls `found` with the physical offsets under a hash, newest first.
    pub(crate) fn find(
        &self,
        hash: u64,
        found: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let failed = |error| DiskError::io("read", &self.path, error);
        let file = self.disk.open(&self.path, OpenHow::Read).map_err(failed)?;
        // The place after the hash's last entry; hashes are spread evenly, but a search needs no such luck.
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.entries(&*file, middle, 1)?.first().is_some_and(|entry| entry.hash <= hash) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let mut end = low;
        while end > 0 {
            let start = end.saturating_sub(WALK_ENTRIES);
            for entry in self.entries(&*file, start, end - start)?.iter().rev() {
                if entry.hash != hash {
                    return Ok(ControlFlow::Continue(()));
                }
                if found(entry.physical_offset).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            end = start;
        }
        Ok(ControlFlow::Continue(()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file, unless somebody did already.
    pub(crate) fn remove(&self) -> Result<(), StoreError> {
        match self.disk.remove(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => Ok(removed.map_err(|error| DiskError::io("remove", &self.path, error))?),
        }
    }

    fn entries(&self, file: &dyn DiskFile, from: u64, count: u64) -> Result<Vec<Entry>, StoreError> {
        let mut bytes = vec![0; count as usize * ENTRY_BYTES];
        let read = file
            .read_at(from * ENTRY_BYTES as u64, &mut bytes)
            .map_err(|error| DiskError::io("read", &self.path, error))?;
        Ok(bytes[..read].as_chunks::<ENTRY_BYTES>().0.iter().map(Entry::decode).collect())
    }
}

/// Under its name a sealed file is whole: it gets the name only once its bytes are on the disk. The footer comes without its
/// two checksums.
fn write_whole(
    disk: &dyn Disk,
    path: &Path,
    entries: &[Entry],
    mut footer: Vec<u8>,
) -> Result<(), StoreError> {
    let temporary = path.with_extension("tmp");
    let failed = |error| DiskError::io("write", &temporary, error);
    if disk.exists(&temporary) {
        disk.remove(&temporary).map_err(failed)?;
    }
    let file = disk.open(&temporary, OpenHow::CreateNew).map_err(failed)?;
    let (mut at, mut crc) = (0, crc32fast::Hasher::new());
    let mut piece = Vec::with_capacity(entries.len().min(PIECE_ENTRIES) * ENTRY_BYTES);
    for some in entries.chunks(PIECE_ENTRIES) {
        piece.clear();
        some.iter().for_each(|entry| piece.extend_from_slice(&entry.encode()));
        crc.update(&piece);
        file.write_at(at, &piece).map_err(failed)?;
        at += piece.len() as u64;
    }
    footer.extend_from_slice(&crc.finalize().to_le_bytes());
    footer.extend_from_slice(&crc32fast::hash(&footer).to_le_bytes());
    file.write_at(at, &footer).map_err(failed)?;
    file.sync_data().map_err(failed)?;
    disk.rename(&temporary, path).map_err(failed)?;
    if let Some(directory) = path.parent() {
        disk.sync_dir(directory).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use disk::MemDisk;

    use super::*;

    fn sealed(hashes: &[u64]) -> (Arc<dyn Disk>, IndexFile) {
        let disk: Arc<dyn Disk> = Arc::new(MemDisk::new());
        let mut entries: Vec<_> = hashes
            .iter()
            .enumerate()
            .map(|(at, hash)| Entry { hash: *hash, physical_offset: at as u64 * 10 })
            .collect();
        entries.sort_unstable();
        let file = IndexFile::seal(&disk, "/0.idx".into(), &entries, TimeSpan { first: 5, last: 9 }).unwrap();
        (disk, file)
    }

    fn found(file: &IndexFile, hash: u64) -> Vec<u64> {
        let mut offsets = Vec::new();
        let walk = file.find(hash, &mut |offset| {
            offsets.push(offset);
            ControlFlow::Continue(())
        });
        assert_eq!(walk.unwrap(), ControlFlow::Continue(()));
        offsets
    }

    #[test]
    fn a_hash_is_found_newest_first_wherever_it_stands() {
        let hashes: Vec<u64> = (0..500).map(|n| n % 7 * 1000).collect();
        let (disk, file) = sealed(&hashes);
        let reopened = IndexFile::open(&disk, "/0.idx".into()).unwrap().unwrap();
        for wanted in [0, 1000, 3000, 6000] {
            let expected: Vec<u64> =
                (0..500).rev().filter(|at| hashes[*at] == wanted).map(|at| at as u64 * 10).collect();
            assert_eq!(found(&file, wanted), expected);
            assert_eq!(found(&reopened, wanted), expected);
        }
        assert_eq!(found(&file, 999), [0; 0]);
        assert_eq!(found(&file, u64::MAX), [0; 0]);
        assert_eq!((reopened.physical_first, reopened.physical_last), (0, 4990));
        assert_eq!(reopened.times, TimeSpan { first: 5, last: 9 });
        assert!(reopened.is_whole().unwrap());
    }

    #[test]
    fn a_damaged_footer_makes_no_index_and_damaged_entries_are_noticed() {
        let disk = MemDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let entries = [Entry { hash: 1, physical_offset: 2 }, Entry { hash: 3, physical_offset: 4 }];
        for at in 0..(2 * ENTRY_BYTES + FOOTER_BYTES) as u64 {
            IndexFile::seal(&shared, "/0.idx".into(), &entries, TimeSpan::ALWAYS).unwrap();
            disk.damage(Path::new("/0.idx"), at);
            match IndexFile::open(&shared, "/0.idx".into()).unwrap() {
                None => assert!(at >= 2 * ENTRY_BYTES as u64),
                Some(file) => assert!(at < 2 * ENTRY_BYTES as u64 && !file.is_whole().unwrap(), "byte {at}"),
            }
        }
    }
}
