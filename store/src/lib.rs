//! Messages on one machine: commit log, consume queues, index, dispatch, checkpoint, retention. Knows no network, no Raft.

mod config;
mod consume_queue;
mod error;
mod hooks;
mod put;
mod read;
mod retention;
mod store;
mod unit;

pub use config::{ConfigFault, DELAY_LEVELS, FlushDiskType, ReadLimits, StoreConfig, parse_delay_levels};
pub use consume_queue::ConsumeQueue;
pub use error::StoreError;
pub use hooks::{Arrival, ArrivalListener, Clock, Fatal, Hooks, NoListener, SystemClock};
pub use put::{Done, Put, PutResult, PutStatus};
pub use read::{GetStatus, ReadRequest, ReadResult};
pub use retention::{RetentionConfig, RetentionDecision, RetentionView, decide};
pub use store::{Boundary, Figures, KeyQuery, KeyResult, MessageStore, Replication};
pub use unit::{UNIT_BYTES, Unit};
