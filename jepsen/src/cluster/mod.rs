//! A cluster of real binaries: who is where, what their configuration says, and how they are
//! started, stopped, killed, frozen and put on disks of their own.
//!
//! Everything that outlives a crash of the harness (processes, mounts, namespaces) is written into
//! a ledger before it is made, and the next run clears what a dead run left behind.

#[allow(clippy::module_inception)]
mod cluster;
mod conf;
pub mod files;
mod image;
mod ledger;
mod member;
mod plan;
mod probe;
pub mod tool;

pub use cluster::{Cluster, Settings};
pub use image::Image;
pub use ledger::Ledger;
pub use member::{End, Server, ServerState};
pub use plan::{Addresses, Mode, Plan};
pub use probe::{Probe, Role, Standing};
