//! A group of replicas in one process, over real sockets and real files, for the tests beside it.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use disk::{Disk, MemDisk, OpenHow, RealDisk, Segments};
use raft_log::*;
use tokio::sync::oneshot;

pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a replica applied; it survives the replica, as a sink's own files would.
#[derive(Debug, Default, Clone)]
pub struct Applications {
    /// Index, position, body of every entry with records.
    pub records: Vec<(u64, u64, Vec<u8>)>,
    pub commands: Vec<Vec<u8>>,
    pub checkpoint: Option<u64>,
    pub restored: Vec<(u64, u64)>,
}

struct Sink(Arc<Mutex<Applications>>);

impl ApplySink for Sink {
    fn applied(&mut self, entry: Applied, completions: Completions) -> Result<(), SinkError> {
        let mut state = self.0.lock().unwrap();
        assert!(state.checkpoint.is_none_or(|last| entry.id.index == last + 1), "entries come in order");
        state.checkpoint = Some(entry.id.index);
        match entry.kind {
            EntryKind::Records => {
                state.records.push((entry.id.index, entry.body_position, entry.body.to_vec()))
            }
            EntryKind::System => state.commands.push(entry.body.to_vec()),
            EntryKind::Blank | EntryKind::Membership => {}
        }
        drop(state);
        completions.complete();
        Ok(())
    }

    fn checkpoint(&self) -> Option<u64> {
        self.0.lock().unwrap().checkpoint
    }

    fn system_state(&mut self) -> Result<Vec<u8>, SinkError> {
        Ok(self.0.lock().unwrap().commands.concat())
    }

    fn restore(&mut self, restore: Restore<'_>) -> Result<(), SinkError> {
        let mut state = self.0.lock().unwrap();
        state.records.clear();
        state.commands = vec![restore.state.to_vec()];
        state.checkpoint = Some(restore.last.index);
        state.restored.push((restore.first_position, restore.next_position));
        Ok(())
    }
}

/// Writes each record's own position into its first eight bytes.
struct Positions;

impl Stamper for Positions {
    fn stamp(&mut self, _term: u64, mut position: u64, _timestamp: u64, batch: &mut Batch) {
        for proposal in &mut batch.proposals {
            proposal.records[..8].copy_from_slice(&position.to_be_bytes());
            position += proposal.records.len() as u64;
        }
    }

    fn reset(&mut self) {}
}

struct Waiting(oneshot::Sender<Result<Placed, ProposeError>>);

impl Ticket for Waiting {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn done(self: Box<Self>, outcome: Result<Placed, ProposeError>) {
        let _ = self.0.send(outcome);
    }
}

/// How a group is made.
#[derive(Debug, Clone)]
pub struct Shape {
    pub flush: FlushMode,
    pub segment_bytes: u64,
    pub heartbeat_ms: u64,
    /// Disks in memory, which can lose power.
    pub in_memory: bool,
    pub flush_interval: Duration,
    pub scrub_interval: Duration,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            flush: FlushMode::Async,
            segment_bytes: 64 * 1024,
            heartbeat_ms: 50,
            in_memory: false,
            flush_interval: Duration::from_millis(500),
            scrub_interval: Duration::from_secs(3600),
        }
    }
}

pub struct Replica {
    pub node: u64,
    pub address: String,
    pub home: PathBuf,
    pub applications: Arc<Mutex<Applications>>,
    pub log: Option<RaftLog>,
    pub fatal: Arc<Mutex<Option<String>>>,
    /// Where it reaches others, when that is not what they say of themselves.
    pub peer_addresses: HashMap<u64, String>,
    shape: Shape,
    listener: Option<TcpListener>,
    memory: MemDisk,
}

