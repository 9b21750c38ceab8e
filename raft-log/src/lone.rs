//! For the tests of this crate: one replica on a disk in memory. Its log is made before it starts, and the test plays the
//! other members.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use disk::{Disk, MemDisk, OpenHow, Segments};
use openraft::storage::IOFlushed;

use crate::batch::{Batch, Completions, Placed, Proposal, ProposedBatch, Ticket};
use crate::codec::PlainVote;
use crate::config::{Fatal, FlushMode, RaftLogConfig};
use crate::envelope::{EntryId, EntryKind};
use crate::error::{LogError, ProposeError};
use crate::log::{Log, Opening};
use crate::manifest::Shape;
use crate::probation::{Beginning, Probation};
use crate::raft_log::RaftLog;
use crate::shared::Shared;
use crate::sink::{Applied, ApplySink, Restore, SinkError, Stamper};
use crate::slot_file::SlotFile;
use crate::snapshot::Snapshots;
use crate::types::{LogEntry, Membership, Node, Payload};

pub(crate) const SEGMENT_BYTES: u64 = 4096;
const PATIENCE: Duration = Duration::from_secs(20);

/// Keeps nothing.
pub(crate) struct Forgetful;

impl Stamper for Forgetful {
    fn stamp(&mut self, _: u64, _: u64, _: u64, _: &mut Batch) {}
    fn reset(&mut self) {}
}

impl Ticket for Forgetful {
    fn as_any(&mut self) -> &mut dyn std::any::Any {
        self
    }
    fn done(self: Box<Self>, _: Result<Placed, ProposeError>) {}
}

impl ApplySink for Forgetful {
    fn applied(&mut self, _: Applied, _: Completions) -> Result<(), SinkError> {
        Ok(())
    }
    fn checkpoint(&self) -> Option<u64> {
        None
    }
    fn system_state(&mut self) -> Result<Vec<u8>, SinkError> {
        Ok(b"state".to_vec())
    }
    fn restore(&mut self, _: Restore<'_>) -> Result<(), SinkError> {
        Ok(())
    }
}

/// The replica.
pub(crate) struct Lone {
    pub(crate) disk: MemDisk,
    pub(crate) node: u64,
}

impl Lone {
    pub(crate) fn new(node: u64) -> Self {
        Self { disk: MemDisk::new(), node }
    }

    /// From here on, the machine says that this is its boot.
    pub(crate) fn set_boot(&self, id: &str) {
        let path = Path::new("/proc/sys/kernel/random/boot_id");
        self.disk.create_dir_all(path.parent().unwrap()).unwrap();
        self.disk.open(path, OpenHow::Create).unwrap().write_at(0, id.as_bytes()).unwrap();
    }

    fn segments(&self) -> Result<Arc<Segments>, LogError> {
        Ok(Arc::new(Segments::open(Arc::new(self.disk.clone()), "/commitlog".into(), SEGMENT_BYTES)?))
    }

    pub(crate) fn open(&self, flush: FlushMode) -> Result<Log, LogError> {
        Log::open(Opening {
            disk: Arc::new(self.disk.clone()),
            directory: "/raft".into(),
            segments: self.segments()?,
            shape: Shape {
                group: "g".to_owned(),
                node: self.node,
                segment_bytes: SEGMENT_BYTES,
                prefix_end: 0,
            },
            flush,
            flush_interval: Duration::from_secs(3600),
            fatal: Fatal::new(|_| {}),
        })
    }

    /// Makes its log: the other members as given, then records up to `last`, all of term 1 and committed.
    pub(crate) fn make(&self, others: BTreeMap<u64, Node>, last: u64) {
        let log = self.open(FlushMode::Sync).unwrap();
        let mut nodes = others;
        let own = Node { address: "127.0.0.1:1".to_owned(), store: log.manifest().store };
        nodes.insert(self.node, own);
        let voters: BTreeSet<u64> = nodes.keys().copied().collect();
        let membership = Payload::Membership(Membership::new(vec![voters], nodes).unwrap());
        let records = |index: u64| {
            let records = BytesMut::from(&[index as u8; 300][..]);
            let proposals = vec![Proposal { records, count: 1, ticket: Box::new(Forgetful) }];
            Payload::Proposed(ProposedBatch::new(EntryKind::Records, Batch { proposals }))
        };
        let payloads = std::iter::once(membership).chain((1..=last).map(records));
        let id = |index| EntryId { term: 1, node: 1, index };
        let entries = (0..).zip(payloads).map(|(index, payload)| LogEntry { id: id(index).into(), payload });
        log.append(entries, &mut Forgetful, IOFlushed::noop()).unwrap();
        log.save_vote(&PlainVote { term: 1, node: 1, is_committed: true }.into()).unwrap();
        log.save_committed(Some(id(last))).unwrap();
        log.close().unwrap();
        // Nobody else could say again that it is committed when the power is cut.
        self.disk.open(Path::new("/raft/committed"), OpenHow::Create).unwrap().sync_data().unwrap();
    }

    /// What it shares, without anything that runs.
    pub(crate) fn shared(&self, beginning: Beginning) -> Shared {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let log = Arc::new(self.open(FlushMode::Sync).unwrap());
        let snapshots = Arc::new(Snapshots::open(disk, "/raft/snapshots".into(), false).unwrap());
        let probation = Probation::open(self.probation(), beginning).unwrap();
        Shared::new(self.node, log, snapshots, Fatal::new(|_| {}), probation).unwrap()
    }

    pub(crate) fn probation(&self) -> (SlotFile, Option<Vec<u8>>) {
        SlotFile::open(&self.disk, Path::new("/raft/probation")).unwrap()
    }

    /// Starts it; tells where it listens.
    pub(crate) fn start(&self, flush: FlushMode) -> Result<(RaftLog, String), LogError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (directory, fatal) = ("/raft".into(), Fatal::new(|_| {}));
        let mut config =
            RaftLogConfig::new("g", self.node, listener, address.clone(), directory, flush, fatal);
        (config.batch_bytes_max, config.proposal_bytes_max) = (1024, 1024);
        let (stamper, sink) = (Box::new(Forgetful), Box::new(Forgetful));
        let log = RaftLog::start(config, Arc::new(self.disk.clone()), self.segments()?, stamper, sink)?;
        Ok((log, address))
    }
}

/// Waits for a condition; what it waits for is looked at, never slept for.
pub(crate) async fn until<T>(what: &str, mut is_it: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = is_it() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
