//! Messages on one machine: commit log, consume queues, index, dispatch, checkpoint, retention. Knows no network, no Raft.
//!
//! A message takes three steps, each of which can stand alone: an append gives it its place and writes it, the flush
//! confirms it, dispatch makes it visible in its queue. What consumers saw never changes, and an acknowledged message is kept
//! as the flush mode promises. `broker` puts and reads; in Raft mode somebody else appends, and the store only dispatches.

mod appender;
mod checkpoint;
mod config;
mod confirm;
mod consume_queue;
mod core;
mod counters;
mod error;
mod hooks;
mod index_file;
mod intake;
mod key_hash;
mod key_index;
mod log_scan;
mod looking;
mod put;
mod queue_files;
mod queue_offsets;
mod queue_table;
mod read;
mod reading;
mod record;
mod recovery;
mod replicated;
mod retention;
mod store;
mod stretch;
mod unit;
mod upkeep;

pub use config::{ConfigFault, DELAY_LEVELS, FlushDiskType, ReadLimits, StoreConfig, parse_delay_levels};
pub use confirm::Replication;
pub use consume_queue::ConsumeQueue;
pub use counters::Figures;
pub use error::StoreError;
pub use hooks::{Arrival, ArrivalListener, Clock, Fatal, Hooks, NoListener, SystemClock};
pub use looking::{Boundary, KeyQuery, KeyResult};
pub use put::{Done, Put, PutResult, PutStatus};
pub use queue_offsets::QueueOffsets;
pub use read::{GetStatus, ReadRequest, ReadResult, RecordFilter, TagsFilter};
pub use retention::{RetentionConfig, RetentionDecision, RetentionView, decide};
pub use store::MessageStore;
pub use unit::{UNIT_BYTES, Unit};
