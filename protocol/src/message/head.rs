//! The first eight bytes of whatever lies in a commit log: they say what it is and where the next begins.

use bytes::{BufMut, BytesMut};

/// A message whose topic length has one byte.
pub const MAGIC_V1: u32 = 0xDAA3_20A7;
/// A message whose topic length has two bytes.
pub const MAGIC_V2: u32 = 0xDAA3_20AB;
/// The filler at the end of a file.
pub const MAGIC_FILLER: u32 = 0xCBD4_3194;
/// Every commit-log file ends with room for a filler's two words.
pub const FILLER_BYTES_MIN: usize = 8;
/// The shortest record: V1, IPv4, no body, topic and properties.
pub const RECORD_BYTES_MIN: usize = 91;

/// What lies at a position of the commit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordHead {
    /// A message of `len` bytes in all.
    Message {
        /// Its total size.
        len: u32,
    },
    /// Nothing up to the end of the file, which is `len` bytes away.
    Filler {
        /// Bytes left in the file, these eight included.
        len: u32,
    },
    /// Something else with a size and a magic: an envelope of the Raft log, or rubbish.
    Unknown {
        /// Its second word.
        magic: u32,
        /// Its first word.
        len: u32,
    },
    /// No more data: a zero size, or fewer than eight bytes.
    End,
}

/// Reads the first eight bytes.
pub fn record_head(bytes: &[u8]) -> RecordHead {
    let Some(words) = bytes.first_chunk::<8>() else { return RecordHead::End };
    let len = u32::from_be_bytes([words[0], words[1], words[2], words[3]]);
    let magic = u32::from_be_bytes([words[4], words[5], words[6], words[7]]);
    match (len, magic) {
        (0, _) => RecordHead::End,
        (_, MAGIC_V1 | MAGIC_V2) => RecordHead::Message { len },
        (_, MAGIC_FILLER) => RecordHead::Filler { len },
        _ => RecordHead::Unknown { magic, len },
    }
}

/// Appends the two words of a filler that covers `len` bytes to the end of its file.
pub fn encode_filler(len: u32, out: &mut BytesMut) {
    assert!(len as usize >= FILLER_BYTES_MIN, "a filler has room for its own two words");
    out.put_u32(len);
    out.put_u32(MAGIC_FILLER);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_told_apart_by_their_magic() {
        let mut filler = BytesMut::new();
        encode_filler(100, &mut filler);
        assert_eq!(record_head(&filler), RecordHead::Filler { len: 100 });
        assert_eq!(record_head(&[0; 8]), RecordHead::End);
        assert_eq!(record_head(&[1; 7]), RecordHead::End);
        assert_eq!(record_head(&[1; 8]), RecordHead::Unknown { magic: 0x0101_0101, len: 0x0101_0101 });
        assert_eq!(record_head(&[0, 0, 0, 91, 0xDA, 0xA3, 0x20, 0xA7]), RecordHead::Message { len: 91 });
    }
}
