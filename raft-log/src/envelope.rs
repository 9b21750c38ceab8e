//! The head of every entry in the replicated log, and the rule that lays entries out.
//!
//! ```text
//!  0 u32 total size, this head included     32 u64 leader's node id
//!  4 u32 magic 'TRMR'                       40 u64 own physical offset
//!  8 u32 crc32c of [12 .. total size)       48 u32 records in the body
//! 12 u8 version, u8 kind, u16 zero          52 u32 crc of the entry before
//! 16 u64 index                              56 u64 store timestamp, ms, leader's clock
//! 24 u64 term                               64 body; all numbers big-endian, as in RocketMQ's records
//! ```
//!
//! The first two words are those of any commit-log record, so one walker reads every log.
//! The own offset makes a divergence of layout fatal at once; the chained crc and the growing
//! index make stale bytes behind a truncated tail detectable. An entry never straddles two
//! segments: when it does not fit, RocketMQ's own filler closes the segment.

use crate::error::EnvelopeError;

/// Bytes before the body.
pub const ENVELOPE_BYTES: usize = 64;
/// Magic of an entry: `TRMR`.
pub const ENVELOPE_MAGIC: u32 = 0x5452_4d52;
/// Magic of the filler that closes a segment. Source: RocketMQ 5.3.3 `CommitLog.BLANK_MAGIC_CODE`.
pub const FILLER_MAGIC: u32 = 0xcbd4_3194;
/// Bytes of a filler's head, which must always fit behind the last record of a segment.
pub const FILLER_BYTES: usize = 8;
/// Version of this layout.
pub const FORMAT_VERSION: u8 = 1;

const SIZE_AT: usize = 0;
const MAGIC_AT: usize = 4;
const CRC_AT: usize = 8;
const VERSION_AT: usize = 12;
const KIND_AT: usize = 13;
const INDEX_AT: usize = 16;
const TERM_AT: usize = 24;
const NODE_AT: usize = 32;
const POSITION_AT: usize = 40;
const COUNT_AT: usize = 48;
const PREVIOUS_AT: usize = 52;
const TIMESTAMP_AT: usize = 56;
const _: () = assert!(TIMESTAMP_AT + 8 == ENVELOPE_BYTES, "the last field ends the head");

/// What an entry's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A leader's first entry; no body.
    Blank = 0,
    /// Messages back to back, exactly as a consumer receives them.
    Messages = 1,
    /// Voters and learners, encoded once by the leader.
    Membership = 2,
    /// A command of the application, encoded once by the leader.
    System = 3,
}

impl TryFrom<u8> for Kind {
    type Error = EnvelopeError;

    fn try_from(kind: u8) -> Result<Self, EnvelopeError> {
        match kind {
            0 => Ok(Self::Blank),
            1 => Ok(Self::Messages),
            2 => Ok(Self::Membership),
            3 => Ok(Self::System),
            kind => Err(EnvelopeError::KindUnknown { kind }),
        }
    }
}

/// The head of an entry, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Head and body, in bytes.
    pub total_bytes: u32,
    /// What the body is.
    pub kind: Kind,
    /// Raft index.
    pub index: u64,
    /// Raft term.
    pub term: u64,
    /// The leader that made the entry.
    pub node: u64,
    /// Physical offset of this head.
    pub position: u64,
    /// Records in the body.
    pub count: u32,
    /// Checksum of the entry before this one; 0 for the first of a log.
    pub previous_crc: u32,
    /// Milliseconds since the epoch, by the leader's clock.
    pub timestamp: i64,
}

impl Envelope {
    /// Writes the head in front of a body and returns the checksum of both.
    ///
    /// The body may lie in several buffers; the checksum runs over them in order.
    pub fn encode<'a>(&self, head: &mut [u8; ENVELOPE_BYTES], body: impl Iterator<Item = &'a [u8]>) -> u32 {
        head[SIZE_AT..SIZE_AT + 4].copy_from_slice(&self.total_bytes.to_be_bytes());
        head[MAGIC_AT..MAGIC_AT + 4].copy_from_slice(&ENVELOPE_MAGIC.to_be_bytes());
        head[VERSION_AT] = FORMAT_VERSION;
        head[KIND_AT] = self.kind as u8;
        head[KIND_AT + 1..INDEX_AT].fill(0);
        head[INDEX_AT..INDEX_AT + 8].copy_from_slice(&self.index.to_be_bytes());
        head[TERM_AT..TERM_AT + 8].copy_from_slice(&self.term.to_be_bytes());
        head[NODE_AT..NODE_AT + 8].copy_from_slice(&self.node.to_be_bytes());
        head[POSITION_AT..POSITION_AT + 8].copy_from_slice(&self.position.to_be_bytes());
        head[COUNT_AT..COUNT_AT + 4].copy_from_slice(&self.count.to_be_bytes());
        head[PREVIOUS_AT..PREVIOUS_AT + 4].copy_from_slice(&self.previous_crc.to_be_bytes());
        head[TIMESTAMP_AT..TIMESTAMP_AT + 8].copy_from_slice(&self.timestamp.to_be_bytes());
        let mut digest = digest();
        digest.update(&head[VERSION_AT..]);
        for part in body {
            digest.update(part);
        }
        let crc = digest.finalize() as u32;
        head[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
        crc
    }

    /// Reads a head and checks what it says of itself, but not the body.
    pub fn decode(bytes: &[u8], segment_bytes: u64) -> Result<Self, EnvelopeError> {
        if bytes.len() < ENVELOPE_BYTES {
            return Err(EnvelopeError::TooShort { bytes: bytes.len() });
        }
        let magic = word(bytes, MAGIC_AT);
        if magic != ENVELOPE_MAGIC {
            return Err(EnvelopeError::MagicUnknown { magic });
        }
        if bytes[VERSION_AT] != FORMAT_VERSION {
            return Err(EnvelopeError::VersionUnknown { version: bytes[VERSION_AT] });
        }
        let total_bytes = word(bytes, SIZE_AT);
        if (total_bytes as usize) < ENVELOPE_BYTES || u64::from(total_bytes) > segment_bytes {
            return Err(EnvelopeError::SizeImpossible { total_bytes });
        }
        Ok(Self {
            total_bytes,
            kind: Kind::try_from(bytes[KIND_AT])?,
            index: long(bytes, INDEX_AT),
            term: long(bytes, TERM_AT),
            node: long(bytes, NODE_AT),
            position: long(bytes, POSITION_AT),
            count: word(bytes, COUNT_AT),
            previous_crc: word(bytes, PREVIOUS_AT),
            timestamp: long(bytes, TIMESTAMP_AT) as i64,
        })
    }
}

