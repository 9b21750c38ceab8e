//! A small record that is overwritten in place: two slots take turns, so that a torn write leaves the other one.
//!
//! The file gets its size and is synced once, when it is made; a later overwrite then never waits for the file system's
//! journal behind gigabytes of segment data. Votes are synced each time, watermarks not at all.

use std::path::Path;
use std::sync::Arc;

use disk::{Disk, DiskError, DiskFile, OpenHow};

use crate::envelope::crc32c;

/// Slots live in different pages, so that nothing smaller than a page tears both.
const SLOT_BYTES: u64 = 4096;
/// Checksum 4, length 4, sequence 8.
const HEAD_BYTES: usize = 16;
/// The largest record.
const RECORD_BYTES_MAX: usize = 240;

/// A file with two slots.
#[derive(Debug)]
pub(crate) struct SlotFile {
    file: Arc<dyn DiskFile>,
    path: std::path::PathBuf,
    sequence: u64,
}

impl SlotFile {
    /// Opens or makes the file and reads the newest record.
    pub(crate) fn open(disk: &dyn Disk, path: &Path) -> Result<(Self, Option<Vec<u8>>), DiskError> {
        let is_new = !disk.exists(path);
        let file = disk.open(path, OpenHow::Create).map_err(|error| DiskError::io("open", path, error))?;
        let len = file.len().map_err(|error| DiskError::io("stat", path, error))?;
        if is_new || len < 2 * SLOT_BYTES {
            file.allocate(2 * SLOT_BYTES).map_err(|error| DiskError::io("allocate", path, error))?;
            file.sync_data().map_err(|error| DiskError::io("sync", path, error))?;
            if let Some(directory) = path.parent() {
                disk.sync_dir(directory).map_err(|error| DiskError::io("sync", directory, error))?;
            }
        }
        let mut newest: Option<(u64, Vec<u8>)> = None;
        for slot in 0..2 {
            let mut bytes = vec![0; HEAD_BYTES + RECORD_BYTES_MAX];
            let read = file.read_at(slot * SLOT_BYTES, &mut bytes);
            let count = read.map_err(|error| DiskError::io("read", path, error))?;
            if let Some((sequence, record)) = parse(&bytes[..count])
                && newest.as_ref().is_none_or(|(newest, _)| sequence > *newest)
            {
                newest = Some((sequence, record));
            }
        }
        let (sequence, record) = newest.map_or((0, None), |(sequence, record)| (sequence, Some(record)));
        Ok((Self { file, path: path.to_path_buf(), sequence }, record))
    }

    /// Overwrites the older slot; durable when it returns, if `is_durable`.
    pub(crate) fn write(&mut self, record: &[u8], is_durable: bool) -> Result<(), DiskError> {
        assert!(record.len() <= RECORD_BYTES_MAX, "records of slot files are small");
        let sequence = self.sequence + 1;
        let mut bytes = [0; HEAD_BYTES + RECORD_BYTES_MAX];
        bytes[4..8].copy_from_slice(&(record.len() as u32).to_be_bytes());
        bytes[8..16].copy_from_slice(&sequence.to_be_bytes());
        bytes[HEAD_BYTES..HEAD_BYTES + record.len()].copy_from_slice(record);
        let used = &mut bytes[..HEAD_BYTES + record.len()];
        let crc = crc32c(&used[4..]);
        used[..4].copy_from_slice(&crc.to_be_bytes());
        let position = (sequence % 2) * SLOT_BYTES;
        self.file.write_at(position, used).map_err(|error| DiskError::io("write", &self.path, error))?;
        if is_durable {
            self.file.sync_data().map_err(|error| DiskError::io("sync", &self.path, error))?;
        }
        self.sequence = sequence;
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Option<(u64, Vec<u8>)> {
    let len = u32::from_be_bytes(*bytes.get(4..8)?.first_chunk()?) as usize;
    let sequence = u64::from_be_bytes(*bytes.get(8..16)?.first_chunk()?);
    let record = bytes.get(HEAD_BYTES..HEAD_BYTES.checked_add(len)?)?;
    let crc = u32::from_be_bytes(*bytes.first_chunk()?);
    (sequence > 0 && crc == crc32c(&bytes[4..HEAD_BYTES + len])).then(|| (sequence, record.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use disk::MemDisk;

    #[test]
    fn a_crash_while_a_slot_is_overwritten_leaves_the_record_before_or_the_new_one() {
        for seed in 0..60 {
            for step in 0..3 {
                let disk = MemDisk::new();
                let path = Path::new("/vote");
                let (mut file, record) = SlotFile::open(&disk, path).unwrap();
                assert_eq!(record, None);
                file.write(b"one", true).unwrap();
                file.write(b"two", true).unwrap();
                disk.power_off_after(step);
                let is_done = file.write(b"three", true).is_ok();
                disk.crash_with(seed);
                let found = SlotFile::open(&disk, path).unwrap().1.unwrap();
                assert!(found == b"three" || (!is_done && found == b"two"), "seed {seed} step {step}");
            }
        }
    }
}
