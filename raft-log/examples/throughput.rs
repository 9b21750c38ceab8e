//! How many messages a second three replicas in one process commit, so that a regression shows.
//!
//! `cargo run --release -p raft-log --example throughput [seconds] [directory]`; all three replicas, the transport between
//! them and the load share the machine. The figure to compare is the ratio of two runs on one machine, not the number.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::any::Any;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use disk::{RealDisk, Segments};
use raft_log::*;

const MESSAGE_BYTES: usize = 1024;
const SEGMENT_BYTES: u64 = 1 << 30;

struct Sink;

impl ApplySink for Sink {
    fn applied(&mut self, _: Applied, completions: Completions) -> Result<(), SinkError> {
        completions.complete();
        Ok(())
    }
    fn checkpoint(&self) -> Option<u64> {
        None
    }
    fn system_state(&mut self) -> Result<Vec<u8>, SinkError> {
        Ok(Vec::new())
    }
    fn restore(&mut self, _: Restore<'_>) -> Result<(), SinkError> {
        Ok(())
    }
}

struct NoStamps;

impl Stamper for NoStamps {
    fn stamp(&mut self, _: u64, _: u64, _: u64, _: &mut Batch) {}
    fn reset(&mut self) {}
}

struct Lap {
    started: Instant,
    done: Sender<(Duration, bool)>,
}

impl Ticket for Lap {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
    fn done(self: Box<Self>, outcome: Result<Placed, ProposeError>) {
        let _ = self.done.send((self.started.elapsed(), outcome.is_ok()));
    }
}

fn start(root: &Path, flush: FlushMode) -> Vec<RaftLog> {
    let listeners: Vec<TcpListener> =
        (0..3).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    let members: BTreeMap<u64, String> = (1..)
        .zip(listeners.iter().map(|listener| listener.local_addr().expect("bound").to_string()))
        .collect();
    let mut logs = Vec::new();
    for (node, listener) in (1..).zip(listeners) {
        let home = root.join(format!("{flush:?}-{node}"));
        let segments =
            Segments::open(Arc::new(RealDisk), home.join("commitlog"), SEGMENT_BYTES).expect("segments");
        let fatal = Fatal::new(|error| panic!("{error}"));
        let address = members[&node].clone();
        let config = RaftLogConfig::new("bench", node, listener, address, home.join("raft"), flush, fatal);
        let log = RaftLog::start(
            config,
            Arc::new(RealDisk),
            Arc::new(segments),
            Box::new(NoStamps),
            Box::new(Sink),
        );
        logs.push(log.expect("start"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(logs[0].initialize(members, Founding::Everybody)).expect("form the group");
    logs
}

fn propose(leader: &RaftLog, record: &[u8], done: &Sender<(Duration, bool)>) {
    let ticket = Box::new(Lap { started: Instant::now(), done: done.clone() });
    leader.propose(Proposal { records: BytesMut::from(record), count: 1, ticket });
}

fn measure(leader: &RaftLog, in_flight: usize, seconds: u64) {
    let record = vec![7; MESSAGE_BYTES];
    let (done, laps) = channel();
    for _ in 0..in_flight {
        propose(leader, &record, &done);
    }
    let started = Instant::now();
    let mut times = Vec::new();
    let mut refused = 0_u64;
    while started.elapsed() < Duration::from_secs(seconds) {
        let Ok((time, is_done)) = laps.recv() else { return };
        if is_done {
            times.push(time);
        } else {
            refused += 1;
        }
        propose(leader, &record, &done);
    }
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    for _ in 0..in_flight {
        let _ = laps.recv_timeout(Duration::from_secs(5));
    }
    times.sort_unstable();
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or_default();
    println!(
        "{in_flight:5} in flight: {rate:9.0} msg/s, p50 {:?}, p99 {:?}, {refused} refused",
        at(0.5),
        at(0.99)
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(5);
    let root = match arguments.next() {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    };
    let root = root.expect("a directory");
    for flush in [FlushMode::Async, FlushMode::Sync] {
        let logs = start(root.path(), flush);
        let deadline = Instant::now() + Duration::from_secs(10);
        let leader = loop {
            if let Some(leader) = logs.iter().find(|log| log.status().borrow().ready) {
                break leader;
            }
            assert!(Instant::now() < deadline, "no leader");
            std::thread::sleep(Duration::from_millis(5));
        };
        println!("{flush:?} flush, {MESSAGE_BYTES} bytes");
        for in_flight in [1, 64, 256, 1024] {
            measure(leader, in_flight, seconds);
        }
    }
}
