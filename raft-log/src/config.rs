//! What a log is told when it starts.

use std::collections::HashMap;
use std::fmt;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::envelope::{ENVELOPE_BYTES, FILLER_BYTES};
use crate::error::LogError;

/// When an append counts as done on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlushMode {
    /// When it is in the page cache: survives the process, not the machine. RocketMQ's ASYNC_FLUSH.
    Async,
    /// When it is on the disk. RocketMQ's SYNC_FLUSH.
    Sync,
}

/// What to do when the log cannot go on; called once, from any thread. The process is expected to end.
#[derive(Clone)]
pub struct Fatal {
    stop: Arc<dyn Fn(&LogError) + Send + Sync>,
    is_called: Arc<AtomicBool>,
}

impl Fatal {
    /// Calls `stop` for the first error.
    pub fn new(stop: impl Fn(&LogError) + Send + Sync + 'static) -> Self {
        Self { stop: Arc::new(stop), is_called: Arc::default() }
    }

    pub(crate) fn stop(&self, error: &LogError) {
        if !self.is_called.swap(true, Ordering::SeqCst) {
            tracing::error!(%error, "the replicated log cannot go on");
            (self.stop)(error);
        }
    }
}

impl fmt::Debug for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fatal")
    }
}

/// The configuration of a replicated log.
#[derive(Debug)]
pub struct RaftLogConfig {
    /// The name of the group; peers of another group are refused.
    pub group: String,
    /// This node, unique in the group.
    pub node: u64,
    /// Where peers connect; bound by the caller, so that a port can be taken before anything starts.
    pub listener: TcpListener,
    /// The address under which the others reach that listener.
    pub address: String,
    /// Where this node reaches others, by node: what the group's members say of themselves counts where nothing stands
    /// here. A node may see its peers through another network than they see each other.
    pub peer_addresses: HashMap<u64, String>,
    /// Where votes, manifest and snapshots live; not the directory of the segments.
    pub directory: PathBuf,
    /// When an append counts as done.
    pub flush: FlushMode,
    /// How often ASYNC_FLUSH syncs. Default 500 ms, RocketMQ's `flushIntervalCommitLog`.
    pub flush_interval: Duration,
    /// A leader's heartbeat. Default 50 ms.
    pub heartbeat: Duration,
    /// The shortest time without a leader before an election. Default 150 ms.
    pub election_min: Duration,
    /// The longest; also the leader's lease. Default 300 ms.
    pub election_max: Duration,
    /// The most records in one entry. Default 1024.
    pub batch_records_max: u32,
    /// The most bytes in one entry, unless a single proposal is larger. Default 1 MiB.
    pub batch_bytes_max: usize,
    /// The largest proposal. Default 5 MiB: RocketMQ's `maxMessageSize` of 4 MiB and its head.
    pub proposal_bytes_max: usize,
    /// The most proposals that wait to be appended. Default 20 000.
    pub waiting_max: usize,
    /// The most bytes that wait to be appended. Default 64 MiB.
    pub waiting_bytes_max: usize,
    /// How long after the whole log was read again it is read once more. Default one hour.
    pub scrub_interval: Duration,
    /// Where a classic store's records end: the log begins there. 0 for an empty store; later starts ignore it.
    pub prefix_end: u64,
    /// What to do when the log cannot go on.
    pub fatal: Fatal,
}

impl RaftLogConfig {
    /// A configuration with the defaults of `conf/raft-3n`, apart from the flush mode, which has none.
    pub fn new(
        group: impl Into<String>,
        node: u64,
        listener: TcpListener,
        address: impl Into<String>,
        directory: PathBuf,
        flush: FlushMode,
        fatal: Fatal,
    ) -> Self {
        Self {
            group: group.into(),
            node,
            listener,
            address: address.into(),
            peer_addresses: HashMap::new(),
            directory,
            flush,
            flush_interval: Duration::from_millis(500),
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(150),
            election_max: Duration::from_millis(300),
            batch_records_max: 1024,
            batch_bytes_max: 1024 * 1024,
            proposal_bytes_max: 5 * 1024 * 1024,
            waiting_max: 20_000,
            waiting_bytes_max: 64 * 1024 * 1024,
            scrub_interval: Duration::from_secs(3600),
            prefix_end: 0,
            fatal,
        }
    }

    /// Batches in flight: more lower the throughput, fewer leave the disk idle while it syncs.
    /// Source: measured, reference/openraft.md 2.2.
    pub(crate) fn batches_in_flight(&self) -> usize {
        match self.flush {
            FlushMode::Async => 2,
            FlushMode::Sync => 4,
        }
    }

    /// Lists all that is wrong.
    pub(crate) fn validate(&self, segment_bytes: u64) -> Result<(), LogError> {
        let mut wrong = Vec::new();
        let mut check = |is_wrong: bool, text: &str| {
            if is_wrong {
                wrong.push(text.to_owned());
            }
        };
        check(self.group.is_empty(), "the group has no name");
        check(self.election_min <= self.heartbeat, "election_min must be longer than heartbeat");
        check(self.election_max <= self.election_min, "election_max must be longer than election_min");
        check(self.heartbeat.is_zero(), "heartbeat must not be zero");
        check(self.batch_records_max == 0, "batch_records_max must not be zero");
        check(self.waiting_max == 0, "waiting_max must not be zero");
        let largest = self.proposal_bytes_max.max(self.batch_bytes_max) + ENVELOPE_BYTES + FILLER_BYTES;
        check(largest as u64 > segment_bytes, "the largest entry does not fit into a segment");
        if wrong.is_empty() { Ok(()) } else { Err(LogError::Config(wrong)) }
    }
}
