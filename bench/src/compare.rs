//! Echo server and broker in turn, in one run: only their ratio survives a noisy machine.

use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::load::{self, Load};
use crate::report;

/// Prints a row per round and the medians' ratio.
pub(crate) async fn run(broker: SocketAddr, pid: u32, rounds: usize, load: &Load) -> anyhow::Result<()> {
    let mut echo = Command::new(std::env::current_exe()?)
        .arg("echo")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut line = String::new();
    let output = echo.stdout.take().context("the echo server has an output")?;
    BufReader::new(output).read_line(&mut line).await?;
    let echo_address: SocketAddr = line.trim().parse()?;
    let echo_pid = echo.id().context("the echo server has a process id")?;
    let (mut wall, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let raw = load::run(echo_address, &[echo_pid], load).await?;
        report::print_one("echo", load, &raw);
        let real = load::run(broker, &[pid], load).await?;
        report::print_one("broker", load, &real);
        wall.push(real.per_second() / raw.per_second());
        cpu.push(real.per_cpu_second() / raw.per_cpu_second());
    }
    println!(
        "ratio broker/echo: msg/s {:.2}, msg/CPU-s {:.2} (medians of {rounds})",
        median(wall),
        median(cpu)
    );
    echo.kill().await?;
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
