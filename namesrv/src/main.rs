//! `mqnamesrv`: the name server as a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    namesrv::run_command(std::env::args_os())
}
