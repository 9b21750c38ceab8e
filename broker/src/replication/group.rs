//! One replica of a Raft group: opened in order, watched while it runs, stopped after somebody else leads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use disk::{Disk, Segments};
use raft_log::{Founding, GroupError, RaftLog, Role, Status};
use store::{Hooks, MessageStore, StoreConfig, StoreError};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::forward::Forwarder;
use super::group_journal::GroupJournal;
use super::in_flight::InFlight;
use super::room::Room;
use super::sink::{OnCommand, Replica};
use super::standing::{Place, Standing};
use super::start_log::{self, LogParts};
use super::state_file::StateFile;
use super::table_state;
use crate::config::{Config, Identity, RaftPeer};
use crate::error::BrokerError;
use crate::metadata::{Metadata, MetadataCommand, MetadataFiles};
use crate::registration::Rounds;
use crate::store_config;

/// What Raft itself keeps lies here, under the store's root.
const DIRECTORY: &str = "raft";
/// How long a hand-over waits for what is under way, and for one heir to take the lead.
const FINISHED_WITHIN: Duration = Duration::from_millis(300);
const TRANSFER_TRY: Duration = Duration::from_millis(300);
/// An heir that lacks more entries than this is refused. Source: DLedger's `maxLeadershipTransferWaitIndex`.
const HEIR_BEHIND_MAX: u64 = 1_000;
/// How long a stop waits for the log.
const STOP_WITHIN: Duration = Duration::from_secs(3);
/// How long a new group waits for all of its members before a majority forms it.
const EVERYBODY_WITHIN: Duration = Duration::from_secs(10);
/// How long a member leaves the founding to the one before it.
const FOUNDERS_APART: Duration = Duration::from_secs(1);

/// A replica and what belongs to it.
#[derive(Debug)]
pub struct Group {
    pub(crate) name: String,
    /// This replica's Raft node: the number in its `dLegerSelfId`.
    pub(crate) number: u64,
    pub(crate) peers: Vec<RaftPeer>,
    pub(crate) log: Arc<RaftLog>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) journal: Arc<GroupJournal>,
    pub(crate) replica: Arc<Replica>,
    pub(crate) segments: Arc<Segments>,
    /// Where deeds of the log are waited for by threads that may wait.
    pub(crate) runtime: Handle,
    /// What a classic store's tables held, to be proposed once by the first leader.
    pub(crate) inherited: Vec<MetadataCommand>,
    /// Puts whose outcome is not known yet.
    pub(crate) in_flight: Arc<InFlight>,
    /// Raised when a member announced itself.
    pub(crate) announced: Arc<Notify>,
    /// Where requests go that are not served here.
    pub(crate) forwarder: Forwarder,
    /// What is known of room on the others' disks.
    pub(crate) room: Room,
    /// Requests forwarded or parked so far: a stop waits until nobody comes any more.
    pub(crate) strangers: AtomicU64,
}

/// What a replica is opened with.
pub(crate) struct Opening<'a> {
    pub(crate) config: &'a Config,
    pub(crate) identity: &'a Identity,
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) hooks: Hooks,
    pub(crate) metadata: &'a Arc<Metadata>,
    pub(crate) rounds: &'a Arc<Rounds>,
}

/// The number of a replica: the digits in its name, as in `n0`.
pub(crate) fn number_of(id: &str) -> Option<u64> {
    let digits: String = id.chars().skip_while(|letter| !letter.is_ascii_digit()).collect();
    digits.parse().ok()
}

impl Group {
    /// Opens the store on the log, and the log.
    pub(crate) fn open(opening: Opening<'_>) -> Result<(Arc<MessageStore>, Arc<Self>), BrokerError> {
        let Opening { config, identity, disk, hooks, metadata, rounds } = opening;
        let keys = &config.raft;
        let peers = keys
            .peer_list()
            .map_err(|wrong| BrokerError::Raft(format!("{} is {}", wrong.key, wrong.value)))?;
        let me = peers.iter().find(|peer| peer.id == keys.self_id);
        let me = me.ok_or_else(|| BrokerError::Raft(format!("{} is not among dLegerPeers", keys.self_id)))?;
        let number = number_of(&me.id);
        let number =
            number.ok_or_else(|| BrokerError::Raft(format!("dLegerSelfId {} has no number", me.id)))?;
        let listener = start_log::bind(config, &me.address)?;
        let directory = config.root_dir().join(DIRECTORY);
        let (prefix_end, inherited) =
            if disk.exists(&directory) { (0, Vec::new()) } else { inherit(config, disk, &hooks)? };
        let segments =
            Segments::open(Arc::clone(disk), config.commit_log_dir(), config.store.commit_log_segment.0);
        let segments = Arc::new(segments.map_err(|error| BrokerError::Disk(Arc::new(error)))?);
        let parts =
            LogParts { config, disk, segments: &segments, peers: &peers, me, number, directory, prefix_end };
        let listener = parts.mend(listener)?;
        let store_config = without_retention(store_config::store_config(config));
        let store = MessageStore::open_on(Arc::clone(&segments), store_config, Arc::clone(disk), hooks)?;
        let announced = Arc::new(Notify::new());
        let on_command = Arc::new(Effects {
            store: Arc::clone(&store),
            rounds: Arc::clone(rounds),
            announced: Arc::clone(&announced),
        });
        let file = StateFile::new(Arc::clone(disk), &config.root_dir());
        let replica =
            Replica::open(Arc::clone(&store), Arc::clone(&segments), Arc::clone(metadata), file, on_command)
                .map_err(raft_error)?;
        let log = Arc::new(parts.start(listener, &store, &replica)?);
        let standing = Arc::new(Standing::new());
        let forwarder = Forwarder::new(Arc::clone(&standing), identity.address.to_string());
        let journal = GroupJournal::new(Arc::clone(&log), Arc::clone(&standing), Arc::clone(metadata));
        tracing::info!(group = keys.group, node = number, address = %identity.address, "replica opened");
        let group = Self {
            name: keys.group.clone(),
            number,
            peers,
            log,
            standing,
            journal: Arc::new(journal),
            replica,
            segments,
            runtime: Handle::current(),
            inherited,
            in_flight: Arc::default(),
            announced,
            forwarder,
            room: Room::default(),
            strangers: AtomicU64::new(0),
        };
        Ok((store, Arc::new(group)))
    }

