//! Frames: how commands follow one another on a connection.
//!
//! A frame is its length (4), the header's serialize type and length (4), the header, the body. A frame that cannot be understood
//! leaves no way to find the next one: the connection is closed. `remoting` calls this with its read and write buffers.

mod binary_header;
mod json_header;
mod json_scanner;
mod send_answer;

use bytes::{Buf, BufMut, BytesMut};

use crate::code::ResponseCode;
use crate::command::RemotingCommand;
use crate::error::FrameError;
use crate::language::SerializeType;

pub use send_answer::SendAnswer;

/// The largest frame, its length word included. Source: RocketMQ `NettySystemConfig` `com.rocketmq.remoting.frameMaxLength`.
pub const FRAME_BYTES_MAX: usize = 16_777_216;

/// The two words before the header.
const WORDS_BYTES: usize = 4 + 4;

/// Low bits of the second word: the header's length.
const HEADER_LEN_MASK: u32 = 0x00FF_FFFF;

/// How many bytes the frame at the front has in all, once its length word is there.
pub fn frame_len(buffer: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some(word) = buffer.first_chunk::<4>() else { return Ok(None) };
    let claimed = i32::from_be_bytes(*word);
    let max = FRAME_BYTES_MAX - 4;
    match usize::try_from(claimed) {
        Ok(length) if (4..=max).contains(&length) => Ok(Some(4 + length)),
        _ => Err(FrameError::Length { claimed: i64::from(claimed), max }),
    }
}

/// Takes one whole frame off the front of `buffer`; `None` when more bytes are needed.
///
/// The command's texts and body are slices of the buffer's own memory.
pub fn decode(buffer: &mut BytesMut) -> Result<Option<RemotingCommand>, FrameError> {
    let Some(len) = frame_len(buffer)? else { return Ok(None) };
    if buffer.len() < len {
        return Ok(None);
    }
    let mut frame = buffer.split_to(len);
    frame.advance(4);
    let word = frame.get_u32();
    let serialize_type = SerializeType::try_from((word >> 24) as u8)?;
    let header_len = (word & HEADER_LEN_MASK) as usize;
    if header_len > frame.len() {
        return Err(FrameError::HeaderLength { claimed: header_len, left: frame.len() });
    }
    let header = frame.split_to(header_len);
    let body = frame.freeze();
    let command = match serialize_type {
        SerializeType::Json => json_header::decode(header, body)?,
        SerializeType::RocketMq => binary_header::decode(header.freeze(), body)?,
    };
    Ok(Some(command))
}

/// Appends the whole frame. One that no peer would accept, since it has more than `FRAME_BYTES_MAX`, is replaced: an answer by
/// a short one that says so, a request by nothing, so that its sender waits in vain.
pub fn encode(command: &RemotingCommand, out: &mut BytesMut) {
    if encode_head(command, command.body.len(), out) {
        out.extend_from_slice(&command.body);
    }
}

/// Appends everything but the body, for a body of `body_len` bytes that follows as slices of its own; false where the frame was
/// replaced as by `encode`, and no body may follow.
#[must_use]
pub fn encode_head(command: &RemotingCommand, body_len: usize, out: &mut BytesMut) -> bool {
    let start = out.len();
    append_head(command, body_len, out);
    let bytes = out.len() - start + body_len;
    if bytes <= FRAME_BYTES_MAX {
        return true;
    }
    out.truncate(start);
    if command.is_response() {
        let remark = format!("the answer has {bytes} bytes, a frame has at most {FRAME_BYTES_MAX}");
        let refusal = RemotingCommand::response(ResponseCode::SystemError).with_remark(remark);
        append_head(&refusal.answers(command), 0, out);
    }
    false
}

fn append_head(command: &RemotingCommand, body_len: usize, out: &mut BytesMut) {
    let start = out.len();
    out.reserve(WORDS_BYTES + json_header::len_hint(command));
    out.put_bytes(0, WORDS_BYTES);
    match command.serialize_type {
        SerializeType::Json => json_header::encode(command, out),
        SerializeType::RocketMq => binary_header::encode(command, out),
    }
    let header_len = out.len() - start - WORDS_BYTES;
    let length = 4 + header_len + body_len;
    let second = u32::from(command.serialize_type.number()) << 24 | header_len as u32;
    out[start..start + 4].copy_from_slice(&(length as u32).to_be_bytes());
    out[start + 4..start + WORDS_BYTES].copy_from_slice(&second.to_be_bytes());
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
