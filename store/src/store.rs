//! The facade of the room.
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use disk::{Disk, Segments};

use crate::config::{ReadLimits, StoreConfig};
use crate::consume_queue::ConsumeQueue;
use crate::error::StoreError;
use crate::hooks::Hooks;
use crate::put::Put;
use crate::read::{ReadRequest, ReadResult};
use crate::retention::RetentionConfig;

/// Which message is meant when several have, or none has, the time asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Boundary {
    /// The first message stored at or after the time; the end of the queue when there is none.
    #[default]
    Lower,
    /// The last message stored at or before the time; the beginning of the queue when there is none.
    Upper,
}

/// Whether puts wait for a slave (SYNC_MASTER).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// They do not.
    Off,
    /// They do, until `replicated` passes them or `slaveTimeout` is over.
    Awaited,
    /// They would, but no slave is near enough: they are answered SLAVE_NOT_AVAILABLE.
    Unavailable,
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

/// Numbers for `GET_BROKER_RUNTIME_INFO` and the metrics.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    /// Messages stored since the start.
    pub put_messages: u64,
    /// Their bytes.
    pub put_bytes: u64,
    /// Puts that were refused or failed.
    pub put_failed: u64,
    /// The longest time from `put` to its completion.
    pub put_time_max: Duration,
    /// Puts by time to completion: ≤0, <10, <50, <100, <200, <500 ms, <1, <2, <3, <4, <5, <10 s, longer.
    pub put_times: [u64; 13],
    /// Messages read since the start.
    pub get_messages: u64,
    /// Reads that found something.
    pub get_found: u64,
    /// Reads that found nothing.
    pub get_missed: u64,
    /// Bytes of the messages read.
    pub get_bytes: u64,
    /// The longest read.
    pub get_time_max: Duration,
    /// Bytes written and not yet visible.
    pub dispatch_behind: u64,
    /// Bytes written and not yet on the disk.
    pub flush_behind: u64,
    /// The first kept byte of the commit log.
    pub commit_log_min: u64,
    /// The end of the commit log.
    pub commit_log_max: u64,
    /// The used part of the commit log's disk, 0.0 to 1.0.
    pub commit_log_disk_ratio: f64,
    /// The used part of the consume queues' disk.
    pub consume_queue_disk_ratio: f64,
    /// Size of the commit log's disk.
    pub disk_total: u64,
    /// Free bytes of it.
    pub disk_available: u64,
    /// Puts that wait for the append thread.
    pub puts_waiting: usize,
    /// How long the append now under way has been under way (the page cache is busy).
    pub append_stalled: Duration,
}

/// Messages on one machine.
#[derive(Debug)]
pub struct MessageStore {}