impl Replica {
    pub fn new(root: &Path, node: u64, shape: &Shape) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            node,
            address: listener.local_addr().unwrap().to_string(),
            home: root.join(node.to_string()),
            applications: Arc::default(),
            log: None,
            fatal: Arc::default(),
            peer_addresses: HashMap::new(),
            shape: shape.clone(),
            listener: Some(listener),
            memory: MemDisk::new(),
        }
    }

    pub fn start(&mut self) {
        self.try_start(0).unwrap();
    }

    pub fn try_start(&mut self, prefix_end: u64) -> Result<(), LogError> {
        let config = self.config(prefix_end);
        let segments = self.segments()?;
        let sink = Box::new(Sink(self.applications.clone()));
        self.log = Some(RaftLog::start(config, self.disk(), Arc::new(segments), Box::new(Positions), sink)?);
        Ok(())
    }

    pub fn config(&mut self, prefix_end: u64) -> RaftLogConfig {
        let listener = self.listener.take().unwrap_or_else(|| {
            let deadline = Instant::now() + PATIENCE;
            loop {
                match TcpListener::bind(&self.address) {
                    Ok(listener) => break listener,
                    Err(error) => assert!(Instant::now() < deadline, "{error}"),
                }
            }
        });
        let fatal = self.fatal.clone();
        let fatal = Fatal::new(move |error| *fatal.lock().unwrap() = Some(error.to_string()));
        let (address, directory) = (self.address.clone(), self.home.join("raft"));
        let mut config =
            RaftLogConfig::new("broker-a", self.node, listener, address, directory, self.shape.flush, fatal);
        let heartbeat = Duration::from_millis(self.shape.heartbeat_ms);
        (config.heartbeat, config.election_min, config.election_max) =
            (heartbeat, heartbeat * 4, heartbeat * 8);
        config.batch_bytes_max = (self.shape.segment_bytes / 4).min(1024 * 1024) as usize;
        config.proposal_bytes_max = (self.shape.segment_bytes / 2).min(5 * 1024 * 1024) as usize;
        config.prefix_end = prefix_end;
        config.peer_addresses = self.peer_addresses.clone();
        config.flush_interval = self.shape.flush_interval;
        config.scrub_interval = self.shape.scrub_interval;
        config
    }

    pub fn disk(&self) -> Arc<dyn Disk> {
        if self.shape.in_memory { Arc::new(self.memory.clone()) } else { Arc::new(RealDisk) }
    }

    /// Lets what is to be synced wait, on a disk in memory.
    pub fn hold_syncs(&self, are_held: bool) {
        self.memory.hold_syncs(are_held);
    }

    pub fn segments(&self) -> Result<Segments, LogError> {
        Ok(Segments::open(self.disk(), self.home.join("commitlog"), self.shape.segment_bytes)?)
    }

    /// The machine loses power: what was not synced is gone, or torn, and what the sink thought durable is gone as well.
    pub fn lose_power(&mut self, seed: u64) {
        // First the power, then the process: a log that is dropped flushes what it marked.
        self.memory.power_off_after(0);
        self.kill();
        self.memory.crash_with(seed);
        *self.fatal.lock().unwrap() = None;
        let boot = Path::new("/proc/sys/kernel/random/boot_id");
        self.memory.create_dir_all(boot.parent().unwrap()).unwrap();
        let file = self.memory.open(boot, OpenHow::Create).unwrap();
        file.write_at(0, format!("boot after {seed}").as_bytes()).unwrap();
        *self.applications.lock().unwrap() = Applications::default();
    }

    pub fn log(&self) -> &RaftLog {
        self.log.as_ref().unwrap()
    }

    pub fn status(&self) -> Status {
        self.log().status().borrow().clone()
    }

    /// As a SIGKILL: nothing is handed over, nothing is flushed.
    pub fn kill(&mut self) {
        self.log = None;
    }

    /// Flips a bit under the running log.
    pub fn damage(&self, position: u64) {
        let segments = self.segments().unwrap();
        let byte = segments.read(position, 1).unwrap()[0] ^ 1;
        segments.write_at(position, &[std::io::IoSlice::new(&[byte])]).unwrap();
    }

    /// Copies its disk, and what its sink keeps; it must not run.
    pub fn copy(&self) -> (PathBuf, Applications) {
        assert!(self.log.is_none());
        let copy = self.home.with_extension("copy");
        copy_all(&self.home, &copy);
        (copy, self.applications.lock().unwrap().clone())
    }

    /// Puts an old copy in the place of its disk.
    pub fn set_back(&mut self, (copy, applications): &(PathBuf, Applications)) {
        self.wipe();
        copy_all(copy, &self.home);
        *self.applications.lock().unwrap() = applications.clone();
    }

    /// Comes back where those who do not know the new address cannot call it.
    pub fn move_away(&mut self) -> String {
        assert!(self.log.is_none());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        self.address = listener.local_addr().unwrap().to_string();
        self.listener = Some(listener);
        self.address.clone()
    }

    /// Loses everything.
    pub fn wipe(&mut self) {
        self.kill();
        std::fs::remove_dir_all(&self.home).unwrap();
        *self.applications.lock().unwrap() = Applications::default();
    }

    pub fn applied(&self) -> Option<u64> {
        self.log().applied().0
    }

    pub async fn propose(&self, record: &[u8]) -> Result<Placed, ProposeError> {
        let (done, outcome) = oneshot::channel();
        let mut records = BytesMut::with_capacity(8 + record.len());
        records.put_u64(0);
        records.put_slice(record);
        self.log().propose(Proposal { records, count: 1, ticket: Box::new(Waiting(done)) });
        outcome.await.unwrap_or(Err(ProposeError::Unknown))
    }

    pub async fn command(&self, command: &[u8]) -> Result<Placed, ProposeError> {
        let (done, outcome) = oneshot::channel();
        self.log().propose_system(command, Box::new(Waiting(done)));
        outcome.await.unwrap_or(Err(ProposeError::Unknown))
    }
}

