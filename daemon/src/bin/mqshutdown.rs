//! `mqshutdown broker|namesrv`: asks every such process of this machine to stop.

use std::io::Write;
use std::process::ExitCode;

use daemon::process;

fn main() -> anyhow::Result<ExitCode> {
    let word = std::env::args().nth(1).unwrap_or_default();
    let (lines, status) = process::shut_down(&word, process::find, process::terminate);
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(ExitCode::from(status))
}