/// The checksum that an entry claims, from its first bytes.
pub fn claimed_crc(entry: &[u8]) -> u32 {
    word(entry, CRC_AT)
}

/// Checks head and body against the checksum that the head claims.
pub fn verify(entry: &[u8]) -> Result<(), EnvelopeError> {
    if entry.len() < ENVELOPE_BYTES {
        return Err(EnvelopeError::TooShort { bytes: entry.len() });
    }
    let mut digest = digest();
    digest.update(&entry[VERSION_AT..]);
    let (claimed, found) = (claimed_crc(entry), digest.finalize() as u32);
    if claimed == found { Ok(()) } else { Err(EnvelopeError::ChecksumWrong { claimed, found }) }
}

/// Whether an entry of this size still fits at `position`, leaving room for the filler's head.
pub fn fits(position: u64, total_bytes: u64, segment_bytes: u64) -> bool {
    let left = segment_bytes - position % segment_bytes;
    total_bytes + FILLER_BYTES as u64 <= left
}

/// The filler's head for a segment with `left` bytes to spare.
pub fn filler(left: u32) -> [u8; FILLER_BYTES] {
    let mut bytes = [0; FILLER_BYTES];
    bytes[..4].copy_from_slice(&left.to_be_bytes());
    bytes[4..].copy_from_slice(&FILLER_MAGIC.to_be_bytes());
    bytes
}

fn digest() -> crc_fast::Digest {
    crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(word)
}

fn long(bytes: &[u8], at: usize) -> u64 {
    let mut long = [0; 8];
    long.copy_from_slice(&bytes[at..at + 8]);
    u64::from_be_bytes(long)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(body: &[u8]) -> (Envelope, Vec<u8>) {
        let envelope = Envelope {
            total_bytes: (ENVELOPE_BYTES + body.len()) as u32,
            kind: Kind::Messages,
            index: 7,
            term: 3,
            node: 2,
            position: 4096,
            count: 1,
            previous_crc: 0xdead_beef,
            timestamp: 1_700_000_000_123,
        };
        let mut head = [0; ENVELOPE_BYTES];
        envelope.encode(&mut head, [body].into_iter());
        (envelope, [&head[..], body].concat())
    }

    #[test]
    fn a_head_reads_back_as_it_was_written() {
        let (envelope, bytes) = entry(b"hello");
        assert_eq!(Envelope::decode(&bytes, 1 << 20).unwrap(), envelope);
        verify(&bytes).unwrap();
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (_, bytes) = entry(b"hello");
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let size_intact =
                Envelope::decode(&bytes, 1 << 20).is_ok_and(|e| e.total_bytes as usize == bytes.len());
            assert!(!size_intact || verify(&bytes).is_err(), "bit {bit} went unnoticed");
        }
    }

    #[test]
    fn the_checksum_does_not_care_how_the_body_is_cut() {
        let (envelope, whole) = entry(b"hello");
        let mut head = [0; ENVELOPE_BYTES];
        envelope.encode(&mut head, [&b"he"[..], b"l", b"", b"lo"].into_iter());
        assert_eq!(head[..], whole[..ENVELOPE_BYTES]);
    }

    #[test]
    fn an_entry_leaves_room_for_the_filler() {
        assert!(fits(0, 1016, 1024));
        assert!(!fits(0, 1017, 1024));
        assert!(fits(1024 + 1000, 16, 1024));
        assert!(!fits(1024 + 1001, 16, 1024));
    }

    proptest::proptest! {
        #[test]
        fn hostile_bytes_are_an_error_and_nothing_worse(bytes: Vec<u8>) {
            let _ = Envelope::decode(&bytes, 1 << 30);
            let _ = verify(&bytes);
        }
    }
}
