//! The body of SEND_BATCH_MESSAGE: messages back to back, each with its own length. The broker stores each as a record of its own.

use bytes::{BufMut, BytesMut};

use crate::error::MessageError;
use crate::properties::PROPERTIES_BYTES_MAX;

/// Everything but body and properties: size, magic, crc, flag, body length, properties length.
const FIXED_BYTES: usize = 4 + 4 + 4 + 4 + 4 + 2;

/// One message of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchMessage<'a> {
    /// The application's flag.
    pub flag: i32,
    /// The body.
    pub body: &'a [u8],
    /// The properties text.
    pub properties: &'a str,
}

/// Appends one message to a batch. Magic and checksum are 0, as RocketMQ's clients write them.
pub fn encode_batch_message(message: &BatchMessage<'_>, out: &mut BytesMut) -> Result<(), MessageError> {
    let properties_len = message.properties.len();
    if properties_len > PROPERTIES_BYTES_MAX {
        return Err(MessageError::PropertiesLength { len: properties_len, max: PROPERTIES_BYTES_MAX });
    }
    let max = crate::frame::FRAME_BYTES_MAX;
    if message.body.len() > max {
        return Err(MessageError::BodyLength { len: message.body.len(), max });
    }
    let len = FIXED_BYTES + message.body.len() + properties_len;
    out.reserve(len);
    out.put_u32(len as u32);
    out.put_u32(0);
    out.put_u32(0);
    out.put_i32(message.flag);
    out.put_u32(message.body.len() as u32);
    out.put_slice(message.body);
    out.put_u16(properties_len as u16);
    out.put_slice(message.properties.as_bytes());
    Ok(())
}

/// The messages of a batch body; after an error the iteration ends.
pub fn batch_messages(body: &[u8]) -> impl Iterator<Item = Result<BatchMessage<'_>, MessageError>> {
    let mut left = body;
    std::iter::from_fn(move || {
        if left.is_empty() {
            return None;
        }
        match take(left) {
            Ok((message, rest)) => {
                left = rest;
                Some(Ok(message))
            }
            Err(error) => {
                left = &[];
                Some(Err(error))
            }
        }
    })
}

fn take(bytes: &[u8]) -> Result<(BatchMessage<'_>, &[u8]), MessageError> {
    let word = |at: usize| {
        bytes.get(at..at + 4).and_then(|word| word.first_chunk::<4>()).map(|word| i32::from_be_bytes(*word))
    };
    let claimed = word(0).unwrap_or(FIXED_BYTES as i32);
    let len = usize::try_from(claimed).ok().filter(|len| (FIXED_BYTES..=bytes.len()).contains(len));
    let Some(len) = len else {
        return Err(MessageError::Torn { claimed: claimed as u32, left: bytes.len() });
    };
    let (record, rest) = bytes.split_at(len);
    let flag = word(12).unwrap_or_default();
    let body_len = word(16).unwrap_or_default();
    let part = |part, claimed| MessageError::Part { len, part, claimed };
    let body_end = usize::try_from(body_len)
        .ok()
        .and_then(|body_len| body_len.checked_add(20))
        .filter(|end| end + 2 <= len);
    let body_end = body_end.ok_or_else(|| part("body", i64::from(body_len)))?;
    let properties_len = i16::from_be_bytes([record[body_end], record[body_end + 1]]);
    let properties = &record[body_end + 2..];
    if usize::try_from(properties_len) != Ok(properties.len()) {
        return Err(part("properties", i64::from(properties_len)));
    }
    let properties =
        std::str::from_utf8(properties).map_err(|_| MessageError::Text { part: "properties" })?;
    Ok((BatchMessage { flag, body: &record[20..body_end], properties }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_reads_back_in_its_order() {
        let mut body = BytesMut::new();
        let first = BatchMessage { flag: 7, body: b"one", properties: "TAGS\u{1}TagA\u{2}" };
        let second = BatchMessage { flag: 0, body: b"", properties: "" };
        encode_batch_message(&first, &mut body).unwrap();
        encode_batch_message(&second, &mut body).unwrap();
        assert_eq!(batch_messages(&body).collect::<Result<Vec<_>, _>>().unwrap(), [first, second]);
    }

    #[test]
    fn a_cut_batch_is_an_error_and_then_ends() {
        let mut body = BytesMut::new();
        encode_batch_message(&BatchMessage { flag: 7, body: b"one", properties: "a\u{1}b\u{2}" }, &mut body)
            .unwrap();
        for cut in 1..body.len() {
            let read: Vec<_> = batch_messages(&body[..cut]).collect();
            assert!(read.len() == 1 && read[0].is_err(), "{cut}");
        }
        for at in 0..body.len() {
            for value in [0, 0x7F, 0x80, 0xFF] {
                let mut broken = body.to_vec();
                broken[at] = value;
                assert!(batch_messages(&broken).count() <= 2);
            }
        }
    }
}
