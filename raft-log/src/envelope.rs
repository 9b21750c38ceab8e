//! The envelope around each entry of the log: pure bytes, checked on the way to disk and on the way back.
//!
//! It begins with the two words of any commit-log record (total size, magic), so that one walker reads every log; all
//! numbers are big-endian. What follows the envelope belongs to the proposer and is never looked at here.
//!
//! ```text
//!  0 u32 total size, envelope and body   16 u64 index          48 u32 count of records in the body
//!  4 u32 magic                           24 u64 term           52 u32 checksum of the entry before
//!  8 u32 crc32c of bytes 12..total       32 u64 leader's node  56 u64 store timestamp, ms, leader's clock
//! 12 u8 version, u8 kind, u16 zero       40 u64 own position   64 body
//! ```

use crate::error::LogError;

/// The size of an envelope.
pub const ENVELOPE_BYTES: usize = 64;

/// The magic of an envelope; no message and no filler of RocketMQ bears it. ("TRIR")
pub const ENVELOPE_MAGIC: u32 = 0x5452_4952;

/// The magic of what fills a segment's end. Source: RocketMQ 5.3.3 `CommitLog.BLANK_MAGIC_CODE`.
pub const FILLER_MAGIC: u32 = 0xCBD4_3194;

/// The size and magic that begin a filler; this much room is always left behind an entry.
/// Source: RocketMQ 5.3.3 `CommitLog.END_FILE_MIN_BLANK_LENGTH`.
pub const FILLER_BYTES: usize = 4 + 4;

/// The version of the format; a peer with another one is refused.
pub const FORMAT_VERSION: u8 = 1;

const CHECKED_FROM: usize = 12;
const _: () = assert!(ENVELOPE_BYTES == 56 + 8, "the store timestamp is the last word");

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A new leader's first entry; without a body.
    Blank,
    /// A batch of records as the proposers encoded them.
    Records,
    /// A change of the group's members; its body is ours.
    Membership,
    /// One command of the proposer.
    System,
}

impl EntryKind {
    fn number(self) -> u8 {
        match self {
            Self::Blank => 0,
            Self::Records => 1,
            Self::Membership => 2,
            Self::System => 3,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Blank),
            1 => Some(Self::Records),
            2 => Some(Self::Membership),
            3 => Some(Self::System),
            _ => None,
        }
    }
}

/// The name of an entry: which leader made it, and which one it is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct EntryId {
    /// The leader's term.
    pub term: u64,
    /// The leader's node.
    pub node: u64,
    /// The place in the log.
    pub index: u64,
}

/// What an envelope says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope {
    /// Size of envelope and body.
    pub total: u32,
    /// Checksum of everything behind the checksum.
    pub crc: u32,
    /// What the entry is.
    pub kind: EntryKind,
    /// The entry's name.
    pub id: EntryId,
    /// Where the envelope begins in the log.
    pub position: u64,
    /// How many records the body holds.
    pub count: u32,
    /// The checksum of the entry before; 0 for the first of a log.
    pub previous_crc: u32,
    /// The leader's clock when it appended, in milliseconds.
    pub timestamp: u64,
}

impl Envelope {
    /// Encodes the envelope, checksum included, for a body given in parts; also fills in `total` and `crc`.
    pub fn encode<'a>(&mut self, body: impl Iterator<Item = &'a [u8]> + Clone) -> [u8; ENVELOPE_BYTES] {
        let body_bytes: usize = body.clone().map(<[u8]>::len).sum();
        let total = ENVELOPE_BYTES + body_bytes;
        assert!(u32::try_from(total).is_ok(), "the facade refuses bodies that large");
        self.total = total as u32;
        let mut bytes = [0; ENVELOPE_BYTES];
        bytes[0..4].copy_from_slice(&self.total.to_be_bytes());
        bytes[4..8].copy_from_slice(&ENVELOPE_MAGIC.to_be_bytes());
        bytes[12] = FORMAT_VERSION;
        bytes[13] = self.kind.number();
        bytes[16..24].copy_from_slice(&self.id.index.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.id.term.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.id.node.to_be_bytes());
        bytes[40..48].copy_from_slice(&self.position.to_be_bytes());
        bytes[48..52].copy_from_slice(&self.count.to_be_bytes());
        bytes[52..56].copy_from_slice(&self.previous_crc.to_be_bytes());
        bytes[56..64].copy_from_slice(&self.timestamp.to_be_bytes());
        let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
        digest.update(&bytes[CHECKED_FROM..]);
        for part in body {
            digest.update(part);
        }
        self.crc = digest.finalize() as u32;
        bytes[8..12].copy_from_slice(&self.crc.to_be_bytes());
        bytes
    }

    /// Reads an envelope without its body; `None` when these bytes are not one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let head: &[u8; ENVELOPE_BYTES] = bytes.first_chunk()?;
        let is_ours = word(head, 4) == ENVELOPE_MAGIC && head[12] == FORMAT_VERSION && head[14..16] == [0, 0];
        let total = word(head, 0);
        if !is_ours || (total as usize) < ENVELOPE_BYTES {
            return None;
        }
        Some(Self {
            total,
            crc: word(head, 8),
            kind: EntryKind::from_number(head[13])?,
            id: EntryId { index: long(head, 16), term: long(head, 24), node: long(head, 32) },
            position: long(head, 40),
            count: word(head, 48),
            previous_crc: word(head, 52),
            timestamp: long(head, 56),
        })
    }

    /// Reads and checks a whole entry, body included.
    pub fn check(bytes: &[u8]) -> Result<Self, LogError> {
        let Some(envelope) = Self::decode(bytes) else { return Err(LogError::EntryUnreadable) };
        let matches =
            envelope.total as usize == bytes.len() && crc32c(&bytes[CHECKED_FROM..]) == envelope.crc;
        if matches {
            Ok(envelope)
        } else {
            Err(LogError::EntryChecksum { index: envelope.id.index, position: envelope.position })
        }
    }
}

