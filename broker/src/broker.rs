//! The running broker: wires the rooms in order, and stops them in reverse order. Knows nothing of messages.

use crate::arrivals::Arrivals;
use crate::clients::{ClientRegistry, RegistryLimits};
use crate::clock::now_ms;
use crate::config::{Config, Identity, LiveConfig};
use crate::delay_service::DelayService;
use crate::dispatch::Dispatch;
use crate::error::BrokerError;
use crate::figures;
use crate::gate::Gate;
use crate::housekeeping;
use crate::journal::Journal;
use crate::listeners::{Listeners, Router};
use crate::metadata::{
    Metadata, MetadataCommand, MetadataFiles, MetadataLimits, SystemTopicNames, system_groups, system_topics,
};
use crate::node::{BrokerCounters, Node};
use crate::order_locks::OrderLocks;
use crate::registration::{Registrar, Rounds};
use crate::stats::{BrokerStats, StatName};
use crate::store_config;
use crate::workers::Workers;
use daemon::{Shutdown, Tasks};
use disk::{Disk, RealDisk};
use parking_lot::{Mutex, RwLock};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::{Hooks, MessageStore, StoreError};

/// Most consumer offsets.
const OFFSETS_MAX: usize = 2_000_000;
/// Most locks of orderly consumers.
const LOCKS_MAX: usize = 1_000_000;
/// Most keys of each statistic.
const STATS_MAX: usize = 200_000;
/// Threads for requests that may wait, and how many of those may wait for a thread.
const ERRAND_THREADS: usize = 4;
const ERRANDS_MAX: usize = 10_000;
/// How long a start waits for the name servers, and a stop for the broker's own tasks.
const FIRST_REGISTRATION: Duration = Duration::from_secs(3);
const TASKS_STOP: Duration = Duration::from_secs(5);

/// What a broker is started with.
#[derive(Debug, Default)]
pub struct Start {
    /// The configuration.
    pub config: Config,
    /// The file it came from, if it came from one.
    pub config_file: Option<PathBuf>,
}

/// A broker that serves.
#[derive(Debug)]
pub struct Broker {
    node: Arc<Node>,
    listeners: Listeners,
    delays: DelayService,
    registration: Tasks,
    tasks: Tasks,
}

impl Broker {
    /// Starts on this machine's disk. Must run on a tokio runtime.
    pub async fn start(start: Start) -> Result<Self, BrokerError> {
        Self::start_on(start, Arc::new(RealDisk)).await
    }

    /// Starts: the port first, so that everybody else can know the address; then files, then what happens by itself;
    /// the name servers last, when all is ready to be found.
    pub async fn start_on(start: Start, disk: Arc<dyn Disk>) -> Result<Self, BrokerError> {
        refuse_unserved(&start.config)?;
        let router = Arc::new(Router::default());
        let listeners = Listeners::bind(&start.config, &router)?;
        let config = start.config.clone();
        let opened = tokio::task::spawn_blocking({
            let identity = Identity::new(&config.broker, listeners.port(), config.store.ha_listen_port);
            move || open_node(start, identity, disk)
        });
        let node = opened.await.map_err(|_| BrokerError::Store(StoreError::Failed))??;
        let tasks = Tasks::new();
        housekeeping::start(&tasks, &node);
        figures::start(&tasks, &node).await?;
        let delays = DelayService::start(&node)?;
        router.serve(Arc::new(Dispatch::new(Arc::clone(&node))));
        let registration = Tasks::new();
        Registrar::start(&registration, &node.config, &node.identity, &node.metadata, &node.rounds);
        let broker = Self { node, listeners, delays, registration, tasks };
        broker.wait_for_registration().await;
        Ok(broker)
    }

    /// Where clients connect.
    pub fn local_addr(&self) -> SocketAddr {
        self.listeners.local_addr()
    }

    /// What clients are told.
    pub fn identity(&self) -> &Identity {
        &self.node.identity
    }

    /// The rooms, for tests and tools in this process.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Stops: nobody is sent here any more, everybody is answered, everything is kept.
    pub async fn stop(self) -> Result<(), BrokerError> {
        self.registration.stop(TASKS_STOP).await;
        self.node.gate.close();
        self.node.arrivals.wake_all();
        self.listeners.stop().await;
        self.tasks.stop(TASKS_STOP).await;
        let (node, delays) = (self.node, self.delays);
        let closed = tokio::task::spawn_blocking(move || {
            delays.stop();
            node.errands.stop();
            node.cold_reads.stop();
            node.store.close()?;
            node.journal.flush_all()
        });
        closed.await.map_err(|_| BrokerError::Store(StoreError::Failed))?
    }

    async fn wait_for_registration(&self) {
        let node = Arc::clone(&self.node);
        let waited = tokio::task::spawn_blocking(move || {
            let ticket = node.rounds.ask();
            node.rounds.wait(ticket, FIRST_REGISTRATION)
        });
        if !waited.await.unwrap_or(false) {
            tracing::warn!("not every name server has answered; the broker serves, and goes on trying");
        }
    }
}

