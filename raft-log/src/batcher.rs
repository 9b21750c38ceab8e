//! Turns proposals into entries. Batching clocks itself: a few entries are in flight, and whoever comes meanwhile shares the
//! next one. There is no timer to wait for, and no batch waits for another proposal.
//!
//! Always true: nothing is submitted before this node applied its own blank entry; a batch names the term it was formed in,
//! so it can never enter another; what waits is bounded in number and bytes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use openraft::error::ClientWriteError;
use openraft::raft::ClientWriteResult;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::batch::{Batch, Proposal, ProposedBatch};
use crate::envelope::EntryKind;
use crate::error::ProposeError;
use crate::raft_log::RaftHandle;
use crate::shared::Shared;
use crate::types::{LeaderId, Respond, Types};

/// What a batcher keeps to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) in_flight_max: usize,
    pub(crate) records_max: u32,
    pub(crate) bytes_max: usize,
    pub(crate) proposal_bytes_max: usize,
    pub(crate) waiting_max: usize,
    pub(crate) waiting_bytes_max: usize,
}

/// The queue of proposals and the gate before it.
#[derive(Debug)]
pub(crate) struct Batcher {
    limits: Limits,
    queue: Mutex<Queue>,
    /// The term in which this node may propose; 0 when it may not.
    term: AtomicU64,
    /// Who leads, plus one; 0 when unknown.
    leader: AtomicU64,
    is_stopping: AtomicBool,
    /// The task waits for a proposal, not for a batch in flight.
    wants_work: AtomicBool,
    wake: Notify,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<(EntryKind, Proposal)>,
    bytes: usize,
}

/// The batches of one term that are under way. Those of a lost term may stay open for long and must not count in the next.
#[derive(Debug, Clone, Default)]
struct Flight {
    term: u64,
    count: Arc<AtomicUsize>,
}

impl Batcher {
    pub(crate) fn new(limits: Limits, shared: Arc<Shared>) -> Self {
        Self {
            limits,
            queue: Mutex::default(),
            term: AtomicU64::new(0),
            leader: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
            wants_work: AtomicBool::new(false),
            wake: Notify::new(),
            shared,
        }
    }

    /// Opens the gate for a term, or shuts it.
    pub(crate) fn set_gate(&self, term: Option<u64>, leader: Option<u64>) {
        self.leader.store(leader.map_or(0, |leader| leader + 1), Ordering::Relaxed);
        let term = term.unwrap_or(0);
        if self.term.swap(term, Ordering::AcqRel) != term {
            self.wake.notify_one();
        }
    }

    /// Refuses everything from now on; what waits is still proposed.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Whether nothing waits any more.
    pub(crate) fn is_drained(&self) -> bool {
        self.queue.lock().items.is_empty()
    }