pub struct Group {
    pub replicas: BTreeMap<u64, Replica>,
    _root: tempfile::TempDir,
    pub shape: Shape,
}

impl Group {
    /// Replicas that run and know nothing of each other.
    pub fn unformed(count: u64, shape: &Shape) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_test_writer()
            .with_env_filter(std::env::var("RUST_LOG").unwrap_or_else(|_| "off".to_owned()))
            .try_init();
        let root = tempfile::tempdir().unwrap();
        let mut replicas = BTreeMap::new();
        for node in 1..=count {
            let mut replica = Replica::new(root.path(), node, shape);
            replica.start();
            replicas.insert(node, replica);
        }
        Self { replicas, _root: root, shape: shape.clone() }
    }

    /// A formed group with a leader that is ready.
    pub async fn formed(count: u64, shape: &Shape) -> Self {
        let group = Self::unformed(count, shape);
        group.replicas[&1].log().initialize(group.addresses(), Founding::Everybody).await.unwrap();
        group.leader().await;
        group
    }

    pub fn replica(&mut self, node: u64) -> &mut Replica {
        self.replicas.get_mut(&node).unwrap()
    }

    /// Waits until these and no others are voters.
    pub async fn voters_are(&self, wanted: &[u64]) {
        self.until("the voters are as wanted", || {
            let leader = self.running().find(|replica| replica.status().ready)?;
            let peers = leader.status().peers;
            let voters: Vec<u64> = peers.iter().filter(|peer| peer.is_voter).map(|peer| peer.node).collect();
            (voters == wanted).then_some(())
        })
        .await;
    }

    pub fn root(&self) -> &Path {
        self._root.path()
    }

    pub fn addresses(&self) -> BTreeMap<u64, String> {
        self.replicas.iter().map(|(node, replica)| (*node, replica.address.clone())).collect()
    }

    pub fn running(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.values().filter(|replica| replica.log.is_some())
    }

    /// Waits for a running replica that leads and is ready.
    pub async fn leader(&self) -> u64 {
        self.until("there is a leader", || {
            self.running().find(|replica| replica.status().ready).map(|found| found.node)
        })
        .await
    }

    pub async fn leading(&self) -> &Replica {
        &self.replicas[&self.leader().await]
    }

    /// Waits for a condition; what it waits for is looked at, never slept for.
    pub async fn until<T>(&self, what: &str, mut is_it: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = is_it() {
                return found;
            }
            if Instant::now() > deadline {
                let states: Vec<_> = self.running().map(|replica| (replica.node, replica.status())).collect();
                let fatal: Vec<_> =
                    self.replicas.values().map(|replica| replica.fatal.lock().unwrap().clone()).collect();
                panic!("waited in vain until {what}: {states:#?} {fatal:?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Proposes until somebody commits it, as a client with retries does; tells how often, since records may then be there
    /// as often.
    async fn write(&self, record: &[u8]) -> usize {
        let deadline = Instant::now() + PATIENCE;
        for proposed in 1.. {
            let leader = self.leading().await;
            match tokio::time::timeout(Duration::from_secs(1), leader.propose(record)).await {
                Ok(Ok(_)) => return proposed,
                Ok(Err(_)) | Err(_) => assert!(Instant::now() < deadline, "nobody commits"),
            }
        }
        unreachable!("a proposal is repeated until it is placed or patience ends")
    }

    /// Writes many records at once; tells which were proposed more than once, and so may be there more than once: on a
    /// busy machine a leader may lose the lead without a fault of ours.
    pub async fn write_many(&self, from: u64, count: u64, bytes: usize) -> BTreeSet<u64> {
        let writes = (from..from + count).map(|number| {
            let mut record = number.to_be_bytes().to_vec();
            record.resize(bytes, number as u8);
            async move { (number, self.write(&record).await) }
        });
        let written = futures_util::future::join_all(writes).await;
        written.into_iter().filter(|(_, proposed)| *proposed > 1).map(|(number, _)| number).collect()
    }

    /// Kills the leader, writes on without it, and has it back with the same bytes as everybody; who it was.
    pub async fn outlive_the_leader(&mut self, from: u64, count: u64, bytes: usize) -> u64 {
        let leader = self.leader().await;
        self.replica(leader).kill();
        self.write_many(from, count, bytes).await;
        self.replica(leader).start();
        self.converge().await;
        self.assert_identical();
        leader
    }

    /// Waits until every running replica applied what the leader has.
    pub async fn converge(&self) {
        // On a busy machine a leader may lose the lead while it is asked.
        let deadline = Instant::now() + PATIENCE;
        let index = loop {
            let leader = self.leading().await;
            match leader.log().read_barrier().await {
                Ok(()) => break leader.applied(),
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
        };
        self.until("everybody applied everything", || {
            self.running().all(|replica| replica.applied() >= index).then_some(())
        })
        .await;
    }

    /// All running replicas hold the same bytes, as far as each of them reaches back.
    pub fn assert_identical(&self) {
        let end = self.running().map(|replica| replica.log().applied().1).min().unwrap();
        let mut reference: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for replica in self.running() {
            let mut position = replica.log().first_position();
            while position < end {
                let len = (4096 - position % 4096).min(end - position) as usize;
                let bytes = replica.log().read(position, len).unwrap().to_vec();
                let known = reference.entry(position).or_insert_with(|| bytes.clone());
                assert_eq!(*known, bytes, "node {} differs at {position}", replica.node);
                position += len as u64;
            }
        }
    }

    /// All of these numbers are on a replica.
    pub fn assert_holds(&self, node: u64, wanted: &[u64]) {
        let found: BTreeSet<u64> = self.numbers(node).into_iter().collect();
        assert!(wanted.iter().all(|number| found.contains(number)), "node {node} lost something");
    }

    /// The numbers of all records that a replica applied, in order.
    pub fn numbers(&self, node: u64) -> Vec<u64> {
        let state = self.replicas[&node].applications.lock().unwrap();
        let mut numbers = Vec::new();
        for (_, position, body) in &state.records {
            let mut at = 0;
            while at < body.len() {
                let own = u64::from_be_bytes(body[at..at + 8].try_into().unwrap());
                assert_eq!(own, position + at as u64, "a record names its own position");
                numbers.push(u64::from_be_bytes(body[at + 8..at + 16].try_into().unwrap()));
                at = next_record(body, at);
            }
        }
        numbers
    }
}

/// Test records of one length in one entry: each begins with its position, so the next begins where the word fits.
fn next_record(body: &[u8], at: usize) -> usize {
    let own = u64::from_be_bytes(body[at..at + 8].try_into().unwrap());
    let fits = |next: usize| {
        next + 8 <= body.len()
            && u64::from_be_bytes(body[next..next + 8].try_into().unwrap()) == own + (next - at) as u64
    };
    (at + 16..body.len()).find(|next| fits(*next)).unwrap_or(body.len())
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
