//! Everything that can go wrong with files, with the numbers that explain the case.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a deed on files did not happen.
#[derive(Debug, Error)]
pub enum DiskError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A directory of segments holds something that is not a segment.
    #[error("{} holds {name:?}, which is not a segment of {segment_bytes} bytes named by its start offset", directory.display())]
    ForeignFile {
        /// The directory of segments.
        directory: PathBuf,
        /// The name of what does not belong there.
        name: String,
        /// The size of the segments that belong there.
        segment_bytes: u64,
    },
    /// A segment has another size than this directory's segments have.
    #[error("segment {} has {bytes} bytes, expected {segment_bytes}", path.display())]
    SegmentSize {
        /// The segment's file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The size that it should have.
        segment_bytes: u64,
    },
    /// A segment is missing between two others.
    #[error("{} has no segment at {missing}, but one at {next}", directory.display())]
    SegmentGap {
        /// The directory of segments.
        directory: PathBuf,
        /// Where a segment should begin.
        missing: u64,
        /// Where the next one begins.
        next: u64,
    },
    /// A position outside what the segments hold.
    #[error("bytes {position}..+{len} are outside the segments' {start}..{end} or straddle two of them")]
    OutOfRange {
        /// The first byte asked for.
        position: u64,
        /// How many bytes.
        len: u64,
        /// The first kept byte.
        start: u64,
        /// The end of the last segment.
        end: u64,
    },
    /// Neither a file nor its copy from before the last replacement could be understood.
    #[error("neither {} nor its .bak can be understood", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
    },
    /// Another process, or another broker in this one, works on the same directory.
    #[error("{} is locked by another process", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The flush thread met an error before, and nothing can tell what the disk kept.
    #[error("an earlier flush failed, nothing is flushed any more")]
    FlushFailed,
}

impl DiskError {
    /// Whether the disk is full: the one error after which the bytes already kept are still good.
    pub fn is_full(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Whether the file or directory does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Says what was tried on what when the system answered with `source`.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_path_buf(), source }
    }
}
