//! Opening: files, tables and rooms, in the mode that the configuration asks for.

use crate::arrivals::Arrivals;
use crate::broker::Start;
use crate::clients::{ClientRegistry, RegistryLimits};
use crate::clock::now_ms;
use crate::config::{Config, Identity, LiveConfig};
use crate::error::BrokerError;
use crate::gate::Gate;
use crate::ha::Part;
use crate::journal::{FileJournal, Journal};
use crate::message_log::{MessageLog, StoreLog};
use crate::metadata::{
    Metadata, MetadataCommand, MetadataFiles, MetadataLimits, SystemTopicNames, system_groups, system_topics,
};
use crate::node::{BrokerCounters, Node};
use crate::order_locks::OrderLocks;
use crate::registration::Rounds;
use crate::replication::{Group, GroupLog, Opening};
use crate::stats::{BrokerStats, StatName};
use crate::store_config;
use crate::workers::Workers;
use disk::Disk;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
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

/// What differs between the modes: where messages and changes go.
struct Core {
    store: Arc<MessageStore>,
    metadata: Arc<Metadata>,
    journal: Journal,
    log: Arc<dyn MessageLog>,
    group: Option<Arc<Group>>,
}

/// What the tables may grow to.
pub fn limits(config: &Config) -> MetadataLimits {
    MetadataLimits {
        topics: config.broker.topics_max,
        groups: config.broker.groups_max,
        offsets: OFFSETS_MAX,
    }
}

/// Opens files and makes the rooms.
pub fn open_node(start: Start, identity: Identity, disk: Arc<dyn Disk>) -> Result<Arc<Node>, BrokerError> {
    let Start { config, config_file } = start;
    let arrivals = Arc::new(Arrivals::new(config.broker.held_pulls_max));
    let fatal = |error: &StoreError| daemon::fatal(format_args!("the store failed: {error}"));
    let hooks = Hooks::new(Arc::clone(&arrivals) as Arc<dyn store::ArrivalListener>, Arc::new(fatal));
    let rounds = Arc::new(Rounds::new(config.name_servers().len()));
    let core = if config.raft.enabled {
        open_replica(&config, &identity, &disk, hooks, &rounds)?
    } else {
        open_classic(&config, &identity, &disk, hooks)?
    };
    let threads = |what| move |source| BrokerError::Threads { what, source: Arc::new(source) };
    let keys = &config.broker;
    let cold_reads = Workers::start("cold-read", keys.cold_read_threads, keys.cold_reads_max);
    let errands = Workers::start("errand", ERRAND_THREADS, ERRANDS_MAX);
    let stats = BrokerStats::new(STATS_MAX);
    let registry = RegistryLimits { groups: keys.groups_max, ..RegistryLimits::default() };
    let node = Arc::new(Node {
        config_file,
        identity: identity.clone(),
        metadata: core.metadata,
        journal: core.journal,
        group: core.group,
        part: Arc::new(Part::of(&config)),
        log: core.log,
        store: core.store,
        clients: RwLock::new(ClientRegistry::new(registry)),
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
        rounds,
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

/// A broker that keeps its own log.
fn open_classic(
    config: &Config,
    identity: &Identity,
    disk: &Arc<dyn Disk>,
    hooks: Hooks,
) -> Result<Core, BrokerError> {
    let store = MessageStore::open(store_config::store_config(config), Arc::clone(disk), hooks)?;
    let (metadata, journal) = open_metadata(config, identity, disk)?;
    let log = Arc::new(StoreLog::new(&store));
    Ok(Core { store, metadata, journal, log, group: None })
}

/// A broker whose log a group keeps.
fn open_replica(
    config: &Config,
    identity: &Identity,
    disk: &Arc<dyn Disk>,
    hooks: Hooks,
    rounds: &Arc<Rounds>,
) -> Result<Core, BrokerError> {
    let metadata = Arc::new(Metadata::new(limits(config)));
    let opening = Opening { config, identity, disk, hooks, metadata: &metadata, rounds };
    let (store, group) = Group::open(opening)?;
    let log = GroupLog::new(&group, Arc::clone(&store));
    let journal = Journal::Group(Arc::clone(&group.journal));
    Ok(Core { store, metadata, journal, log: Arc::new(log), group: Some(group) })
}

/// Loads the tables and adds the topics and groups that every broker has.
fn open_metadata(
    config: &Config,
    identity: &Identity,
    disk: &Arc<dyn Disk>,
) -> Result<(Arc<Metadata>, Journal), BrokerError> {
    let files = MetadataFiles::open(Arc::clone(disk), &config.root_dir())?;
    let metadata = Arc::new(Metadata::new(limits(config)));
    files.load(&metadata)?;
    let journal = Journal::Files(FileJournal::new(Arc::clone(&metadata), files));
    let delay_levels = config.delay_levels().max();
    let names = SystemTopicNames { cluster: &identity.cluster, broker: &identity.broker, delay_levels };
    let mut topics = system_topics(&config.broker, names);
    topics.retain(|topic| metadata.topic(&topic.topic_name).is_none());
    // A start that changes nothing writes nothing: the disk may be full.
    if !topics.is_empty() {
        journal.propose(&MetadataCommand::PutTopics { configs: topics, stamp: journal.stamp() })?;
    }
    let mut groups = system_groups();
    groups.retain(|group| metadata.group(&group.group_name).is_none());
    if !groups.is_empty() {
        journal.propose(&MetadataCommand::PutGroups { configs: groups, stamp: journal.stamp() })?;
    }
    Ok((metadata, journal))
}
