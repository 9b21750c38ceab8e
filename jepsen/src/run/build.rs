//! The binaries under test: built here, so that a run never judges yesterday's.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// The tree that this was built from.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where a build of the servers with planted bugs goes: never beside the real ones.
pub fn planted_directory() -> PathBuf {
    target().join("planted")
}

/// Where cargo puts what it builds: beside this very binary, two floors up.
fn target() -> PathBuf {
    let own = std::env::current_exe().ok();
    let floor = own.as_deref().and_then(Path::parent).and_then(Path::parent);
    floor.map_or_else(|| workspace().join("target"), Path::to_owned)
}

/// The release binaries of the servers.
pub fn binaries() -> PathBuf {
    target().join("release")
}

/// Builds the servers; with planted bugs if asked, into a directory of their own.
pub fn build(planted: bool) -> Result<PathBuf> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(&cargo);
    command.current_dir(workspace());
    command.args(["build", "--release", "--quiet", "-p", "broker", "-p", "namesrv", "--bins"]);
    let mut made = binaries();
    if planted {
        command.args(["--features", "broker/planted-bugs", "--target-dir"]).arg(planted_directory());
        made = planted_directory().join("release");
    }
    let status = command.status().map_err(|source| Error::ToolMissing { tool: cargo, source })?;
    if status.success() {
        return Ok(made);
    }
    Err(Error::ToolFailed { command: "building the servers".to_owned(), answer: status.to_string() })
}

/// The variable that chooses a planted bug. Its name is in a server that has any, and in no other.
const MARK: &[u8] = b"TRIREME_PLANT";

/// Sees that a run with a planted bug has servers with planted bugs, and that no other run has.
pub fn check_kind(binaries: &Path, planted: bool) -> Result<()> {
    let path = binaries.join("mqbroker");
    let Ok(bytes) = std::fs::read(&path) else { return Err(Error::BinaryMissing { path }) };
    let holds = bytes.windows(MARK.len()).any(|window| window == MARK);
    if holds == planted {
        return Ok(());
    }
    let word = if holds { "holds planted bugs" } else { "holds no planted bugs" };
    Err(Error::Usage(format!("{} {word}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_with_planted_bugs_are_told_from_real_ones() {
        let binaries = tempfile::tempdir().unwrap();
        assert!(matches!(check_kind(binaries.path(), false), Err(Error::BinaryMissing { .. })));
        std::fs::write(binaries.path().join("mqbroker"), b"a real server").unwrap();
        assert!(check_kind(binaries.path(), false).is_ok());
        assert!(check_kind(binaries.path(), true).is_err());
        std::fs::write(binaries.path().join("mqbroker"), b"..TRIREME_PLANT..").unwrap();
        assert!(check_kind(binaries.path(), true).is_ok());
        assert!(check_kind(binaries.path(), false).is_err());
    }
}
