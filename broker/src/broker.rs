//! The running broker: wires the rooms in order, and stops them in reverse order. Knows nothing of messages.

use crate::config::{Config, Identity};
use crate::delay_service::DelayService;
use crate::dispatch::Dispatch;
use crate::error::BrokerError;
use crate::figures;
use crate::ha;
use crate::housekeeping;
use crate::listeners::{Listeners, Router};
use crate::node::Node;
use crate::opening::open_node;
use crate::registration::Registrar;
use crate::replication::{ReplicaDispatch, watch};
use daemon::{Shutdown, Tasks};
use disk::{Disk, RealDisk};
use remoting::Handler;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::StoreError;

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
        let router = Arc::new(Router::default());
        let listeners = Listeners::bind(&start.config, &router)?;
        let config = start.config.clone();
        let for_slaves = ha::bind(&config, listeners.port()).await?;
        let opened = tokio::task::spawn_blocking({
            let bound = for_slaves.as_ref().and_then(|listener| listener.local_addr().ok());
            let ha_port = bound.map_or(config.store.ha_listen_port, |bound| bound.port());
            let port = listeners.port();
            move || {
                // Here and not above: a host name is looked up, which may take a while.
                let identity = Identity::new(&start.config, port, ha_port);
                open_node(start, identity, disk)
            }
        });
        let node = opened.await.map_err(|_| BrokerError::Store(StoreError::Failed))??;
        let tasks = Tasks::new();
        housekeeping::start(&tasks, &node);
        figures::start(&tasks, &node).await?;
        ha::start(&tasks, &node, for_slaves);
        let delays = DelayService::start(&node)?;
        router.serve(handler(&tasks, &node));
        let registration = Tasks::new();
        Registrar::start(&registration, &node);
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
        if let Some(group) = &self.node.group {
            watch::leave(&self.node, group).await;
        }
        self.registration.stop(TASKS_STOP).await;
        self.node.gate.close();
        self.node.arrivals.wake_all();
        self.listeners.stop().await;
        self.tasks.stop(TASKS_STOP).await;
        if let Some(group) = &self.node.group {
            group.stop().await?;
        }
        let (node, delays) = (self.node, self.delays);
        let closed = tokio::task::spawn_blocking(move || {
            delays.stop();
            node.errands.stop();
            node.cold_reads.stop();
            let closed = node.store.close();
            node.journal.flush_all()?;
            Ok(closed?)
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

/// Who answers: the broker itself, or, in a group, whoever leads.
fn handler(tasks: &Tasks, node: &Arc<Node>) -> Arc<dyn Handler> {
    let Some(group) = &node.group else { return Arc::new(Dispatch::new(Arc::clone(node))) };
    let dispatch = Arc::new(ReplicaDispatch::new(node, group));
    watch::start(tasks, node, group, &dispatch);
    dispatch
}
