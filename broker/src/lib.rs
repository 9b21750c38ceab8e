//! The broker process: wiring, processors, replication, registration.

mod arrivals;
mod broker;
mod caller;
pub mod clients;
mod clock;
mod command;
pub mod config;
pub mod delay_levels;
mod delay_service;
mod dispatch;
pub mod error;
mod figures;
mod gate;
mod ha;
pub mod held_pulls;
mod housekeeping;
mod journal;
mod listeners;
mod message_log;
pub mod metadata;
mod node;
mod opening;
pub mod order_locks;
mod processor;
mod registration;
mod replication;
mod reply;
pub mod stats;
mod store_config;
mod workers;

pub use broker::{Broker, Start, run};
pub use command::run_command;
pub use config::Config;
pub use error::BrokerError;
pub use message_log::MessageLog;
pub use node::Node;
