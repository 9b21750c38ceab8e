//! A stored record, read in place.

use std::net::{IpAddr, SocketAddr};

use super::head::{MAGIC_V1, MAGIC_V2, RECORD_BYTES_MIN};
use crate::error::MessageError;
use crate::message_id::OffsetMessageId;
use crate::properties;
use crate::sys_flag::{BORN_HOST_V6, STORE_HOST_V6};

/// A record's checksum of its body: CRC-32 without its top bit, as Java keeps it in an int.
pub fn body_crc(body: &[u8]) -> u32 {
    crc32fast::hash(body) & 0x7FFF_FFFF
}

/// One stored message, borrowed from the log's or the network's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageView<'a> {
    /// The whole record, exactly.
    pub bytes: &'a [u8],
    /// Checksum of the body as stored.
    pub body_crc: u32,
    /// The queue.
    pub queue_id: i32,
    /// The application's flag.
    pub flag: i32,
    /// Index in the consume queue.
    pub queue_offset: u64,
    /// Where the record lies.
    pub physical_offset: u64,
    /// System bits.
    pub sys_flag: i32,
    /// When the producer made it, ms.
    pub born_timestamp: i64,
    /// The producer's address.
    pub born_host: SocketAddr,
    /// When the broker stored it, ms.
    pub store_timestamp: i64,
    /// The broker's address.
    pub store_host: SocketAddr,
    /// How often it has been consumed in vain.
    pub reconsume_times: i32,
    /// Physical offset of the half message.
    pub prepared_transaction_offset: i64,
    /// The body as stored, maybe compressed.
    pub body: &'a [u8],
    /// The topic.
    pub topic: &'a str,
    /// The properties text.
    pub properties: &'a str,
}

impl<'a> MessageView<'a> {
    /// Reads the record at the front of `bytes`; what follows it is not looked at. Checks magic and all lengths, not the checksum.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
        let Some(first) = bytes.first_chunk::<4>() else {
            return Err(MessageError::Torn { claimed: RECORD_BYTES_MIN as u32, left: bytes.len() });
        };
        let claimed = u32::from_be_bytes(*first);
        let len = claimed as usize;
        if len > bytes.len() {
            return Err(MessageError::Torn { claimed, left: bytes.len() });
        }
        if len < RECORD_BYTES_MIN {
            return Err(MessageError::Part { len, part: "record", claimed: i64::from(claimed) });
        }
        let mut reader = Reader { bytes: &bytes[..len], at: 4 };
        let magic = reader.u32()?;
        if magic != MAGIC_V1 && magic != MAGIC_V2 {
            return Err(MessageError::Magic { magic });
        }
        let body_crc = reader.u32()?;
        let queue_id = reader.u32()? as i32;
        let flag = reader.u32()? as i32;
        let queue_offset = reader.u64()?;
        let physical_offset = reader.u64()?;
        let sys_flag = reader.u32()? as i32;
        let born_timestamp = reader.u64()? as i64;
        let born_host = reader.host(sys_flag & BORN_HOST_V6 != 0)?;
        let store_timestamp = reader.u64()? as i64;
        let store_host = reader.host(sys_flag & STORE_HOST_V6 != 0)?;
        let reconsume_times = reader.u32()? as i32;
        let prepared_transaction_offset = reader.u64()? as i64;
        let body_len = i64::from(reader.u32()? as i32);
        let body = reader.part("body", body_len)?;
        let topic_len = if magic == MAGIC_V1 {
            i64::from(reader.array::<1>()?[0] as i8)
        } else {
            i64::from(reader.u16()? as i16)
        };
        let topic = reader.text("topic", topic_len)?;
        let properties_len = i64::from(reader.u16()? as i16);
        let properties = reader.text("properties", properties_len)?;
        if reader.at != len {
            return Err(MessageError::Sum { len, parts: reader.at });
        }
        Ok(Self {
            bytes: &bytes[..len],
            body_crc,
            queue_id,
            flag,
            queue_offset,
            physical_offset,
            sys_flag,
            born_timestamp,
            born_host,
            store_timestamp,
            store_host,
            reconsume_times,
            prepared_transaction_offset,
            body,
            topic,
            properties,
        })
    }

    /// Reads all records that follow one another; after an error the iteration ends.
    pub fn iter(bytes: &'a [u8]) -> impl Iterator<Item = Result<Self, MessageError>> {
        let mut left = bytes;
        std::iter::from_fn(move || {
            if left.is_empty() {
                return None;
            }
            let parsed = Self::parse(left);
            left = parsed.as_ref().map_or(&[], |view| &left[view.bytes.len()..]);
            Some(parsed)
        })
    }

    /// Compares the body with its checksum.
    pub fn verify_crc(&self) -> Result<(), MessageError> {
        let actual = body_crc(self.body);
        if actual == self.body_crc {
            Ok(())
        } else {
            Err(MessageError::Crc { stored: self.body_crc, actual })
        }
    }

    /// The value of a property.
    pub fn property(&self, name: &str) -> Option<&'a str> {
        properties::get(self.properties, name)
    }

    /// The value of `TAGS`.
    pub fn tags(&self) -> Option<&'a str> {
        self.property(properties::TAGS)
    }

    /// The tags code for the consume queue (not for delayed messages).
    pub fn tags_code(&self) -> i64 {
        self.tags().map_or(0, crate::tags::tags_code)
    }

    /// The id that says where the message lies.
    pub fn offset_message_id(&self) -> OffsetMessageId {
        OffsetMessageId { store_host: self.store_host, physical_offset: self.physical_offset }
    }
}

/// A cursor over exactly one record.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn part(&mut self, part: &'static str, claimed: i64) -> Result<&'a [u8], MessageError> {
        let taken =
            usize::try_from(claimed).ok().and_then(|len| self.bytes.get(self.at..self.at.checked_add(len)?));
        let taken = taken.ok_or(MessageError::Part { len: self.bytes.len(), part, claimed })?;
        self.at += taken.len();
        Ok(taken)
    }

    fn text(&mut self, part: &'static str, claimed: i64) -> Result<&'a str, MessageError> {
        std::str::from_utf8(self.part(part, claimed)?).map_err(|_| MessageError::Text { part })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MessageError> {
        let parts = MessageError::Sum { len: self.bytes.len(), parts: self.at + N };
        let taken = self.bytes.get(self.at..).and_then(|left| left.first_chunk::<N>()).ok_or(parts)?;
        self.at += N;
        Ok(*taken)
    }

    fn u16(&mut self) -> Result<u16, MessageError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, MessageError> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, MessageError> {
        self.array().map(u64::from_be_bytes)
    }

    fn host(&mut self, is_v6: bool) -> Result<SocketAddr, MessageError> {
        let ip = if is_v6 { IpAddr::from(self.array::<16>()?) } else { IpAddr::from(self.array::<4>()?) };
        let port = self.u32()?;
        let port = u16::try_from(port).map_err(|_| MessageError::Part {
            len: self.bytes.len(),
            part: "host port",
            claimed: i64::from(port),
        })?;
        Ok(SocketAddr::new(ip, port))
    }
}
