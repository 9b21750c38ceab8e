//! What push and pull consumers share: subscriptions, queues, offsets, tasks.
//!
//! `sharing` decides which queues are ours, `pull` fills them, `concurrent` and `orderly` (or the application's own
//! `poll`) empty them, and the offsets here follow. Always true: an offset is told to the broker only when everything
//! before it was consumed or given back to the broker.

pub(crate) mod assigned;
pub(crate) mod concurrent;
pub(crate) mod listener;
pub(crate) mod orderly;
pub(crate) mod pull;
pub(crate) mod send_back;
pub(crate) mod sharing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use protocol::body::{
    ConsumeType, ConsumerData, ConsumerRunningInfo, MessageModel, MessageQueue, SubscriptionData,
};
use protocol::{ResponseCode, tags, topic};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use crate::client::Core;
use crate::config::{ConsumerConfig, ProducerConfig};
use crate::error::ClientError;
use crate::offsets::{OffsetFile, OffsetTable};
use crate::process_queue::CacheLimits;
use crate::producer::Sender;
use crate::queue_offsets;
use crate::unique_key::now_millis;
use assigned::{Assigned, Ready};
use listener::Listener;
use pull::{PullResult, PullStatus};

/// The group under which consumers send messages back by themselves.
/// Source: RocketMQ 5.3.3 `MixAll.CLIENT_INNER_PRODUCER_GROUP`.
const INNER_PRODUCER_GROUP: &str = "CLIENT_INNER_PRODUCER";

/// How long `stop` waits for listeners to finish what they have in hand.
const FINISH_MAX: Duration = Duration::from_secs(10);

/// How messages reach the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A listener, many at once.
    Concurrent,
    /// A listener, one batch of a queue after the other.
    Orderly,
    /// The application asks.
    Pull,
}

/// A member of a consumer group.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) core: Arc<Core>,
    pub(crate) config: ConsumerConfig,
    pub(crate) kind: Kind,
    pub(crate) listener: Option<Listener>,
    pub(crate) subscriptions: RwLock<BTreeMap<String, SubscriptionData>>,
    pub(crate) offsets: Mutex<OffsetTable>,
    pub(crate) held: Mutex<BTreeMap<MessageQueue, Arc<Assigned>>>,
    pub(crate) ready: Ready,
    pub(crate) share_soon: Notify,
    /// Gives back what brokers do not take back.
    pub(crate) sender: Sender,
    pub(crate) consumed: AtomicU64,
    pub(crate) failed: AtomicU64,
    file: Option<Mutex<OffsetFile>>,
    stopping: AtomicBool,
    started_millis: i64,
    /// Ended at once by `stop`.
    loops: Mutex<JoinSet<()>>,
    /// Ended by `stop` once their listeners are.
    workers: Mutex<JoinSet<()>>,
    /// Workers of orderly queues; one may outlive our holding the queue.
    orderly: Mutex<BTreeMap<MessageQueue, AbortHandle>>,
}

impl Consumer {
    /// Joins the group and starts to consume.
    pub(crate) async fn start(
        core: Arc<Core>,
        config: ConsumerConfig,
        kind: Kind,
        listener: Option<Listener>,
    ) -> Result<Arc<Self>, ClientError> {
        let consumer = Arc::new(Self::new(core, config, kind, listener)?);
        let core = &consumer.core;
        core.join_consumer(consumer.clone());
        let topics: Vec<String> = consumer.subscriptions.read().keys().cloned().collect();
        for topic in &topics {
            // The heartbeat goes to the brokers of known routes. A topic without route gets one later.
            if let Err(error) = core.routes.route(topic).await {
                tracing::debug!(topic, %error, "no route at start");
            }
        }
        core.heart.beat().await;
        consumer.run(sharing::share_on(consumer.clone()));
        consumer.run(persist_on(consumer.clone()));
        if consumer.needs_lock() {
            consumer.run(sharing::lock_on(consumer.clone()));
        }
        if kind == Kind::Concurrent {
            for _ in 0..consumer.config.concurrency.max(1) {
                consumer.work(concurrent::consume_on(consumer.clone()));
            }
        }
        Ok(consumer)
    }

