//! The facade: a replicated log of bytes, and nothing of openraft.
//!
//! It owns one thread, on which openraft, the transport and the batcher run, so that a flood of clients elsewhere in the
//! process cannot starve an election. Everything that the owner is told comes through its `Stamper`, its `ApplySink`, the
//! tickets of its proposals, and the status.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use disk::{Disk, Segments};
use openraft::ReadPolicy;
use openraft::error::{ClientWriteError, RaftError};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::batch::{Proposal, Ticket};
use crate::batcher::Batcher;
use crate::config::RaftLogConfig;
use crate::envelope::EntryKind;
use crate::error::{GroupError, LogError};
use crate::founding::{self, Asked, Founding};
use crate::log::{Log, Opening};
use crate::manifest::Shape;
use crate::net::handshake::{CallError, Caller, Channel, Welcome};
use crate::net::server;
use crate::probation::{Beginning, Probation};
use crate::shared::Shared;
use crate::sink::{ApplySink, Stamper};
use crate::slot_file::SlotFile;
use crate::snapshot::Snapshots;
use crate::start::{self, Started, Thread};
use crate::state_machine::StateMachine;
use crate::status::{Role, Status};
use crate::types::{Node, Snapshot, Types};

pub(crate) type RaftHandle = openraft::Raft<Types, StateMachine>;

/// How long a peer may take to say who it is.
const GREETING_PATIENCE: Duration = Duration::from_secs(2);

/// A replicated log. Dropping it stops it without handing leadership over; see [`RaftLog::stop`].
#[derive(Debug)]
pub struct RaftLog {
    pub(crate) shared: Arc<Shared>,
    batcher: Arc<Batcher>,
    raft: RaftHandleDebug,
    caller: Caller,
    address: String,
    status: watch::Receiver<Status>,
    runtime: Handle,
    thread: Mutex<Option<Thread>>,
}

/// openraft's handle has nothing to show.
#[derive(Clone)]
struct RaftHandleDebug(RaftHandle);

impl std::fmt::Debug for RaftHandleDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Raft")
    }
}

impl RaftLog {
    /// Opens, recovers and starts a log. Blocks until the sink has caught up with what is committed here.
    pub fn start(
        config: RaftLogConfig,
        disk: Arc<dyn Disk>,
        segments: Arc<Segments>,
        stamper: Box<dyn Stamper>,
        sink: Box<dyn ApplySink>,
    ) -> Result<Self, LogError> {
        config.validate(segments.segment_bytes())?;
        let shape = Shape {
            group: config.group.clone(),
            node: config.node,
            segment_bytes: segments.segment_bytes(),
            prefix_end: config.prefix_end,
        };
        let log = Arc::new(Log::open(Opening {
            disk: disk.clone(),
            directory: config.directory.clone(),
            segments,
            shape,
            flush: config.flush,
            flush_interval: config.flush_interval,
            fatal: config.fatal.clone(),
        })?);
        let probation = SlotFile::open(&*disk, &config.directory.join("probation"))?;
        let snapshots = Arc::new(Snapshots::open(disk, config.directory.join("snapshots"), log.lost_copy)?);
        if let Some(purged) = log.purged()
            && snapshots.current().is_none()
        {
            return Err(LogError::SnapshotMissing { purged: purged.index });
        }
        // A vote is always durable: it tells a member that lost its whole log from a node that never was one.
        let was_member = log.last().is_some() || log.vote().is_some();
        let forgotten = log.vote_forgotten();
        let beginning = if !was_member {
            Beginning::New
        } else if forgotten.is_some() || log.lost_power {
            Beginning::Behind
        } else {
            Beginning::Member
        };
        let probation = Probation::open(probation, beginning)?;
        // Only now: a crash in between must not leave a vote that looks as if nothing had happened.
        if let Some(vote) = forgotten {
            tracing::error!(
                kept = ?log.vote(), at_least = %vote,
                "the vote is older than the log: it was lost or set back. No vote before a leader was caught up with"
            );
            log.save_vote(&vote)?;
        }
        log.begin_life(config.flush)?;
        let shared = Shared::new(config.node, log, snapshots, config.fatal.clone(), probation);
        let shared =
            Arc::new(shared.map_err(|source| LogError::Network { action: "start a thread", source })?);
        let caller = start::caller(&config, &shared);
        let address = config.address.clone();
        let (started, thread) = start::spawn(config, shared.clone(), caller.clone(), stamper, sink)?;
        let Started { raft, batcher, status, runtime } = started;
        let raft = RaftHandleDebug(raft);
        Ok(Self { shared, batcher, raft, caller, address, status, runtime, thread: Mutex::new(Some(thread)) })
    }

