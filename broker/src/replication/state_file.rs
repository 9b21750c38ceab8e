//! The tables of a replica on its own disk, with the index of the last entry that they contain.
//!
//! Always true: the file is replaced whole, and only after the consume queues up to the same entry are durable. So a
//! replica that starts takes the file and asks the log for what follows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, DiskError, read_or_bak, replace_file};

/// Magic of the file, `TRST`, and its version.
const MAGIC: [u8; 8] = *b"TRST\0\0\0\x01";
/// Magic 8, index 8, position 8, checksum of the rest 4.
const HEAD_BYTES: usize = 8 + 8 + 8 + 4;

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SavedState {
    /// Index of the last entry that the tables contain.
    pub(crate) index: u64,
    /// Where that entry ends in the log.
    pub(crate) position: u64,
    /// The tables.
    pub(crate) tables: Vec<u8>,
}

/// `raftState` under the store's root.
#[derive(Debug)]
pub(crate) struct StateFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl StateFile {
    pub(crate) fn new(disk: Arc<dyn Disk>, root: &Path) -> Self {
        Self { disk, path: root.join("raftState") }
    }

    /// What was saved last; nothing on a new replica.
    pub(crate) fn load(&self) -> Result<Option<SavedState>, DiskError> {
        read_or_bak(&*self.disk, &self.path, decode)
    }

    /// Replaces the file.
    pub(crate) fn save(&self, state: &SavedState) -> Result<(), DiskError> {
        replace_file(&*self.disk, &self.path, &encode(state))
    }
}

fn encode(state: &SavedState) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + state.tables.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&state.index.to_be_bytes());
    bytes.extend_from_slice(&state.position.to_be_bytes());
    bytes.extend_from_slice(&checksum(state.index, state.position, &state.tables).to_be_bytes());
    bytes.extend_from_slice(&state.tables);
    bytes
}

fn decode(bytes: &[u8]) -> Option<SavedState> {
    let (head, tables) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let long = |at: usize| Some(u64::from_be_bytes(*head.get(at..)?.first_chunk()?));
    let (index, position) = (long(8)?, long(16)?);
    let claimed = u32::from_be_bytes(*head.get(24..)?.first_chunk()?);
    let is_whole = head[..8] == MAGIC && checksum(index, position, tables) == claimed;
    is_whole.then(|| SavedState { index, position, tables: tables.to_vec() })
}

fn checksum(index: u64, position: u64, tables: &[u8]) -> u32 {
    let mut all = index.to_be_bytes().to_vec();
    all.extend_from_slice(&position.to_be_bytes());
    all.extend_from_slice(tables);
    protocol::message::body_crc(&all) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use disk::MemDisk;

    #[test]
    fn what_was_saved_last_is_loaded_and_a_damaged_file_is_not_believed() {
        let disk = Arc::new(MemDisk::new());
        disk.create_dir_all(Path::new("/store")).expect("a directory");
        let file = StateFile::new(disk, Path::new("/store"));
        assert_eq!(file.load().expect("readable"), None);
        let state = SavedState { index: 7, position: 4096, tables: b"tables".to_vec() };
        file.save(&state).expect("kept");
        assert_eq!(file.load().expect("readable"), Some(state.clone()));
        let mut bytes = encode(&state);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(decode(&bytes), Some(state.clone()), "bit {bit} went unnoticed");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
