//! Request frames made once and stamped many times, and the least reading that a reply needs.
//!
//! The generator must not be the bottleneck, so a request is one template whose ten-digit
//! opaque and queue digit are overwritten in place, and a reply is scanned for two fields only.

use std::sync::LazyLock;

use bytes::{Buf, BytesMut};
use memchr::memmem::{self, Finder};
use protocol::header::SendMessageRequestHeader;
use protocol::{RemotingCommand, RequestCode, frame};

/// The two fields that are read of a reply.
static OPAQUE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"opaque\":"));
static CODE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"code\":"));

/// Opaques start here, so that every one has ten digits.
const OPAQUE_FIRST: i32 = 1_000_000_000;

/// One send request, ready to be stamped.
pub(crate) struct Template {
    bytes: Vec<u8>,
    opaque_at: usize,
    queue_at: usize,
}

impl Template {
    /// A V2 send as the Java client writes it: JSON header, auto-created topic, UNIQ_KEY property.
    pub(crate) fn send(topic: &str, body_bytes: usize) -> Self {
        let header = SendMessageRequestHeader {
            producer_group: "BENCH_P".into(),
            topic: topic.into(),
            default_topic: "TBW102".into(),
            default_topic_queue_nums: 8,
            queue_id: 9,
            sys_flag: 0,
            born_timestamp: 1_700_000_000_000,
            flag: 0,
            properties: Some("UNIQ_KEY\u{1}7F000001000A18B4AAC29A2B3C4D0000\u{2}WAIT\u{1}true\u{2}".into()),
            reconsume_times: Some(0),
            unit_mode: Some(false),
            max_reconsume_times: None,
            batch: Some(false),
            broker_name: None,
        };
        let mut command = RemotingCommand::request_with(RequestCode::SendMessageV2, &header)
            .with_body(vec![b'x'; body_bytes]);
        command.opaque = OPAQUE_FIRST;
        let mut out = BytesMut::new();
        frame::encode(&command, &mut out);
        let bytes = out.to_vec();
        let opaque_at = OPAQUE.find(&bytes).expect("an encoded header has an opaque") + 9;
        let queue_at = memmem::find(&bytes, b"\"e\":\"9\"").expect("an encoded send has a queue id") + 5;
        Self { bytes, opaque_at, queue_at }
    }

    /// Appends one request to `out`.
    pub(crate) fn stamp(&self, number: u32, queue: u8, out: &mut BytesMut) {
        let at = out.len();
        out.extend_from_slice(&self.bytes);
        let mut left = OPAQUE_FIRST as u32 + number;
        for digit in out[at + self.opaque_at..at + self.opaque_at + 10].iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
        out[at + self.queue_at] = b'0' + queue % 8;
    }
}

/// What the generator reads of a reply.
pub(crate) struct Reply {
    pub(crate) number: u32,
    pub(crate) ok: bool,
}

/// Takes one whole reply off the front of `buffer`, or nothing yet.
pub(crate) fn take_reply(buffer: &mut BytesMut) -> anyhow::Result<Option<Reply>> {
    if buffer.len() < 8 {
        return Ok(None);
    }
    let length = u32::from_be_bytes(buffer[..4].try_into()?) as usize;
    if buffer.len() < 4 + length {
        return Ok(None);
    }
    let header_len = (u32::from_be_bytes(buffer[4..8].try_into()?) & 0x00ff_ffff) as usize;
    let header = &buffer[8..8 + header_len];
    let opaque = number_after(header, &OPAQUE)?;
    let ok = number_after(header, &CODE)? == 0;
    buffer.advance(4 + length);
    Ok(Some(Reply { number: (opaque - i64::from(OPAQUE_FIRST)) as u32, ok }))
}

fn number_after(header: &[u8], key: &Finder<'_>) -> anyhow::Result<i64> {
    let at = key.find(header).ok_or_else(|| anyhow::anyhow!("a reply lacks a field"))? + key.needle().len();
    let digits = header[at..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
    Ok(std::str::from_utf8(&header[at..at + digits])?.parse()?)
}
