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

/// What one connection saw.
pub(crate) struct Lane {
    pub(crate) latency: Histogram<u64>,
    pub(crate) messages: u64,
    pub(crate) refused: u64,
}

/// What a reply that comes now is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing that is counted.
    Between,
    /// The measurement with this number.
    Counted(usize),
    /// The load ends.
    Over,
}

/// Runs the load against one address and accounts the CPU of `pids`.
pub(crate) async fn run(server: SocketAddr, pids: &[u32], load: &Load) -> anyhow::Result<Outcome> {
    let start = Instant::now() + Duration::from_secs(load.warmup);
    let end = start + Duration::from_secs(load.seconds);
    let mut lanes = Vec::new();
    for number in 0..load.connections {
        let stream = connect(server).await?;
        let phase = move |now| match now {
            now if now >= end => Phase::Over,
            now if now >= start => Phase::Counted(0),
            _ => Phase::Between,
        };
        lanes.push(tokio::spawn(lane(stream, load.clone(), number, 1, phase)));
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
        let Some(lane) = lane.await??.pop() else { continue };
        outcome.latency.add(&lane.latency)?;
        outcome.messages += lane.messages;
        outcome.refused += lane.refused;
    }
    Ok(outcome)
}

/// A connection that sends at once what it is given.
pub(crate) async fn connect(server: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(server).await.with_context(|| format!("connecting to {server}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends over one connection until `phase` says that it is over; one count for each of `phases`.
pub(crate) async fn lane(
    mut stream: TcpStream,
    load: Load,
    number: usize,
    phases: usize,
    phase: impl Fn(Instant) -> Phase,
) -> anyhow::Result<Vec<Lane>> {
    let template = Template::send(&load.topic, load.size);
    let mut lanes = Vec::new();
    for _ in 0..phases {
        lanes.push(Lane { latency: Histogram::new(3)?, messages: 0, refused: 0 });
    }
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
        let mut counted = match phase(now) {
            Phase::Over => return Ok(lanes),
            Phase::Counted(number) => lanes.get_mut(number),
            Phase::Between => None,
        };
        while let Some(reply) = take_reply(&mut input)? {
            let slot = reply.number as usize;
            let at = sent_at.get_mut(slot).context("a reply to a request that was not sent")?;
            if let Some(lane) = &mut counted {
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
