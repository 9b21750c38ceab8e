//! Classic replication: a master streams its commit log to slaves over RocketMQ's HA protocol.
//!
//! The bytes of the log travel verbatim, so that a Java slave follows our master and our slave
//! follows a Java master. Nobody is ever promoted here; that is what Raft mode is for.

mod frame;
mod log;
mod master;
mod slave;
mod slaves;

pub use log::HaLog;
pub use master::{HaMaster, HaMasterConfig};
pub use slave::{HaSlave, HaSlaveConfig, SlaveStatus};
pub use slaves::{SlaveView, Slaves};
