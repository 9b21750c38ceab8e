//! A file system of its own for a store, on a loop-mounted image: the only way to see what a
//! power cut really leaves, without a device that can forget.
//!
//! What the kernel wrote to the image is what a disk would have; what it still holds in memory for
//! the mounted file system is what a power cut takes. So a cut is: kill the process, copy the
//! image as it is, throw the mounted file system away, mount the copy.

use std::path::{Path, PathBuf};

use super::ledger::Ledger;
use super::tool;
use crate::error::{Error, Result};

/// The journal commits by itself only this often: what nobody synced stays in memory, and the
/// image does not change while it is copied.
const JOURNAL_SECONDS: u32 = 300;

/// A mounted image.
#[derive(Debug)]
pub struct Image {
    file: PathBuf,
    mount: PathBuf,
    cuts: u32,
    mounted: bool,
}

impl Image {
    /// Whether this machine lets us mount images.
    pub fn possible() -> bool {
        rustix::process::geteuid().is_root()
            && tool::exists("mkfs.ext4")
            && Path::new("/dev/loop-control").exists()
    }

    /// Makes an image of `bytes` (sparse: it costs what is written) and mounts it at `mount`.
    pub fn create(file: PathBuf, mount: PathBuf, bytes: u64, ledger: &Ledger) -> Result<Self> {
        std::fs::create_dir_all(&mount).map_err(|source| Error::File {
            doing: "making",
            path: mount.clone(),
            source,
        })?;
        let made = std::fs::File::create(&file).and_then(|made| made.set_len(bytes));
        made.map_err(|source| Error::File { doing: "making", path: file.clone(), source })?;
        make_file_system(&file)?;
        ledger.mount(&mount)?;
        let mut image = Self { file, mount, cuts: 0, mounted: false };
        image.mount()?;
        Ok(image)
    }

    /// What was not synced is gone. Nobody may be running on the image.
    pub fn cut_power(&mut self) -> Result<()> {
        self.cuts += 1;
        let copy = self.file.with_extension(format!("cut{}", self.cuts));
        let (from, to) = (self.file.display().to_string(), copy.display().to_string());
        tool::run(&["cp", "--sparse=always", &from, &to])?;
        self.replace(copy)
    }

    /// An empty file system in place of this one. In a new file: a server that was started in a namespace of its own may
    /// still hold the old mount, and the kernel would show the old contents of the same file again.
    pub fn wipe(&mut self) -> Result<()> {
        self.cuts += 1;
        let fresh = self.file.with_extension(format!("wipe{}", self.cuts));
        let bytes = self.file.metadata().map(|old| old.len());
        bytes
            .and_then(|bytes| std::fs::File::create(&fresh)?.set_len(bytes))
            .map_err(|source| Error::File { doing: "making", path: fresh.clone(), source })?;
        make_file_system(&fresh)?;
        self.replace(fresh)
    }

    /// Mounts another image in place of this one, which is no more.
    fn replace(&mut self, by: PathBuf) -> Result<()> {
        self.unmount()?;
        std::fs::remove_file(&self.file).map_err(|source| Error::File {
            doing: "removing",
            path: self.file.clone(),
            source,
        })?;
        self.file = by;
        self.mount()
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    fn mount(&mut self) -> Result<()> {
        let options = format!("loop,noatime,commit={JOURNAL_SECONDS}");
        let (file, mount) = (self.file.display().to_string(), self.mount.display().to_string());
        tool::run(&["mount", "-o", &options, &file, &mount])?;
        self.mounted = true;
        Ok(())
    }

    fn unmount(&mut self) -> Result<()> {
        if self.mounted {
            tool::run(&["umount", &self.mount.display().to_string()])?;
            self.mounted = false;
        }
        Ok(())
    }
}

fn make_file_system(file: &Path) -> Result<()> {
    let lazily = "lazy_itable_init=1,lazy_journal_init=1";
    tool::run(&["mkfs.ext4", "-q", "-F", "-E", lazily, &file.display().to_string()]).map(|_| ())
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.unmount().is_err() {
            let _ = tool::run(&["umount", "-l", &self.mount.display().to_string()]);
        }
        let _ = std::fs::remove_file(&self.file);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_power_cut_keeps_what_was_synced_and_takes_the_rest() {
        if !Image::possible() {
            return;
        }
        let work = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(work.path()).unwrap();
        let mount = work.path().join("store");
        let Ok(mut image) = Image::create(work.path().join("image"), mount.clone(), 64 << 20, &ledger) else {
            // Root without the right to mount, as in some containers.
            return;
        };
        let mut synced = std::fs::File::create(mount.join("synced")).unwrap();
        synced.write_all(b"kept").unwrap();
        synced.sync_all().unwrap();
        std::fs::File::open(&mount).unwrap().sync_all().unwrap();
        synced.write_all(b" and lost").unwrap();
        std::fs::write(mount.join("unsynced"), b"lost").unwrap();
        drop(synced);
        image.cut_power().unwrap();
        assert_eq!(std::fs::read(mount.join("synced")).unwrap(), b"kept");
        assert!(!mount.join("unsynced").exists());
        image.wipe().unwrap();
        assert!(!mount.join("synced").exists());
    }
}
