//! Starts a broker's part in classic replication.

use super::kinship::Kinship;
use super::log::{HaLog, StoreLog};
use super::master::{HaMaster, HaMasterConfig, OnReplicated};
use super::metadata_sync::MetadataSync;
use super::part::{MasterPart, Part, SlavePart};
use super::slave::{HaSlave, HaSlaveConfig};
use super::sync_wait::SyncWait;
use crate::config::{BrokerRole, Config};
use crate::error::BrokerError;
use crate::node::Node;
use daemon::Tasks;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long a slave waits before it tries again to reach its master. RocketMQ waits 5 s; a master that is being restarted
/// is back sooner.
const RETRY: Duration = Duration::from_secs(1);
/// How often a SYNC_MASTER looks whether its slaves have fallen behind.
const GAP_LOOK: Duration = Duration::from_millis(100);
/// Rates are per second.
const SECOND: Duration = Duration::from_secs(1);

/// Takes the port for slaves, where the broker may have some. A configured port must be free; otherwise it is the one above
/// `port`, or any.
pub async fn bind(config: &Config, port: u16) -> Result<Option<TcpListener>, BrokerError> {
    if config.raft.enabled || config.is_slave() {
        return Ok(None);
    }
    let ip: IpAddr = config.broker.bind_address.trim().parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let configured = config.store.ha_listen_port;
    let wanted = if configured == 0 { port.saturating_add(1) } else { configured };
    let address = SocketAddr::new(ip, wanted);
    let bound = match TcpListener::bind(address).await {
        Err(error) if configured == 0 && error.kind() == ErrorKind::AddrInUse => {
            tracing::info!(%address, "taken; slaves are served on a free port");
            TcpListener::bind(SocketAddr::new(ip, 0)).await
        }
        bound => bound,
    };
    bound.map(Some).map_err(|source| BrokerError::Bind { address, source: Arc::new(source) })
}

/// Starts to serve slaves, or to follow.
pub fn start(tasks: &Tasks, node: &Arc<Node>, listener: Option<TcpListener>) {
    let log = || Arc::new(StoreLog::new(Arc::clone(&node.store))) as Arc<dyn HaLog>;
    match (&*node.part, listener) {
        (Part::Master(master), Some(listener)) => serve(tasks, node, master, listener, log()),
        (Part::Slave(slave), _) => follow(tasks, node, slave, log()),
        (Part::Master(_), None) | (Part::None, _) => {}
    }
}

fn serve(tasks: &Tasks, node: &Arc<Node>, part: &MasterPart, listener: TcpListener, log: Arc<dyn HaLog>) {
    let config = node.config.get();
    let keys = &config.store;
    let slaves = Arc::clone(&part.slaves);
    let replicated: OnReplicated = match keys.broker_role {
        BrokerRole::SyncMaster => {
            let wait = SyncWait::new(Arc::clone(&node.store), Arc::clone(&slaves), part.gap_max);
            let wait = Arc::new(wait);
            let there = Arc::clone(&wait);
            tasks.every("slaves in sync", GAP_LOOK, move || there.refresh());
            Arc::new(move || wait.refresh())
        }
        BrokerRole::AsyncMaster | BrokerRole::Slave => Arc::new(|| {}),
    };
    let sampled = Arc::clone(&slaves);
    tasks.every("rates of slaves", SECOND, move || sampled.sample());
    let ha = HaMasterConfig {
        heartbeat: keys.ha_heartbeat.duration(),
        silence_max: keys.ha_housekeeping.duration(),
        transfer_bytes: usize::try_from(keys.ha_transfer.0).unwrap_or(usize::MAX),
    };
    HaMaster::start(tasks, listener, log, slaves, ha, replicated);
}

fn follow(tasks: &Tasks, node: &Arc<Node>, part: &SlavePart, log: Arc<dyn HaLog>) {
    let config = node.config.get();
    let ha = HaSlaveConfig {
        heartbeat: config.store.ha_heartbeat.duration(),
        silence_max: config.store.ha_housekeeping.duration(),
        retry: RETRY,
    };
    let sampled = Arc::clone(&part.status);
    tasks.every("rate of the master", SECOND, move || sampled.sample());
    let rounds = Arc::clone(&node.rounds);
    let on_lost = Arc::new(move || {
        rounds.ask();
    });
    let kinship = Kinship::new(&node.store, part.address(), !config.name_servers().is_empty());
    HaSlave::start(tasks, part.ha_address(), log, ha, Arc::clone(&part.status), kinship, on_lost);
    MetadataSync::start(tasks, node, part.address());
}
