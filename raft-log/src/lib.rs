//! A replicated log of bytes; the only crate that names openraft and bincode.
//!
//! The Raft log *is* the commit log: one entry is a batch of records behind an envelope, written once, in segments that a
//! consumer reads directly. What is always true: replicas are byte-identical up to the commit point; an entry is
//! acknowledged once a majority holds it as durably as the flush mode promises; a torn tail is cut, damage below what was
//! durable never is. `broker` owns a log through [`RaftLog`], stamps records through [`Stamper`] and builds its queues
//! through [`ApplySink`].

mod append;
mod batch;
mod batcher;
mod chores;
mod codec;
mod config;
mod envelope;
mod error;
mod flusher;
mod founding;
mod index;
mod landmarks;
mod log;
mod log_store;
#[cfg(test)]
mod lone;
mod manifest;
mod memory;
mod mend;
mod net;
mod pace;
mod probation;
mod raft_log;
mod recall;
mod recovery;
mod repair;
mod roll_call;
mod scrub;
mod shared;
mod sink;
mod slot_file;
mod snapshot;
mod start;
mod state_machine;
mod status;
mod types;

pub use batch::{Batch, Completions, Placed, Proposal, Ticket};
pub use config::{Fatal, FlushMode, RaftLogConfig};
pub use envelope::{
    ENVELOPE_BYTES, ENVELOPE_MAGIC, EntryId, EntryKind, Envelope, FILLER_BYTES, FILLER_MAGIC,
};
pub use error::{GroupError, LogError, ProposeError};
pub use founding::Founding;
pub use raft_log::RaftLog;
pub use repair::{Repaired, damage, repair};
pub use sink::{Applied, ApplySink, Restore, SinkError, Stamper};
pub use status::{PeerStatus, Role, Status};
