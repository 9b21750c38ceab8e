//! One stored record as the store sees it: checked lengths, and what dispatch needs to know of it.
//!
//! It forgives more than a client does (texts need not be UTF-8): what is in the log was acknowledged, and a master's bytes
//! are kept as they are. Layout: reference 3.2.

use std::time::Duration;

use protocol::message::{MAGIC_V1, MAGIC_V2, RECORD_BYTES_MIN, body_crc};
use protocol::{properties, sys_flag, tags};

use crate::key_hash::KeyHash;

const QUEUE_ID_AT: usize = 12;
const QUEUE_OFFSET_AT: usize = 20;
const PHYSICAL_OFFSET_AT: usize = 28;
const SYS_FLAG_AT: usize = 36;
const BORN_HOST_AT: usize = 48;

/// A hole of this many zero bytes inside properties is what a power cut leaves, not what a producer sends.
const HOLE_BYTES: usize = 512;

/// One record, borrowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    /// The record's bytes, exactly.
    pub(crate) bytes: &'a [u8],
    pub(crate) queue_id: u32,
    pub(crate) queue_offset: u64,
    pub(crate) physical_offset: u64,
    pub(crate) sys_flag: i32,
    pub(crate) store_timestamp: i64,
    pub(crate) body: &'a [u8],
    pub(crate) topic: &'a [u8],
    pub(crate) properties: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the record at the front of `bytes`, when all its lengths fit.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let len = word(bytes, 0)? as usize;
        let magic = word(bytes, 4)?;
        if len < RECORD_BYTES_MIN || len > bytes.len() || (magic != MAGIC_V1 && magic != MAGIC_V2) {
            return None;
        }
        let bytes = &bytes[..len];
        let flag = word(bytes, SYS_FLAG_AT)? as i32;
        let store_timestamp_at = store_timestamp_at(flag);
        let store_host = if flag & sys_flag::STORE_HOST_V6 == 0 { 8 } else { 20 };
        let body_len_at = store_timestamp_at + 8 + store_host + 4 + 8;
        let (body, rest) = part(bytes.get(body_len_at + 4..)?, word(bytes, body_len_at)? as i32)?;
        let (topic, rest) = if magic == MAGIC_V1 {
            let (len, rest) = rest.split_first_chunk::<1>()?;
            part(rest, i32::from(len[0] as i8))?
        } else {
            let (len, rest) = rest.split_first_chunk::<2>()?;
            part(rest, i32::from(i16::from_be_bytes(*len)))?
        };
        let (len, rest) = rest.split_first_chunk::<2>()?;
        let (properties, rest) = part(rest, i32::from(i16::from_be_bytes(*len)))?;
        if !rest.is_empty() {
            return None;
        }
        Some(Self {
            bytes,
            queue_id: word(bytes, QUEUE_ID_AT)?,
            queue_offset: long(bytes, QUEUE_OFFSET_AT)?,
            physical_offset: long(bytes, PHYSICAL_OFFSET_AT)?,
            sys_flag: flag,
            store_timestamp: long(bytes, store_timestamp_at)? as i64,
            body,
            topic,
            properties,
        })
    }

    /// Whether the record is whole, as far as its body's checksum and its topic can tell.
    pub(crate) fn is_sound(&self) -> bool {
        let stored = word(self.bytes, 8).unwrap_or_default();
        stored == body_crc(self.body) && !self.topic.is_empty() && !self.topic.contains(&0)
    }

    /// Whether the properties, which no checksum covers, look as if a power cut had taken a part of them. No producer may
    /// send such: after a crash nobody could tell the two apart.
    pub(crate) fn has_hole(&self) -> bool {
        has_hole(self.properties)
    }

    /// Whether the record's last byte is one that no writer ends with: a torn write leaves zeros there. Only the last record
    /// of a log is asked, since only it can be torn.
    pub(crate) fn ends_in_zero(&self) -> bool {
        !self.properties.is_empty() && self.bytes.last() == Some(&0)
    }

    /// The topic; empty when it is not UTF-8, which no queue can be called.
    pub(crate) fn topic_text(&self) -> &'a str {
        std::str::from_utf8(self.topic).unwrap_or_default()
    }

    /// The properties; empty when they are not UTF-8.
    pub(crate) fn properties_text(&self) -> &'a str {
        std::str::from_utf8(self.properties).unwrap_or_default()
    }

    /// Whether consumers get it: half and rolled back messages are in no queue.
    pub(crate) fn is_queued(&self) -> bool {
        let transaction = sys_flag::transaction(self.sys_flag);
        transaction != sys_flag::TRANSACTION_PREPARED && transaction != sys_flag::TRANSACTION_ROLLBACK
    }

    /// Whether it can be found by key.
    pub(crate) fn is_indexed(&self) -> bool {
        sys_flag::transaction(self.sys_flag) != sys_flag::TRANSACTION_ROLLBACK
    }
}

/// What dispatch takes out of a record's properties.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traits<'a> {
    tags: Option<&'a str>,
    keys: Option<&'a str>,
    unique_key: Option<&'a str>,
    delay: Option<&'a str>,
}

impl<'a> Traits<'a> {
    /// Reads them in one pass; of a repeated property the last counts, as in Java's map.
    pub(crate) fn of(properties: &'a str) -> Self {
        let mut traits = Self::default();
        for (name, value) in properties::iter(properties) {
            match name {
                properties::TAGS => traits.tags = Some(value),
                properties::KEYS => traits.keys = Some(value),
                properties::UNIQ_KEY => traits.unique_key = Some(value),
                properties::DELAY => traits.delay = Some(value),
                _ => {}
            }
        }
        traits
    }