    /// The id under which a follower registers: DLedger's rule, one more than its number.
    fn follower_id(&self) -> i64 {
        i64::try_from(self.number).unwrap_or(i64::MAX - 1) + 1
    }

    /// Under which id this replica is found, and in which term.
    pub(crate) fn seat(&self) -> (i64, Option<i64>) {
        let signed = |term: u64| Some(i64::try_from(term).unwrap_or(i64::MAX));
        match self.standing.place() {
            Place::Leads { term } => (0, signed(term)),
            Place::Follows { term, .. } | Place::Leaderless { term } => (self.follower_id(), signed(term)),
        }
    }

    /// Forms the group when nobody has. At first the first of the peers asks for all of them; when somebody stays away, any
    /// of them forms it with a majority, and who is missing joins when it comes.
    pub(crate) async fn form(&self) {
        let mut numbers: Vec<u64> = self.peers.iter().filter_map(|peer| number_of(&peer.id)).collect();
        numbers.sort_unstable();
        let rank = numbers.iter().position(|number| *number == self.number).unwrap_or_default();
        // One after the other: two founders at once are safe, but cost an election more.
        let with_majority = Instant::now() + EVERYBODY_WITHIN + FOUNDERS_APART * rank as u32;
        let mut status = self.log.status();
        while status.borrow_and_update().peers.is_empty() {
            let founding = match Instant::now() {
                now if now >= with_majority => Founding::Majority,
                _ => Founding::Everybody,
            };
            if rank == 0 || founding == Founding::Majority {
                match self.log.initialize(self.addresses(), founding).await {
                    Ok(()) => tracing::info!(group = self.name, ?founding, "the group is formed"),
                    Err(GroupError::AlreadyFormed) => tracing::debug!("the group was formed by another"),
                    Err(error) => tracing::info!(%error, "the group cannot be formed yet"),
                }
            }
            let _ = tokio::time::timeout(Duration::from_millis(200), status.changed()).await;
        }
    }

    fn addresses(&self) -> BTreeMap<u64, String> {
        let address = |peer: &RaftPeer| Some((number_of(&peer.id)?, peer.address.clone()));
        self.peers.iter().filter_map(address).collect()
    }

