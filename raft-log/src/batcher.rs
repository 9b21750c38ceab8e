//! Turns proposals into entries. Batching clocks itself: a few entries are in flight, and whoever comes meanwhile shares the
//! next one, which is taken once it holds as much as they do, or once they are done. There is no timer to wait for.
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
    wake: Notify,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<(EntryKind, Proposal)>,
    bytes: usize,
    /// System commands among the items.
    commands: usize,
    /// The task wants to hear of a batch that is worth taking beside so many proposals in flight; `None` while it is at work
    /// or waits for a batch in flight.
    wanted: Option<usize>,
}

impl Queue {
    /// Whether a batch is to be taken while `in_flight` proposals are under way. An entry costs three replicas the same
    /// system calls and wake-ups whatever it holds: one that would be smaller than what is under way waits for company, or
    /// for the end of that. Whoever is alone never waits, nor does a command, of which there are few.
    fn is_worth_a_batch(&self, in_flight: usize, limits: &Limits) -> bool {
        self.items.len() >= in_flight.max(1)
            || self.items.len() >= limits.records_max as usize
            || self.bytes >= limits.bytes_max
            || self.commands > 0
    }

    fn push(&mut self, kind: EntryKind, proposal: Proposal) {
        self.bytes += proposal.records.len();
        self.commands += usize::from(kind == EntryKind::System);
        self.items.push_back((kind, proposal));
    }

    /// Whether the task waited for what is there now; true once, until it waits again.
    fn is_awaited(&mut self, limits: &Limits) -> bool {
        let is_awaited = self.wanted.is_some_and(|wanted| self.is_worth_a_batch(wanted, limits));
        if is_awaited {
            self.wanted = None;
        }
        is_awaited
    }

    /// Takes the next entry's proposals.
    fn take(&mut self, limits: &Limits) -> Option<(EntryKind, Batch)> {
        let (kind, first) = self.items.pop_front()?;
        let (mut bytes, mut records) = (first.records.len(), first.count);
        let mut batch =
            Batch { proposals: Vec::with_capacity(self.items.len().min(limits.records_max as usize) + 1) };
        batch.proposals.push(first);
        while kind == EntryKind::Records
            && let Some((EntryKind::Records, next)) = self.items.front()
            && bytes + next.records.len() <= limits.bytes_max
            && records.saturating_add(next.count) <= limits.records_max
        {
            let Some((_, next)) = self.items.pop_front() else { break };
            bytes += next.records.len();
            records += next.count;
            batch.proposals.push(next);
        }
        self.bytes -= bytes;
        self.commands -= usize::from(kind == EntryKind::System);
        Some((kind, batch))
    }
}

/// The batches of one term that are under way. Those of a lost term may stay open for long and must not count in the next.
#[derive(Debug, Clone, Default)]
struct Flight {
    term: u64,
    load: Arc<Load>,
}

#[derive(Debug, Default)]
struct Load {
    batches: AtomicUsize,
    proposals: AtomicUsize,
}

impl Batcher {
    pub(crate) fn new(limits: Limits, shared: Arc<Shared>) -> Self {
        Self {
            limits,
            queue: Mutex::default(),
            term: AtomicU64::new(0),
            leader: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
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
        let is_awaited = {
            let mut queue = self.queue.lock();
            let is_full = queue.items.len() >= self.limits.waiting_max
                || queue.bytes + bytes > self.limits.waiting_bytes_max;
            if is_full {
                drop(queue);
                return proposal.ticket.done(Err(ProposeError::Busy));
            }
            queue.push(kind, proposal);
            queue.is_awaited(&self.limits)
        };
        if is_awaited {
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
                flight = Flight { term, load: Arc::default() };
            }
            let is_free =
                term != 0 && flight.load.batches.load(Ordering::Acquire) < self.limits.in_flight_max;
            let batch = if is_free { self.take_batch(&flight) } else { None };
            match batch {
                Some(batch) => self.submit(&raft, batch, &flight).await,
                None if self.is_stopping.load(Ordering::Acquire) && self.is_drained() => return,
                None => self.wake.notified().await,
            }
        }
    }

    /// Takes what waits, up to the limits; tells `propose` when to wake the task where that is not enough yet.
    fn take_batch(&self, flight: &Flight) -> Option<ProposedBatch> {
        let in_flight = flight.load.proposals.load(Ordering::Acquire);
        let mut queue = self.queue.lock();
        if !queue.is_worth_a_batch(in_flight, &self.limits) && !self.is_stopping.load(Ordering::Acquire) {
            queue.wanted = Some(in_flight);
            return None;
        }
        queue.wanted = None;
        let (kind, batch) = queue.take(&self.limits)?;
        Some(ProposedBatch::new(kind, batch))
    }

