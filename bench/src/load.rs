//! The load itself: so many connections, so many sends in flight on each, for so long.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::BytesMut;
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cpu;
use crate::frames::{Template, take_reply};

/// What to send.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Load {
    /// Connections.
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    /// Sends in flight on each connection.
    #[arg(long, default_value_t = 1)]
    pub(crate) in_flight: usize,
    /// Message body in bytes.
    #[arg(long, default_value_t = 1024)]
    pub(crate) size: usize,
    /// Seconds of load before figures are taken.
    #[arg(long, default_value_t = 1)]
    pub(crate) warmup: u64,
    /// Seconds that figures are taken of.
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
    /// Topic; made on first use.
    #[arg(long, default_value = "BENCH")]
    pub(crate) topic: String,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) messages: u64,
    pub(crate) refused: u64,
    pub(crate) elapsed: Duration,
    pub(crate) server_cpu: Duration,
    /// Microseconds from handing a request to the socket to its reply.
    pub(crate) latency: Histogram<u64>,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn per_cpu_second(&self) -> f64 {
        self.messages as f64 / self.server_cpu.as_secs_f64().max(0.001)
    }
}

struct Lane {
    latency: Histogram<u64>,
    messages: u64,
    refused: u64,
}

/// Runs the load against one address and accounts the CPU of `pids`.
pub(crate) async fn run(server: SocketAddr, pids: &[u32], load: &Load) -> anyhow::Result<Outcome> {
    let start = Instant::now() + Duration::from_secs(load.warmup);
    let end = start + Duration::from_secs(load.seconds);
    let mut lanes = Vec::new();
    for number in 0..load.connections {
        let stream = TcpStream::connect(server).await.with_context(|| format!("connecting to {server}"))?;
        stream.set_nodelay(true)?;
        lanes.push(tokio::spawn(lane(stream, load.clone(), number, start, end)));
    }
    tokio::time::sleep_until(start.into()).await;
    let cpu_start = cpu::used(pids)?;
    tokio::time::sleep_until(end.into()).await;
    let server_cpu = cpu::used(pids)?.saturating_sub(cpu_start);
    let mut outcome = Outcome {
        messages: 0,
        refused: 0,
        elapsed: Duration::from_secs(load.seconds),
        server_cpu,
        latency: Histogram::new(3)?,
    };
    for lane in lanes {
        let lane = lane.await??;
        outcome.latency.add(&lane.latency)?;
        outcome.messages += lane.messages;
        outcome.refused += lane.refused;
    }
    Ok(outcome)
}

async fn lane(
    mut stream: TcpStream,
    load: Load,
    number: usize,
    start: Instant,
    end: Instant,
) -> anyhow::Result<Lane> {
    let template = Template::send(&load.topic, load.size);
    let mut lane = Lane { latency: Histogram::new(3)?, messages: 0, refused: 0 };
    let mut sent_at = vec![Instant::now(); load.in_flight];
    let mut out = BytesMut::with_capacity(64 * 1024);
    let mut input = BytesMut::with_capacity(64 * 1024);
    for (slot, at) in sent_at.iter_mut().enumerate() {
        *at = Instant::now();
        template.stamp(slot as u32, (number + slot) as u8, &mut out);
    }
    let mut turn = number;
    loop {
        stream.write_all_buf(&mut out).await?;
        anyhow::ensure!(stream.read_buf(&mut input).await? > 0, "the server closed the connection");
        let now = Instant::now();
        if now >= end {
            return Ok(lane);
        }
        while let Some(reply) = take_reply(&mut input)? {
            let slot = reply.number as usize;
            let at = sent_at.get_mut(slot).context("a reply to a request that was not sent")?;
            if now >= start {
                lane.latency.record((now - *at).as_micros() as u64)?;
                lane.messages += u64::from(reply.ok);
                lane.refused += u64::from(!reply.ok);
            }
            *at = now;
            turn += 1;
            template.stamp(reply.number, turn as u8, &mut out);
        }
    }
}
