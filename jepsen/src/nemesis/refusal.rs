//! Disks that refuse: errors and delays of syncs by a tracer, and a file system that is really full.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::act::{Struck, Undo};
use super::injector::Injector;
use crate::cluster::tool;
use crate::error::{Error, Result};
use crate::net::Member;
use crate::schedule::Refusal;

/// A busy broker syncs well within this.
const TAKES_HOLD_WITHIN: Duration = Duration::from_secs(5);

/// What the tracer writes where it did something.
const INJECTED: &str = "INJECTED";
/// What it writes where it delayed something.
const DELAYED: &str = "DELAYED";

/// Makes the disk of one member refuse.
pub(super) fn refuse(injector: &Injector, refusal: Refusal, member: Member) -> Result<Struck> {
    match refusal {
        Refusal::SyncError => traced(injector, member, "error=EIO"),
        Refusal::SlowSync => traced(injector, member, "delay_enter=300000"),
        Refusal::Full => full(injector, member),
    }
}

fn traced(injector: &Injector, member: Member, deed: &str) -> Result<Struck> {
    if !tool::exists("strace") {
        return Ok(Struck::skipped("there is no strace"));
    }
    let Some(pid) = injector.cluster.server_of(member).pid() else {
        return Ok(Struck::skipped(format!("n{member} does not run")));
    };
    let trace = injector.cluster.settings.results.join(format!("n{member}.strace"));
    let mut tracer = attach(pid, deed, &trace)?;
    let undo = |tracer| Undo { tracers: vec![tracer], start: vec![member], ..Undo::default() };
    let what = format!("syncs of n{member} meet {deed}");
    let deadline = Instant::now() + TAKES_HOLD_WITHIN;
    while Instant::now() < deadline {
        let seen = std::fs::read_to_string(&trace).unwrap_or_default();
        if seen.contains(INJECTED) || seen.contains(DELAYED) {
            return Ok(Struck::installed(vec![member], what, undo(tracer)));
        }
        if let Ok(Some(_)) = tracer.try_wait() {
            return Ok(Struck::skipped(format!("the tracer could not hold n{member}")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(Struck::indeterminate(vec![member], format!("{what}; none was seen"), undo(tracer)))
}

fn attach(pid: u32, deed: &str, trace: &Path) -> Result<Child> {
    let inject = format!("inject=fdatasync,fsync:{deed}");
    let (pid, file) = (pid.to_string(), trace.display().to_string());
    let words =
        ["strace", "-f", "-qq", "-p", &pid, "-e", "trace=fdatasync,fsync", "-e", &inject, "-o", &file];
    let _ = std::fs::remove_file(trace);
    let started =
        tool::command(&words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    started.map_err(|source| Error::ToolMissing { tool: words.join(" "), source })
}

/// Fills the member's own file system to the last block.
fn full(injector: &Injector, member: Member) -> Result<Struck> {
    if injector.cluster.image_of(member).is_none() {
        return Ok(Struck::skipped("the store has no file system of its own"));
    }
    let disk = injector.cluster.store(member);
    let ballast = disk.join("ballast");
    let mut left = available(&disk)?;
    // Once is not enough: what the file system keeps for its own tables comes free in steps.
    for part in 0..4 {
        let bytes = left.saturating_sub(64 << 10).to_string();
        let file = format!("{}{part}", ballast.display());
        if left > 1 << 20 {
            let _ = tool::run(&["fallocate", "-l", &bytes, &file]);
        }
        left = available(&disk)?;
    }
    let files = (0..4).map(|part| format!("{}{part}", ballast.display()).into()).collect();
    let undo = Undo { ballast: files, start: vec![member], ..Undo::default() };
    let what = format!("{left} bytes are left on the disk of n{member}");
    if left > 4 << 20 {
        return Ok(Struck::indeterminate(vec![member], what, undo));
    }
    Ok(Struck::installed(vec![member], what, undo))
}

fn available(disk: &Path) -> Result<u64> {
    let answer = tool::run(&["df", "--output=avail", "-B1", &disk.display().to_string()])?;
    Ok(answer.lines().nth(1).and_then(|line| line.trim().parse().ok()).unwrap_or(0))
}
