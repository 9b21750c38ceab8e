//! The broker's configuration: RocketMQ's keys, one flat file, several sections.

mod broker_keys;
mod identity;
mod inert;
mod live;
mod load;
mod raft_keys;
mod store_keys;

pub use broker_keys::{BrokerKeys, MetricsExporter};
pub use identity::Identity;
pub use live::LiveConfig;
pub use load::Config;
pub(crate) use load::hours;
pub use raft_keys::{RaftKeys, RaftPeer};
pub use store_keys::{BrokerRole, FlushDiskType, StoreKeys};
