//! The answer to a send that went well: what a broker says more often than anything else, written as JSON in one go.
//!
//! It says the same, byte for byte, as a [`crate::RemotingCommand`] with these fields would (a test holds the two together),
//! without that command's ext fields: they would only be copied once more.

use std::net::{IpAddr, SocketAddr};

use bytes::{BufMut, BytesMut};

use super::{HEADER_LEN_MASK, WORDS_BYTES};
use crate::command::VERSION;
use crate::decimal::Decimal;
use crate::json::escape_into;

/// Room for everything but texts of unusual length and the ids of a batch.
const BYTES_HINT: usize = 384;

/// What is said of one stored message, or of a batch.
#[derive(Debug, Clone, Copy)]
pub struct SendAnswer<'a> {
    /// The number of the request.
    pub opaque: i32,
    /// The broker's address, a part of each message id.
    pub store_host: SocketAddr,
    /// Where the messages lie; each gives an id.
    pub physical_offsets: &'a [u64],
    /// The queue.
    pub queue_id: u32,
    /// The offset of the first message in it.
    pub queue_offset: u64,
    /// The unique key of the message; UTF-8.
    pub transaction_id: Option<&'a [u8]>,
    /// `MSG_REGION`.
    pub region: &'a str,
    /// `TRACE_ON`.
    pub is_traced: bool,
}

impl SendAnswer<'_> {
    /// Appends the whole frame.
    pub fn encode(&self, out: &mut BytesMut) {
        let start = out.len();
        out.reserve(BYTES_HINT);
        out.put_bytes(0, WORDS_BYTES);
        out.put_slice(b"{\"code\":0,\"extFields\":{\"msgId\":\"");
        self.put_ids(out);
        out.put_slice(b"\",\"queueId\":\"");
        out.put_slice(Decimal::new(i64::from(self.queue_id)).as_bytes());
        out.put_slice(b"\",\"queueOffset\":\"");
        out.put_slice(Decimal::new(self.queue_offset as i64).as_bytes());
        if let Some(id) = self.transaction_id {
            out.put_slice(b"\",\"transactionId\":\"");
            escape_into(id, out);
        }
        out.put_slice(b"\",\"MSG_REGION\":\"");
        escape_into(self.region.as_bytes(), out);
        out.put_slice(if self.is_traced {
            b"\",\"TRACE_ON\":\"true\"}"
        } else {
            b"\",\"TRACE_ON\":\"false\"}"
        });
        out.put_slice(b",\"flag\":1,\"language\":\"JAVA\",\"opaque\":");
        out.put_slice(Decimal::new(i64::from(self.opaque)).as_bytes());
        out.put_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
        out.put_slice(Decimal::new(i64::from(VERSION)).as_bytes());
        out.put_u8(b'}');
        let header_len = out.len() - start - WORDS_BYTES;
        assert!(header_len <= HEADER_LEN_MASK as usize, "no batch has so many messages");
        out[start..start + 4].copy_from_slice(&(4 + header_len as u32).to_be_bytes());
        out[start + 4..start + WORDS_BYTES].copy_from_slice(&(header_len as u32).to_be_bytes());
    }

    /// The offset message ids, joined by commas.
    fn put_ids(&self, out: &mut BytesMut) {
        for (number, offset) in self.physical_offsets.iter().enumerate() {
            if number > 0 {
                out.put_u8(b',');
            }
            match self.store_host.ip() {
                IpAddr::V4(ip) => put_hex(out, ip.octets()),
                IpAddr::V6(ip) => put_hex(out, ip.octets()),
            }
            put_hex(out, u32::from(self.store_host.port()).to_be_bytes());
            put_hex(out, offset.to_be_bytes());
        }
    }
}

fn put_hex<const N: usize>(out: &mut BytesMut, bytes: [u8; N]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = [[0; 2]; N];
    for (pair, byte) in text.iter_mut().zip(bytes) {
        *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xF)]];
    }
    out.put_slice(text.as_flattened());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message_id::OffsetMessageId;
    use crate::{RemotingCommand, ResponseCode, frame};

    /// The same answer, the long way.
    fn command(answer: &SendAnswer<'_>) -> RemotingCommand {
        let mut command = RemotingCommand::response(ResponseCode::Success);
        command.opaque = answer.opaque;
        let id =
            |offset: &u64| OffsetMessageId { store_host: answer.store_host, physical_offset: *offset }.text();
        let ids: Vec<_> = answer.physical_offsets.iter().map(id).collect();
        command.ext_fields.insert("msgId", &ids.join(","));
        command.ext_fields.insert_i64("queueId", i64::from(answer.queue_id));
        command.ext_fields.insert_i64("queueOffset", answer.queue_offset as i64);
        if let Some(id) = answer.transaction_id {
            command.ext_fields.insert("transactionId", std::str::from_utf8(id).unwrap());
        }
        command.ext_fields.insert("MSG_REGION", answer.region);
        command.ext_fields.insert_bool("TRACE_ON", answer.is_traced);
        command
    }

    proptest! {
        #[test]
        fn the_short_way_writes_the_bytes_of_the_long_way(
            opaque: i32, offsets in prop::collection::vec(any::<u64>(), 1..5), queue_id: u32,
            queue_offset in 0..i64::MAX as u64, key in prop::option::of(".{0,40}"), region in ".{0,20}",
            is_traced: bool, is_v6: bool,
        ) {
            let host = if is_v6 { "[2001:db8::7]:10911" } else { "10.1.2.255:10911" };
            let answer = SendAnswer {
                opaque,
                store_host: host.parse().unwrap(),
                physical_offsets: &offsets,
                queue_id,
                queue_offset,
                transaction_id: key.as_deref().map(str::as_bytes),
                region: &region,
                is_traced,
            };
            let (mut short, mut long) = (BytesMut::new(), BytesMut::new());
            answer.encode(&mut short);
            frame::encode(&command(&answer), &mut long);
            prop_assert_eq!(&short, &long);
            prop_assert_eq!(frame::decode(&mut short).unwrap().unwrap(), command(&answer));
        }
    }
}