    /// Gives the lead to another voter, or to this one, and waits until it has it. Without other voters there is nobody to
    /// ask. Nothing is refused meanwhile: what comes is parked, what came before is committed first.
    pub(crate) async fn hand_over(&self, to: Option<u64>, patience: Duration) -> Result<(), GroupError> {
        let deadline = tokio::time::Instant::now() + patience;
        if let Some(to) = to {
            check_heir(&self.log.status().borrow(), to)?;
        }
        let mut outcome = Ok(());
        loop {
            let status = self.log.status().borrow().clone();
            if status.role != Role::Leader {
                // An heir that took the lead after we had stopped waiting for it has it all the same.
                return if to.is_none() { Ok(()) } else { outcome };
            }
            let Some(heir) = to.or_else(|| heir(&status, self.number)) else { return Ok(()) };
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                self.standing.release();
                tracing::warn!(heir, "nobody took the lead in time");
                return Err(GroupError::TimedOut);
            }
            self.finish(left.min(FINISHED_WITHIN)).await;
            outcome = self.log.transfer_leader(heir, left.min(TRANSFER_TRY)).await;
            if let Err(error) = &outcome {
                tracing::debug!(heir, %error, "not taken; asking again");
            }
        }
    }

    /// Takes nothing new, and waits until what was taken is committed: then a change of leaders refuses nobody.
    async fn finish(&self, patience: Duration) {
        self.standing.hold();
        let done = async {
            self.standing.until_served().await;
            let (tell, told) = tokio::sync::oneshot::channel();
            // Offsets that wait for company would be forgotten with the lead.
            self.journal.barrier(Box::new(move |outcome| drop(tell.send(outcome))));
            let _ = told.await;
            while !self.in_flight.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(patience, done).await.is_err() {
            tracing::debug!("handing over although something is still under way");
        }
    }

    /// The log, for tests and tools in this process.
    pub fn log(&self) -> &Arc<RaftLog> {
        &self.log
    }

    /// Whether another replica may take what this one refused with these words, before anything of it was kept.
    pub(crate) fn may_go_elsewhere(&self, refusal: &BrokerError) -> bool {
        match refusal {
            // The log took neither the message nor the topic that had to be made for it.
            BrokerError::NotLeader | BrokerError::Store(StoreError::ShuttingDown) => true,
            BrokerError::Store(StoreError::DiskFull { .. }) => self.room.look_for_some(&self.standing),
            _ => false,
        }
    }

    /// Counts a request that another replica has to answer.
    pub(crate) fn note_stranger(&self) {
        self.strangers.fetch_add(1, Ordering::Relaxed);
    }

    /// Saves the tables and ends the log.
    pub(crate) async fn stop(self: &Arc<Self>) -> Result<(), BrokerError> {
        let group = Arc::clone(self);
        let saved = tokio::task::spawn_blocking(move || group.replica.save()).await;
        if let Ok(Err(error)) = saved {
            tracing::warn!(%error, "the tables were not saved; the log has them");
        }
        self.log.stop(STOP_WITHIN).await.map_err(|error| BrokerError::Raft(error.to_string()))
    }
}

/// Whether this replica can take the lead at once: nobody is served while it catches up.
fn check_heir(status: &Status, to: u64) -> Result<(), GroupError> {
    let refused = |why: &str| Err(GroupError::Refused(format!("n{to} {why}")));
    match status.peers.iter().find(|peer| peer.node == to && peer.is_voter) {
        None => refused("is no voter of this group"),
        Some(peer) if peer.matched.unwrap_or(0) + HEIR_BEHIND_MAX < status.last.unwrap_or(0) => {
            refused("is too far behind to lead")
        }
        Some(_) => Ok(()),
    }
}

/// Who should lead next, if this node leads and there is anybody.
fn heir(status: &Status, me: u64) -> Option<u64> {
    if status.role != Role::Leader {
        return None;
    }
    let others = status.peers.iter().filter(|peer| peer.is_voter && peer.node != me);
    others.max_by_key(|peer| peer.matched).map(|peer| peer.node)
}

fn raft_error(error: Box<dyn std::error::Error + Send + Sync>) -> BrokerError {
    BrokerError::Raft(error.to_string())
}

/// The store must not delete what the log has not let go: it only watches the disk's gate.
fn without_retention(mut config: StoreConfig) -> StoreConfig {
    config.retention.delete_when = Vec::new();
    config.retention.used_percent_max = 100;
    config.retention.forced_enabled = false;
    config
}

/// A classic store becomes a replica in place: recovers it once more as what it was, and says where it ends and what
/// its tables hold.
fn inherit(
    config: &Config,
    disk: &Arc<dyn Disk>,
    hooks: &Hooks,
) -> Result<(u64, Vec<MetadataCommand>), BrokerError> {
    if !disk.exists(&config.commit_log_dir()) {
        return Ok((0, Vec::new()));
    }
    let classic = MessageStore::open(store_config::store_config(config), Arc::clone(disk), hooks.clone())?;
    let end = classic.commit_log_max();
    classic.close()?;
    if end == 0 {
        return Ok((0, Vec::new()));
    }
    let files = MetadataFiles::open(Arc::clone(disk), &config.root_dir())?;
    let tables = Metadata::new(crate::opening::limits(config));
    files.load(&tables)?;
    tracing::info!(end, "a classic store becomes a replica");
    Ok((end, table_state::history(&tables)))
}

/// What follows from a change of the tables, on every replica.
struct Effects {
    store: Arc<MessageStore>,
    rounds: Arc<Rounds>,
    announced: Arc<Notify>,
}

impl OnCommand for Effects {
    fn applied(&self, command: &MetadataCommand, is_new_to_the_store: bool) {
        match command {
            MetadataCommand::PutTopics { .. } => drop(self.rounds.ask()),
            MetadataCommand::DeleteTopic { topic, .. } => {
                if is_new_to_the_store && let Err(error) = self.store.delete_topic(topic) {
                    tracing::error!(topic, %error, "the queues of a deleted topic stay");
                }
                self.rounds.ask();
            }
            MetadataCommand::Announce { .. } => self.announced.notify_waiters(),
            _ => {}
        }
    }

    fn replaced(&self) {
        self.rounds.ask();
        self.announced.notify_waiters();
    }
}
