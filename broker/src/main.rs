//! `mqbroker`: the broker as a program.

use std::process::ExitCode;

/// Every message is a handful of small allocations, made on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    broker::run_command(std::env::args_os())
}
