//! A header alone, JSON or binary by the first byte, and then every kind of custom header read from its fields.
#![no_main]

use bytes::{BufMut, BytesMut};
use libfuzzer_sys::fuzz_target;
use protocol::frame;
use protocol::header::*;

fuzz_target!(|data: &[u8]| {
    let Some((kind, header)) = data.split_first() else { return };
    let mut buffer = BytesMut::new();
    buffer.put_u32(4 + header.len() as u32);
    buffer.put_u32(u32::from(kind & 1) << 24 | header.len() as u32);
    buffer.put_slice(header);
    let Ok(Some(command)) = frame::decode(&mut buffer) else { return };
    let _ = command.header::<SendMessageRequestHeader>();
    let _ = command.header::<SendMessageResponseHeader>();
    let _ = command.header::<PullMessageRequestHeader>();
    let _ = command.header::<PullMessageResponseHeader>();
    let _ = command.header::<RegisterBrokerRequestHeader>();
    let _ = command.header::<SearchOffsetRequestHeader>();
    let _ = command.header::<EndTransactionRequestHeader>();
    let _ = command.header::<PopMessageRequestHeader>();
});
