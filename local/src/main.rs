//! `mqlocal`: a whole cluster on one machine with one command, for trying and demonstrating.
//!
//! It starts itself again as each server (`mqlocal namesrv -c file`, `mqlocal broker -c file`): only child processes can
//! be killed by a demo, and `cargo run --bin mqlocal` builds no other program. This file parses the command line and
//! wires: layout (ports and files) → cluster (processes) → demo or live figures → stop.

mod cluster;
mod demo;
mod figures;
mod layout;
mod live;
mod process;
mod screen;
mod welcome;
mod words;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use daemon::Shutdown;

use crate::cluster::Cluster;
use crate::demo::Plan;
use crate::layout::{Choice, Layout, Shape};
use crate::process::Role;
use crate::screen::Screen;

/// A RocketMQ-compatible cluster on this machine: a name server and a group of three replicas.
#[derive(Debug, Parser)]
#[command(name = "mqlocal", version)]
struct Arguments {
    /// One master without replicas, with ASYNC_FLUSH.
    #[arg(long)]
    single: bool,
    /// Where configuration, logs and messages are kept.
    #[arg(long, value_name = "directory", default_value = "data")]
    dir: PathBuf,
    /// Take free ports, even if 9876, 10911, 10921 and 10931 are free too.
    #[arg(long)]
    free_ports: bool,
    /// Send and consume messages, kill the leader of a group meanwhile, print figures, and exit: 0 if nothing
    /// acknowledged was lost.
    #[arg(long)]
    demo: bool,
    /// Messages of the demo.
    #[arg(long, value_name = "count", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    messages: u64,
    /// Bytes of each message of the demo.
    #[arg(long, value_name = "bytes", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    size: u32,
    /// Sends of the demo that are under way at the same time.
    #[arg(long, value_name = "count", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    in_flight: u16,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if let Some(role) = arguments.next().and_then(|word| Role::from_word(word.to_str()?)) {
        return serve(role, arguments);
    }
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "mqlocal: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Being one of the servers.
fn serve(role: Role, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    if let Err(status) = process::follow_parent() {
        return status;
    }
    let with_name = |name: &str| std::iter::once(OsString::from(name)).chain(arguments);
    match role {
        Role::Namesrv => namesrv::run_command(with_name("mqnamesrv")),
        Role::Broker => broker::run_command(with_name("mqbroker")),
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    // The future given to `block_on` stays on this thread, the main one, to which the servers are tied.
    runtime.context("starting threads")?.block_on(async {
        let (screen, shutdown) = (Screen::new(), Shutdown::on_signals()?);
        let shape = if arguments.single { Shape::Single } else { Shape::Group };
        let choice = if arguments.free_ports { Choice::Free } else { Choice::Usual };
        let mut cluster = Cluster::start(Layout::write(&arguments.dir, shape, choice)?)?;
        let outcome = attend(&mut cluster, &screen, arguments, &shutdown).await;
        let stopped = cluster.stop(&screen).await;
        outcome.and(stopped)
    })
}

/// From the start of the servers until there is a reason to stop them.
async fn attend(
    cluster: &mut Cluster,
    screen: &Screen,
    arguments: &Arguments,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let ready = tokio::select! {
        ready = cluster.ready() => ready?,
        () = shutdown.requested() => return Ok(()),
    };
    let what = match cluster.layout.shape {
        Shape::Single => "a name server and one master (ASYNC_FLUSH)",
        Shape::Group => "a name server and three replicas of one group (SYNC_FLUSH)",
    };
    screen.say(&format!("Trireme: {what}, ready after {:.2} s", ready.as_secs_f64()));
    screen.say(&welcome::places(&cluster.layout, &cluster.pids()));
    if arguments.demo {
        let plan = Plan::new(arguments.messages, arguments.size as usize, arguments.in_flight.into());
        return demo::run(cluster, screen, plan, shutdown).await;
    }
    screen.say(&welcome::next_steps(&cluster.layout));
    live::watch(cluster, screen, shutdown).await
}
