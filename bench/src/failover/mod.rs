//! `mqbench failover`: how long clients wait when a leader dies or hands over, and whether anything acknowledged is lost.
//!
//! Three replicas and a name server of our own, as processes, from the directory that this program lies in; a load of our
//! own client; one thing done to the leader after the other. What is measured is what a client sees.

mod load;
mod proof;

use std::time::{Duration, Instant};

use anyhow::ensure;
use client::{Client, ClientConfig, Producer, ProducerConfig};
use hdrhistogram::Histogram;

use crate::cluster::{Cluster, ClusterOptions};
use load::Load;

/// Sends that begin right after the leader is gone: the first of them that is acknowledged ends the gap.
const PROBES: usize = 4;
/// How long a failover may take before we call it none.
const PATIENCE: Duration = Duration::from_secs(30);
/// Load between two deeds, so that each meets a group at work.
const BETWEEN: Duration = Duration::from_millis(700);

/// What to do.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Leaders killed with SIGKILL, one after the other; each is started again.
    #[arg(long, default_value_t = 25)]
    kills: u32,
    /// Graceful hand-overs.
    #[arg(long, default_value_t = 25)]
    hand_overs: u32,
    /// Sends under way at any time.
    #[arg(long, default_value_t = 128)]
    in_flight: usize,
    /// Message body in bytes.
    #[arg(long, default_value_t = 1024)]
    size: usize,
    #[command(flatten)]
    cluster: ClusterOptions,
}

/// Runs all of it and prints what came of it.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&options.cluster).await?;
    let load = Load::start(&cluster.namesrv, options.in_flight, options.size).await?;
    let (mut killed, mut handed) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    for _ in 0..options.hand_overs {
        tokio::time::sleep(BETWEEN).await;
        handed.record(hand_over(&cluster, &load).await?.as_micros() as u64)?;
    }
    for _ in 0..options.kills {
        tokio::time::sleep(BETWEEN).await;
        killed.record(kill(&mut cluster).await?.as_micros() as u64)?;
        cluster.heal().await?;
    }
    let acked = load.end().await?;
    cluster.leader().await?;
    let lost = proof::missing(&cluster, &acked).await?;
    cluster.stop().await;
    print("kill to first ack", &killed);
    print("hand-over, longest silence", &handed);
    println!("acknowledged {}  lost {lost}", acked.len());
    ensure!(lost == 0, "acknowledged messages are missing");
    Ok(())
}

fn print(name: &str, gaps: &Histogram<u64>) {
    let ms = |micros: u64| micros as f64 / 1000.0;
    println!(
        "{name:<27} {:>4} times  p50 {:>7.1} ms  p90 {:>7.1} ms  p99 {:>7.1} ms  max {:>7.1} ms",
        gaps.len(),
        ms(gaps.value_at_quantile(0.5)),
        ms(gaps.value_at_quantile(0.9)),
        ms(gaps.value_at_quantile(0.99)),
        ms(gaps.max()),
    );
}

/// From SIGKILL to the first acknowledgement of a send that began after it.
async fn kill(cluster: &mut Cluster) -> anyhow::Result<Duration> {
    let leader = cluster.leader().await?;
    let client = Client::start(ClientConfig::new(&cluster.namesrv))?;
    let producer = Producer::start(&client, ProducerConfig::new("FAILOVER_PROBE"))?;
    // Connected and with a route, as an application is when its leader dies.
    producer.send(load::message("FAILOVER", u32::MAX, 0, 16)).await?;
    let began = Instant::now();
    cluster.kill(leader)?;
    let (tell, mut told) = tokio::sync::mpsc::channel(PROBES);
    let producer = std::sync::Arc::new(producer);
    for _ in 0..PROBES {
        let (producer, tell) = (producer.clone(), tell.clone());
        tokio::spawn(async move {
            while began.elapsed() < PATIENCE {
                if producer.send(load::message("FAILOVER", u32::MAX, 0, 16)).await.is_ok() {
                    let _ = tell.send(began.elapsed()).await;
                    return;
                }
            }
        });
    }
    drop(tell);
    let gap = told.recv().await;
    while told.recv().await.is_some() {}
    client.stop().await;
    gap.ok_or_else(|| anyhow::anyhow!("nothing was acknowledged for {PATIENCE:?} after a kill"))
}

/// The longest time without an acknowledgement around a hand-over.
async fn hand_over(cluster: &Cluster, load: &Load) -> anyhow::Result<Duration> {
    let leader = cluster.leader().await?;
    load.watch_silence();
    cluster.hand_over(leader).await?;
    tokio::time::sleep(BETWEEN / 2).await;
    Ok(load.longest_silence())
}