    async fn submit(self: &Arc<Self>, raft: &RaftHandle, batch: ProposedBatch, flight: &Flight) {
        let proposals = batch.cell.lock().batch.proposals.len();
        flight.load.batches.fetch_add(1, Ordering::AcqRel);
        flight.load.proposals.fetch_add(proposals, Ordering::AcqRel);
        let leader = LeaderId { term: flight.term, node_id: self.shared.node };
        let mut answer = Answer {
            batch: batch.clone(),
            load: flight.load.clone(),
            proposals,
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
            (queue.bytes, queue.commands) = (0, 0);
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
    load: Arc<Load>,
    proposals: usize,
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
        self.load.batches.fetch_sub(1, Ordering::AcqRel);
        self.load.proposals.fetch_sub(self.proposals, Ordering::AcqRel);
        self.batcher.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::any::Any;

    use bytes::BytesMut;

    use super::*;
    use crate::batch::{Placed, Ticket};

    const LIMITS: Limits = Limits {
        in_flight_max: 4,
        records_max: 8,
        bytes_max: 100,
        proposal_bytes_max: 100,
        waiting_max: 100,
        waiting_bytes_max: 1000,
    };

    struct Nobody;

    impl Ticket for Nobody {
        fn as_any(&mut self) -> &mut dyn Any {
            self
        }

        fn done(self: Box<Self>, _outcome: Result<Placed, ProposeError>) {}
    }

    fn queue_of(count: usize, bytes: usize, kind: EntryKind) -> Queue {
        let mut queue = Queue::default();
        for _ in 0..count {
            let proposal = Proposal { records: BytesMut::zeroed(bytes), count: 1, ticket: Box::new(Nobody) };
            queue.push(kind, proposal);
        }
        queue
    }

    #[test]
    fn who_is_alone_does_not_wait_and_nothing_is_no_batch() {
        assert!(queue_of(1, 1, EntryKind::Records).is_worth_a_batch(0, &LIMITS));
        assert!(!queue_of(0, 1, EntryKind::Records).is_worth_a_batch(0, &LIMITS));
    }

    #[test]
    fn a_batch_smaller_than_what_is_under_way_waits_for_company() {
        assert!(!queue_of(2, 1, EntryKind::Records).is_worth_a_batch(3, &LIMITS));
        assert!(queue_of(3, 1, EntryKind::Records).is_worth_a_batch(3, &LIMITS));
    }

    #[test]
    fn a_full_batch_and_a_command_wait_for_nobody() {
        assert!(queue_of(8, 1, EntryKind::Records).is_worth_a_batch(1000, &LIMITS));
        assert!(queue_of(2, 50, EntryKind::Records).is_worth_a_batch(1000, &LIMITS));
        assert!(queue_of(1, 1, EntryKind::System).is_worth_a_batch(1000, &LIMITS));
    }

    #[test]
    fn the_task_is_woken_by_the_proposal_that_makes_a_batch_worth_taking_and_by_no_other() {
        let mut queue = queue_of(1, 1, EntryKind::Records);
        queue.wanted = Some(3);
        let proposal = || Proposal { records: BytesMut::zeroed(1), count: 1, ticket: Box::new(Nobody) };
        let mut woken = Vec::new();
        for _ in 0..3 {
            queue.push(EntryKind::Records, proposal());
            woken.push(queue.is_awaited(&LIMITS));
        }
        assert_eq!(woken, [false, true, false]);
    }

    #[test]
    fn what_is_taken_is_counted_out_again() {
        let mut queue = queue_of(2, 50, EntryKind::Records);
        queue.push(
            EntryKind::System,
            Proposal { records: BytesMut::zeroed(7), count: 1, ticket: Box::new(Nobody) },
        );
        let (kind, first) = queue.take(&LIMITS).unwrap();
        assert_eq!((kind, first.proposals.len(), queue.bytes, queue.commands), (EntryKind::Records, 2, 7, 1));
        let (kind, second) = queue.take(&LIMITS).unwrap();
        assert_eq!((kind, second.proposals.len(), queue.bytes, queue.commands), (EntryKind::System, 1, 0, 0));
        assert!(queue.take(&LIMITS).is_none());
    }
}
