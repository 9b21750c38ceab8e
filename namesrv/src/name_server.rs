//! The running name server: wires the parts in order and stops them in reverse.
//!
//! Called by `mqnamesrv`, by `mqlocal` and by tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daemon::{MetricsServer, Shutdown, Tasks};
use disk::{Disk, RealDisk};
use remoting::{ClientConfig, ConnectionLimits, NoRequests, RemotingClient, Server, ServerConfig};
use tokio::sync::mpsc;

use crate::config::Config;
use crate::error::NamesrvError;
use crate::requests::Requests;
use crate::state::{Notice, State};

/// Notices to brokers that may wait to be sent.
const NOTICES_MAX: usize = 1024;

/// Descriptors that clients never get: configuration files, notices, the page of figures.
const DESCRIPTORS_KEPT: u64 = 256;

/// How long a notice may take, connecting included.
const NOTICE_WAIT_MAX: Duration = Duration::from_secs(1);

/// How long a stop waits for the name server's own tasks.
const STOP_WAIT_MAX: Duration = Duration::from_secs(3);

/// How often sizes are copied into the figures.
const FIGURES_PERIOD: Duration = Duration::from_secs(1);

/// A name server that listens.
#[derive(Debug)]
pub struct NameServer {
    state: Arc<State>,
    server: Arc<Server>,
    tasks: Tasks,
    metrics: Option<MetricsServer>,
}

impl NameServer {
    /// Starts on this machine's disk.
    pub async fn start(config: Config) -> Result<Self, NamesrvError> {
        Self::start_on(config, Arc::new(RealDisk)).await
    }

    /// Starts: files first, then the sockets, then what happens by itself. Must run on a tokio runtime.
    pub async fn start_on(config: Config, disk: Arc<dyn Disk>) -> Result<Self, NamesrvError> {
        let (notices, waiting) = mpsc::channel(NOTICES_MAX);
        let scan_period = config.namesrv.scan_not_active_broker_interval.duration();
        let (socket, metrics_address) = (socket_config(&config), config.metrics_address());
        let state = Arc::new(State::open(config, disk, notices)?);
        let server = Arc::new(Server::bind(socket, Arc::new(Requests::new(Arc::clone(&state))))?);
        let tasks = Tasks::new();
        let metrics = match metrics_address {
            Some(address) => {
                Some(MetricsServer::start(address, Arc::clone(&state.figures.metrics), &tasks).await?)
            }
            None => None,
        };
        let scanned = Arc::clone(&state);
        tasks.every("scan of silent brokers", scan_period, move || scanned.expire(Instant::now()));
        let (counted, sockets) = (Arc::clone(&state), Arc::downgrade(&server));
        tasks.every("figures", FIGURES_PERIOD, move || {
            counted.count(sockets.upgrade().map_or(0, |server| server.connections()));
        });
        tasks.spawn("notices", |shutdown| send_notices(waiting, shutdown));
        Ok(Self { state, server, tasks, metrics })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Where its figures are shown, if they are.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(MetricsServer::local_addr)
    }

    /// How many broker processes are registered.
    pub fn broker_count(&self) -> usize {
        self.state.table.read().address_count()
    }

    /// Stops: sockets first, so that what was asked is answered; then the tasks.
    pub async fn stop(self) {
        // The figures' task only borrows the server for an instant.
        self.tasks.stop(STOP_WAIT_MAX).await;
        if let Some(server) = Arc::into_inner(self.server) {
            server.stop().await;
        }
    }
}

/// Runs a name server until `shutdown` is requested.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), NamesrvError> {
    let server = NameServer::start(config).await?;
    shutdown.requested().await;
    server.stop().await;
    Ok(())
}

fn socket_config(config: &Config) -> ServerConfig {
    ServerConfig {
        connections_max: daemon::connections_within(
            daemon::raise_open_files(),
            config.netty.server_connections_max,
            DESCRIPTORS_KEPT,
        ),
        limits: ConnectionLimits {
            idle_max: config.netty.server_channel_max_idle_time_seconds.duration(),
            ..ConnectionLimits::default()
        },
        ..ServerConfig::new(config.listen_address())
    }
}

/// Sends notices one by one: a broker that cannot be reached holds up the others for a second at most.
async fn send_notices(mut waiting: mpsc::Receiver<Notice>, shutdown: Shutdown) {
    let client = RemotingClient::new(ClientConfig::default(), Arc::new(NoRequests));
    loop {
        let (address, command) = tokio::select! {
            () = shutdown.requested() => break,
            Some(notice) = waiting.recv() => notice,
        };
        match tokio::time::timeout(NOTICE_WAIT_MAX, client.oneway(&address, command)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("broker not told of the smallest id: {error}"),
            Err(_) => tracing::warn!(address, "broker not told of the smallest id in time"),
        }
    }
    client.stop().await;
}