    fn new(
        core: Arc<Core>,
        config: ConsumerConfig,
        kind: Kind,
        listener: Option<Listener>,
    ) -> Result<Self, ClientError> {
        topic::validate_group(&config.group)?;
        let mut subscriptions = BTreeMap::new();
        for (topic, expression) in &config.subscriptions {
            topic::validate(topic)?;
            subscriptions.insert(topic.clone(), SubscriptionData::of_tags(topic, expression, now_millis())?);
        }
        if config.model == MessageModel::Clustering && kind != Kind::Pull {
            let retry = topic::retry_topic(&config.group);
            let all = SubscriptionData::of_tags(&retry, tags::SUBSCRIBE_ALL, now_millis())?;
            subscriptions.insert(retry, all);
        }
        let mut offsets = OffsetTable::default();
        let file = (config.model == MessageModel::Broadcasting)
            .then(|| OffsetFile::new(&config.offset_directory, &core.id, &config.group));
        for (queue, offset) in file.as_ref().map(OffsetFile::load).transpose()?.unwrap_or_default() {
            offsets.learn(&queue, offset);
        }
        let sender = Sender::new(core.clone(), ProducerConfig::new(INNER_PRODUCER_GROUP));
        Ok(Self {
            core,
            kind,
            listener,
            subscriptions: RwLock::new(subscriptions),
            offsets: Mutex::new(offsets),
            held: Mutex::default(),
            ready: Ready::default(),
            share_soon: Notify::new(),
            sender,
            consumed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            file: file.map(Mutex::new),
            stopping: AtomicBool::new(false),
            started_millis: now_millis(),
            loops: Mutex::default(),
            workers: Mutex::default(),
            orderly: Mutex::default(),
            config,
        })
    }

    /// Leaves the group: takes nothing more, lets listeners finish, tells how far we came.
    pub(crate) async fn stop(self: &Arc<Self>) {
        if self.stopping.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut loops = std::mem::take(&mut *self.loops.lock());
        loops.shutdown().await;
        self.ready.close();
        let held: Vec<_> = self.held.lock().values().cloned().collect();
        held.iter().for_each(|assigned| assigned.work.notify_one());
        let mut workers = std::mem::take(&mut *self.workers.lock());
        let finished = async { while workers.join_next().await.is_some() {} };
        if tokio::time::timeout(FINISH_MAX, finished).await.is_err() {
            tracing::warn!(group = self.group(), "listeners did not finish in time");
            workers.shutdown().await;
        }
        self.persist(true).await;
        self.held.lock().clear();
        self.core.leave_consumer(self.group());
        self.core.unregister(None, Some(self.group())).await;
    }

    /// Ends everything at once, for a handle that was dropped without `stop`.
    pub(crate) fn abandon(&self) {
        self.stopping.store(true, Ordering::Release);
        self.loops.lock().abort_all();
        self.workers.lock().abort_all();
        self.ready.close();
        self.core.leave_consumer(self.group());
    }