    /// The tags code of the unit; for a delayed message the time at which it is due.
    pub(crate) fn tags_code(
        &self,
        is_schedule: bool,
        store_timestamp: i64,
        delay_levels: &[Duration],
    ) -> i64 {
        if is_schedule && let Some(level) = self.delay_level(delay_levels.len()) {
            let delay = delay_levels[level - 1].as_millis();
            return store_timestamp.saturating_add(i64::try_from(delay).unwrap_or(i64::MAX));
        }
        self.tags.map_or(0, tags::tags_code)
    }

    /// The delay level from 1 on, the highest for those beyond it.
    fn delay_level(&self, level_max: usize) -> Option<usize> {
        let level: i32 = self.delay?.trim().parse().ok()?;
        let level = usize::try_from(level).ok()?.min(level_max);
        (level > 0).then_some(level)
    }

    /// Calls `found` with the hash of everything the message can be found by.
    pub(crate) fn each_key(&self, topic: KeyHash, mut found: impl FnMut(u64)) {
        if let Some(key) = self.unique_key {
            found(topic.of_key(key));
        }
        for key in self.keys.into_iter().flat_map(properties::keys) {
            found(topic.of_key(key));
        }
    }

    /// Whether the message can be found by this key.
    pub(crate) fn has_key(&self, key: &str) -> bool {
        self.unique_key == Some(key)
            || self.keys.into_iter().flat_map(properties::keys).any(|found| found == key)
    }
}

/// The store time of the record whose first bytes are given.
pub(crate) fn store_timestamp(head: &[u8]) -> Option<i64> {
    let flag = word(head, SYS_FLAG_AT)? as i32;
    long(head, store_timestamp_at(flag)).map(|timestamp| timestamp as i64)
}

/// So many bytes of a record contain its store time, whatever its addresses.
pub(crate) const HEAD_BYTES: usize = BORN_HOST_AT + 20 + 8;
const _: () = assert!(HEAD_BYTES <= RECORD_BYTES_MIN, "every record has a head");

fn store_timestamp_at(flag: i32) -> usize {
    BORN_HOST_AT + if flag & sys_flag::BORN_HOST_V6 == 0 { 8 } else { 20 }
}

fn part(bytes: &[u8], len: i32) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(usize::try_from(len).ok()?)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn has_hole(bytes: &[u8]) -> bool {
    bytes.len() >= HOLE_BYTES && bytes.split(|byte| *byte != 0).any(|zeros| zeros.len() >= HOLE_BYTES)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use bytes::BytesMut;
    use proptest::prelude::*;
    use protocol::message::{MessageFields, MessageView, encode_record};

    use super::*;

    fn record(topic: &str, body: &[u8], properties: &str, host: &str) -> BytesMut {
        let host: SocketAddr = host.parse().unwrap();
        let mut fields = MessageFields::new(topic, 3, body, host, host);
        fields.properties = properties;
        let mut out = BytesMut::new();
        encode_record(&fields, &mut out).unwrap();
        out
    }

    #[test]
    fn what_a_power_cut_leaves_is_not_sound() {
        let properties = format!("a\u{1}{}\u{2}", "x".repeat(2000));
        let whole = record("TopicA", b"body", &properties, "1.2.3.4:5");
        assert!(Record::parse(&whole).unwrap().is_sound());
        for (from, len, has_hole) in [(300, 511, false), (300, 512, true), (300, 1500, true)] {
            let mut torn = whole.clone();
            torn[from..from + len].fill(0);
            assert_eq!(Record::parse(&torn).unwrap().has_hole(), has_hole, "{len} zeros");
        }
        let mut no_topic = whole.clone();
        let topic_at = 88 + 4 + 1;
        no_topic[topic_at..topic_at + 6].fill(0);
        assert!(!Record::parse(&no_topic).unwrap().is_sound());
        let mut other_body = whole;
        other_body[88] ^= 1;
        assert!(!Record::parse(&other_body).unwrap().is_sound());
    }

    proptest! {
        #[test]
        fn a_record_reads_as_protocol_reads_it(
            topic in "[a-zA-Z]{1,200}", body in prop::collection::vec(any::<u8>(), 0..300),
            properties in "[a-z]{0,40}", is_v6: bool,
        ) {
            let host = if is_v6 { "[::1]:10911" } else { "127.0.0.1:10911" };
            let bytes = record(&topic, &body, &properties, host);
            let view = MessageView::parse(&bytes).unwrap();
            let ours = Record::parse(&bytes).unwrap();
            prop_assert_eq!(ours.topic_text(), view.topic);
            prop_assert_eq!(ours.properties_text(), view.properties);
            prop_assert_eq!((ours.body, ours.bytes), (view.body, view.bytes));
            prop_assert_eq!(i64::from(ours.queue_id), i64::from(view.queue_id));
            prop_assert_eq!(store_timestamp(&bytes), Some(view.store_timestamp));
            prop_assert!(ours.is_sound());
        }

        #[test]
        fn rubbish_makes_no_record_and_no_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..400), is_v2: bool, flag: u8,
        ) {
            if bytes.len() > 91 {
                let len = bytes.len() as u32;
                bytes[..4].copy_from_slice(&len.to_be_bytes());
                bytes[4..8].copy_from_slice(&(if is_v2 { MAGIC_V2 } else { MAGIC_V1 }).to_be_bytes());
                bytes[36..40].copy_from_slice(&u32::from(flag).to_be_bytes());
            }
            if let Some(record) = Record::parse(&bytes) {
                let _ = (record.is_sound(), record.has_hole(), record.ends_in_zero(), Traits::of(record.properties_text()));
            }
        }
    }
}