    /// Proposes records. They share an entry with whatever else waits; the ticket hears of everything, a refusal included.
    pub fn propose(&self, proposal: Proposal) {
        self.batcher.propose(EntryKind::Records, proposal);
    }

    /// Proposes one system command, an entry of its own.
    pub fn propose_system(&self, command: &[u8], ticket: Box<dyn Ticket>) {
        self.batcher
            .propose(EntryKind::System, Proposal { records: BytesMut::from(command), count: 1, ticket });
    }

    /// Follows the state of the log.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// The last applied index and where its entry ends: what lies below may be shown to consumers.
    pub fn applied(&self) -> (Option<u64>, u64) {
        (self.shared.applied.index(), self.shared.applied.position())
    }

    /// The first byte that is kept.
    pub fn first_position(&self) -> u64 {
        self.shared.log.segments().start()
    }

    /// Makes everything appended so far durable, whatever the flush mode; blocks.
    pub fn flush(&self) -> Result<(), LogError> {
        self.shared.log.flush().map(|_| ())
    }

    /// Shares raw bytes of the log.
    pub fn read(&self, position: u64, len: usize) -> Result<Bytes, LogError> {
        self.shared.log.raw(position, len)
    }

    /// The identity of this store.
    pub fn store_identity(&self) -> u128 {
        self.shared.log.manifest().store
    }

    /// Forms the group, once in its life, on any node. Who answers must not belong to a group yet: a wiped node can so never
    /// found a second group beside the one it was lost from, as long as one of its members is heard. Who does not answer is
    /// expected: it gets its vote when it comes (`roll_call`).
    ///
    /// A classic store begins alone: it commits, lets a snapshot stand for its records, and then takes the others in, who must
    /// all be there.
    pub async fn initialize(
        &self,
        members: BTreeMap<u64, String>,
        founding: Founding,
    ) -> Result<(), GroupError> {
        if server::is_formed(&self.shared) {
            return Err(GroupError::AlreadyFormed);
        }
        let has_prefix = self.shared.log.manifest().prefix_end > 0;
        let founding = if has_prefix { Founding::Everybody } else { founding };
        let asked = self.ask_all(&members).await?;
        let me = Node { address: self.address.clone(), store: self.store_identity() };
        let mut founders = founding::founders(asked, &me, founding)?;
        if has_prefix {
            founders.retain(|node, _| *node == self.shared.node);
        }
        let raft = self.raft.0.clone();
        self.run(async move {
            raft.initialize(founders).await.map_err(|error| GroupError::Refused(error.to_string()))
        })
        .await?;
        if has_prefix {
            self.wait_ready().await?;
            self.stand_for_prefix().await?;
            for (node, address) in members.iter().filter(|(node, _)| **node != self.shared.node) {
                self.add_learner(*node, address).await?;
            }
            self.change_membership(members.keys().copied().collect()).await?;
        }
        Ok(())
    }

    /// Adds a member without a vote, and waits until it has nearly caught up.
    pub async fn add_learner(&self, node: u64, address: &str) -> Result<(), GroupError> {
        let details = self.ask(node, address).await?;
        let raft = self.raft.0.clone();
        self.run(async move {
            raft.add_learner(node, details, true).await.map(|_| ()).map_err(|error| refused(&error))
        })
        .await
    }

    /// Makes exactly these members the voters, through a joint configuration; they must be learners or voters already.
    /// Who is not among them leaves the group.
    pub async fn change_membership(&self, voters: BTreeSet<u64>) -> Result<(), GroupError> {
        let raft = self.raft.0.clone();
        self.run(async move {
            raft.change_membership(voters, false).await.map(|_| ()).map_err(|error| refused(&error))
        })
        .await
    }

    /// Notes whether the owner finds that this node's disk has room: others learn it when they ask.
    pub fn set_room(&self, has_room: bool) {
        self.shared.owner_has_room.store(has_room, Ordering::Relaxed);
    }

    /// Whether this node's disk has room, as the owner and the log find.
    pub fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    /// Asks the other voters whether they could lead, which takes room on their disks and a vote of their own: those that say
    /// so, the one that holds most first.
    pub async fn able_to_lead(&self) -> Result<Vec<u64>, GroupError> {
        let mut voters = self.status.borrow().peers.clone();
        voters.retain(|peer| peer.is_voter && peer.node != self.shared.node);
        voters.sort_by_key(|peer| std::cmp::Reverse(peer.matched));
        let asked = voters.iter().map(|peer| self.greet(peer.node, &peer.address));
        let answers = futures_util::future::join_all(asked).await;
        let mut able = Vec::new();
        for (peer, answer) in voters.iter().zip(answers) {
            if answer?.is_ok_and(|welcome| welcome.can_lead) {
                able.push(peer.node);
            }
        }
        Ok(able)
    }

