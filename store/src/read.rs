//! What a reader asks the store for, and what it gets: slices of the commit log, never copies.

use std::fmt;

use bytes::Bytes;

/// Whether a message with this tags code is wanted.
pub type TagsFilter<'a> = dyn Fn(i64) -> bool + 'a;
/// Whether this stored record is wanted.
pub type RecordFilter<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// One read of a queue.
#[derive(Clone, Copy)]
pub struct ReadRequest<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The queue.
    pub queue_id: u32,
    /// The queue offset of the first message wanted.
    pub queue_offset: u64,
    /// How many messages at most.
    pub count_max: usize,
    /// How many bytes at most; the first message comes in any case.
    pub bytes_max: Option<usize>,
    /// Whether a message with this tags code is wanted; absent: all are.
    pub tags: Option<&'a TagsFilter<'a>>,
    /// Whether this record is wanted, asked only when its tags code is; absent: all are.
    pub record: Option<&'a RecordFilter<'a>>,
}

impl fmt::Debug for ReadRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadRequest")
            .field("topic", &self.topic)
            .field("queue_id", &self.queue_id)
            .field("queue_offset", &self.queue_offset)
            .field("count_max", &self.count_max)
            .finish_non_exhaustive()
    }
}

/// What became of a read. Source: RocketMQ `GetMessageStatus`; `name` gives its spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GetStatus {
    /// There are messages.
    Found,
    /// Messages were looked at, none is wanted.
    NoMatchedMessage,
    /// The messages are being deleted.
    MessageWasRemoving,
    /// The queue's units are being deleted.
    OffsetFoundNull,
    /// The offset is beyond the end.
    OffsetOverflowBadly,
    /// The offset is the end: the next message will have it.
    OffsetOverflowOne,
    /// The offset is before the first kept message.
    OffsetTooSmall,
    /// There is no such queue.
    NoMatchedLogicQueue,
    /// The queue never had a message.
    NoMessageInQueue,
}

impl GetStatus {
    /// RocketMQ's name of it, which travels as the remark of a pull response.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "FOUND",
            Self::NoMatchedMessage => "NO_MATCHED_MESSAGE",
            Self::MessageWasRemoving => "MESSAGE_WAS_REMOVING",
            Self::OffsetFoundNull => "OFFSET_FOUND_NULL",
            Self::OffsetOverflowBadly => "OFFSET_OVERFLOW_BADLY",
            Self::OffsetOverflowOne => "OFFSET_OVERFLOW_ONE",
            Self::OffsetTooSmall => "OFFSET_TOO_SMALL",
            Self::NoMatchedLogicQueue => "NO_MATCHED_LOGIC_QUEUE",
            Self::NoMessageInQueue => "NO_MESSAGE_IN_QUEUE",
        }
    }
}

/// What a read found.
#[derive(Debug, Clone)]
pub struct ReadResult {
    /// What became of it.
    pub status: GetStatus,
    /// Where to read next.
    pub next_begin_offset: u64,
    /// The first kept offset of the queue.
    pub min_offset: u64,
    /// The offset that the next message will have.
    pub max_offset: u64,
    /// The records, one after the other; neighbours in the log are one slice.
    pub slices: Vec<Bytes>,
    /// How many records the slices hold.
    pub count: usize,
    /// Their bytes.
    pub bytes: usize,
    /// What is left to read is more than fits in memory: a slave should serve it (`suggestPullingFromSlave`).
    pub is_slow: bool,
}
