//! The one task that follows the log's status and acts on it: decides in `role`, acts here.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use daemon::{Shutdown, Tasks};
use disk::{Bug, planted};

use super::group::Group;
use super::group_journal::FLUSH_PERIOD;
use super::preferred;
use super::retention;
use super::role::{self, Act};
use super::room;
use super::serve::ReplicaDispatch;
use super::standing::{Place, Standing};
use crate::metadata::{MetadataCommand, SystemTopicNames, system_groups, system_topics};
use crate::node::Node;

/// How often the time is looked at: puts and parked requests that have waited too long are answered.
const TICK: Duration = Duration::from_millis(100);
/// How often requests that wait for a leader try again: a leader that was just elected may have sent them back.
const PARKED_TICK: Duration = Duration::from_millis(10);
/// How often the tables are saved, so that a restart has little to apply again.
const SAVE_PERIOD: Duration = Duration::from_secs(2);
/// How often a stop looks whether it may go on.
const LOOK: Duration = Duration::from_millis(50);
/// A stop goes on when no producer is connected and nobody has asked for the leader here for so long.
const QUIET: Duration = Duration::from_millis(1_000);
/// A stop without a leader in sight waits so long for one.
const HEIR_WITHIN: Duration = Duration::from_secs(1);
/// How often a stop hands leadership over at most.
const HAND_OVERS_MAX: u32 = 2;
/// How long a stop tries to hand leadership over.
const HAND_OVER: Duration = Duration::from_secs(2);

/// Starts what a replica does by itself.
pub(crate) fn start(tasks: &Tasks, node: &Arc<Node>, group: &Arc<Group>, dispatch: &Arc<ReplicaDispatch>) {
    let watcher =
        Watcher { node: Arc::clone(node), group: Arc::clone(group), dispatch: Arc::clone(dispatch) };
    tasks.spawn("raft role", |shutdown| watcher.run(shutdown));
    let forming = Arc::clone(group);
    tasks.spawn("raft form", |shutdown| async move {
        tokio::select! {
            () = shutdown.requested() => {}
            () = forming.form() => {}
        }
    });
    let (cleaning, cleaned) = (Arc::clone(node), Arc::clone(group));
    tasks.spawn("raft retention", |shutdown| async move {
        tokio::select! {
            () = shutdown.requested() => {}
            () = keep_clean(cleaning, cleaned) => {}
        }
    });
    let (roomy, leading) = (Arc::clone(node), Arc::clone(group));
    tasks.spawn("raft room", |shutdown| async move {
        tokio::select! {
            () = shutdown.requested() => {}
            () = room::keep_leading_where_there_is_room(roomy, leading) => {}
        }
    });
    let (preferring, preferred) = (Arc::clone(node), Arc::clone(group));
    tasks.spawn("raft preferred leader", |shutdown| async move {
        tokio::select! {
            () = shutdown.requested() => {}
            () = preferred::keep_preferred_leading(preferring, preferred) => {}
        }
    });
    let flushing = Arc::clone(group);
    tasks.every("raft offsets", FLUSH_PERIOD, move || flushing.journal.flush(Box::new(|_| {})));
    let (saving, errands) = (Arc::clone(group), Arc::clone(node));
    tasks.every("raft state", SAVE_PERIOD, move || {
        let group = Arc::clone(&saving);
        let save = Box::new(move || {
            if let Err(error) = group.replica.save() {
                tracing::error!(%error, "the tables were not saved; the log has them");
            }
        });
        if errands.errands.try_do(save).is_err() {
            tracing::warn!("too many errands wait: the tables are saved at their next time");
        }
    });
}

/// Gives the lead away, and goes on forwarding until clients have noticed.
///
/// A producer goes on sending to the address that it knows as id 0 until it asks for its routes again, and nothing that a
/// broker says makes it ask earlier (reference 10.3): a stop that did not wait would cost it every send until then.
pub(crate) async fn leave(node: &Node, group: &Group) {
    let wait = node.config.get().raft.hand_over_wait.duration();
    let give_up = Instant::now() + wait;
    // Whoever has to lead once more while it waits hands over once more. Not for ever: a group that is stopped as a whole
    // would hand the lead round.
    for _ in 0..HAND_OVERS_MAX {
        if group.hand_over(None, HAND_OVER).await.is_err() {
            return;
        }
        linger(node, group, wait, give_up).await;
        if !group.standing.leads() || Instant::now() >= give_up {
            return;
        }
    }
}

