//! One queue that this consumer has: what was pulled of it, and where the next pull begins.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use protocol::body::{MessageQueue, ProcessQueueInfo};
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;

use crate::process_queue::ProcessQueue;
use crate::route::MASTER_ID;

/// We trust a lock for so long after it was granted; the broker keeps it for 60 s.
/// Source: RocketMQ 5.3.3 `ProcessQueue.REBALANCE_LOCK_MAX_LIVE_TIME`.
const LOCK_TRUST: Duration = Duration::from_secs(30);

/// A queue in our hands.
#[derive(Debug)]
pub(crate) struct Assigned {
    pub(crate) queue: Arc<MessageQueue>,
    pub(crate) state: Mutex<State>,
    /// The pull may have room again.
    pub(crate) room: Notify,
    /// An orderly worker may have something to do.
    pub(crate) work: Notify,
    dropped: AtomicBool,
    pulling: Mutex<Option<AbortHandle>>,
}

/// What changes while we have the queue.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) process: ProcessQueue,
    pub(crate) next_pull: u64,
    /// Grows when consumption was set to another place: answers to older pulls are stale.
    pub(crate) epoch: u64,
    /// The replica that the broker suggests to read from.
    pub(crate) replica: i64,
    pub(crate) locked_at: Option<Instant>,
    pub(crate) last_pull_millis: i64,
    pub(crate) last_consume_millis: i64,
}

impl Assigned {
    pub(crate) fn new(queue: MessageQueue, next_pull: u64) -> Self {
        Self {
            queue: Arc::new(queue),
            state: Mutex::new(State {
                process: ProcessQueue::default(),
                next_pull,
                epoch: 0,
                replica: MASTER_ID,
                locked_at: None,
                last_pull_millis: 0,
                last_consume_millis: 0,
            }),
            room: Notify::new(),
            work: Notify::new(),
            dropped: AtomicBool::new(false),
            pulling: Mutex::new(None),
        }
    }

    /// Whether the queue is not ours any more.
    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }

    /// Gives the queue up: nothing more is pulled, and what is in hand does not count any more.
    pub(crate) fn drop_queue(&self) {
        self.dropped.store(true, Ordering::Release);
        if let Some(pulling) = self.pulling.lock().take() {
            pulling.abort();
        }
        self.work.notify_one();
    }

    /// The task that pulls; one that pulled before ends.
    pub(crate) fn set_pulling(&self, task: AbortHandle) {
        if let Some(former) = self.pulling.lock().replace(task) {
            former.abort();
        }
    }

    /// Sets consumption to another place.
    pub(crate) fn reset(&self, offset: u64) {
        let mut state = self.state.lock();
        state.process.reset(offset);
        state.next_pull = offset;
        state.epoch += 1;
    }

    pub(crate) fn set_locked(&self, at: Option<Instant>) {
        self.state.lock().locked_at = at;
        self.work.notify_one();
        self.room.notify_one();
    }

    /// Whether a lock that was granted still counts.
    pub(crate) fn is_locked(&self, now: Instant) -> bool {
        self.state.lock().locked_at.is_some_and(|at| now.saturating_duration_since(at) < LOCK_TRUST)
    }

    /// For tools.
    pub(crate) fn info(&self, committed: Option<u64>, now: Instant) -> ProcessQueueInfo {
        let locked = self.is_locked(now);
        let state = self.state.lock();
        let (first, last) = state.process.range().unwrap_or_default();
        ProcessQueueInfo {
            cached_msg_count: i32::try_from(state.process.len()).unwrap_or(i32::MAX),
            cached_msg_min_offset: signed(first),
            cached_msg_max_offset: signed(last),
            cached_msg_size_in_mi_b: i32::try_from(state.process.bytes() >> 20).unwrap_or(i32::MAX),
            commit_offset: signed(committed.unwrap_or_default()),
            droped: self.is_dropped(),
            locked,
            last_pull_timestamp: state.last_pull_millis,
            last_consume_timestamp: state.last_consume_millis,
            ..ProcessQueueInfo::default()
        }
    }
}

/// Offsets travel as signed numbers; none comes near the limit.
pub(crate) fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// Queues that have messages to take, once for each batch. Never more than messages are cached.
#[derive(Debug)]
pub(crate) struct Ready {
    queues: Mutex<VecDeque<Arc<Assigned>>>,
    count: Semaphore,
}

impl Default for Ready {
    fn default() -> Self {
        Self { queues: Mutex::default(), count: Semaphore::new(0) }
    }
}

impl Ready {
    /// There are `batches` batches to take.
    pub(crate) fn push(&self, assigned: &Arc<Assigned>, batches: usize) {
        self.queues.lock().extend(std::iter::repeat_n(assigned, batches).cloned());
        self.count.add_permits(batches);
    }

    /// The next queue that has a batch; `None` once closed.
    pub(crate) async fn next(&self) -> Option<Arc<Assigned>> {
        self.count.acquire().await.ok()?.forget();
        self.queues.lock().pop_front()
    }

    /// Nobody gets anything any more.
    pub(crate) fn close(&self) {
        self.count.close();
        self.queues.lock().clear();
    }
}
