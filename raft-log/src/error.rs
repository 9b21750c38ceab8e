//! Everything that can go wrong with the log, and what a proposer is told.

use std::io;

use disk::DiskError;
use thiserror::Error;

/// Why the log cannot be opened, or had to stop.
#[derive(Debug, Error)]
pub enum LogError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A small control file could not be encoded or decoded.
    #[error("cannot {action} {what}: {reason}")]
    Codec {
        /// `encode` or `decode`.
        action: &'static str,
        /// What it was.
        what: &'static str,
        /// What the codec said.
        reason: String,
    },
    /// The configuration is wrong; every wrong value is named.
    #[error("wrong configuration: {}", .0.join("; "))]
    Config(Vec<String>),
    /// The directory belongs to another node or group, or has another shape.
    #[error("this log has {what} {found}, the configuration says {expected}")]
    Mismatch {
        /// Which property differs.
        what: &'static str,
        /// What the manifest says.
        found: String,
        /// What the configuration says.
        expected: String,
    },
    /// These bytes are not an entry.
    #[error("these bytes are not an entry")]
    EntryUnreadable,
    /// An entry's checksum does not match its bytes.
    #[error("entry {index} at {position} does not match its checksum")]
    EntryChecksum {
        /// The entry's index, as far as it can be trusted.
        index: u64,
        /// Its position, as far as it can be trusted.
        position: u64,
    },
    /// Bytes that were durable cannot be read back. They are not cut: `repair` fetches them from a peer.
    #[error(
        "the log is damaged at {position}, below its durable end {durable}; it must be repaired from a peer"
    )]
    Damaged {
        /// Where the first bad entry begins.
        position: u64,
        /// The position up to which all was durable once.
        durable: u64,
    },
    /// Entries are hidden behind a snapshot that is not there.
    #[error("entries up to {purged} were replaced by a snapshot, and there is none")]
    SnapshotMissing {
        /// The last hidden index.
        purged: u64,
    },
    /// A leader sent an entry that does not continue this log byte for byte.
    #[error(
        "entry {index} from the leader does not continue this log: {what} is {found}, expected {expected}"
    )]
    Diverged {
        /// The entry's index.
        index: u64,
        /// Which field differs.
        what: &'static str,
        /// What the entry says.
        found: u64,
        /// What this log expects.
        expected: u64,
    },
    /// A leader has other entries where this log has committed ones.
    #[error(
        "the leader would cut this log from entry {from} on, and entries up to {committed} are committed here: this replica \
         and the group do not belong together"
    )]
    CommittedContradicted {
        /// The first entry that would go.
        from: u64,
        /// The last committed one.
        committed: u64,
    },
    /// A flush failed: nobody knows what the disk kept.
    #[error("the log could not be made durable: {0}")]
    Flush(String),
    /// The consensus stopped by itself.
    #[error("raft stopped: {0}")]
    Raft(String),
    /// The sink could not apply or restore.
    #[error("the sink failed: {0}")]
    Sink(Box<dyn std::error::Error + Send + Sync>),
    /// The transport cannot be set up.
    #[error("cannot {action}: {source}")]
    Network {
        /// What was tried.
        action: &'static str,
        /// What the system answered.
        source: io::Error,
    },
}

impl LogError {
    /// What the storage traits of openraft want to hear.
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }
}

/// Why an administrative request to the group was not carried out.
#[derive(Debug, Error)]
pub enum GroupError {
    /// This node does not lead.
    #[error("this node does not lead; the leader is {leader:?}")]
    NotLeader {
        /// Who leads, as far as known.
        leader: Option<u64>,
    },
    /// The group has members already.
    #[error("the group was formed before")]
    AlreadyFormed,
    /// Too few members answered for a group to be formed.
    #[error("{present} of {members} members are there, {needed} are needed to form the group")]
    TooFewMembers {
        /// How many answered, this node included.
        present: usize,
        /// How many the group will have.
        members: usize,
        /// How many must be there.
        needed: usize,
    },
    /// A member holds a classic store's records: they would be lost in a group that others form.
    #[error("node {node} holds records of its own: it must be the one that forms the group")]
    HasRecords {
        /// The node.
        node: u64,
    },
    /// A peer could not be asked.
    #[error("node {node} at {address} cannot be asked: {reason}")]
    PeerUnreachable {
        /// The node.
        node: u64,
        /// Its address.
        address: String,
        /// What happened.
        reason: String,
    },
    /// Consensus refused, for instance because another change is under way.
    #[error("refused: {0}")]
    Refused(String),
    /// It did not happen in time; it may still happen.
    #[error("not done in time")]
    TimedOut,
    /// The log is stopping or stopped.
    #[error("the log is stopped")]
    Stopped,
    /// The local log or disk failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// What became of a proposal that was not committed here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProposeError {
    /// It was not appended and never will be: this node does not lead, or not yet.
    #[error("this node does not lead; the leader is {leader:?}")]
    NotLeader {
        /// Who leads, as far as known.
        leader: Option<u64>,
    },
    /// It was not appended: too much is waiting.
    #[error("too much is waiting")]
    Busy,
    /// It was not appended: it is larger than an entry may be.
    #[error("{bytes} bytes are more than an entry may hold ({bytes_max})")]
    TooLarge {
        /// The proposal's size.
        bytes: usize,
        /// The largest size.
        bytes_max: usize,
    },
    /// It was not appended: there is no room for another segment.
    #[error("there is no room for another segment")]
    DiskFull,
    /// It was not appended: the log is stopping.
    #[error("the log is stopping")]
    Stopping,
    /// It was appended, and leadership was lost: it may be committed, or not.
    #[error("leadership was lost while the entry was under way")]
    Unknown,
}