/// The Castagnoli checksum.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// The filler's two words for a segment that has `left` bytes left.
pub(crate) fn filler(left: u64) -> [u8; FILLER_BYTES] {
    let mut bytes = [0; FILLER_BYTES];
    bytes[..4].copy_from_slice(&(left as u32).to_be_bytes());
    bytes[4..].copy_from_slice(&FILLER_MAGIC.to_be_bytes());
    bytes
}

/// Whether these bytes begin a filler.
pub(crate) fn is_filler(bytes: &[u8]) -> bool {
    bytes.len() >= FILLER_BYTES && bytes[4..8] == FILLER_MAGIC.to_be_bytes()
}

/// Where an entry of `total` bytes goes when the log ends at `end`: there, or at the next segment behind a filler.
/// RocketMQ's own rule, so that its walkers agree: an entry leaves room for a filler behind it.
pub(crate) fn place(end: u64, total: u64, segment_bytes: u64) -> u64 {
    let left = segment_bytes - end % segment_bytes;
    if total + FILLER_BYTES as u64 > left && left < segment_bytes { end + left } else { end }
}

fn word(bytes: &[u8; ENVELOPE_BYTES], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn long(bytes: &[u8; ENVELOPE_BYTES], at: usize) -> u64 {
    u64::from(word(bytes, at)) << 32 | u64::from(word(bytes, at + 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn envelope(kind: EntryKind) -> Envelope {
        let id = EntryId { term: 7, node: 2, index: 41 };
        let (position, timestamp) = (0x1_0000_0203, 1_700_000_000_000);
        Envelope { total: 0, crc: 0, kind, id, position, count: 3, previous_crc: 0xdead_beef, timestamp }
    }

    #[test]
    fn the_bytes_of_an_envelope_never_change() {
        let mut envelope = envelope(EntryKind::Records);
        let bytes = envelope.encode([b"ab".as_slice(), b"c"].into_iter());
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            format!(
                "00000043{}{:08x}01010000{}{}{}{}{}deadbeef{}",
                "54524952",
                envelope.crc,
                "0000000000000029",
                "0000000000000007",
                "0000000000000002",
                "0000000100000203",
                "00000003",
                "0000018bcfe56800",
            )
        );
        assert_eq!(envelope.crc, crc32c(&[&bytes[12..], b"abc"].concat()));
    }

    #[test]
    fn crc32c_is_the_castagnoli_one() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn an_entry_that_leaves_no_room_for_a_filler_goes_to_the_next_segment() {
        assert_eq!(place(0, 92, 100), 0);
        assert_eq!(place(0, 93, 100), 0, "an entry at a segment's start has no better place");
        assert_eq!(place(30, 62, 100), 30);
        assert_eq!(place(30, 63, 100), 100);
        assert_eq!(place(100, 64, 100), 100);
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded_and_any_flipped_bit_is_found(
            body in proptest::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>(), bit in 0..8_u8,
        ) {
            let mut written = envelope(EntryKind::System);
            let mut bytes = written.encode([body.as_slice()].into_iter()).to_vec();
            bytes.extend_from_slice(&body);
            prop_assert_eq!(Envelope::check(&bytes).unwrap(), written);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Envelope::check(&bytes).is_err());
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Envelope::check(&bytes);
            let _ = is_filler(&bytes);
        }
    }
}
