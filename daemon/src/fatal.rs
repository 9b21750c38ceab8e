//! The end of a process that can no longer keep its promises.

use std::fmt;
use std::io::Write;

/// Exit status of [`fatal`]: `EX_SOFTWARE` of `sysexits.h`, told apart from a refused start (1).
pub const EXIT_FATAL: i32 = 70;

/// Logs the reason, says it on stderr and ends the process at once, running nothing else:
/// after a failed fsync or a panic, no clean-up can be trusted.
pub fn fatal(reason: impl fmt::Display) -> ! {
    tracing::error!("fatal: {reason}");
    let _ = writeln!(std::io::stderr(), "fatal: {reason}");
    std::process::exit(EXIT_FATAL)
}
