//! From records in the log to queues and index, a stretch of the log at a time: what every record would cost by itself
//! (finding its queue, locking the index) is paid once for many.
//!
//! Always true: nothing of a stretch is in a queue before `finish`, which keeps the order of the log; arrivals are told after
//! it, in the same order. A slave's bytes, a Raft group's entries and a recovery come through here; a master's own messages
//! do not, since its appender knows their queues.

use std::sync::Arc;

use crate::confirm::QueuedUnit;
use crate::consume_queue::{ConsumeQueue, Continuity};
use crate::core::Core;
use crate::error::StoreError;
use crate::index_file::{Entry, TimeSpan};
use crate::record::{Record, Traits};
use crate::unit::Unit;

/// So many records are gathered at most: what they say is in memory twice meanwhile, and nobody sees it yet.
const RECORDS_MAX: usize = 1024;

/// Records that are dispatched together.
pub(crate) struct Stretch<'a> {
    core: &'a Core,
    continuity: Continuity,
    queues: Vec<Arc<ConsumeQueue>>,
    /// Which of `queues` the last record went to: neighbours in a log go to few queues, often in turn.
    recent: usize,
    units: Vec<StretchUnit>,
    keys: Vec<Entry>,
    /// Store times of the records that can be found by key, and the position of the last.
    indexed: Option<(TimeSpan, u64)>,
    records: usize,
}

struct StretchUnit {
    /// Which of the stretch's queues it belongs to.
    queue: usize,
    queued: QueuedUnit,
    store_timestamp: i64,
}

impl<'a> Stretch<'a> {
    pub(crate) fn new(core: &'a Core, continuity: Continuity) -> Self {
        Self {
            core,
            continuity,
            queues: Vec::new(),
            recent: 0,
            units: Vec::new(),
            keys: Vec::new(),
            indexed: None,
            records: 0,
        }
    }

    /// Takes the next record of the log.
    pub(crate) fn add(&mut self, record: &Record<'_>) -> Result<(), StoreError> {
        self.records += 1;
        let Some(at) = self.find_queue(record)? else { return Ok(()) };
        let queue = &self.queues[at];
        let traits = Traits::of(record.properties_text());
        if self.core.index.is_some() && record.is_indexed() {
            let keys = &mut self.keys;
            traits.each_key(queue.topic_hash(), |hash| {
                keys.push(Entry { hash, physical_offset: record.physical_offset });
            });
            let stored = record.store_timestamp;
            let first = self.indexed.map_or(stored, |(times, _)| times.first);
            self.indexed = Some((TimeSpan { first, last: stored }, record.physical_offset));
        }
        if record.is_queued() {
            let delay_levels = &self.core.config.delay_levels;
            let tags_code = traits.tags_code(queue.is_schedule(), record.store_timestamp, delay_levels);
            let bytes = record.bytes.len() as u32;
            let unit = Unit { physical_offset: record.physical_offset, bytes, tags_code };
            let queued = QueuedUnit { offset: record.queue_offset, unit };
            self.units.push(StretchUnit { queue: at, queued, store_timestamp: record.store_timestamp });
        }
        Ok(())
    }

    /// Whether enough is gathered.
    pub(crate) fn is_full(&self) -> bool {
        self.records >= RECORDS_MAX
    }

    /// Extends queues and index by what was gathered.
    pub(crate) fn finish(&mut self) -> Result<(), StoreError> {
        for queue in &mut self.queues {
            if queue.is_deleted() {
                // The topic was deleted since its records were met: what follows belongs to the next one of its name.
                *queue = self.core.queues.get_or_make(queue.topic(), queue.queue_id())?;
            }
        }
        for StretchUnit { queue, queued, .. } in &self.units {
            self.queues[*queue].extend(queued.offset, queued.unit, self.continuity)?;
        }
        for queue in &self.queues {
            self.core.write_out_if_long(queue)?;
        }
        if let (Some(index), Some((times, position))) = (&self.core.index, self.indexed) {
            index.extend(&self.keys, times, position);
        }
        Ok(())
    }

    /// The queues that were extended.
    pub(crate) fn queues(&self) -> &[Arc<ConsumeQueue>] {
        &self.queues
    }

    /// Tells of the messages that are visible since `finish`, and begins anew.
    pub(crate) fn tell_arrivals(&mut self) {
        for StretchUnit { queue, queued, store_timestamp } in &self.units {
            self.core.tell_arrivals(&self.queues[*queue], std::slice::from_ref(queued), *store_timestamp);
        }
        self.clear();
    }

    /// Begins anew.
    pub(crate) fn clear(&mut self) {
        self.queues.clear();
        self.units.clear();
        self.keys.clear();
        (self.recent, self.records, self.indexed) = (0, 0, None);
    }

    /// The record's queue, as a place in `queues`.
    fn find_queue(&mut self, record: &Record<'_>) -> Result<Option<usize>, StoreError> {
        let is_its = |queue: &Arc<ConsumeQueue>| {
            queue.queue_id() == record.queue_id && queue.topic().as_bytes() == record.topic
        };
        let (before, after) = self.queues.split_at(self.recent);
        let found = match after.iter().position(is_its) {
            Some(at) => Some(self.recent + at),
            None => before.iter().position(is_its),
        };
        if let Some(at) = found {
            self.recent = at;
            return Ok(found);
        }
        match self.core.queues.get_or_make(record.topic_text(), record.queue_id) {
            Ok(queue) => {
                self.recent = self.queues.len();
                self.queues.push(queue);
                Ok(Some(self.recent))
            }
            Err(StoreError::TopicName { name }) => {
                let physical_offset = record.physical_offset;
                tracing::error!(name, physical_offset, "no queue can have this name");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
