//! Reading a backlog: so many connections, each going through one queue again and again with one pull in flight.
//!
//! What is read is what `send` left in the topic before. Answers are counted by their next offset; their messages are
//! not decoded, which is a client's work.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::BytesMut;
use hdrhistogram::Histogram;
use protocol::header::{PullMessageRequestHeader, PullMessageResponseHeader};
use protocol::{RemotingCommand, RequestCode, ResponseCode, frame, sys_flag};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cpu;
use crate::load::connect;

/// What to read.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Where the broker listens.
    #[arg(long)]
    broker: SocketAddr,
    /// Process whose CPU time is accounted; repeat for a group of replicas.
    #[arg(long)]
    pid: Vec<u32>,
    /// Connections; the queues are shared out among them in turn.
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Queues of the topic that hold messages.
    #[arg(long, default_value_t = 8)]
    queues: usize,
    /// Messages asked for at once; 32 is what push consumers ask for.
    #[arg(long, default_value_t = 32)]
    batch: i32,
    /// Seconds before figures are taken.
    #[arg(long, default_value_t = 1)]
    warmup: u64,
    /// Seconds that figures are taken of.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Topic.
    #[arg(long, default_value = "BENCH")]
    topic: String,
}

/// What one connection saw.
struct Lane {
    messages: u64,
    bytes: u64,
    pulls: Histogram<u64>,
}

/// Reads, and prints one line.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let start = Instant::now() + Duration::from_secs(options.warmup);
    let end = start + Duration::from_secs(options.seconds);
    let lanes: Vec<_> = (0..options.connections)
        .map(|number| tokio::spawn(lane(options.clone(), number % options.queues, start, end)))
        .collect();
    tokio::time::sleep_until(start.into()).await;
    let before = cpu::used(&options.pid)?;
    tokio::time::sleep_until(end.into()).await;
    let server_cpu = cpu::used(&options.pid)?.saturating_sub(before);
    let mut all = Lane { messages: 0, bytes: 0, pulls: Histogram::new(3)? };
    for lane in lanes {
        let lane = lane.await??;
        all.messages += lane.messages;
        all.bytes += lane.bytes;
        all.pulls.add(&lane.pulls)?;
    }
    println!(
        "pull     {:>3} x {:<4} {:>9.0} msg/s  {:>9.0} msg/CPU-s  {:>6.0} MB/s  a pull: p50 {:>6} us  p99 {:>6} us",
        options.connections,
        options.batch,
        all.messages as f64 / options.seconds as f64,
        all.messages as f64 / server_cpu.as_secs_f64().max(0.001),
        all.bytes as f64 / options.seconds as f64 / 1e6,
        all.pulls.value_at_quantile(0.50),
        all.pulls.value_at_quantile(0.99),
    );
    Ok(())
}

async fn lane(options: Options, queue: usize, start: Instant, end: Instant) -> anyhow::Result<Lane> {
    let mut stream = connect(options.broker).await?;
    let mut header = PullMessageRequestHeader {
        consumer_group: "BENCH_C".into(),
        topic: options.topic.as_str().into(),
        queue_id: i32::try_from(queue)?,
        max_msg_nums: options.batch,
        sys_flag: sys_flag::pull::SUBSCRIPTION,
        subscription: Some("*".into()),
        expression_type: Some("TAG".into()),
        ..PullMessageRequestHeader::default()
    };
    let mut lane = Lane { messages: 0, bytes: 0, pulls: Histogram::new(3)? };
    let (mut out, mut input) = (BytesMut::new(), BytesMut::with_capacity(256 * 1024));
    loop {
        frame::encode(&RemotingCommand::request_with(RequestCode::PullMessage, &header), &mut out);
        let asked = Instant::now();
        stream.write_all_buf(&mut out).await?;
        let answer = loop {
            if let Some(answer) = frame::decode(&mut input)? {
                break answer;
            }
            ensure!(stream.read_buf(&mut input).await? > 0, "the broker closed the connection");
        };
        let now = Instant::now();
        if now >= end {
            return Ok(lane);
        }
        let told: PullMessageResponseHeader = answer.header().context("the answer to a pull")?;
        match answer.response_code() {
            Some(ResponseCode::Success) => {
                if now >= start {
                    lane.messages += u64::try_from(told.next_begin_offset - header.queue_offset)?;
                    lane.bytes += answer.body.len() as u64;
                    lane.pulls.record(u64::try_from((now - asked).as_micros())?)?;
                }
                header.queue_offset = told.next_begin_offset;
            }
            _ if header.queue_offset > told.min_offset => header.queue_offset = told.min_offset,
            code => anyhow::bail!("queue {queue} holds nothing to read: {code:?} {:?}", answer.remark),
        }
    }
}