    /// Takes a proposal; its ticket hears of everything, a refusal included.
    pub(crate) fn propose(&self, kind: EntryKind, proposal: Proposal) {
        let bytes = proposal.records.len();
        let refused = if bytes > self.limits.proposal_bytes_max {
            Some(ProposeError::TooLarge { bytes, bytes_max: self.limits.proposal_bytes_max })
        } else if self.is_stopping.load(Ordering::Acquire) {
            Some(ProposeError::Stopping)
        } else if self.term.load(Ordering::Acquire) == 0 {
            Some(self.not_leader())
        } else if !self.shared.chores.has_room() {
            Some(ProposeError::DiskFull)
        } else {
            None
        };
        if let Some(reason) = refused {
            return proposal.ticket.done(Err(reason));
        }
        {
            let mut queue = self.queue.lock();
            let is_full = queue.items.len() >= self.limits.waiting_max
                || queue.bytes + bytes > self.limits.waiting_bytes_max;
            if is_full {
                drop(queue);
                return proposal.ticket.done(Err(ProposeError::Busy));
            }
            queue.bytes += bytes;
            queue.items.push_back((kind, proposal));
        }
        if self.wants_work.swap(false, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// Submits batches until stopped and drained.
    pub(crate) async fn run(self: Arc<Self>, raft: RaftHandle) {
        let mut flight = Flight::default();
        loop {
            let term = self.term.load(Ordering::Acquire);
            if term == 0 {
                self.refuse_all(&self.not_leader());
            }
            if flight.term != term {
                flight = Flight { term, count: Arc::default() };
            }
            let is_free = term != 0 && flight.count.load(Ordering::Acquire) < self.limits.in_flight_max;
            let batch = if is_free { self.take_batch() } else { None };
            match batch {
                Some(batch) => self.submit(&raft, batch, &flight).await,
                None if self.is_stopping.load(Ordering::Acquire) && self.is_drained() => return,
                None => self.wake.notified().await,
            }
        }
    }

    /// Takes what waits, up to the limits; tells `propose` to wake the task when there is nothing.
    fn take_batch(&self) -> Option<ProposedBatch> {
        self.wants_work.store(true, Ordering::Release);
        let mut queue = self.queue.lock();
        let (kind, first) = queue.items.pop_front()?;
        self.wants_work.store(false, Ordering::Release);
        let (mut bytes, mut records) = (first.records.len(), first.count);
        let mut batch = Batch { proposals: Vec::with_capacity(queue.items.len().min(64) + 1) };
        batch.proposals.push(first);
        while kind == EntryKind::Records
            && let Some((EntryKind::Records, next)) = queue.items.front()
            && bytes + next.records.len() <= self.limits.bytes_max
            && records.saturating_add(next.count) <= self.limits.records_max
        {
            let Some((_, next)) = queue.items.pop_front() else { break };
            bytes += next.records.len();
            records += next.count;
            batch.proposals.push(next);
        }
        queue.bytes -= bytes;
        Some(ProposedBatch::new(kind, batch))
    }

    async fn submit(self: &Arc<Self>, raft: &RaftHandle, batch: ProposedBatch, flight: &Flight) {
        flight.count.fetch_add(1, Ordering::AcqRel);
        let leader = LeaderId { term: flight.term, node_id: self.shared.node };
        let mut answer = Answer {
            batch: batch.clone(),
            count: flight.count.clone(),
            batcher: self.clone(),
            is_given: false,
        };
        let respond = Respond::with(move |result| answer.give(result));
        // An error here means that the consensus stopped; the dropped answer tells everybody.
        let _ = raft.write(batch).with_leader(leader).responder(respond).await;
    }

    fn refuse_all(&self, reason: &ProposeError) {
        let items = {
            let mut queue = self.queue.lock();
            queue.bytes = 0;
            std::mem::take(&mut queue.items)
        };
        for (_, proposal) in items {
            proposal.ticket.done(Err(reason.clone()));
        }
    }

    fn not_leader(&self) -> ProposeError {
        let leader = self.leader.load(Ordering::Relaxed).checked_sub(1);
        ProposeError::NotLeader { leader: leader.filter(|leader| *leader != self.shared.node) }
    }
}

/// Tells a batch's tickets what became of it, also when openraft drops it without a word.
struct Answer {
    batch: ProposedBatch,
    count: Arc<AtomicUsize>,
    batcher: Arc<Batcher>,
    is_given: bool,
}

impl Answer {
    fn give(&mut self, result: ClientWriteResult<Types>) {
        self.is_given = true;
        match result {
            Ok(response) => *response.data.lock() = self.batch.completions(),
            Err(ClientWriteError::ForwardToLeader(forward)) => {
                self.batch.refuse(&ProposeError::NotLeader { leader: forward.leader_id });
            }
            Err(_) => self.batch.refuse(&ProposeError::Unknown),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.is_given {
            self.batch.refuse(&ProposeError::Stopping);
        }
        self.count.fetch_sub(1, Ordering::AcqRel);
        self.batcher.wake.notify_one();
    }
}
