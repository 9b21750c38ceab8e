//! Starts what runs for a log: one thread with a runtime of its own, and on it openraft, the transport, the batcher and the
//! task that watches over them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Config, SnapshotPolicy};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use crate::batcher::{Batcher, Limits};
use crate::config::{Fatal, RaftLogConfig};
use crate::error::LogError;
use crate::log_store::{LogStore, REQUEST_BYTES_MAX};
use crate::mend::Mender;
use crate::net::client::Network;
use crate::net::handshake::Caller;
use crate::net::server;
use crate::raft_log::RaftHandle;
use crate::recall;
use crate::roll_call;
use crate::scrub;
use crate::shared::Shared;
use crate::sink::{ApplySink, Stamper};
use crate::state_machine::StateMachine;
use crate::status::{Role, Status, translate};
use crate::types::Types;

/// How often figures that move with every entry are published; changes of role are published at once.
const STATUS_INTERVAL: Duration = Duration::from_millis(50);

/// The running thread and how to end it.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) handle: std::thread::JoinHandle<()>,
}

/// What the thread hands out once everything runs.
pub(crate) struct Started {
    pub(crate) raft: RaftHandle,
    pub(crate) batcher: Arc<Batcher>,
    pub(crate) status: watch::Receiver<Status>,
    pub(crate) runtime: Handle,
}

/// How this node introduces itself to peers.
pub(crate) fn caller(config: &RaftLogConfig, shared: &Shared) -> Caller {
    let manifest = shared.log.manifest();
    Caller {
        group: config.group.clone(),
        node: config.node,
        store: manifest.store,
        segment_bytes: manifest.segment_bytes,
        frame_bytes_max: frame_bytes_max(config),
        addresses: std::sync::Arc::new(config.peer_addresses.clone()),
    }
}

/// A request holds a megabyte of entries, or one larger entry; a snapshot's state must fit as well.
pub(crate) fn frame_bytes_max(config: &RaftLogConfig) -> usize {
    const STATE_BYTES_MAX: usize = 256 * 1024 * 1024;
    (REQUEST_BYTES_MAX + config.proposal_bytes_max + config.batch_bytes_max).max(STATE_BYTES_MAX)
}

fn raft_config(config: &RaftLogConfig) -> Result<Config, LogError> {
    let millis = |duration: Duration| duration.as_millis() as u64;
    let raft = Config {
        cluster_name: config.group.clone(),
        heartbeat_interval: millis(config.heartbeat),
        election_timeout_min: millis(config.election_min),
        election_timeout_max: millis(config.election_max),
        enable_pre_vote: Some(true),
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX / 4,
        max_payload_entries: 1024,
        // A leader that lost its tail would otherwise go on in the same term and give its indexes to other entries.
        enable_leader_restore: Some(false),
        // A follower whose machine lost power, or whose disk was set back, comes back with a shorter log. Without this it is
        // never brought up to date, and nobody is told; that it does not vote meanwhile is `probation`.
        allow_log_reversion: Some(true),
        install_snapshot_timeout: 10_000,
        replication_lag_threshold: 64,
        ..Config::default()
    };
    raft.validate().map_err(|error| LogError::Config(vec![error.to_string()]))
}

