//! What every server process needs: configuration, logging, metrics endpoint, signals, owned tasks.
//!
//! Knows nothing of messages or of the protocol. Called by `namesrv`, `broker` and the programs
//! that start them.

pub mod command;
pub mod config;
mod error;
mod fatal;
pub mod logging;
pub mod metrics;
mod metrics_server;
mod open_files;
pub mod process;
mod properties;
mod shutdown;
mod tasks;

pub use config::{Binding, Bound, ByteCount, Flag, Hours, Key, Millis, Seconds, Section, Value};
pub use error::{DaemonError, PropertiesError, WrongValue};
pub use fatal::{EXIT_FATAL, fatal};
pub use metrics_server::MetricsServer;
pub use open_files::{connections_within, raise_open_files};
pub use properties::{Properties, TEXT_BYTES_MAX};
pub use shutdown::{EXIT_IMPATIENT, Shutdown};
pub use tasks::Tasks;
