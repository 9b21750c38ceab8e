//! Raft mode: this broker as one replica of a group whose log is the commit log.

pub(crate) mod admin;
pub(crate) mod born_host;
mod command_ticket;
mod duty;
mod forward;
mod group;
mod group_journal;
mod group_log;
mod in_flight;
mod preferred;
pub(crate) mod retention;
mod role;
mod room;
mod serve;
mod sink;
mod stamper;
mod standing;
mod start_log;
mod state_file;
mod table_state;
mod walk;
pub(crate) mod watch;

pub use group::Group;
pub(crate) use group::Opening;
pub use group_journal::GroupJournal;
pub(crate) use group_log::GroupLog;
pub(crate) use serve::{ReplicaDispatch, confirm_in_time};
