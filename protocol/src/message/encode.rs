//! Building stored records. Positions, queue offset and store time are not known yet when a record is built: `patch_record` puts them in
//! when the log has a place for it.

use std::net::SocketAddr;

use bytes::{BufMut, BytesMut};

use super::head::{MAGIC_V1, MAGIC_V2};
use super::view::body_crc;
use crate::error::MessageError;
use crate::properties::{PROPERTIES_BYTES_MAX, PROPERTY_SEPARATOR};
use crate::sys_flag::{BORN_HOST_V6, STORE_HOST_V6};

/// A topic up to here is stored as V1. Source: RocketMQ `MessageVersion`, `autoMessageVersionOnTopicLen`.
const TOPIC_BYTES_V1_MAX: usize = i8::MAX as usize;
/// A V2 topic's length field has 16 bits.
const TOPIC_BYTES_MAX: usize = i16::MAX as usize;
/// No body is larger than a frame.
const BODY_BYTES_MAX: usize = crate::frame::FRAME_BYTES_MAX;

const QUEUE_OFFSET_AT: usize = 20;
const PHYSICAL_OFFSET_AT: usize = 28;
const SYS_FLAG_AT: usize = 36;
const BORN_HOST_AT: usize = 48;

/// What a record is built from.
#[derive(Debug, Clone, Copy)]
pub struct MessageFields<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The queue.
    pub queue_id: i32,
    /// The application's flag.
    pub flag: i32,
    /// System bits; the two IPv6 bits are set here by the hosts.
    pub sys_flag: i32,
    /// When the producer made it, ms.
    pub born_timestamp: i64,
    /// The producer's address.
    pub born_host: SocketAddr,
    /// The broker's address: it goes into the offset message id.
    pub store_host: SocketAddr,
    /// How often it has been consumed in vain.
    pub reconsume_times: i32,
    /// Physical offset of the half message.
    pub prepared_transaction_offset: i64,
    /// The body, as it came.
    pub body: &'a [u8],
    /// The producer's properties, as they came.
    pub properties: &'a str,
    /// The broker's own properties, stored behind the producer's.
    pub more_properties: &'a str,
}

impl<'a> MessageFields<'a> {
    /// The least a record needs; everything else is 0 or empty.
    pub fn new(
        topic: &'a str,
        queue_id: i32,
        body: &'a [u8],
        born_host: SocketAddr,
        store_host: SocketAddr,
    ) -> Self {
        Self {
            topic,
            queue_id,
            flag: 0,
            sys_flag: 0,
            born_timestamp: 0,
            born_host,
            store_host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body,
            properties: "",
            more_properties: "",
        }
    }

    fn is_v2(&self) -> bool {
        self.topic.len() > TOPIC_BYTES_V1_MAX
    }

    /// Whether the producer left out its last separator although more follows.
    fn needs_separator(&self) -> bool {
        let (first, second) = (self.properties, self.more_properties);
        !first.is_empty() && !second.is_empty() && !first.ends_with(PROPERTY_SEPARATOR)
    }

    fn properties_len(&self) -> usize {
        self.properties.len() + self.more_properties.len() + usize::from(self.needs_separator())
    }
}

/// How long the record will be; refuses what does not fit its length fields.
pub fn record_len(fields: &MessageFields<'_>) -> Result<usize, MessageError> {
    if fields.topic.len() > TOPIC_BYTES_MAX {
        return Err(MessageError::TopicLength { len: fields.topic.len(), max: TOPIC_BYTES_MAX });
    }
    if fields.properties_len() > PROPERTIES_BYTES_MAX {
        return Err(MessageError::PropertiesLength {
            len: fields.properties_len(),
            max: PROPERTIES_BYTES_MAX,
        });
    }
    if fields.body.len() > BODY_BYTES_MAX {
        return Err(MessageError::BodyLength { len: fields.body.len(), max: BODY_BYTES_MAX });
    }
    let hosts = host_len(fields.born_host) + host_len(fields.store_host);
    let topic = if fields.is_v2() { 2 } else { 1 } + fields.topic.len();
    Ok(BORN_HOST_AT + hosts + 8 + 4 + 8 + 4 + fields.body.len() + topic + 2 + fields.properties_len())
}

