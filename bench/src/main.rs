//! `mqbench`: a load generator that costs little itself, and a raw echo server to hold results against.
//!
//! On a machine that the generator shares with the server, the honest figure is messages per
//! CPU-second of the server, read from the kernel's own account of its process; rates and
//! latencies are printed beside it. Figures of two servers are compared in one run.
#![allow(clippy::print_stdout)]

mod catch_up;
mod cluster;
mod compare;
mod cpu;
mod echo;
mod failover;
mod frames;
mod load;
mod pull;
mod report;

use std::net::SocketAddr;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "mqbench",
    about = "Load for a broker that speaks RocketMQ's protocol, and figures about it"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send messages to one broker address and report rate, latency and the broker's CPU.
    Send {
        /// Where the broker listens.
        #[arg(long)]
        broker: SocketAddr,
        /// Process whose CPU time is accounted; repeat for a group of replicas.
        #[arg(long)]
        pid: Vec<u32>,
        #[command(flatten)]
        load: load::Load,
    },
    /// Read what `send` left in a topic, and report rate and the broker's CPU.
    Pull {
        #[command(flatten)]
        options: pull::Options,
    },
    /// Answer every frame like a broker that does nothing else.
    Echo {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Run the raw echo server and a broker in turn, several rounds, and print the ratio.
    Compare {
        /// Where the broker listens.
        #[arg(long)]
        broker: SocketAddr,
        /// The broker's process.
        #[arg(long)]
        pid: u32,
        /// Rounds of echo and broker.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        #[command(flatten)]
        load: load::Load,
    },
    /// Kill and depose the leaders of a group of our own under load, and report how long clients wait.
    Failover {
        #[command(flatten)]
        options: failover::Options,
    },
    /// Let a follower of a group of our own catch up under load, and report how fast it does and what the senders notice.
    CatchUp {
        #[command(flatten)]
        options: catch_up::Options,
    },
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match Arguments::parse().command {
            Command::Send { broker, pid, load } => {
                let result = load::run(broker, &pid, &load).await?;
                report::print_one("send", &load, &result);
                Ok(())
            }
            Command::Pull { options } => pull::run(&options).await,
            Command::Echo { listen } => echo::serve(listen).await,
            Command::Failover { options } => failover::run(&options).await,
            Command::CatchUp { options } => catch_up::run(&options).await,
            Command::Compare { broker, pid, rounds, load } => compare::run(broker, pid, rounds, &load).await,
        }
    })
}
