//! `mqbroker`: the broker as a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    broker::run_command(std::env::args_os())
}