    /// Hands leadership to a voter and waits until it leads.
    pub async fn transfer_leader(&self, to: u64, patience: Duration) -> Result<(), GroupError> {
        let raft = self.raft.0.clone();
        self.run(async move {
            raft.trigger().transfer_leader(to).await.map_err(|error| GroupError::Refused(error.to_string()))
        })
        .await?;
        self.wait_until(patience, |status| status.leader == Some(to)).await
    }

    /// Waits until everything that was committed anywhere before the call is applied here; only on the leader.
    pub async fn read_barrier(&self) -> Result<(), GroupError> {
        let raft = self.raft.0.clone();
        let leader = self.status.borrow().leader;
        self.run(async move {
            let barrier = raft.ensure_linearizable(ReadPolicy::ReadIndex).await;
            barrier.map(|_| ()).map_err(|_| GroupError::NotLeader { leader })
        })
        .await
    }

    /// Retention: lets a snapshot stand for whole segments below `position` and unlinks them. Only segments whose end is a
    /// known boundary that the sink has made durable can go; tells where the unlinked ones began.
    pub async fn expire_before(&self, position: u64) -> Result<Vec<u64>, GroupError> {
        let log = self.shared.log.clone();
        let position = position.min(log.segments().segment_start(self.shared.applied.position()));
        let prefix_end = log.segments().segment_start(log.manifest().prefix_end);
        let (shared, limit) = (self.shared.clone(), position);
        let boundaries = self.block(move || shared.snapshots.boundaries_before(limit)).await?;
        let chosen = boundaries.into_iter().next();
        let mut drop_to = position.min(prefix_end);
        if let Some(snapshot) = chosen
            && let Some(last) = snapshot.meta.last_log_id
        {
            drop_to = snapshot.snapshot.next_position;
            // The log is asked, not the snapshots: an earlier call may have ended after the snapshot and before the purge.
            if self.shared.log.purged() < Some(last.into()) {
                self.hide_behind(snapshot, last.index).await?;
            }
        }
        let shared = self.shared.clone();
        self.block(move || {
            shared.log.keep_purged()?;
            // Whatever became of the purge: where a start begins to read stays.
            let drop_to = drop_to.min(shared.log.manifest().first_position);
            let dropped = shared.log.segments().drop_before(drop_to).map_err(LogError::from)?;
            shared.snapshots.drop_boundaries(drop_to)?;
            Ok::<_, LogError>(dropped)
        })
        .await?
        .map_err(GroupError::from)
    }

    /// Lets this node vote although it lacks entries and no leader is there to catch up with: an operator's word that
    /// losing what the others may lack is better than waiting.
    pub async fn trust(&self) -> Result<(), GroupError> {
        if self.shared.probation.trust().map_err(LogError::from)? {
            self.shared.changed.notify_one();
        }
        Ok(())
    }

    /// Stops in order: takes nothing new, finishes what is under way, hands leadership over, flushes, notes a clean end.
    pub async fn stop(&self, grace: Duration) -> Result<(), GroupError> {
        self.batcher.stop();
        let deadline = tokio::time::Instant::now() + grace;
        while !self.batcher.is_drained() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.hand_over(deadline).await;
        let raft = self.raft.0.clone();
        let stopped =
            self.run(
                async move { raft.shutdown().await.map_err(|error| GroupError::Refused(error.to_string())) },
            );
        let _ = tokio::time::timeout_at(deadline + grace, stopped).await;
        let log = self.shared.log.clone();
        let closed = self.block(move || log.close()).await?;
        self.stop_thread();
        Ok(closed?)
    }

