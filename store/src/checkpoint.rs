//! The checkpoint: up to where log, queues and index are known to be on the disk, so that a recovery reads no more than it must.
//!
//! The file has RocketMQ's layout (reference 3.5): 4096 bytes that begin with five numbers. Behind them stands our own mark,
//! the exact position; it counts only while the five numbers are the ones we wrote: a Java broker that worked on the store
//! since has changed them, and then its times are what there is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, read_whole, replace_file};

use crate::error::StoreError;

/// Source: RocketMQ 5.3.3 `StoreCheckpoint`, one page.
const CHECKPOINT_BYTES: usize = 4096;
/// Five longs.
const JAVA_BYTES: usize = 40;
/// Where our mark stands, far from what a later RocketMQ may add.
const MARK_AT: usize = 2048;
/// "TRIREME" and the version of the mark.
const MARK_MAGIC: [u8; 8] = *b"TRIREME1";
const MARK_BYTES: usize = 8 + 8 + 8 + 8 + 4;
const MARK_CRC_AT: usize = MARK_AT + MARK_BYTES - 4;
const _: () = assert!(MARK_AT + MARK_BYTES <= CHECKPOINT_BYTES, "the mark fits into the page");

/// What a checkpoint says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Checkpoint {
    /// The store time of the last message that is on the disk, in log, queues and index; 0 when nothing is known.
    pub(crate) timestamp: i64,
    /// Everything before this position is on the disk, in log, queues and index; absent when a Java broker wrote last.
    pub(crate) position: Option<u64>,
    /// Where the last record before that position begins.
    pub(crate) last_record: u64,
    /// How many queues had messages: if none is found, somebody removed them to have them built anew.
    pub(crate) queues: u64,
}

impl Checkpoint {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; CHECKPOINT_BYTES];
        let timestamp = self.timestamp.to_be_bytes();
        let position = self.position.unwrap_or_default().to_be_bytes();
        // physicMsgTimestamp, logicsMsgTimestamp, indexMsgTimestamp, masterFlushedOffset, confirmPhyOffset
        for (at, value) in [timestamp, timestamp, timestamp, [0; 8], position].iter().enumerate() {
            bytes[at * 8..at * 8 + 8].copy_from_slice(value);
        }
        if self.position.is_some() {
            bytes[MARK_AT..MARK_AT + 8].copy_from_slice(&MARK_MAGIC);
            bytes[MARK_AT + 8..MARK_AT + 16].copy_from_slice(&position);
            bytes[MARK_AT + 16..MARK_AT + 24].copy_from_slice(&self.last_record.to_be_bytes());
            bytes[MARK_AT + 24..MARK_AT + 32].copy_from_slice(&self.queues.to_be_bytes());
            let crc = mark_crc(&bytes);
            bytes[MARK_CRC_AT..MARK_AT + MARK_BYTES].copy_from_slice(&crc.to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let long = |at: usize| Some(i64::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        // The index has times of its own, but ours is not Java's: queues and log decide.
        let timestamp = long(0)?.min(long(8)?).max(0);
        let mark = bytes.get(MARK_AT..MARK_AT + MARK_BYTES);
        let is_ours = mark.is_some_and(|mark| {
            mark.starts_with(&MARK_MAGIC) && mark.ends_with(&mark_crc(bytes).to_be_bytes())
        });
        if !is_ours {
            return Some(Self { timestamp, ..Self::default() });
        }
        let number = |at: usize| u64::try_from(long(at)?).ok();
        let (last_record, queues) = (number(MARK_AT + 16)?, number(MARK_AT + 24)?);
        Some(Self { timestamp, position: Some(number(MARK_AT + 8)?), last_record, queues })
    }
}

/// The mark's checksum covers Java's numbers too.
fn mark_crc(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..JAVA_BYTES]);
    hasher.update(&bytes[MARK_AT..MARK_CRC_AT]);
    hasher.finalize()
}

/// The file of it.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl CheckpointFile {
    pub(crate) fn new(disk: Arc<dyn Disk>, root: &Path) -> Self {
        Self { disk, path: root.join("checkpoint") }
    }

    /// Reads it; a missing file, or one that cannot be understood, says nothing: the log says it all.
    pub(crate) fn load(&self) -> Result<Checkpoint, StoreError> {
        let content = read_whole(&*self.disk, &self.path)?;
        Ok(content.as_deref().and_then(Checkpoint::decode).unwrap_or_default())
    }

    /// Replaces it, durably.
    pub(crate) fn store(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        Ok(replace_file(&*self.disk, &self.path, &checkpoint.encode())?)
    }
}

#[cfg(test)]
mod tests {
    use disk::MemDisk;

    use super::*;

    const OURS: Checkpoint =
        Checkpoint { timestamp: 1_700_000_000_000, position: Some(12_345), last_record: 12_000, queues: 3 };

    #[test]
    fn a_checkpoint_has_rocketmqs_layout() {
        let bytes = OURS.encode();
        assert_eq!(bytes.len(), 4096);
        for at in [0, 8, 16] {
            assert_eq!(bytes[at..at + 8], 1_700_000_000_000u64.to_be_bytes());
        }
        assert_eq!(bytes[32..40], 12_345u64.to_be_bytes());
    }

    #[test]
    fn what_was_stored_is_loaded() {
        let disk = MemDisk::new();
        let file = CheckpointFile::new(Arc::new(disk), Path::new("/"));
        assert_eq!(file.load().unwrap(), Checkpoint::default());
        file.store(&OURS).unwrap();
        assert_eq!(file.load().unwrap(), OURS);
    }

    #[test]
    fn our_position_does_not_count_once_a_java_broker_wrote() {
        let mut bytes = OURS.encode();
        bytes[7] ^= 1;
        let read = Checkpoint::decode(&bytes).unwrap();
        assert_eq!(read.position, None);
        let mut java = vec![0; 4096];
        java[..8].copy_from_slice(&500u64.to_be_bytes());
        java[8..16].copy_from_slice(&400u64.to_be_bytes());
        assert_eq!(
            Checkpoint::decode(&java).unwrap(),
            Checkpoint { timestamp: 400, ..Checkpoint::default() }
        );
    }

    #[test]
    fn a_torn_or_short_checkpoint_says_nothing_wrong() {
        let whole = OURS.encode();
        for len in 0..whole.len() {
            let read = Checkpoint::decode(&whole[..len]).unwrap_or_default();
            assert!(read.position.is_none() || read == OURS, "{len} bytes");
        }
        for at in (0..40).chain(MARK_AT..MARK_AT + MARK_BYTES) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            assert_eq!(Checkpoint::decode(&bytes).unwrap().position, None, "byte {at}");
        }
    }
}
