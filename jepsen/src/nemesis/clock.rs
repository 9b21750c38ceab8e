//! Wall clocks that jump, one broker at a time.
//!
//! The machine's own clock is everybody's, so a library between the broker and libc adds an offset
//! that it reads from a file. Monotonic time stays true, as it does when a clock is set.

use std::path::PathBuf;

use super::act::{Struck, Undo};
use super::injector::Injector;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::net::Member;
use crate::schedule::Dice;

/// Where distributions put libfaketime.
const LIBRARIES: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
];

/// The library that moves clocks, if this machine has it.
pub fn clock_library() -> Option<PathBuf> {
    LIBRARIES.iter().map(PathBuf::from).find(|path| path.exists())
}

/// Lets one broker's clock jump by up to an hour either way.
pub(super) fn jump(injector: &Injector, member: Member, dice: &mut Dice) -> Result<Struck> {
    let cluster = &injector.cluster;
    if cluster.settings.clock_library.is_none() {
        return Ok(Struck::skipped("there is no libfaketime"));
    }
    let Some(pid) = cluster.server_of(member).pid() else {
        return Ok(Struck::skipped(format!("n{member} does not run")));
    };
    let seconds = i64::try_from(dice.between(1, 3_600)).unwrap_or(1) * if dice.chance(50) { -1 } else { 1 };
    set(cluster, member, seconds)?;
    let undo = Undo { clocks: vec![member], ..Undo::default() };
    let what = format!("the clock of n{member} jumps by {seconds} s");
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    if maps.contains("libfaketime") {
        Ok(Struck::installed(vec![member], what, undo))
    } else {
        Ok(Struck::indeterminate(
            vec![member],
            format!("{what}; the broker has not loaded the library"),
            undo,
        ))
    }
}

/// Sets the offset of a member's clock.
pub(super) fn set(cluster: &Cluster, member: Member, seconds: i64) -> Result<()> {
    let path = cluster.clock_file(member);
    let text = format!("{seconds:+}s\n");
    std::fs::write(&path, text).map_err(|source| Error::File { doing: "writing", path, source })
}
