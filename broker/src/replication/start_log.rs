//! Starting a replica's log, and mending it from a peer first where the disk gives back other bytes than it was given.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use disk::{Disk, Segments};
use raft_log::{Fatal, FlushMode, RaftLog, RaftLogConfig, repair};
use store::MessageStore;
use tokio::runtime::Handle;

use super::group::number_of;
use super::sink::{Replica, Sink};
use super::stamper::QueueStamper;
use crate::config::{Config, FlushDiskType, RaftPeer};
use crate::error::BrokerError;

/// How long a damaged replica asks its peers for what it lacks: they may be starting too.
const REPAIRED_WITHIN: Duration = Duration::from_secs(60);
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Everything that a log is started with.
pub(super) struct LogParts<'a> {
    pub(super) config: &'a Config,
    pub(super) disk: &'a Arc<dyn Disk>,
    pub(super) segments: &'a Arc<Segments>,
    pub(super) peers: &'a [RaftPeer],
    pub(super) me: &'a RaftPeer,
    pub(super) number: u64,
    pub(super) directory: PathBuf,
    pub(super) prefix_end: u64,
}

impl LogParts<'_> {
    /// Repairs a damaged log before anything is built on it: a store that opens on a log with a hole takes the hole for the
    /// truth, and cuts its queues. Gives the port back.
    pub(super) fn mend(&self, listener: TcpListener) -> Result<TcpListener, BrokerError> {
        let config = self.log_config(listener);
        let damage = raft_log::damage(&config, self.disk, self.segments);
        match damage.map_err(|error| BrokerError::Raft(error.to_string()))? {
            None => Ok(config.listener),
            Some((position, durable)) => {
                tracing::error!(
                    position,
                    durable,
                    "the log is damaged below its durable end; asking the peers"
                );
                drop(config);
                self.repair()?;
                bind(self.config, &self.me.address)
            }
        }
    }

    /// Starts the log for a store that was opened on it.
    pub(super) fn start(
        &self,
        listener: TcpListener,
        store: &Arc<MessageStore>,
        replica: &Arc<Replica>,
    ) -> Result<RaftLog, BrokerError> {
        let stamper = Box::new(QueueStamper::new(store.queue_offsets()));
        let sink = Box::new(Sink::new(Arc::clone(replica)));
        let config = self.log_config(listener);
        RaftLog::start(config, Arc::clone(self.disk), Arc::clone(self.segments), stamper, sink)
            .map_err(|error| BrokerError::Raft(error.to_string()))
    }

    fn repair(&self) -> Result<(), BrokerError> {
        let others: Vec<(u64, String)> = self
            .peers
            .iter()
            .filter(|peer| peer.id != self.me.id)
            .filter_map(|peer| Some((number_of(&peer.id)?, peer.address.clone())))
            .collect();
        let give_up = Instant::now() + REPAIRED_WITHIN;
        loop {
            let config = self.log_config(bind(self.config, &self.me.address)?);
            let repaired = repair(&config, Arc::clone(self.disk), Arc::clone(self.segments), &others);
            match Handle::current().block_on(repaired) {
                Ok(repaired) => {
                    tracing::warn!(entries = repaired.entries, bytes = repaired.bytes, "the log is repaired");
                    return Ok(());
                }
                Err(error) if Instant::now() >= give_up => {
                    return Err(BrokerError::Raft(format!(
                        "the log is damaged and no peer can repair it: {error}"
                    )));
                }
                Err(error) => tracing::warn!(%error, "not repaired yet"),
            }
            std::thread::sleep(ASK_AGAIN);
        }
    }

    fn log_config(&self, listener: TcpListener) -> RaftLogConfig {
        let keys = &self.config.raft;
        let fatal = Fatal::new(|error| daemon::fatal(format_args!("the replicated log failed: {error}")));
        let flush = match self.config.store.flush_disk_type {
            FlushDiskType::SyncFlush => FlushMode::Sync,
            FlushDiskType::AsyncFlush => FlushMode::Async,
        };
        let address = |peer: &RaftPeer| Some((number_of(&peer.id)?, peer.address.clone()));
        let directory = self.directory.clone();
        RaftLogConfig {
            peer_addresses: self.peers.iter().filter_map(address).collect(),
            prefix_end: self.prefix_end,
            flush_interval: self.config.store.flush_interval.duration(),
            heartbeat: keys.heartbeat.duration(),
            election_min: keys.election_min.duration(),
            election_max: keys.election_max.duration(),
            ..RaftLogConfig::new(
                &keys.group,
                self.number,
                listener,
                &self.me.address,
                directory,
                flush,
                fatal,
            )
        }
    }
}

/// Takes the Raft port. The address names how others reach us; we listen wherever the broker listens.
pub(super) fn bind(config: &Config, address: &str) -> Result<TcpListener, BrokerError> {
    let ip: IpAddr = config.broker.bind_address.trim().parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let port: u16 = port.ok_or_else(|| BrokerError::Raft(format!("{address} has no port")))?;
    let address = SocketAddr::new(ip, port);
    TcpListener::bind(address)
        .map_err(|error| BrokerError::Raft(format!("cannot listen on {address}: {error}")))
}