/// Starts the log's thread and waits until everything on it runs.
pub(crate) fn spawn(
    config: RaftLogConfig,
    shared: Arc<Shared>,
    caller: Caller,
    stamper: Box<dyn Stamper>,
    sink: Box<dyn ApplySink>,
) -> Result<(Started, Thread), LogError> {
    let (tell, told) = std::sync::mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let run = move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(source) => {
                let _ = tell.send(Err(LogError::Network { action: "start a runtime", source }));
                return;
            }
        };
        let handle = runtime.handle().clone();
        runtime.block_on(async move {
            match start_on(config, shared, caller, stamper, sink, handle).await {
                Ok((started, tasks)) => {
                    let _ = tell.send(Ok(started));
                    let _ = stopped.await;
                    drop(tasks);
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            }
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
    };
    let network = |source| LogError::Network { action: "start a thread", source };
    let handle = std::thread::Builder::new().name("raft-log".to_owned()).spawn(run).map_err(network)?;
    let started = told.recv().map_err(|_| LogError::Raft("the thread died while starting".to_owned()))??;
    Ok((started, Thread { stop, handle }))
}

async fn start_on(
    config: RaftLogConfig,
    shared: Arc<Shared>,
    caller: Caller,
    stamper: Box<dyn Stamper>,
    sink: Box<dyn ApplySink>,
    runtime: Handle,
) -> Result<(Started, tokio::task::JoinSet<()>), LogError> {
    let network = |action| move |source| LogError::Network { action, source };
    config.listener.set_nonblocking(true).map_err(network("use the listener"))?;
    let raft_config = Arc::new(raft_config(&config)?);
    let limits = Limits {
        in_flight_max: config.batches_in_flight(),
        records_max: config.batch_records_max,
        bytes_max: config.batch_bytes_max,
        proposal_bytes_max: config.proposal_bytes_max,
        waiting_max: config.waiting_max,
        waiting_bytes_max: config.waiting_bytes_max,
    };
    let listener = tokio::net::TcpListener::from_std(config.listener).map_err(network("use the listener"))?;
    let store = LogStore::new(shared.clone(), stamper);
    let machine = StateMachine::open(shared.clone(), sink)?;
    let frame_bytes_max = caller.frame_bytes_max;
    let clients = Network { shared: shared.clone(), caller: caller.clone(), controls: HashMap::new() };
    let raft = RaftHandle::build(config.node, raft_config, clients, store, machine).await;
    let raft = raft.map_err(|error| LogError::Raft(error.to_string()))?;
    if shared.probation.is_behind() {
        tracing::warn!("entries may be missing here: no vote before a leader was caught up with");
    }
    raft.runtime_config().elect(shared.probation.may_vote());
    raft.run();
    // Its metrics say term 0 and no members before it has run once: nobody may see that, least of all our own probation.
    let ran = raft.with_raft_state(|_| ()).await;
    ran.map_err(|error| LogError::Raft(error.to_string()))?;
    let batcher = Arc::new(Batcher::new(limits, shared.clone()));
    let (publish, status) = watch::channel(translate(&raft.metrics().borrow_watched(), &shared));
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(server::serve(listener, shared.clone(), raft.clone(), frame_bytes_max));
    tasks.spawn(batcher.clone().run(raft.clone()));
    let mender = shared.mender.get_or_init(|| Arc::new(Mender { caller: caller.clone() })).clone();
    tasks.spawn(scrub::run(shared.clone(), mender, config.scrub_interval));
    tasks.spawn(recall::run(shared.clone(), caller.clone()));
    tasks.spawn(roll_call::run(raft.clone(), shared.clone(), caller, status.clone()));
    tasks.spawn(watch_over(raft.clone(), shared, batcher.clone(), publish, config.fatal));
    Ok((Started { raft, batcher, status, runtime }, tasks))
}

/// Publishes the status, opens and shuts the gate for proposals, and notices when the consensus stops by itself.
async fn watch_over(
    raft: RaftHandle,
    shared: Arc<Shared>,
    batcher: Arc<Batcher>,
    publish: watch::Sender<Status>,
    fatal: Fatal,
) {
    let metrics = raft.metrics();
    let mut server = raft.server_metrics();
    let mut may_elect = shared.probation.may_vote();
    raft.runtime_config().elect(may_elect);
    loop {
        let (status, failure) = {
            let metrics = metrics.borrow_watched();
            (translate(&metrics, &shared), metrics.running_state.as_ref().err().map(ToString::to_string))
        };
        batcher.set_gate(status.ready.then_some(status.term), status.leader);
        match shared.probation.catches_up(status.committed) {
            Ok(false) => {}
            Ok(true) => tracing::info!("caught up with what the group had: voting again"),
            Err(error) => fatal.stop(&LogError::from(error)),
        }
        if status.ready && shared.probation.is_behind() {
            // Elected by those who had heard every voter: nobody holds more.
            if let Err(error) = shared.probation.trust() {
                fatal.stop(&LogError::from(error));
            }
        }
        if shared.probation.may_vote_for(shared.log.last()) != may_elect {
            may_elect = !may_elect;
            raft.runtime_config().elect(may_elect);
        }
        publish.send_if_modified(|last| std::mem::replace(last, status.clone()) != status);
        if let Some(text) = failure
            && status.role == Role::Stopped
        {
            if text != openraft::error::Fatal::<Types>::Stopped.to_string() {
                fatal.stop(&LogError::Raft(text));
            }
            return;
        }
        tokio::select! {
            changed = server.changed() => if changed.is_err() { return },
            () = shared.changed.notified() => {}
            () = tokio::time::sleep(STATUS_INTERVAL) => {}
        }
    }
}
