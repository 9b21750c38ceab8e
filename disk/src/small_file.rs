//! Small files that are always replaced whole: a reader after a crash finds the old content or the new, never a mixture.
//!
//! As in RocketMQ's `config/`, the content from before stays beside the file as `.bak`.

use std::path::{Path, PathBuf};

use crate::disk::{Disk, OpenHow};
use crate::error::DiskError;
use crate::real::parent_of;

/// The name of the copy from before the last replacement: `topics.json.bak`.
pub fn bak_path(path: &Path) -> PathBuf {
    with_suffix(path, ".bak")
}

/// Replaces the file at `path`, durably; what was there becomes its `.bak`.
///
/// A crash on the way leaves the old file, or only its `.bak`, or both; [`read_or_bak`] understands all three.
pub fn replace_file(disk: &dyn Disk, path: &Path, content: &[u8]) -> Result<(), DiskError> {
    let temporary = with_suffix(path, ".tmp");
    if disk.exists(&temporary) {
        disk.remove(&temporary).map_err(|error| DiskError::io("remove", &temporary, error))?;
    }
    let file = disk
        .open(&temporary, OpenHow::CreateNew)
        .map_err(|error| DiskError::io("create", &temporary, error))?;
    file.write_at(0, content).map_err(|error| DiskError::io("write", &temporary, error))?;
    file.sync_data().map_err(|error| DiskError::io("sync", &temporary, error))?;
    if disk.exists(path) {
        disk.rename(path, &bak_path(path)).map_err(|error| DiskError::io("rename", path, error))?;
    }
    disk.rename(&temporary, path).map_err(|error| DiskError::io("rename", &temporary, error))?;
    // Without this sync a crash can bring the old name back, although the new content was reported as kept.
    let directory = parent_of(path);
    disk.sync_dir(&directory).map_err(|error| DiskError::io("sync", &directory, error))
}

/// Reads a whole file; `None` when it does not exist.
pub fn read_whole(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    if !disk.exists(path) {
        return Ok(None);
    }
    let read = || {
        let file = disk.open(path, OpenHow::Read)?;
        let mut content = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
        let count = file.read_at(0, &mut content)?;
        content.truncate(count);
        Ok(content)
    };
    read().map(Some).map_err(|error| DiskError::io("read", path, error))
}

/// Reads a file that `parse` understands, else its `.bak`; `None` when neither exists.
///
/// A file that exists and cannot be understood, without a `.bak` that can, is an error: silence would forget what it held.
pub fn read_or_bak<T>(
    disk: &dyn Disk,
    path: &Path,
    parse: impl Fn(&[u8]) -> Option<T>,
) -> Result<Option<T>, DiskError> {
    let current = read_whole(disk, path)?;
    if let Some(value) = current.as_deref().and_then(&parse) {
        return Ok(Some(value));
    }
    let bak = read_whole(disk, &bak_path(path))?;
    if let Some(value) = bak.as_deref().and_then(&parse) {
        return Ok(Some(value));
    }
    match (current, bak) {
        (None, None) => Ok(None),
        _ => Err(DiskError::Unreadable { path: path.to_path_buf() }),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemDisk;

    fn text(disk: &MemDisk, path: &Path) -> Option<String> {
        read_or_bak(disk, path, |bytes| String::from_utf8(bytes.to_vec()).ok()).unwrap()
    }

    #[test]
    fn a_replaced_file_keeps_what_was_before_as_bak() {
        let disk = MemDisk::new();
        let path = Path::new("/config/topics.json");
        disk.create_dir_all(Path::new("/config")).unwrap();
        assert_eq!(text(&disk, path), None);
        replace_file(&disk, path, b"one").unwrap();
        replace_file(&disk, path, b"two").unwrap();
        assert_eq!(text(&disk, path).as_deref(), Some("two"));
        assert_eq!(read_whole(&disk, &bak_path(path)).unwrap().unwrap(), b"one");
    }

    #[test]
    fn a_crash_at_any_step_of_a_replacement_leaves_the_old_or_the_new_content() {
        for seed in 0..40 {
            for step in 0..12 {
                let disk = MemDisk::new();
                let path = Path::new("/config/topics.json");
                disk.create_dir_all(Path::new("/config")).unwrap();
                replace_file(&disk, path, b"old content").unwrap();
                disk.power_off_after(step);
                let done = replace_file(&disk, path, b"new content").is_ok();
                disk.crash_with(seed);
                let found = text(&disk, path).unwrap();
                assert!(
                    found == "new content" || (!done && found == "old content"),
                    "seed {seed} step {step}: {found}"
                );
            }
        }
    }

    #[test]
    fn a_file_that_cannot_be_understood_gives_way_to_its_bak_and_is_an_error_without_one() {
        let disk = MemDisk::new();
        let path = Path::new("/offsets.json");
        let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<u64>().ok();
        replace_file(&disk, path, b"7").unwrap();
        replace_file(&disk, path, b"torn").unwrap();
        assert_eq!(read_or_bak(&disk, path, number).unwrap(), Some(7));
        replace_file(&disk, path, b"torn again").unwrap();
        assert!(matches!(read_or_bak(&disk, path, number), Err(DiskError::Unreadable { .. })));
    }
}