/// Runs a broker until `shutdown` is requested.
pub async fn run(start: Start, shutdown: Shutdown) -> Result<(), BrokerError> {
    let broker = Broker::start(start).await?;
    shutdown.requested().await;
    broker.stop().await
}

/// Modes that this release does not serve are refused by name, not half served.
fn refuse_unserved(config: &Config) -> Result<(), BrokerError> {
    use crate::config::BrokerRole;
    if config.raft.enabled {
        return Err(BrokerError::ModeUnserved { mode: "Raft mode (enableDLegerCommitLog=true)" });
    }
    match config.store.broker_role {
        BrokerRole::AsyncMaster => Ok(()),
        BrokerRole::SyncMaster => Err(BrokerError::ModeUnserved { mode: "brokerRole=SYNC_MASTER" }),
        BrokerRole::Slave => Err(BrokerError::ModeUnserved { mode: "brokerRole=SLAVE" }),
    }
}

/// Opens files and makes the rooms.
fn open_node(start: Start, identity: Identity, disk: Arc<dyn Disk>) -> Result<Arc<Node>, BrokerError> {
    let Start { config, config_file } = start;
    let arrivals = Arc::new(Arrivals::new(config.broker.held_pulls_max));
    let fatal = |error: &StoreError| daemon::fatal(format_args!("the store failed: {error}"));
    let hooks = Hooks::new(Arc::clone(&arrivals) as Arc<dyn store::ArrivalListener>, Arc::new(fatal));
    let store = MessageStore::open(store_config::store_config(&config), Arc::clone(&disk), hooks)?;
    let (metadata, journal) = open_metadata(&config, &identity, &disk)?;
    let threads = |what| move |source| BrokerError::Threads { what, source: Arc::new(source) };
    let keys = &config.broker;
    let cold_reads = Workers::start("cold-read", keys.cold_read_threads, keys.cold_reads_max);
    let errands = Workers::start("errand", ERRAND_THREADS, ERRANDS_MAX);
    let stats = BrokerStats::new(STATS_MAX);
    let limits = RegistryLimits { groups: keys.groups_max, ..RegistryLimits::default() };
    let node = Arc::new(Node {
        config_file,
        identity: identity.clone(),
        metadata,
        journal,
        log: Arc::clone(&store) as Arc<dyn crate::message_log::MessageLog>,
        store,
        clients: RwLock::new(ClientRegistry::new(limits)),
        arrivals: Arc::clone(&arrivals),
        locks: Mutex::new(OrderLocks::new(LOCKS_MAX)),
        delay_levels: config.delay_levels(),
        counters: BrokerCounters {
            put: stats.item(StatName::BrokerPutNums, &identity.cluster),
            got: stats.item(StatName::BrokerGetNums, &identity.cluster),
        },
        stats,
        throughput: crate::stats::Throughput::default(),
        day_totals: Mutex::default(),
        rounds: Arc::new(Rounds::new(config.name_servers().len())),
        cold_reads: cold_reads.map_err(threads("cold reads"))?,
        errands: errands.map_err(threads("errands"))?,
        gate: Gate::default(),
        started_ms: now_ms(),
        unique_keys: std::sync::atomic::AtomicU16::new(0),
        memory_span: store_config::read_limits(&config).memory_span,
        config: Arc::new(LiveConfig::new(config)),
        disk,
    });
    arrivals.attach(&node);
    Ok(node)
}

/// Loads the tables and adds the topics and groups that every broker has.
fn open_metadata(
    config: &Config,
    identity: &Identity,
    disk: &Arc<dyn Disk>,
) -> Result<(Arc<Metadata>, Journal), BrokerError> {
    let files = MetadataFiles::open(Arc::clone(disk), &config.root_dir())?;
    let limits = MetadataLimits {
        topics: config.broker.topics_max,
        groups: config.broker.groups_max,
        offsets: OFFSETS_MAX,
    };
    let metadata = Arc::new(Metadata::new(limits));
    files.load(&metadata)?;
    let journal = Journal::new(Arc::clone(&metadata), files);
    let delay_levels = config.delay_levels().max();
    let names = SystemTopicNames { cluster: &identity.cluster, broker: &identity.broker, delay_levels };
    let mut topics = system_topics(&config.broker, names);
    topics.retain(|topic| metadata.topic(&topic.topic_name).is_none());
    journal.propose(&MetadataCommand::PutTopics { configs: topics, stamp: journal.stamp() })?;
    let mut groups = system_groups();
    groups.retain(|group| metadata.group(&group.group_name).is_none());
    journal.propose(&MetadataCommand::PutGroups { configs: groups, stamp: journal.stamp() })?;
    Ok((metadata, journal))
}
