//! What a log is: whose, of what shape, where it begins. A small file that is replaced whole, with its `.bak`.
//!
//! It also keeps the store's identity (a wiped replica comes back with another one, and is not taken for the old voter),
//! and the boot id: how recovery knows that the machine, not only the process, went down.

use std::path::{Path, PathBuf};

use disk::{Disk, OpenHow, read_or_bak, replace_file};
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::envelope::{EntryId, FORMAT_VERSION, crc32c};
use crate::error::LogError;

/// Where Linux tells one boot from another.
const BOOT_ID_PATH: &str = "/proc/sys/kernel/random/boot_id";

/// The manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u8,
    pub(crate) group: String,
    pub(crate) node: u64,
    /// The identity of this store; drawn once, when it is made.
    pub(crate) store: u128,
    pub(crate) segment_bytes: u64,
    /// Where a classic store's records end that the group began with; 0 without one.
    pub(crate) prefix_end: u64,
    /// Everything up to this entry is hidden from replication; a snapshot stands for it.
    pub(crate) purged: Option<EntryId>,
    /// The checksum of that entry, for the chain.
    pub(crate) purged_crc: u32,
    /// Where the first entry behind it begins.
    pub(crate) first_position: u64,
    /// The log is being replaced as a whole: what the segments hold is worth nothing.
    pub(crate) is_resetting: bool,
    /// The boot in which this log was last appended to.
    pub(crate) boot_id: String,
    /// Whether power takes nothing that was acknowledged: the log was closed with everything flushed, or flushes before it
    /// acknowledges. A life under SYNC_FLUSH says so from its beginning, whatever mode the next one has.
    pub(crate) is_clean: bool,
}

/// The manifest's file.
#[derive(Debug)]
pub(crate) struct ManifestFile {
    path: PathBuf,
    pub(crate) manifest: Manifest,
}

/// What a new manifest is made of, and an old one is checked against.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) group: String,
    pub(crate) node: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) prefix_end: u64,
}

impl ManifestFile {
    /// Reads the manifest, or makes one.
    pub(crate) fn open(disk: &dyn Disk, directory: &Path, shape: &Shape) -> Result<Self, LogError> {
        let path = directory.join("manifest");
        let found = read_or_bak(disk, &path, parse)?;
        if let Some(manifest) = found {
            check(&manifest, shape)?;
            return Ok(Self { path, manifest });
        }
        let manifest = Manifest {
            format: FORMAT_VERSION,
            group: shape.group.clone(),
            node: shape.node,
            store: random_identity(),
            segment_bytes: shape.segment_bytes,
            prefix_end: shape.prefix_end,
            purged: None,
            purged_crc: 0,
            first_position: shape.prefix_end,
            is_resetting: false,
            boot_id: boot_id(disk),
            is_clean: true,
        };
        let mut file = Self { path, manifest: manifest.clone() };
        file.replace(disk, manifest)?;
        Ok(file)
    }

    /// Replaces the manifest, durably.
    pub(crate) fn replace(&mut self, disk: &dyn Disk, manifest: Manifest) -> Result<(), LogError> {
        let mut bytes = codec::encode("manifest", &manifest)?;
        let crc = crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        replace_file(disk, &self.path, &bytes)?;
        self.manifest = manifest;
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Option<Manifest> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32c(body) != u32::from_be_bytes(*crc) {
        return None;
    }
    codec::decode("manifest", body).ok()
}

fn check(manifest: &Manifest, shape: &Shape) -> Result<(), LogError> {
    let pairs = [
        ("format", manifest.format.to_string(), FORMAT_VERSION.to_string()),
        ("group", manifest.group.clone(), shape.group.clone()),
        ("node", manifest.node.to_string(), shape.node.to_string()),
        ("segment size", manifest.segment_bytes.to_string(), shape.segment_bytes.to_string()),
    ];
    for (what, found, expected) in pairs {
        if found != expected {
            return Err(LogError::Mismatch { what, found, expected });
        }
    }
    Ok(())
}

/// Tells this boot of the machine from every other; empty when the system does not say.
pub(crate) fn boot_id(disk: &dyn Disk) -> String {
    let mut bytes = [0; 64];
    let read = disk.open(Path::new(BOOT_ID_PATH), OpenHow::Read).and_then(|file| file.read_at(0, &mut bytes));
    let count = read.unwrap_or(0);
    String::from_utf8_lossy(&bytes[..count]).trim().to_owned()
}

/// Draws an identity; two stores never share one. The standard library's hasher keys are the system's randomness.
fn random_identity() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    let draw = || u128::from(RandomState::new().hash_one(std::time::SystemTime::now()));
    (draw() << 64 | draw()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use disk::MemDisk;

    fn shape() -> Shape {
        Shape { group: "g".to_owned(), node: 1, segment_bytes: 4096, prefix_end: 100 }
    }

    #[test]
    fn a_manifest_of_another_group_node_or_segment_size_is_refused_with_both_values() {
        let disk = MemDisk::new();
        let directory = Path::new("/");
        let made = ManifestFile::open(&disk, directory, &shape()).unwrap().manifest;
        assert_eq!(ManifestFile::open(&disk, directory, &shape()).unwrap().manifest, made);
        let wrong = [
            Shape { group: "h".to_owned(), ..shape() },
            Shape { node: 2, ..shape() },
            Shape { segment_bytes: 8192, ..shape() },
        ];
        for shape in wrong {
            assert!(matches!(ManifestFile::open(&disk, directory, &shape), Err(LogError::Mismatch { .. })));
        }
    }

    #[test]
    fn two_stores_have_two_identities() {
        let identity =
            || ManifestFile::open(&MemDisk::new(), Path::new("/"), &shape()).unwrap().manifest.store;
        assert_ne!(identity(), identity());
    }
}
