//! Records as a log or a pull response holds them, batches, properties and ids.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use protocol::message::{MessageView, batch_messages, decode_all, record_head};
use protocol::message_id::{OffsetMessageId, UniqueKey};
use protocol::properties::Properties;

fuzz_target!(|data: &[u8]| {
    let _ = record_head(data);
    for view in MessageView::iter(data).flatten() {
        let _ = (view.verify_crc(), view.tags_code());
        let id = view.offset_message_id();
        assert_eq!(OffsetMessageId::parse(&id.text()), Ok(id));
    }
    let _ = decode_all(&Bytes::copy_from_slice(data));
    let _ = batch_messages(data).count();
    if let Ok(text) = std::str::from_utf8(data) {
        let properties = Properties::parse(text);
        assert_eq!(Properties::parse(&properties.to_text()), properties);
        let _ = (OffsetMessageId::parse(text), UniqueKey::parse(text));
    }
});
