//! The bytes of one file of a `MemDisk`: what a program sees, what the platter holds, and what lies between.

use std::time::SystemTime;

use crate::faults::Chance;

/// The unit in which a write can be torn.
const SECTOR_BYTES: u64 = 512;

/// A change that was made but not synced.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Write { position: u64, bytes: Vec<u8> },
    SetLen(u64),
    Zero { position: u64, len: u64 },
}

/// One file's content.
#[derive(Debug)]
pub(crate) struct Inode {
    pub(crate) seen: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    pub(crate) modified: SystemTime,
}

impl Inode {
    pub(crate) fn empty() -> Self {
        Self { seen: Vec::new(), durable: Vec::new(), unsynced: Vec::new(), modified: SystemTime::now() }
    }

    pub(crate) fn change(&mut self, change: Change) {
        apply(&mut self.seen, &change);
        self.unsynced.push(change);
        self.modified = SystemTime::now();
    }

    pub(crate) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            apply(&mut self.durable, &change);
        }
    }

    /// A failed sync on Linux marks the pages clean: the program still sees the bytes, the platter never gets them.
    pub(crate) fn forget_unsynced(&mut self) {
        self.unsynced.clear();
    }

    /// Changes a byte of what is durable and seen, as a dying disk does.
    pub(crate) fn damage(&mut self, position: u64) {
        for bytes in [&mut self.seen, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(position as usize) {
                *byte ^= 0x40;
            }
        }
    }

    /// Loses what was not synced: everything, or by chance some changes whole, some in part.
    pub(crate) fn crash(&mut self, chance: Option<&mut Chance>) {
        let unsynced = std::mem::take(&mut self.unsynced);
        if let Some(chance) = chance {
            for change in &unsynced {
                match (chance.below(3), change) {
                    (0, _) => {}
                    (1, Change::Write { position, bytes }) => {
                        tear(&mut self.durable, *position, bytes, chance)
                    }
                    _ => apply(&mut self.durable, change),
                }
            }
        }
        self.seen = self.durable.clone();
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { position, bytes: new } => {
            let (start, end) = (*position as usize, *position as usize + new.len());
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[start..end].copy_from_slice(new);
        }
        Change::SetLen(len) => bytes.resize(*len as usize, 0),
        Change::Zero { position, len } => {
            let end = ((*position + *len) as usize).min(bytes.len());
            let start = (*position as usize).min(end);
            bytes[start..end].fill(0);
        }
    }
}

/// Keeps some sectors of a write.
fn tear(bytes: &mut Vec<u8>, position: u64, new: &[u8], chance: &mut Chance) {
    let mut at = 0;
    while at < new.len() {
        let sector_end = ((position + at as u64) / SECTOR_BYTES + 1) * SECTOR_BYTES;
        let end = ((sector_end - position) as usize).min(new.len());
        if chance.below(2) == 0 {
            apply(bytes, &Change::Write { position: position + at as u64, bytes: new[at..end].to_vec() });
        }
        at = end;
    }
}