    /// Offers leadership to the voters, the one that has most first, until somebody takes it or time is up.
    async fn hand_over(&self, deadline: tokio::time::Instant) {
        loop {
            let status = self.status.borrow().clone();
            if status.role != Role::Leader {
                return;
            }
            let others = status.peers.iter().filter(|peer| peer.is_voter && peer.node != self.shared.node);
            let Some(best) = others.max_by_key(|peer| peer.matched).map(|peer| peer.node) else { return };
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                tracing::warn!("stopping without having handed leadership over");
                return;
            }
            let _ = self.transfer_leader(best, left.min(Duration::from_millis(300))).await;
        }
    }

    /// Lets a snapshot stand for a classic store's records and what followed so far.
    async fn stand_for_prefix(&self) -> Result<(), GroupError> {
        let Some(applied) = self.shared.applied.index() else { return Err(GroupError::TimedOut) };
        self.shared.choose_boundary(None);
        self.snapshot_and_purge(applied).await
    }

    /// Lets a boundary's snapshot stand for everything up to `index`, and hides that. The snapshot is saved here and not by
    /// openraft, for which a disk without room would be the end, just when segments are about to go.
    async fn hide_behind(&self, boundary: Snapshot, index: u64) -> Result<(), GroupError> {
        let shared = self.shared.clone();
        let current = self.block(move || shared.snapshots.advance(boundary)).await??;
        self.shared.choose_boundary(Some(current));
        self.snapshot_and_purge(index).await
    }

    /// Takes a snapshot at or behind `index`, then hides everything up to `index`.
    async fn snapshot_and_purge(&self, index: u64) -> Result<(), GroupError> {
        let raft = self.raft.0.clone();
        let shared = self.shared.clone();
        self.run(async move {
            let fatal = |error: &dyn std::fmt::Display| GroupError::Refused(error.to_string());
            raft.trigger().snapshot().await.map_err(|error| fatal(&error))?;
            let wait = raft.wait(Some(Duration::from_secs(30)));
            let has_snapshot =
                wait.metrics(|metrics| metrics.snapshot.is_some_and(|id| id.index >= index), "snapshot");
            has_snapshot.await.map_err(|_| GroupError::TimedOut)?;
            let upto = shared
                .snapshots
                .current()
                .and_then(|snapshot| snapshot.meta.last_log_id)
                .map_or(index, |id| id.index);
            raft.trigger().purge_log(upto).await.map_err(|error| fatal(&error))?;
            let is_purged =
                wait.metrics(|metrics| metrics.purged.is_some_and(|id| id.index >= upto), "purged");
            is_purged.await.map(|_| ()).map_err(|_| GroupError::TimedOut)
        })
        .await
    }

    /// Asks a peer who it is.
    async fn ask(&self, node: u64, address: &str) -> Result<Node, GroupError> {
        if node == self.shared.node {
            return Ok(Node { address: self.address.clone(), store: self.store_identity() });
        }
        match self.greet(node, address).await? {
            Ok(welcome) => Ok(Node { address: address.to_owned(), store: welcome.store }),
            Err(error) => Err(founding::unreachable(node, address, &error)),
        }
    }

    /// Asks all members at once; this node need not be asked.
    async fn ask_all(&self, members: &BTreeMap<u64, String>) -> Result<Vec<Asked>, GroupError> {
        let asked = members.iter().map(|(node, address)| async {
            let is_me = *node == self.shared.node;
            let answer = if is_me { None } else { Some(self.greet(*node, address).await?) };
            Ok::<Asked, GroupError>((*node, address.clone(), answer))
        });
        futures_util::future::join_all(asked).await.into_iter().collect()
    }

    async fn greet(&self, node: u64, address: &str) -> Result<Result<Welcome, CallError>, GroupError> {
        let (caller, target) = (self.caller.clone(), Node { address: address.to_owned(), store: 0 });
        self.run(async move {
            let greeted = caller.connect(node, &target, Channel::Greeting, None, GREETING_PATIENCE).await;
            Ok(greeted.map(|(_, welcome)| welcome))
        })
        .await
    }

    async fn wait_ready(&self) -> Result<(), GroupError> {
        self.wait_until(Duration::from_secs(10), |status| status.ready).await
    }

    async fn wait_until(
        &self,
        patience: Duration,
        is_it: impl FnMut(&Status) -> bool,
    ) -> Result<(), GroupError> {
        let mut status = self.status.clone();
        match tokio::time::timeout(patience, status.wait_for(is_it)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(GroupError::Stopped),
            Err(_) => Err(GroupError::TimedOut),
        }
    }

    /// Runs a deed on the log's own runtime, whatever runtime the caller is on.
    async fn run<T: Send + 'static>(
        &self,
        deed: impl Future<Output = Result<T, GroupError>> + Send + 'static,
    ) -> Result<T, GroupError> {
        self.runtime.spawn(deed).await.unwrap_or(Err(GroupError::Stopped))
    }

    /// Runs disk work beside the log's own thread.
    async fn block<T: Send + 'static>(
        &self,
        deed: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, GroupError> {
        self.runtime.spawn_blocking(deed).await.map_err(|_| GroupError::Stopped)
    }

    fn stop_thread(&self) {
        if let Some(Thread { stop, handle }) = self.thread.lock().take() {
            let _ = stop.send(());
            if handle.thread().id() != std::thread::current().id() {
                let _ = handle.join();
            }
        }
    }
}

impl Drop for RaftLog {
    fn drop(&mut self) {
        self.stop_thread();
    }
}

fn refused(error: &RaftError<Types, ClientWriteError<Types>>) -> GroupError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            GroupError::NotLeader { leader: forward.leader_id }
        }
        other => GroupError::Refused(other.to_string()),
    }
}

#[cfg(test)]
#[path = "raft_log_tests.rs"]
mod tests;
