//! `MessageExt`: a received message with everything owned or shared, for clients and tools.

use std::io::Read;
use std::net::SocketAddr;

use bytes::Bytes;
use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};

use super::view::MessageView;
use crate::error::MessageError;
use crate::properties::{self, Properties};
use crate::sys_flag;

/// A compressed body never expands past this: larger messages cannot be sent.
pub const BODY_BYTES_MAX: usize = 4 * crate::frame::FRAME_BYTES_MAX;

/// One message as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageExt {
    /// The topic.
    pub topic: String,
    /// The queue.
    pub queue_id: i32,
    /// Index in its queue.
    pub queue_offset: u64,
    /// The application's flag.
    pub flag: i32,
    /// System bits as stored.
    pub sys_flag: i32,
    /// Length of the stored record.
    pub store_size: usize,
    /// Where it lies in the commit log.
    pub physical_offset: u64,
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
    /// Checksum of the stored body.
    pub body_crc: u32,
    /// All properties.
    pub properties: Properties,
    /// The body, expanded.
    pub body: Bytes,
}

impl MessageExt {
    /// Reads the record at the front of `bytes`; the body stays a slice of them unless it was compressed.
    pub fn decode(bytes: &Bytes) -> Result<Self, MessageError> {
        let view = MessageView::parse(bytes)?;
        let body = bytes.slice_ref(view.body);
        let body =
            if view.sys_flag & sys_flag::COMPRESSED == 0 { body } else { expand(&body, view.sys_flag)? };
        Ok(Self {
            topic: view.topic.to_owned(),
            queue_id: view.queue_id,
            queue_offset: view.queue_offset,
            flag: view.flag,
            sys_flag: view.sys_flag,
            store_size: view.bytes.len(),
            physical_offset: view.physical_offset,
            born_timestamp: view.born_timestamp,
            born_host: view.born_host,
            store_timestamp: view.store_timestamp,
            store_host: view.store_host,
            reconsume_times: view.reconsume_times,
            prepared_transaction_offset: view.prepared_transaction_offset,
            body_crc: view.body_crc,
            properties: Properties::parse(view.properties),
            body,
        })
    }

    /// The id that says where the message lies.
    pub fn offset_message_id(&self) -> String {
        let id = crate::message_id::OffsetMessageId {
            store_host: self.store_host,
            physical_offset: self.physical_offset,
        };
        id.text()
    }

    /// What RocketMQ's clients call the message id: the unique key, else the offset message id.
    pub fn message_id(&self) -> String {
        self.properties.get(properties::UNIQ_KEY).map_or_else(|| self.offset_message_id(), str::to_owned)
    }

    /// The tag.
    pub fn tags(&self) -> Option<&str> {
        self.properties.get(properties::TAGS)
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        properties::keys(self.properties.get(properties::KEYS).unwrap_or_default())
    }
}

/// Reads the body of a pull response: records back to back. Stops at the first that is broken.
pub fn decode_all(body: &Bytes) -> Result<Vec<MessageExt>, MessageError> {
    let mut messages = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let message = MessageExt::decode(&body.slice(at..))?;
        at += message.store_size;
        messages.push(message);
    }
    Ok(messages)
}

/// Compresses a body as producers do: zlib, level 5. Set `sys_flag::COMPRESSED` with it.
pub fn compress(body: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::with_capacity(body.len() / 2);
    ZlibEncoder::new(body, Compression::new(5))
        .read_to_end(&mut compressed)
        .expect("compressing memory into memory has nothing that can fail");
    compressed
}

fn expand(body: &[u8], sys_flag: i32) -> Result<Bytes, MessageError> {
    match sys_flag::compression(sys_flag) {
        0 | 3 => {}
        other => return Err(MessageError::Compression(other)),
    }
    let error = MessageError::Inflate { len: body.len(), max: BODY_BYTES_MAX };
    let mut expanded = Vec::new();
    let read = ZlibDecoder::new(body).take(BODY_BYTES_MAX as u64 + 1).read_to_end(&mut expanded);
    match read {
        Ok(len) if len <= BODY_BYTES_MAX => Ok(Bytes::from(expanded)),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::message::{MessageFields, encode_record, patch_record};

    fn stored(body: &[u8], sys_flag: i32) -> Bytes {
        let host = "10.0.0.1:10911".parse().unwrap();
        let properties = "KEYS\u{1}k1 k2\u{2}UNIQ_KEY\u{1}ABC\u{2}";
        let mut out = BytesMut::new();
        let fields =
            MessageFields { sys_flag, properties, ..MessageFields::new("TopicA", 3, body, host, host) };
        encode_record(&fields, &mut out).unwrap();
        patch_record(&mut out, 5, 700, 9);
        out.freeze()
    }

    #[test]
    fn a_compressed_body_is_expanded() {
        let body = b"hello hello hello hello hello".repeat(100);
        for zlib in [0, 0x300] {
            let message = MessageExt::decode(&stored(&compress(&body), sys_flag::COMPRESSED | zlib)).unwrap();
            assert_eq!(message.body, body);
            assert_eq!(message.keys().collect::<Vec<_>>(), ["k1", "k2"]);
            assert_eq!(message.message_id(), "ABC");
        }
        let lz4 = stored(b"x", sys_flag::COMPRESSED | 0x100);
        assert_eq!(MessageExt::decode(&lz4), Err(MessageError::Compression(1)));
        assert!(matches!(MessageExt::decode(&stored(b"no zlib", 1)), Err(MessageError::Inflate { .. })));
    }

    #[test]
    fn a_body_that_expands_without_end_is_refused() {
        let bomb = compress(&vec![0; BODY_BYTES_MAX + 1]);
        assert!(matches!(MessageExt::decode(&stored(&bomb, 1)), Err(MessageError::Inflate { .. })));
    }

    #[test]
    fn a_pull_body_is_read_record_by_record() {
        let body = Bytes::from([stored(b"a", 0), stored(b"b", 0)].concat());
        let messages = decode_all(&body).unwrap();
        assert_eq!(messages.iter().map(|message| &message.body[..]).collect::<Vec<_>>(), [b"a", b"b"]);
        assert!(decode_all(&body.slice(..body.len() - 1)).is_err());
    }
}
