//! Single messages: by physical offset, by place in a queue, by time, by key.

use std::collections::HashSet;
use std::ops::ControlFlow;

use bytes::Bytes;
use protocol::message::{RecordHead, record_head};

use crate::consume_queue::ConsumeQueue;
use crate::core::Core;
use crate::error::StoreError;
use crate::key_hash::KeyHash;
use crate::record::{HEAD_BYTES, Record, Traits, store_timestamp};
use crate::unit::Unit;

/// So many messages are compared at most in one query: a key that half of all messages have must not stop the broker.
const COMPARED_MAX: usize = 65_536;

/// Which message is meant when several have, or none has, the time asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Boundary {
    /// The first message stored at or after the time; the end of the queue when there is none.
    #[default]
    Lower,
    /// The last message stored at or before the time; the beginning of the queue when there is none.
    Upper,
}

/// A query by key.
#[derive(Debug, Clone, Copy)]
pub struct KeyQuery<'a> {
    /// The topic.
    pub topic: &'a str,
    /// A word of `KEYS`, or the unique key.
    pub key: &'a str,
    /// How many messages at most.
    pub count_max: usize,
    /// Stored at or after, in ms.
    pub begin: i64,
    /// Stored at or before, in ms.
    pub end: i64,
}

/// What a query found.
#[derive(Debug, Clone, Default)]
pub struct KeyResult {
    /// The records, newest first.
    pub messages: Vec<Bytes>,
    /// The store time of the newest indexed message.
    pub index_timestamp: i64,
    /// The physical offset of the newest indexed message.
    pub index_offset: u64,
}

impl Core {
    /// Bytes of the log; `None` when retention removed them.
    pub(crate) fn log_slice(&self, position: u64, len: usize) -> Result<Option<Bytes>, StoreError> {
        match self.segments.read(position, len) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(_) if position < self.segments.start() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The visible message that begins at a physical offset, when one does.
    pub(crate) fn message_at(&self, position: u64) -> Result<Option<Bytes>, StoreError> {
        let end = self.applied();
        let segment_bytes = self.segments.segment_bytes();
        let left = (segment_bytes - position % segment_bytes).min(end.saturating_sub(position));
        if position < self.segments.start() || left < HEAD_BYTES as u64 {
            return Ok(None);
        }
        let Some(head) = self.log_slice(position, 8)? else { return Ok(None) };
        let RecordHead::Message { len } = record_head(&head) else { return Ok(None) };
        if u64::from(len) > left {
            return Ok(None);
        }
        let bytes = self.log_slice(position, len as usize)?;
        // Any place of the log can be asked for: a body that looks like a record does not know its own position.
        Ok(bytes
            .filter(|bytes| Record::parse(bytes).is_some_and(|record| record.physical_offset == position)))
    }

    /// The message at an offset of a queue.
    pub(crate) fn message_in_queue(
        &self,
        queue: &ConsumeQueue,
        offset: u64,
    ) -> Result<Option<Bytes>, StoreError> {
        match self.unit(queue, offset)? {
            Some(unit) => self.log_slice(unit.physical_offset, unit.bytes as usize),
            None => Ok(None),
        }
    }

    /// The store time of the message at an offset of a queue.
    pub(crate) fn store_time(&self, queue: &ConsumeQueue, offset: u64) -> Result<Option<i64>, StoreError> {
        match self.unit(queue, offset)? {
            Some(unit) => {
                let head = self.log_slice(unit.physical_offset, HEAD_BYTES)?;
                Ok(head.as_deref().and_then(store_timestamp))
            }
            None => Ok(None),
        }
    }

    /// The store time of the log's first kept message.
    pub(crate) fn earliest_log_time(&self) -> Result<Option<i64>, StoreError> {
        let start = self.segments.start();
        let Some(message) = self.message_at(start)? else { return Ok(None) };
        Ok(store_timestamp(&message))
    }

    /// The offset that a time stands for.
    pub(crate) fn offset_by_time(
        &self,
        queue: &ConsumeQueue,
        timestamp: i64,
        boundary: Boundary,
    ) -> Result<u64, StoreError> {
        let (max, min) = (queue.max_offset(), queue.min_offset());
        // The first offset of a message stored at or after the time (LOWER), or after it (UPPER).
        let (mut low, mut high) = (min, max);
        while low < high {
            let middle = low + (high - low) / 2;
            let is_before = match self.store_time(queue, middle)? {
                Some(stored) if boundary == Boundary::Lower => stored < timestamp,
                Some(stored) => stored <= timestamp,
                // Retention was faster, or the offset stands for no message: the wanted one is later.
                None => true,
            };
            if is_before {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(match boundary {
            Boundary::Lower => low,
            Boundary::Upper => low.saturating_sub(1).max(min),
        })
    }

    /// Messages by key, newest first.
    pub(crate) fn query(&self, query: &KeyQuery<'_>) -> Result<KeyResult, StoreError> {
        let Some(index) = &self.index else { return Ok(KeyResult::default()) };
        let hash = KeyHash::of_topic(query.topic).of_key(query.key);
        let mut messages = Vec::new();
        let mut seen = HashSet::new();
        let mut failed = None;
        index.find(hash, query.begin, query.end, &mut |position| {
            if messages.len() >= query.count_max || seen.len() >= COMPARED_MAX {
                return ControlFlow::Break(());
            }
            if !seen.insert(position) {
                return ControlFlow::Continue(());
            }
            match self.message_at(position) {
                Ok(Some(message)) if is_asked_for(&message, query) => messages.push(message),
                Ok(_) => {}
                Err(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        let (index_timestamp, index_offset) = index.newest();
        match failed {
            Some(error) => Err(error),
            None => Ok(KeyResult { messages, index_timestamp, index_offset }),
        }
    }

    fn unit(&self, queue: &ConsumeQueue, offset: u64) -> Result<Option<Unit>, StoreError> {
        if offset < queue.min_offset() || offset >= queue.max_offset() {
            return Ok(None);
        }
        Ok(queue.unit(offset)?.filter(Unit::is_message))
    }
}

/// Whether the message itself has topic, key and time of the query.
fn is_asked_for(message: &[u8], query: &KeyQuery<'_>) -> bool {
    Record::parse(message).is_some_and(|record| {
        record.topic == query.topic.as_bytes()
            && (query.begin..=query.end).contains(&record.store_timestamp)
            && Traits::of(record.properties_text()).has_key(query.key)
    })
}