#[expect(unused_variables, clippy::missing_errors_doc, clippy::unused_self, reason = "signatures first, this hour")]
impl MessageStore {
    /// Opens the store and recovers it.
    pub fn open(config: StoreConfig, disk: Arc<dyn Disk>, hooks: Hooks) -> Result<Arc<Self>, StoreError> { panic!("not wired") }
    /// Opens the store on a log that somebody else writes: `apply` from `applied` on.
    pub fn open_on(segments: Arc<Segments>, config: StoreConfig, disk: Arc<dyn Disk>, hooks: Hooks) -> Result<Arc<Self>, StoreError> { panic!("not wired") }
    /// Stops cleanly: everything accepted is completed and durable.
    pub fn close(&self) -> Result<(), StoreError> { panic!("not wired") }
    /// The queue to put into; made when it does not exist.
    pub fn queue(&self, topic: &str, queue_id: u32) -> Result<Arc<ConsumeQueue>, StoreError> { panic!("not wired") }
    /// The queue, when it exists.
    pub fn find_queue(&self, topic: &str, queue_id: u32) -> Option<Arc<ConsumeQueue>> { panic!("not wired") }
    /// The queues of a topic.
    pub fn queues_of(&self, topic: &str) -> Vec<Arc<ConsumeQueue>> { panic!("not wired") }
    /// The topics that have queues.
    pub fn topics(&self) -> Vec<Arc<str>> { panic!("not wired") }
    /// Stores messages; a refusal comes at once and through `done` never.
    pub fn put(&self, put: Put) -> Result<(), StoreError> { panic!("not wired") }
    /// Stores bytes of a master verbatim at the end of the log (slave mode); `done` learns the new end.
    pub fn append_raw(&self, position: u64, bytes: Bytes, done: Box<dyn FnOnce(Result<u64, StoreError>) + Send>) -> Result<(), StoreError> { panic!("not wired") }
    /// Makes records that somebody else wrote visible (Raft mode).
    pub fn apply(&self, position: u64, bytes: &[u8]) -> Result<(), StoreError> { panic!("not wired") }
    /// Up to here everything is visible.
    pub fn applied(&self) -> u64 { panic!("not wired") }
    /// The first kept byte of the log.
    pub fn commit_log_min(&self) -> u64 { panic!("not wired") }
    /// The end of the log.
    pub fn commit_log_max(&self) -> u64 { panic!("not wired") }
    /// The log is durable up to here.
    pub fn flushed(&self) -> u64 { panic!("not wired") }
    /// Bytes of the log as they are, for slaves: at most `len_max`, inside one segment, confirmed only.
    pub fn read_log(&self, position: u64, len_max: usize) -> Result<Bytes, StoreError> { panic!("not wired") }
    /// Whether puts wait for a slave from now on.
    pub fn set_replication(&self, replication: Replication) { panic!("not wired") }
    /// A slave has everything before this position.
    pub fn replicated(&self, position: u64) { panic!("not wired") }
    /// Reads messages of a queue.
    pub fn read(&self, request: &ReadRequest<'_>) -> Result<ReadResult, StoreError> { panic!("not wired") }
    /// The message at a physical offset.
    pub fn message_at(&self, physical_offset: u64) -> Result<Option<Bytes>, StoreError> { panic!("not wired") }
    /// The message at an offset of a queue.
    pub fn message_in_queue(&self, topic: &str, queue_id: u32, queue_offset: u64) -> Result<Option<Bytes>, StoreError> { panic!("not wired") }
    /// The first kept offset of a queue; 0 when there is no such queue.
    pub fn min_offset(&self, topic: &str, queue_id: u32) -> u64 { panic!("not wired") }
    /// The offset that the queue's next message will have; 0 when there is no such queue.
    pub fn max_offset(&self, topic: &str, queue_id: u32) -> u64 { panic!("not wired") }
    /// The offset of the message stored at a time.
    pub fn offset_by_time(&self, topic: &str, queue_id: u32, timestamp: i64, boundary: Boundary) -> Result<u64, StoreError> { panic!("not wired") }
    /// The store time of the message at an offset of a queue.
    pub fn store_time(&self, topic: &str, queue_id: u32, queue_offset: u64) -> Result<Option<i64>, StoreError> { panic!("not wired") }
    /// The store time of the queue's first kept message.
    pub fn earliest_time(&self, topic: &str, queue_id: u32) -> Result<Option<i64>, StoreError> { panic!("not wired") }
    /// The store time of the log's first kept message.
    pub fn earliest_log_time(&self) -> Result<Option<i64>, StoreError> { panic!("not wired") }
    /// Messages by key.
    pub fn query(&self, query: &KeyQuery<'_>) -> Result<KeyResult, StoreError> { panic!("not wired") }
    /// Deletes the queues of a topic; its messages stay in the log until retention takes them.
    pub fn delete_topic(&self, topic: &str) -> Result<(), StoreError> { panic!("not wired") }
    /// Deletes the topics that `is_used` does not want; tells which.
    pub fn delete_unused_topics(&self, is_used: &dyn Fn(&str) -> bool) -> Result<Vec<Arc<str>>, StoreError> { panic!("not wired") }
    /// Deletes expired segments now, whatever the hour; tells how many.
    pub fn delete_expired(&self) -> Result<usize, StoreError> { panic!("not wired") }
    /// Whether messages are refused because the disk is full.
    pub fn is_disk_full(&self) -> bool { panic!("not wired") }
    /// Numbers for operators.
    pub fn figures(&self) -> Figures { panic!("not wired") }
    /// Other limits from now on.
    pub fn reconfigure(&self, read: ReadLimits, retention: RetentionConfig) { panic!("not wired") }
}