/// Appends one record and tells its length. The body is copied once and its checksum computed on the way.
pub fn encode_record(fields: &MessageFields<'_>, out: &mut BytesMut) -> Result<usize, MessageError> {
    let len = record_len(fields)?;
    let start = out.len();
    out.put_bytes(0, len);
    let mut rest = &mut out[start..];
    let rest = &mut rest;
    put(rest, &(len as u32).to_be_bytes());
    put(rest, &(if fields.is_v2() { MAGIC_V2 } else { MAGIC_V1 }).to_be_bytes());
    put(rest, &body_crc(fields.body).to_be_bytes());
    put(rest, &fields.queue_id.to_be_bytes());
    put(rest, &fields.flag.to_be_bytes());
    put(rest, &[0; 8 + 8]); // queue offset, physical offset
    put(rest, &sys_flag(fields).to_be_bytes());
    put(rest, &fields.born_timestamp.to_be_bytes());
    put_host(rest, fields.born_host);
    put(rest, &[0; 8]); // store timestamp
    put_host(rest, fields.store_host);
    put(rest, &fields.reconsume_times.to_be_bytes());
    put(rest, &fields.prepared_transaction_offset.to_be_bytes());
    put(rest, &(fields.body.len() as i32).to_be_bytes());
    put(rest, fields.body);
    if fields.is_v2() {
        put(rest, &(fields.topic.len() as u16).to_be_bytes());
    } else {
        put(rest, &[fields.topic.len() as u8]);
    }
    put(rest, fields.topic.as_bytes());
    put(rest, &(fields.properties_len() as u16).to_be_bytes());
    put(rest, fields.properties.as_bytes());
    if fields.needs_separator() {
        put(rest, &[PROPERTY_SEPARATOR as u8]);
    }
    put(rest, fields.more_properties.as_bytes());
    assert!(rest.is_empty(), "record_len and encode_record describe one layout");
    Ok(len)
}

/// Puts bytes at the front of what is left of the record. The room is there: so no byte of it asks whether it must grow.
fn put(rest: &mut &mut [u8], bytes: &[u8]) {
    let (here, left) = std::mem::take(rest).split_at_mut(bytes.len());
    here.copy_from_slice(bytes);
    *rest = left;
}

/// Puts in what only the log knows. `record` begins at the record's first byte; it may be longer.
pub fn patch_record(record: &mut [u8], queue_offset: u64, physical_offset: u64, store_timestamp: i64) {
    let sys_flag = i32::from_be_bytes(record[SYS_FLAG_AT..SYS_FLAG_AT + 4].try_into().expect("four bytes"));
    let store_timestamp_at = BORN_HOST_AT + if sys_flag & BORN_HOST_V6 == 0 { 8 } else { 20 };
    record[QUEUE_OFFSET_AT..QUEUE_OFFSET_AT + 8].copy_from_slice(&queue_offset.to_be_bytes());
    record[PHYSICAL_OFFSET_AT..PHYSICAL_OFFSET_AT + 8].copy_from_slice(&physical_offset.to_be_bytes());
    record[store_timestamp_at..store_timestamp_at + 8].copy_from_slice(&store_timestamp.to_be_bytes());
}

fn sys_flag(fields: &MessageFields<'_>) -> i32 {
    let born = if fields.born_host.is_ipv6() { BORN_HOST_V6 } else { 0 };
    let store = if fields.store_host.is_ipv6() { STORE_HOST_V6 } else { 0 };
    fields.sys_flag & !(BORN_HOST_V6 | STORE_HOST_V6) | born | store
}

fn host_len(host: SocketAddr) -> usize {
    if host.is_ipv6() { 20 } else { 8 }
}

fn put_host(rest: &mut &mut [u8], host: SocketAddr) {
    match host {
        SocketAddr::V4(host) => put(rest, &host.ip().octets()),
        SocketAddr::V6(host) => put(rest, &host.ip().octets()),
    }
    put(rest, &u32::from(host.port()).to_be_bytes());
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
