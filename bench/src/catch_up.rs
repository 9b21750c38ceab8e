//! `mqbench catch-up`: how fast a follower that was down gets what it missed, and what it costs those who send meanwhile.
//!
//! Three replicas and a name server of our own. A follower is killed, the leader takes so many bytes, and then one steady
//! load goes on through three times that are counted apart: before the follower is back, while it catches up, afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, ClusterOptions};
use crate::cpu;
use crate::load::{self, Lane, Load, Phase};

/// What the steady load is counted in.
const PHASES: [&str; 3] = ["before", "meanwhile", "after"];
const OVER: usize = PHASES.len();
/// How often the follower is asked how far it is.
const GLANCE: Duration = Duration::from_millis(10);
/// How long a follower may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What to do.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// MiB that the follower misses.
    #[arg(long, default_value_t = 1536)]
    mib: u64,
    /// How often.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Connections of the steady load.
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Sends in flight on each of them.
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// Message body in bytes.
    #[arg(long, default_value_t = 1024)]
    size: usize,
    /// Seconds that are counted before the follower is back, and again afterwards.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    #[command(flatten)]
    cluster: ClusterOptions,
}

impl Options {
    fn load(&self, connections: usize, in_flight: usize, seconds: u64) -> Load {
        let (size, topic) = (self.size, "CATCH_UP".to_owned());
        Load { connections, in_flight, size, warmup: 0, seconds, topic }
    }
}

/// Runs all of it and prints what came of it.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&options.cluster).await?;
    for round in 1..=options.rounds {
        let leader = cluster.leader().await?;
        let follower = (leader + 1) % 3;
        cluster.kill_and_wait(follower).await?;
        fill(&cluster, leader, options).await?;
        let caught_up = catch_up(&mut cluster, leader, follower, options).await?;
        caught_up.print(round);
    }
    cluster.stop().await;
    Ok(())
}

/// Sends until the leader's log has grown by what was asked.
async fn fill(cluster: &Cluster, leader: usize, options: &Options) -> anyhow::Result<()> {
    let end = position(cluster, leader).await? + (options.mib << 20);
    while position(cluster, leader).await? < end {
        load::run(cluster.address(leader)?, &[], &options.load(16, 16, 1)).await?;
    }
    Ok(())
}

async fn position(cluster: &Cluster, number: usize) -> anyhow::Result<u64> {
    let status = cluster.status(number).await.context("a replica does not answer")?;
    Ok(u64::try_from(status.applied_position)?)
}

/// What one round gave.
struct CaughtUp {
    bytes: u64,
    /// From the start of the process until it had everything that the leader had at its start.
    took: Duration,
    /// The same without the time until the first byte.
    streamed: Duration,
    counts: Vec<Lane>,
    times: [Duration; 3],
    cpu: [Duration; 3],
}

impl CaughtUp {
    fn print(&self, round: u32) {
        let rate = |time: Duration| self.bytes as f64 / 1e6 / time.as_secs_f64();
        println!(
            "round {round}: {:.0} MB in {:.2} s, {:.0} MB/s; {:.0} MB/s once it had begun",
            self.bytes as f64 / 1e6,
            self.took.as_secs_f64(),
            rate(self.took),
            rate(self.streamed),
        );
        for (phase, name) in PHASES.iter().enumerate() {
            let (lane, time) = (&self.counts[phase], self.times[phase].as_secs_f64());
            println!(
                "  {name:<9} {time:>5.1} s  {:>7.0} msg/s  p50 {:>6} us  p99 {:>6} us  p99.9 {:>6} us  max {:>7} us  refused {}  CPU of the replicas {:.2} cores",
                lane.messages as f64 / time,
                lane.latency.value_at_quantile(0.50),
                lane.latency.value_at_quantile(0.99),
                lane.latency.value_at_quantile(0.999),
                lane.latency.max(),
                lane.refused,
                self.cpu[phase].as_secs_f64() / time,
            );
        }
    }
}

