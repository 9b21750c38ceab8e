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
