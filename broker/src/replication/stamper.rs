//! What the leader patches into messages while it appends them: queue offset, physical offset, store time.
//!
//! Always true: offsets are assigned by one thread, in the order of the log, from tables in which everything before the
//! leader's own term is applied. So no offset that was assigned ever has to be taken back.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use super::in_flight::InFlight;
use disk::{Bug, planted};
use protocol::message;
use raft_log::{Batch, Placed, Proposal, ProposeError, Stamper, Ticket};
use smallvec::SmallVec;
use store::{ConsumeQueue, Put, PutResult, PutStatus, QueueOffsets, StoreError};

/// Somebody who waits for messages of one queue.
pub(crate) struct PutTicket {
    queue: Arc<ConsumeQueue>,
    queue_offset: u64,
    physical_offsets: SmallVec<[u64; 1]>,
    in_flight: Arc<InFlight>,
    number: u64,
}

/// What a put becomes when the log is replicated.
pub(crate) fn proposal(put: Put, in_flight: &Arc<InFlight>) -> Result<Proposal, StoreError> {
    let count = records(&put.records)?;
    let number = in_flight.begin(put.done, Instant::now());
    let physical_offsets = SmallVec::new();
    let ticket = PutTicket {
        queue: put.queue,
        queue_offset: 0,
        physical_offsets,
        in_flight: Arc::clone(in_flight),
        number,
    };
    Ok(Proposal { records: put.records, count, ticket: Box::new(ticket) })
}

/// How many records lie back to back in these bytes.
fn records(bytes: &[u8]) -> Result<u32, StoreError> {
    let (mut at, mut count) = (0, 0);
    while at < bytes.len() {
        let size = record_bytes(&bytes[at..]).ok_or(StoreError::NotRecords { at, bytes: bytes.len() })?;
        at += size;
        count += 1;
    }
    Ok(count)
}

/// The size that a record claims, when it lies in these bytes whole.
fn record_bytes(bytes: &[u8]) -> Option<usize> {
    match message::record_head(bytes) {
        message::RecordHead::Message { len } if (1..=bytes.len()).contains(&(len as usize)) => {
            Some(len as usize)
        }
        _ => None,
    }
}

impl Ticket for PutTicket {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn done(self: Box<Self>, outcome: Result<Placed, ProposeError>) {
        let Self { queue, queue_offset, physical_offsets, in_flight, number } = *self;
        in_flight.end(
            number,
            match outcome {
                Ok(placed) => Ok(PutResult {
                    status: PutStatus::Ok,
                    physical_offsets,
                    queue_offset,
                    store_timestamp: i64::try_from(placed.timestamp).unwrap_or(i64::MAX),
                }),
                Err(error) => Err(refused(error, &queue)),
            },
        );
    }
}

/// What a proposer's refusal is in the store's words; "unknown" stays unknown.
pub(crate) fn refused(error: ProposeError, queue: &ConsumeQueue) -> StoreError {
    match error {
        ProposeError::NotLeader { .. } | ProposeError::Stopping => StoreError::ShuttingDown,
        ProposeError::Busy => StoreError::Busy { puts: 0, bytes: 0 },
        ProposeError::TooLarge { bytes, bytes_max } => {
            StoreError::TooLarge { bytes, segment_bytes: bytes_max as u64 }
        }
        ProposeError::DiskFull => StoreError::DiskFull { used_percent: 100 },
        ProposeError::Unknown => {
            tracing::debug!(topic = %queue.topic(), "a put's outcome is unknown: leadership was lost");
            StoreError::Unconfirmed
        }
    }
}

/// Assigns offsets from the store's tables.
pub(crate) struct QueueStamper {
    offsets: QueueOffsets,
    /// Another leader's entries, or our own blank one, were appended since the last stamp.
    is_stale: bool,
}

impl QueueStamper {
    pub(crate) fn new(offsets: QueueOffsets) -> Self {
        Self { offsets, is_stale: true }
    }

    fn stamp_one(&self, position: u64, timestamp: i64, proposal: &mut Proposal) {
        let Some(ticket) = proposal.ticket.as_any().downcast_mut::<PutTicket>() else { return };
        let first = self.offsets.assign(&ticket.queue, u64::from(proposal.count));
        ticket.queue_offset = first;
        let mut at = 0;
        for number in 0..u64::from(proposal.count) {
            let record = &mut proposal.records[at..];
            let size = record_bytes(record).expect("the records were counted when they were proposed");
            let physical_offset = position + at as u64;
            message::patch_record(&mut record[..size], first + number, physical_offset, timestamp);
            ticket.physical_offsets.push(physical_offset);
            at += size;
        }
    }
}

impl Stamper for QueueStamper {
    fn stamp(&mut self, _term: u64, position: u64, timestamp: u64, batch: &mut Batch) {
        // Proposals are taken only once the blank entry of our term is applied, and with it everything before: only now
        // do the queues end where the log says. When the blank entry was appended, they did not yet.
        if std::mem::take(&mut self.is_stale) && !planted(Bug::QueueOffsetReused) {
            self.offsets.reset();
        }
        let timestamp = i64::try_from(timestamp).unwrap_or(i64::MAX);
        let mut at = position;
        for proposal in &mut batch.proposals {
            self.stamp_one(at, timestamp, proposal);
            at += proposal.records.len() as u64;
        }
    }

    fn reset(&mut self) {
        self.is_stale = true;
        if planted(Bug::QueueOffsetReused) {
            self.offsets.reset();
        }
    }
}