/// One steady load, counted in phases.
struct Steady {
    phase: Arc<AtomicUsize>,
    lanes: Vec<JoinHandle<anyhow::Result<Vec<Lane>>>>,
}

impl Steady {
    async fn start(cluster: &Cluster, leader: usize, options: &Options) -> anyhow::Result<Self> {
        let load = options.load(options.connections, options.in_flight, 0);
        let phase = Arc::new(AtomicUsize::new(usize::MAX));
        let mut lanes = Vec::new();
        for number in 0..load.connections {
            let stream = load::connect(cluster.address(leader)?).await?;
            let seen = phase.clone();
            let phase_now = move |_| match seen.load(Ordering::Relaxed) {
                OVER => Phase::Over,
                usize::MAX => Phase::Between,
                phase => Phase::Counted(phase),
            };
            lanes.push(tokio::spawn(load::lane(stream, load.clone(), number, PHASES.len(), phase_now)));
        }
        Ok(Self { phase, lanes })
    }

    fn enter(&self, phase: usize) {
        self.phase.store(phase, Ordering::Relaxed);
    }

    async fn end(self) -> anyhow::Result<Vec<Lane>> {
        self.enter(OVER);
        let mut sums = Vec::new();
        for _ in PHASES {
            sums.push(Lane { latency: Histogram::new(3)?, messages: 0, refused: 0 });
        }
        for lane in self.lanes {
            for (sum, lane) in sums.iter_mut().zip(lane.await??) {
                sum.latency.add(&lane.latency)?;
                sum.messages += lane.messages;
                sum.refused += lane.refused;
            }
        }
        Ok(sums)
    }
}

async fn catch_up(
    cluster: &mut Cluster,
    leader: usize,
    follower: usize,
    options: &Options,
) -> anyhow::Result<CaughtUp> {
    let counted = Duration::from_secs(options.seconds);
    let steady = Steady::start(cluster, leader, options).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut times = [Duration::ZERO; 3];
    let mut cpu_used = [Duration::ZERO; 3];

    let others = cluster.pids();
    let cpu_before = cpu::used(&others)?;
    steady.enter(0);
    tokio::time::sleep(counted).await;
    cpu_used[0] = cpu::used(&others)?.saturating_sub(cpu_before);
    times[0] = counted;

    steady.enter(1);
    let began = Instant::now();
    let end = position(cluster, leader).await?;
    cluster.revive()?;
    let all = cluster.pids();
    let cpu_before = cpu::used(&others)?;
    let (start, first) = wait_for(cluster, follower, |at, seen| at > seen).await?;
    wait_for(cluster, follower, |at, _| at >= end).await?;
    let done = Instant::now();
    cpu_used[1] = cpu::used(&all)?.saturating_sub(cpu_before);
    times[1] = done - began;

    // What is left of the distance is not the follower's way back any more.
    steady.enter(usize::MAX);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let cpu_before = cpu::used(&all)?;
    steady.enter(2);
    tokio::time::sleep(counted).await;
    cpu_used[2] = cpu::used(&all)?.saturating_sub(cpu_before);
    times[2] = counted;

    let counts = steady.end().await?;
    let bytes = end.saturating_sub(start);
    Ok(CaughtUp { bytes, took: done - began, streamed: done - first, counts, times, cpu: cpu_used })
}

/// Waits until a replica's applied position is what was asked for; the first position that it told, and when that was last.
async fn wait_for(
    cluster: &Cluster,
    number: usize,
    is_there: impl Fn(u64, u64) -> bool,
) -> anyhow::Result<(u64, Instant)> {
    let patience_ends = Instant::now() + PATIENCE;
    let mut first_seen = None;
    let mut last = Instant::now();
    loop {
        if let Ok(at) = position(cluster, number).await {
            let first = *first_seen.get_or_insert(at);
            if is_there(at, first) {
                return Ok((first, last));
            }
        }
        last = Instant::now();
        ensure!(last < patience_ends, "the follower did not catch up within {PATIENCE:?}");
        tokio::time::sleep(GLANCE).await;
    }
}
