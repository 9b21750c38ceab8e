//! Everything that can go wrong in the store, with the numbers that explain the case.

use std::path::PathBuf;

use disk::DiskError;
use thiserror::Error;

use crate::config::ConfigFault;

/// Why the store did not do what it was asked for.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// Configured values that cannot be used, all of them.
    #[error("{} configured values cannot be used: {}", .0.len(), listed(.0))]
    Config(Vec<ConfigFault>),
    /// Files failed.
    #[error(transparent)]
    Disk(#[from] std::sync::Arc<DiskError>),
    /// Too much waits to be appended; nothing of this put was or will be stored.
    #[error("{puts} puts of {bytes} bytes wait to be appended")]
    Busy {
        /// Puts that wait.
        puts: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// The disk is too full to take messages; nothing of this put was or will be stored.
    #[error("the disk is used to {used_percent} %, messages are refused")]
    DiskFull {
        /// The used part of the disk when it was last looked at.
        used_percent: u8,
    },
    /// The store is closing, or closed; nothing of this put was or will be stored.
    #[error("the store is closing")]
    ShuttingDown,
    /// The disk failed in a way after which nobody knows what was kept: this put may appear or not.
    #[error("the disk failed, nobody knows what was kept")]
    Failed,
    /// It was written, and whether it stays is decided by others: this put may appear or not.
    #[error("it was written, and nobody here knows whether it stays")]
    Unconfirmed,
    /// The records of one put do not fit into one segment.
    #[error("{bytes} bytes do not fit into a segment of {segment_bytes} bytes")]
    TooLarge {
        /// The records' bytes.
        bytes: usize,
        /// The size of a segment.
        segment_bytes: u64,
    },
    /// The bytes of a put are not whole records one after the other.
    #[error("byte {at} of {bytes} does not begin a whole record")]
    NotRecords {
        /// Where a record should begin.
        at: usize,
        /// The size of the whole.
        bytes: usize,
    },
    /// The properties of a message look like what a power cut leaves; nothing of this put was or will be stored.
    #[error("the properties of the message at byte {at} of {bytes} hold hundreds of zero bytes in a row")]
    PropertiesHole {
        /// Where its record begins.
        at: usize,
        /// The size of the whole.
        bytes: usize,
    },
    /// The queue's topic was deleted while the put was on its way; nothing of it was or will be stored.
    #[error("queue {queue_id} of {topic} was deleted")]
    QueueDeleted {
        /// The topic.
        topic: String,
        /// The queue.
        queue_id: u32,
    },
    /// A message of the replicated log does not follow the queue's last one: this replica's queues are not the group's.
    #[error(
        "the next message of queue {queue_id} of {topic} has offset {found}, and the queue goes on at {expected}: this replica \
         differs from its group"
    )]
    QueueDiverged {
        /// The topic.
        topic: Box<str>,
        /// The queue.
        queue_id: u32,
        /// The offset that would have followed.
        expected: u64,
        /// The offset that the message has.
        found: u64,
    },
    /// Bytes of a master do not continue this log.
    #[error("bytes for {position} do not continue a log that ends at {end}")]
    NotContiguous {
        /// Where the bytes belong.
        position: u64,
        /// The end of the log.
        end: u64,
    },
    /// A record that was already verified, or that a master sent, cannot be understood.
    #[error("the record at {position} cannot be understood")]
    RecordDamaged {
        /// The record's physical offset.
        position: u64,
    },
    /// This store was opened on a log that somebody else writes.
    #[error("the commit log is written by somebody else")]
    ForeignLog,
    /// A name that cannot be a directory of consume queues.
    #[error("{name:?} cannot be the name of a topic's directory")]
    TopicName {
        /// The name.
        name: String,
    },
    /// The system refused to start a thread.
    #[error("cannot start thread {name}")]
    Thread {
        /// The thread's name.
        name: &'static str,
    },
    /// A queue's directory holds a file that does not belong there.
    #[error("{} is not a consume queue file of {file_bytes} bytes", path.display())]
    QueueFile {
        /// The file.
        path: PathBuf,
        /// The size that it should have.
        file_bytes: u64,
    },
}

impl StoreError {
    /// Whether it is only that a disk has no room: what was kept is still good, and the deed may be tried again.
    pub fn is_full(&self) -> bool {
        match self {
            Self::DiskFull { .. } => true,
            Self::Disk(error) => error.is_full(),
            _ => false,
        }
    }

    /// Whether a file or directory is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Disk(error) if error.is_not_found())
    }
}

impl From<DiskError> for StoreError {
    fn from(error: DiskError) -> Self {
        Self::Disk(std::sync::Arc::new(error))
    }
}

fn listed(faults: &[ConfigFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
