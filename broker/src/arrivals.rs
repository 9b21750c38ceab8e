//! Long polls meet new messages here: the table of held pulls, fed by pulls, woken by the store's dispatch.
//!
//! Always true: a pull that is woken, expired or taken back runs exactly once more. The store's threads only note and
//! hand over: a few woken pulls run where they were woken (a hop to another thread costs more than the read), a crowd
//! goes to the reader threads.

use crate::held_pulls::{HeldPull, HeldPulls, HoldId};
use crate::node::Node;
use crate::processor::pull_message::{self, Pull};
use parking_lot::Mutex;
use remoting::burst;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst, fence};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;
use store::{Arrival, ArrivalListener};

/// So many woken pulls run on the store's thread itself; the others go to reader threads.
const RUN_HERE_MAX: usize = 16;

/// Held pulls and what wakes them.
#[derive(Debug)]
pub struct Arrivals {
    held: Mutex<HeldPulls<Pull>>,
    /// How many are held, for the dispatch of messages that nobody waits for.
    count: AtomicUsize,
    woken: Mutex<Vec<Pull>>,
    node: OnceLock<Weak<Node>>,
}

impl Arrivals {
    /// Nobody waits; at most `limit` pulls may.
    pub fn new(limit: usize) -> Self {
        Self {
            held: Mutex::new(HeldPulls::new(limit)),
            count: AtomicUsize::new(0),
            woken: Mutex::default(),
            node: OnceLock::new(),
        }
    }

    /// Tells who runs woken pulls. The store is opened before there is a node, so this comes later.
    pub fn attach(&self, node: &Arc<Node>) {
        let first = self.node.set(Arc::downgrade(node)).is_ok();
        assert!(first, "one node has one table of held pulls");
    }

    /// How many pulls wait.
    pub fn len(&self) -> usize {
        self.count.load(SeqCst)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Holds a pull; at the limit it comes back.
    pub fn hold(&self, pull: HeldPull<Pull>) -> Result<HoldId, Pull> {
        let (topic, queue) = (Arc::clone(&pull.request.topic), pull.request.queue);
        let mut held = self.held.lock();
        let id = held.hold(topic.name(), queue, pull).map_err(|back| back.request)?;
        self.count.store(held.len(), SeqCst);
        drop(held);
        // Pairs with the fence in `arrived`: either that sees this pull, or this pull's owner sees the new end.
        fence(SeqCst);
        Ok(id)
    }

    /// Takes a pull back, if it still waits.
    pub fn take(&self, topic: &str, queue: u32, id: HoldId) -> Option<Pull> {
        self.change(|held| held.take(topic, queue, id))
    }

    /// Runs the pulls whose time is up.
    pub fn expire(&self, now: Instant) {
        let mut expired = Vec::new();
        self.change(|held| held.take_expired(now, &mut expired));
        self.run(expired);
    }

    /// Runs all pulls of a topic: it was deleted, or its offsets were reset.
    pub fn wake_topic(&self, topic: &str) {
        let mut woken = Vec::new();
        self.change(|held| held.wake_topic(topic, &mut woken));
        self.run(woken);
    }

    /// Runs all pulls: the broker stops, and answers everybody.
    pub fn wake_all(&self) {
        let mut woken = Vec::new();
        self.change(|held| held.wake_all(&mut woken));
        self.run(woken);
    }

    /// Drops the pulls of closed connections.
    pub fn discard_closed(&self) {
        self.change(|held| held.discard(|pull| pull.caller.connection.is_closed()));
    }

    fn change<R>(&self, change: impl FnOnce(&mut HeldPulls<Pull>) -> R) -> R {
        let mut held = self.held.lock();
        let result = change(&mut held);
        self.count.store(held.len(), SeqCst);
        result
    }

    fn run(&self, pulls: Vec<Pull>) {
        let Some(node) = self.node.get().and_then(Weak::upgrade) else { return };
        for (number, pull) in pulls.into_iter().enumerate() {
            if number < RUN_HERE_MAX {
                pull_message::run_again(&node, pull);
            } else {
                pull_message::run_again_elsewhere(&node, pull);
            }
        }
    }
}

impl ArrivalListener for Arrivals {
    fn arrived(&self, arrival: &Arrival<'_>) {
        // Answers to everything that arrived together leave from this thread, without waking each connection's task.
        burst::begin();
        // The queue's new end is visible before this; whoever holds a pull looks at that end afterwards once more.
        // So a zero here misses nobody.
        fence(SeqCst);
        if self.count.load(SeqCst) == 0 {
            return;
        }
        let (topic, queue) = (arrival.queue.topic(), arrival.queue.queue_id());
        let mut woken = self.woken.lock();
        self.change(|held| held.wake(topic, queue, arrival.queue_offset + 1, arrival.tags_code, &mut woken));
    }

    fn settled(&self) {
        let woken = std::mem::take(&mut *self.woken.lock());
        if !woken.is_empty() {
            self.run(woken);
        }
        burst::end();
    }
}
