//! Whether two stores hold the same commit log, byte by byte.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

const BLOCK: usize = 1 << 20;

/// Compares up to `end`, from the copy's first file on. Answers how many bytes were compared.
pub(crate) fn commit_logs(original: &Path, copy: &Path, end: u64) -> anyhow::Result<u64> {
    let originals = segments(original)?;
    let copies = segments(copy)?;
    let start = *copies.keys().next().with_context(|| format!("no commit log in {}", copy.display()))?;
    let mut compared = 0;
    for (&from, path) in originals.range(start..end) {
        let twin =
            copies.get(&from).with_context(|| format!("the copy has no segment that starts at {from}"))?;
        let until = originals.range(from + 1..).next().map_or(end, |(&next, _)| next.min(end));
        files(path, twin, from, until - from)?;
        compared += until - from;
    }
    ensure!(compared > 0, "nothing to compare: the copy starts at {start}, the original ends at {end}");
    Ok(compared)
}

/// Commit-log files by the offset in their names.
fn segments(directory: &Path) -> anyhow::Result<BTreeMap<u64, PathBuf>> {
    let mut segments = BTreeMap::new();
    for entry in std::fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))? {
        let path = entry?.path();
        if let Some(start) =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok())
        {
            segments.insert(start, path);
        }
    }
    Ok(segments)
}

fn files(original: &Path, copy: &Path, start: u64, bytes: u64) -> anyhow::Result<()> {
    let (mut a, mut b) = (File::open(original)?, File::open(copy)?);
    a.seek(SeekFrom::Start(0))?;
    let (mut left, mut right) = (vec![0; BLOCK], vec![0; BLOCK]);
    let mut at = 0;
    while at < bytes {
        let block = BLOCK.min(usize::try_from(bytes - at)?);
        a.read_exact(&mut left[..block])?;
        b.read_exact(&mut right[..block])?;
        if let Some(first) = (0..block).find(|&i| left[i] != right[i]) {
            bail!("commit logs differ first at physical offset {}", start + at + first as u64);
        }
        at += block as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_byte_is_named() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (name, bytes) in [("00000000000000000000", b"abcd"), ("00000000000000000004", b"efgh")] {
            std::fs::write(a.path().join(name), bytes).unwrap();
            std::fs::write(b.path().join(name), bytes).unwrap();
        }
        assert_eq!(commit_logs(a.path(), b.path(), 7).unwrap(), 7);
        std::fs::write(b.path().join("00000000000000000004"), b"eXgh").unwrap();
        let error = commit_logs(a.path(), b.path(), 7).unwrap_err().to_string();
        assert!(error.ends_with("offset 5"), "{error}");
        assert_eq!(commit_logs(a.path(), b.path(), 5).unwrap(), 5);
    }

    #[test]
    fn a_missing_segment_and_an_empty_copy_are_errors() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(a.path().join("00000000000000000000"), b"abcd").unwrap();
        std::fs::write(a.path().join("00000000000000000004"), b"abcd").unwrap();
        assert!(commit_logs(a.path(), b.path(), 8).is_err());
        std::fs::write(b.path().join("00000000000000000000"), b"abcd").unwrap();
        assert!(commit_logs(a.path(), b.path(), 8).is_err());
    }
}