    pub(crate) fn group(&self) -> &str {
        &self.config.group
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Runs a loop of this consumer.
    pub(crate) fn run(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        spawn(&self.loops, task)
    }

    /// Runs something that may be in the application's code.
    pub(crate) fn work(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        spawn(&self.workers, task)
    }

    /// Consumes a queue in order.
    pub(crate) fn work_in_order(self: &Arc<Self>, assigned: Arc<Assigned>) {
        let queue = (*assigned.queue).clone();
        let worker = self.work(orderly::consume_on(self.clone(), assigned));
        self.orderly.lock().insert(queue, worker);
    }

    /// Whether a worker is not done with an orderly queue, though it may be given up.
    pub(crate) fn is_at_work(&self, queue: &MessageQueue) -> bool {
        let mut workers = self.orderly.lock();
        workers.retain(|_, worker| !worker.is_finished());
        workers.contains_key(queue)
    }

    /// Whether queues must be locked at the broker.
    pub(crate) fn needs_lock(&self) -> bool {
        self.kind == Kind::Orderly && self.config.model == MessageModel::Clustering
    }

    /// Whether an orderly queue may be consumed now.
    pub(crate) fn owns(&self, assigned: &Assigned, now: Instant) -> bool {
        !self.needs_lock() || assigned.is_locked(now)
    }

    /// Whether offsets follow without the application's `commit`.
    fn commits_by_itself(&self) -> bool {
        self.kind != Kind::Pull || self.config.auto_commit
    }

    /// Consumption of a queue begins at `offset`.
    pub(crate) fn begin(&self, queue: &MessageQueue, offset: u64) {
        // A queue may go before its first message comes; without a place it would begin at its new end when it returns,
        // and what came meanwhile would be missed.
        if self.file.is_some() && self.commits_by_itself() {
            self.offsets.lock().advance(queue, offset);
        }
    }

    pub(crate) fn cache_limits(&self) -> CacheLimits {
        CacheLimits {
            messages_max: self.config.cached_messages_max,
            bytes_max: self.config.cached_bytes_max,
            // Orderly consumption leaves no holes, so its span is its count.
            span_max: if self.kind == Kind::Concurrent { self.config.cached_span_max } else { u64::MAX },
        }
    }

    /// What we want of a topic; everything, if the application assigned its queues by hand.
    pub(crate) fn subscription(&self, topic: &str) -> SubscriptionData {
        self.subscriptions.read().get(topic).cloned().unwrap_or_else(|| SubscriptionData {
            topic: topic.to_owned(),
            sub_string: tags::SUBSCRIBE_ALL.to_owned(),
            ..SubscriptionData::default()
        })
    }

    /// The offset that a pull tells the broker on the way.
    pub(crate) fn offset_to_tell(&self, queue: &MessageQueue) -> Option<u64> {
        let is_kept_there = self.config.model == MessageModel::Clustering && self.kind != Kind::Pull;
        if is_kept_there { self.offsets.lock().get(queue).filter(|offset| *offset > 0) } else { None }
    }

    /// Takes in what a pull brought, unless consumption was set elsewhere meanwhile.
    pub(crate) fn take_in(&self, assigned: &Arc<Assigned>, epoch: u64, result: PullResult) {
        let mut state = assigned.state.lock();
        if assigned.is_dropped() || state.epoch != epoch {
            return;
        }
        let next = result.next_offset;
        state.next_pull = next;
        state.replica = result.replica;
        if result.status == PullStatus::OffsetIllegal {
            tracing::warn!(queue = ?assigned.queue, next, min = result.offset_min, max = result.offset_max, "offset moved");
            state.process.reset(next);
            state.epoch += 1;
            drop(state);
            self.offsets.lock().reset(&assigned.queue, next);
            return;
        }
        let new = state.process.put(result.messages);
        state.process.skip_to(next);
        let passed = if state.process.is_empty() { state.process.commit_offset() } else { None };
        drop(state);
        if let Some(offset) = passed.filter(|_| self.commits_by_itself()) {
            self.offsets.lock().advance(&assigned.queue, offset);
        }
        if new > 0 {
            match self.kind {
                Kind::Orderly => assigned.work.notify_one(),
                Kind::Concurrent => {
                    self.ready.push(assigned, new.div_ceil(self.config.consume_batch_max.max(1)))
                }
                Kind::Pull => self.ready.push(assigned, 1),
            }
        }
    }

    /// Messages are done with.
    pub(crate) fn finish(&self, assigned: &Assigned, offsets: impl IntoIterator<Item = u64>) {
        let mut state = assigned.state.lock();
        let commit = state.process.done(offsets);
        state.last_consume_millis = now_millis();
        // Under the lock, so that a reset is not overtaken by the offset of what it forgot.
        if let Some(commit) = commit.filter(|_| !assigned.is_dropped()) {
            self.offsets.lock().advance(&assigned.queue, commit);
        }
        drop(state);
        assigned.room.notify_one();
    }

    /// A pull failed: the broker may not know us, or may not be where we think.
    pub(crate) async fn note_pull_failure(&self, queue: &MessageQueue, error: &ClientError) {
        match error {
            ClientError::Refused { .. } => {
                let unknown = [
                    ResponseCode::SubscriptionNotExist,
                    ResponseCode::SubscriptionNotLatest,
                    ResponseCode::SubscriptionGroupNotExist,
                ];
                if error.response_code().is_some_and(|code| unknown.contains(&code)) {
                    self.core.heart.beat().await;
                }
            }
            _ => {
                if let Err(error) = self.core.routes.refresh(&queue.topic).await {
                    tracing::debug!(topic = queue.topic, %error, "route not refreshed");
                }
            }
        }
    }

    /// Sets consumption of these queues to other places.
    pub(crate) fn reset(self: &Arc<Self>, offsets: &BTreeMap<MessageQueue, u64>) {
        for (queue, offset) in offsets {
            let assigned = self.held.lock().get(queue).cloned();
            if let Some(assigned) = assigned {
                assigned.reset(*offset);
                self.offsets.lock().reset(queue, *offset);
                sharing::start_pull(self, &assigned);
            }
        }
    }

    /// Tells offsets that changed to the brokers, or writes them to the file. If `surely`, waits for the answers of the
    /// brokers, and tells again what was told without one: it may be lost, and nobody tells it after us.
    pub(crate) async fn persist(self: &Arc<Self>, surely: bool) {
        let to_tell = {
            let offsets = self.offsets.lock();
            if surely { offsets.unconfirmed() } else { offsets.dirty() }
        };
        if to_tell.is_empty() {
            return;
        }
        if self.file.is_some() {
            let consumer = self.clone();
            // A file is written to its end even if whoever waits for it gives up.
            let _ = tokio::task::spawn_blocking(move || consumer.save()).await;
            return;
        }
        let mut unreachable = BTreeSet::new();
        for (queue, offset) in to_tell {
            if !unreachable.contains(&queue.broker_name) && !self.tell(&queue, offset, surely).await {
                // The others of that broker would only wait as long in vain.
                unreachable.insert(queue.broker_name);
            }
        }
    }

    /// Tells one offset; whether it arrived or, unless `surely`, went off.
    async fn tell(&self, queue: &MessageQueue, offset: u64, surely: bool) -> bool {
        match queue_offsets::tell_consumed(&self.core, self.group(), queue, offset, surely).await {
            Ok(()) => {
                let mut offsets = self.offsets.lock();
                if surely {
                    offsets.told(queue, offset)
                } else {
                    offsets.sent(queue, offset)
                }
                true
            }
            Err(error) => {
                tracing::debug!(?queue, offset, %error, "offset not told");
                false
            }
        }
    }

    /// Tells how far we came in a queue that is not ours any more, and forgets what the broker knows now.
    pub(crate) async fn leave(self: &Arc<Self>, queue: &MessageQueue) {
        if self.file.is_some() {
            // Nobody else has the queue meanwhile: when it comes back, only we know where it goes on.
            self.persist(true).await;
            return;
        }
        let unconfirmed = self.offsets.lock().unconfirmed();
        if let Some((queue, offset)) = unconfirmed.into_iter().find(|(one, _)| one == queue) {
            self.tell(&queue, offset, true).await;
        }
        self.offsets.lock().forget(queue);
    }

    /// Writes the file. One at a time, and each with what is known when its turn comes, so the last one is right.
    fn save(&self) {
        let Some(file) = &self.file else { return };
        let file = file.lock();
        let (all, dirty) = {
            let offsets = self.offsets.lock();
            (offsets.all(), offsets.dirty())
        };
        match file.save(all) {
            Ok(()) => {
                let mut offsets = self.offsets.lock();
                dirty.iter().for_each(|(queue, offset)| offsets.told(queue, *offset));
            }
            Err(error) => tracing::warn!(group = self.group(), %error, "offsets not saved"),
        }
    }

    /// As a heartbeat tells of us.
    pub(crate) fn data(&self) -> ConsumerData {
        ConsumerData {
            consume_from_where: self.config.from_where,
            consume_type: self.consume_type(),
            group_name: self.config.group.clone(),
            message_model: self.config.model,
            subscription_data_set: self.subscriptions.read().values().cloned().collect(),
            unit_mode: false,
        }
    }

    /// As tools see us.
    pub(crate) fn running_info(&self) -> ConsumerRunningInfo {
        let now = Instant::now();
        let held: Vec<_> = self.held.lock().values().cloned().collect();
        let mq_table = held.iter().map(|assigned| {
            let committed = self.offsets.lock().get(&assigned.queue);
            ((*assigned.queue).clone(), assigned.info(committed, now))
        });
        let properties = [
            ("PROP_CONSUME_TYPE", self.consume_type().name().to_owned()),
            ("PROP_CONSUMEORDERLY", (self.kind == Kind::Orderly).to_string()),
            ("PROP_THREADPOOL_CORE_SIZE", self.config.concurrency.to_string()),
            ("PROP_NAMESERVER_ADDR", self.core.routes.name_servers().join(";")),
            ("PROP_CONSUMER_START_TIMESTAMP", self.started_millis.to_string()),
            ("PROP_CLIENT_VERSION", "V5_3_3".to_owned()),
        ];
        let counts = [
            ("consumed", self.consumed.load(Ordering::Relaxed)),
            ("failed", self.failed.load(Ordering::Relaxed)),
        ];
        ConsumerRunningInfo {
            mq_table: mq_table.collect(),
            properties: properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            subscription_set: self.subscriptions.read().values().cloned().collect(),
            user_consumer_info: counts.map(|(name, count)| (name.to_owned(), count.to_string())).into(),
            ..ConsumerRunningInfo::default()
        }
    }

    fn consume_type(&self) -> ConsumeType {
        if self.kind == Kind::Pull { ConsumeType::ConsumeActively } else { ConsumeType::ConsumePassively }
    }
}

fn spawn(tasks: &Mutex<JoinSet<()>>, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    let mut tasks = tasks.lock();
    while tasks.try_join_next().is_some() {}
    tasks.spawn(task)
}

async fn persist_on(consumer: Arc<Consumer>) {
    loop {
        tokio::time::sleep(consumer.config.persist).await;
        consumer.persist(false).await;
    }
}
