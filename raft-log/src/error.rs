//! What can go wrong between the bytes of the log, its peers and its callers.

use std::io;

/// An entry's head or body is not what it claims.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EnvelopeError {
    /// Fewer bytes than a head has.
    #[error("{bytes} bytes are fewer than an envelope has")]
    TooShort {
        /// Bytes there were.
        bytes: usize,
    },
    /// Not an entry.
    #[error("magic {magic:#010x} is not an envelope's")]
    MagicUnknown {
        /// What stood in its place.
        magic: u32,
    },
    /// Written by another version of this format.
    #[error("envelope version {version} is unknown")]
    VersionUnknown {
        /// The version claimed.
        version: u8,
    },
    /// A size that no entry can have.
    #[error("an envelope claims {total_bytes} bytes")]
    SizeImpossible {
        /// The size claimed.
        total_bytes: u32,
    },
    /// A kind that this version does not know.
    #[error("entry kind {kind} is unknown")]
    KindUnknown {
        /// The kind claimed.
        kind: u8,
    },
    /// Bytes changed since they were written.
    #[error("checksum {found:#010x} found where {claimed:#010x} is claimed")]
    ChecksumWrong {
        /// What the head says.
        claimed: u32,
        /// What the bytes give.
        found: u32,
    },
}

/// A control struct could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// No bytes at all.
    #[error("no bytes to decode")]
    Empty,
    /// Another version's encoding.
    #[error("control format {format} is unknown")]
    FormatUnknown {
        /// The format byte.
        format: u8,
    },
    /// More bytes than the struct has.
    #[error("{left} bytes left behind a control struct")]
    Trailing {
        /// Bytes left over.
        left: usize,
    },
    /// A membership that cannot be one: a voter without an address.
    #[error("membership: {reason}")]
    MembershipInvalid {
        /// What is wrong with it.
        reason: String,
    },
    /// The encoding itself is broken.
    #[error("control struct: {0}")]
    Malformed(#[from] bincode::error::DecodeError),
}

/// A peer could not be reached, or what it said makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The socket failed.
    #[error("peer socket: {0}")]
    Socket(#[from] io::Error),
    /// The peer did not answer in time.
    #[error("no answer within {millis} ms")]
    TimedOut {
        /// How long we waited.
        millis: u64,
    },
    /// The peer refused us, with its reason.
    #[error("peer refused: {reason}")]
    Refused {
        /// The peer's one line.
        reason: String,
    },
    /// A frame larger than any we send.
    #[error("a peer's frame claims {bytes} bytes")]
    FrameTooLarge {
        /// The size claimed.
        bytes: u32,
    },
    /// A frame of a kind that does not belong here.
    #[error("frame kind {kind} is unexpected here")]
    FrameUnexpected {
        /// The kind byte.
        kind: u8,
    },
    /// A control struct inside a frame is broken.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// An entry inside a frame is broken.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
}
