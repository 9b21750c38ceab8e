//! Classic replication: a master streams its commit log to slaves over RocketMQ's HA protocol.
//!
//! The bytes of the log travel verbatim, so that a Java slave follows our master and our slave follows a Java master. Nobody
//! is ever promoted here; that is what Raft mode is for.

mod frame;
mod kinship;
mod log;
mod master;
mod metadata_sync;
mod part;
mod reports;
mod slave;
mod slaves;
mod start;
mod status;
mod sync_wait;

pub use part::Part;
pub use start::{bind, start};
pub use status::runtime_info;
