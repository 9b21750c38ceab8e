//! `jepsen`: breaks real clusters and says whether they kept their promises.
//!
//! Exit codes: 0 everything valid, 1 something invalid, 2 unknown or the harness failed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use jepsen::check::Verdict;
use jepsen::cluster::{Ledger, Mode};
use jepsen::kills::{self, KillSettings};
use jepsen::nemesis::StopSign;
use jepsen::report::say;
use jepsen::run::{self, Length, Nemesis, PLANTS, TestSettings};
use jepsen::schedule::FaultKind;
use jepsen::workload::Kind;

/// Faults on real brokers, histories of what clients saw, and checkers that judge them.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One test.
    Test(TestArgs),
    /// Many tests, one verdict.
    Matrix(MatrixArgs),
    /// Builds the servers with planted bugs; every one must be caught.
    Planted(PlantedArgs),
    /// One master, killed again and again on the same store.
    Kills(KillArgs),
    /// Judges the history of an earlier run again.
    Check(CheckArgs),
    /// What there is: workloads, nemeses, modes, planted bugs.
    List,
    /// Removes what a killed run left on this machine.
    Clean,
}

#[derive(Debug, Args)]
struct Common {
    /// Repeats the schedule of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// Where mqbroker and mqnamesrv are; the default builds them first.
    #[arg(long)]
    bin_dir: Option<PathBuf>,
    /// Use the release binaries as they are.
    #[arg(long)]
    no_build: bool,
    /// Loopback addresses instead of network namespaces.
    #[arg(long)]
    loopback: bool,
    /// Bytes of a message body.
    #[arg(long, default_value_t = 256)]
    body_bytes: usize,
    /// Queues of the topic.
    #[arg(long, default_value_t = 8)]
    queues: u32,
    /// Where results go.
    #[arg(long)]
    results: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct TestArgs {
    /// log, register, queue, delay or order.
    #[arg(long, default_value = "log")]
    workload: String,
    /// none, mix, or names with commas between them.
    #[arg(long, default_value = "kill-leader")]
    nemesis: String,
    /// raft, raft-async, single-async, single-sync, async-master or sync-master.
    #[arg(long, default_value = "raft")]
    mode: String,
    /// Seconds of the main phase.
    #[arg(long, default_value_t = 60)]
    time: u64,
    /// Operations a second.
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// A planted bug, for binaries that hold some.
    #[arg(long)]
    plant: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct MatrixArgs {
    /// Eight minutes at most (the default).
    #[arg(long, conflicts_with = "nightly")]
    short: bool,
    /// At least twenty configurations of five minutes.
    #[arg(long)]
    nightly: bool,
    /// Only rows whose name holds this.
    #[arg(long)]
    only: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct PlantedArgs {
    /// Only plants whose name holds this.
    #[arg(long)]
    only: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct KillArgs {
    /// single-async or single-sync.
    #[arg(long, default_value = "single-sync")]
    mode: String,
    /// How many kills.
    #[arg(long, default_value_t = 100)]
    rounds: u32,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// The results of the run.
    directory: PathBuf,
    /// The mode that it ran.
    #[arg(long, default_value = "raft")]
    mode: String,
    /// The workload that it ran.
    #[arg(long, default_value = "log")]
    workload: String,
    /// The faults that it ran under.
    #[arg(long, default_value = "none")]
    nemesis: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let stop = StopSign::default();
    listen_for_signals(stop.clone());
    match act(Cli::parse().command, &stop).await {
        Ok(Verdict::Valid) => ExitCode::SUCCESS,
        Ok(Verdict::Invalid) => ExitCode::from(1),
        Ok(Verdict::Unknown) => ExitCode::from(2),
        Err(error) => {
            say(&format!("jepsen failed: {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Ctrl-C and SIGTERM end the run by its own clean way out.
fn listen_for_signals(stop: StopSign) {
    tokio::spawn(async move {
        let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        else {
            return;
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        say("stopping: healing, killing, unmounting; a moment");
        stop.raise();
    });
}

async fn act(command: Command, stop: &StopSign) -> anyhow::Result<Verdict> {
    match command {
        Command::Test(args) => {
            let settings = test_settings(&args)?;
            Ok(run::test(&settings, stop).await?.0)
        }
        Command::Matrix(args) => {
            let length = if args.nightly && !args.short { Length::Nightly } else { Length::Short };
            let like = like(&args.common, true)?;
            Ok(run::matrix(length, &like, args.only.as_deref(), stop).await?)
        }
        Command::Planted(args) => {
            let missed = run::planted(&like(&args.common, false)?, args.only.as_deref(), stop).await?;
            Ok(if missed.is_empty() { Verdict::Valid } else { Verdict::Invalid })
        }
        Command::Kills(args) => {
            let like = like(&args.common, true)?;
            let mode =
                Mode::named(&args.mode).with_context(|| format!("there is no mode {:?}", args.mode))?;
            let (rounds, seed, binaries) = (args.rounds, like.seed, like.binaries);
            Ok(kills::run(&KillSettings { mode, rounds, seed, binaries }, stop).await?)
        }
        Command::Check(args) => check(&args),
        Command::List => {
            list();
            Ok(Verdict::Valid)
        }
        Command::Clean => {
            for cleared in Ledger::clear_dead_runs()? {
                say(&format!("cleared {}", cleared.display()));
            }
            Ok(Verdict::Valid)
        }
    }
}

fn test_settings(args: &TestArgs) -> anyhow::Result<TestSettings> {
    Ok(TestSettings {
        workload: Kind::named(&args.workload)
            .with_context(|| format!("there is no workload {:?}", args.workload))?,
        nemesis: Nemesis::parse(&args.nemesis)?,
        mode: Mode::named(&args.mode).with_context(|| format!("there is no mode {:?}", args.mode))?,
        time: Duration::from_secs(args.time),
        rate: args.rate.clamp(1, 20_000),
        plant: args.plant.clone(),
        ..like(&args.common, true)?
    })
}

/// Everything that matrices and tests share.
fn like(common: &Common, builds: bool) -> anyhow::Result<TestSettings> {
    let binaries = match &common.bin_dir {
        Some(directory) => directory.clone(),
        None if common.no_build || !builds => run::binaries(),
        None => run::build(false)?,
    };
    Ok(TestSettings {
        workload: Kind::Log,
        nemesis: Nemesis::None,
        mode: Mode::Raft,
        time: Duration::from_secs(60),
        rate: 500,
        seed: common.seed.unwrap_or_else(fresh_seed),
        body_bytes: common.body_bytes.clamp(jepsen::workload::body::BYTES_MIN, 4 << 20),
        queues: common.queues.clamp(1, 64),
        binaries,
        results: common.results.clone().unwrap_or_else(run::results_root),
        loopback: common.loopback,
        plant: None,
    })
}

fn fresh_seed() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |since| u64::from(since.subsec_micros()) + since.as_secs() % 1_000 * 1_000_000)
}

fn check(args: &CheckArgs) -> anyhow::Result<Verdict> {
    let common = Common {
        seed: Some(0),
        bin_dir: Some(Path::new("").to_owned()),
        no_build: true,
        loopback: true,
        body_bytes: 256,
        queues: 8,
        results: None,
    };
    let settings = TestSettings {
        workload: Kind::named(&args.workload)
            .with_context(|| format!("there is no workload {:?}", args.workload))?,
        nemesis: Nemesis::parse(&args.nemesis)?,
        mode: Mode::named(&args.mode).with_context(|| format!("there is no mode {:?}", args.mode))?,
        ..like(&common, false)?
    };
    let (verdict, findings) = run::recheck(&settings, &args.directory)?;
    say(&serde_json::to_string_pretty(&findings)?);
    Ok(verdict)
}

fn list() {
    let names = |names: &mut dyn Iterator<Item = &'static str>| names.collect::<Vec<_>>().join("\n  ");
    say(&format!("workloads:\n  {}", names(&mut Kind::ALL.iter().map(|(name, _)| *name))));
    say(&format!("modes:\n  {}", names(&mut Mode::ALL.iter().map(|(name, _)| *name))));
    say(&format!("nemeses:\n  none\n  mix\n  {}", names(&mut FaultKind::names())));
    let plants: Vec<String> =
        PLANTS.iter().map(|plant| format!("{:<22} {}", plant.name, plant.what)).collect();
    say(&format!("planted bugs:\n  {}", plants.join("\n  ")));
}