/// Waits until no client can take this replica for the leader any more, or nobody else leads.
async fn linger(node: &Node, group: &Group, wait: Duration, give_up: Instant) {
    let mut seen = (group.strangers.load(Ordering::Relaxed), Instant::now());
    let heir_until = Instant::now() + HEIR_WITHIN;
    loop {
        let now = Instant::now();
        let settled = group.standing.settled();
        let until = settled.map_or(heir_until, |settled| settled + wait);
        if now >= until.min(give_up) || group.standing.leads() {
            return;
        }
        let strangers = group.strangers.load(Ordering::Relaxed);
        if strangers != seen.0 {
            seen = (strangers, now);
        }
        // A producer keeps its connection when it moves, so that whether it has moved cannot be seen.
        if settled.is_some() && !node.clients.read().has_producers() && now >= seen.1 + QUIET {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Deletes what has expired, each time its period is over.
async fn keep_clean(node: Arc<Node>, group: Arc<Group>) {
    loop {
        tokio::time::sleep(node.config.get().store.clean_interval.duration()).await;
        match retention::clean(&node, &group, false).await {
            Ok(0) => {}
            Ok(segments) => tracing::info!(segments, "expired messages are deleted"),
            Err(error) => tracing::warn!(%error, "expired messages stay for now"),
        }
    }
}

/// The first leader of a group serves once the topics and groups are there that every broker has: until then a client
/// would be told that its topic cannot be made. Whoever drops the last of these releases it.
struct Ready {
    standing: Arc<Standing>,
    term: u64,
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.standing.release_in(self.term);
    }
}

/// A term that begins.
struct TakingOver {
    /// Something was missing; what stands for it is on its way through the log.
    is_incomplete: bool,
    /// Kept until the leader has its place, or it could be released before.
    _ready: Arc<Ready>,
}

struct Watcher {
    node: Arc<Node>,
    group: Arc<Group>,
    dispatch: Arc<ReplicaDispatch>,
}

impl Watcher {
    async fn run(self, shutdown: Shutdown) {
        let mut status = self.group.log.status();
        loop {
            let announced = self.group.announced.notified();
            self.look(&status.borrow_and_update().clone());
            let tick = if self.dispatch.has_parked() { PARKED_TICK } else { TICK };
            tokio::select! {
                () = shutdown.requested() => return,
                changed = status.changed() => if changed.is_err() { return },
                () = announced => {}
                () = tokio::time::sleep(tick) => {}
            }
        }
    }

    fn look(&self, status: &raft_log::Status) {
        if planted(Bug::OldTermCommit) && status.role == raft_log::Role::Leader && !status.ready {
            self.group.replica.take_for_committed(status.last_position);
        }
        let now = Instant::now();
        let address = status.leader.and_then(|leader| self.node.metadata.members.address(leader));
        let before = self.group.standing.place();
        let after = role::place(status, address);
        let acts = role::acts(&before, &after);
        if acts.contains(&Act::StepDown) {
            self.group.standing.take(Place::Leaderless { term: status.term }, now);
            self.step_down();
        }
        let taking_over = acts.iter().find_map(|act| match act {
            Act::TakeOver { term } => Some(self.take_over(*term)),
            Act::StepDown | Act::Register => None,
        });
        let is_new = match &taking_over {
            Some(TakingOver { is_incomplete: true, .. }) => self.group.standing.take_held(after.clone(), now),
            Some(_) | None => self.group.standing.take(after.clone(), now),
        };
        if is_new {
            tracing::info!(?after, "this replica's place");
        }
        drop(taking_over);
        self.dispatch.reconsider_parked(now);
        if acts.contains(&Act::Register) {
            self.node.rounds.ask();
        }
        self.group.in_flight.expire(now);
    }

    fn step_down(&self) {
        self.group.journal.forget_pending();
        self.node.arrivals.wake_all();
    }

    /// What is missing is on its way when this returns.
    fn take_over(&self, term: u64) -> TakingOver {
        self.group.journal.forget_pending();
        // Locks were the old leader's; every consumer renews its own within 20 s, and the first who asks gets it.
        self.node.locks.lock().clear();
        let address = self.node.identity.address.to_string();
        tracing::info!(term, address, "this replica leads");
        let ready = Arc::new(Ready { standing: Arc::clone(&self.group.standing), term });
        self.propose(MetadataCommand::Announce { node: self.group.number, address }, None);
        let mut is_incomplete = false;
        if self.node.metadata.topics.read().is_empty() {
            for command in &self.group.inherited {
                is_incomplete = true;
                self.propose(command.clone(), Some(Arc::clone(&ready)));
            }
        }
        for command in self.missing(term) {
            is_incomplete = true;
            self.propose(command, Some(Arc::clone(&ready)));
        }
        TakingOver { is_incomplete, _ready: ready }
    }

    /// Topics and groups that every broker has; missing in a new group, or after an upgrade that brings new ones.
    fn missing(&self, term: u64) -> Vec<MetadataCommand> {
        let stamp = crate::metadata::Stamp {
            at_ms: crate::clock::now_ms(),
            state_version: i64::try_from(term).unwrap_or(i64::MAX),
        };
        let (config, identity) = (self.node.config.get(), &self.node.identity);
        let delay_levels = config.delay_levels().max();
        let names = SystemTopicNames { cluster: &identity.cluster, broker: &identity.broker, delay_levels };
        let inherited: Vec<&str> = self.inherited_topics();
        let mut configs = system_topics(&config.broker, names);
        configs.retain(|topic| {
            self.node.metadata.topic(&topic.topic_name).is_none()
                && !inherited.contains(&topic.topic_name.as_str())
        });
        let mut missing = Vec::new();
        if !configs.is_empty() {
            missing.push(MetadataCommand::PutTopics { configs, stamp });
        }
        let mut configs = system_groups();
        configs.retain(|group| self.node.metadata.group(&group.group_name).is_none());
        if !configs.is_empty() {
            missing.push(MetadataCommand::PutGroups { configs, stamp });
        }
        missing
    }

    fn inherited_topics(&self) -> Vec<&str> {
        let topics = self.group.inherited.iter().filter_map(|command| match command {
            MetadataCommand::PutTopics { configs, .. } => Some(configs),
            _ => None,
        });
        topics.flatten().map(|config| config.topic_name.as_str()).collect()
    }

    fn propose(&self, command: MetadataCommand, ready: Option<Arc<Ready>>) {
        let what = format!("{command:?}");
        self.group.journal.propose(
            &command,
            Box::new(move |outcome| {
                if let Err(error) = outcome {
                    let what = what.chars().take(80).collect::<String>();
                    tracing::warn!(what, %error, "a change at the beginning of a term was not made");
                }
                drop(ready);
            }),
        );
    }
}
