//! The name server: a pure route table and its housekeeping.
//!
//! Brokers register here every 30 seconds, clients ask where the queues of a topic are. Everything
//! but the small KV configuration lives in memory and is rebuilt from registrations; name servers
//! never talk to each other. The rules are in [`RouteTable`], pure; the sockets around it in
//! [`NameServer`]. Started by `mqnamesrv`, `mqlocal` and tests.

mod command;
mod config;
mod error;
mod figures;
mod files;
mod kv_config;
mod name_server;
mod registration;
mod removal;
mod requests;
mod route;
mod route_cache;
mod route_table;
mod state;
mod topics;

pub use command::run_command;
pub use config::{Config, INERT_KEYS, MetricsExporter, NamesrvConfig, NettyServerConfig};
pub use error::{NamesrvError, Refusal};
pub use kv_config::{KvConfig, Namespace, ORDER_TOPIC_CONFIG};
pub use name_server::{NameServer, run};
pub use registration::{Master, Registered, Registration};
pub use removal::Removal;
pub use requests::RAFT_GROUP;
pub use route::keep_zone;
pub use route_cache::RouteCache;
pub use route_table::{BrokerAddress, MASTER_ID, MinIdChange, Queues, RouteRules, RouteTable, SILENCE_MAX};
pub use topics::UnitTopics;
