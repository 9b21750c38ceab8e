//! One unit of a consume queue: where a message lies, how long it is, and the hash of its tag.

/// Physical offset 8, size 4, tags code 8. Source: RocketMQ 5.3.3 `ConsumeQueue.CQ_STORE_UNIT_SIZE`.
pub const UNIT_BYTES: u64 = 8 + 4 + 8;

/// The size in a unit that stands before the first message of a queue that does not begin at 0.
/// Source: RocketMQ `ConsumeQueue.fillPreBlank`.
const PREFILL_BYTES: u32 = 0x7FFF_FFFF;

/// One unit of a consume queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Where the message begins in the commit log.
    pub physical_offset: u64,
    /// How many bytes the message has there.
    pub bytes: u32,
    /// The hash of the message's tags, or when a delayed message is due.
    pub tags_code: i64,
}

impl Unit {
    /// The unit that fills a queue's file before its first message.
    pub const PREFILL: Self = Self { physical_offset: 0, bytes: PREFILL_BYTES, tags_code: 0 };

    /// What was never written.
    pub const BLANK: Self = Self { physical_offset: 0, bytes: 0, tags_code: 0 };

    /// Whether the unit stands for a message, not for a hole or for a file's unwritten rest.
    pub fn is_message(&self) -> bool {
        self.bytes != 0 && self.bytes != PREFILL_BYTES
    }

    /// Whether nothing was ever written here.
    pub fn is_blank(&self) -> bool {
        self.bytes == 0
    }

    /// The first byte after the message.
    pub fn end(&self) -> u64 {
        self.physical_offset.saturating_add(u64::from(self.bytes))
    }

    /// The stored form.
    pub fn encode(&self) -> [u8; UNIT_BYTES as usize] {
        let mut bytes = [0; UNIT_BYTES as usize];
        bytes[..8].copy_from_slice(&self.physical_offset.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.bytes.to_be_bytes());
        bytes[12..].copy_from_slice(&self.tags_code.to_be_bytes());
        bytes
    }

    /// Reads the stored form; a sign that no message can have makes a blank.
    pub fn decode(bytes: &[u8; UNIT_BYTES as usize]) -> Self {
        let [p0, p1, p2, p3, p4, p5, p6, p7, s0, s1, s2, s3, tags @ ..] = *bytes;
        let physical_offset = u64::from_be_bytes([p0, p1, p2, p3, p4, p5, p6, p7]);
        let size = u32::from_be_bytes([s0, s1, s2, s3]);
        let written = physical_offset <= i64::MAX as u64 && size <= PREFILL_BYTES;
        Self {
            physical_offset: if written { physical_offset } else { 0 },
            bytes: if written { size } else { 0 },
            tags_code: i64::from_be_bytes(tags),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_unit_is_stored_as_rocketmq_stores_it() {
        let unit = Unit { physical_offset: 0x0102, bytes: 0x0304, tags_code: 2_598_919 };
        let expected = [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0, 0, 0, 0, 0, 0x27, 0xA8, 0x07];
        assert_eq!(unit.encode(), expected);
        assert_eq!(Unit::PREFILL.encode()[8..12], [0x7F, 0xFF, 0xFF, 0xFF]);
    }

    #[test]
    fn bytes_that_no_message_can_have_read_as_blank() {
        assert!(Unit::decode(&[0xFF; 20]).is_blank());
        assert!(Unit::decode(&[0; 20]).is_blank());
        assert!(!Unit::PREFILL.is_message() && !Unit::PREFILL.is_blank());
    }

    proptest! {
        #[test]
        fn a_unit_survives_its_stored_form(physical_offset in 0..=i64::MAX as u64, bytes in 1..=0x7FFF_FFFFu32, tags_code: i64) {
            let unit = Unit { physical_offset, bytes, tags_code };
            prop_assert_eq!(Unit::decode(&unit.encode()), unit);
        }
    }
}
