//! The promises of `encode`.

use proptest::prelude::*;

use super::*;
use crate::message::{MAGIC_V1, MAGIC_V2, MessageView, RECORD_BYTES_MIN, RecordHead, record_head};

fn host(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn fields<'a>(topic: &'a str, body: &'a [u8]) -> MessageFields<'a> {
    MessageFields::new(topic, 1, body, host("10.0.0.9:5555"), host("10.0.0.1:10911"))
}

#[test]
fn the_shortest_record_has_91_bytes() {
    let mut out = BytesMut::new();
    assert_eq!(encode_record(&fields("", b""), &mut out), Ok(RECORD_BYTES_MIN));
    assert_eq!(record_head(&out), RecordHead::Message { len: 91 });
}

#[test]
fn a_long_topic_makes_a_v2_record() {
    for (len, magic) in [(127, MAGIC_V1), (128, MAGIC_V2), (255, MAGIC_V2), (300, MAGIC_V2)] {
        let topic = "t".repeat(len);
        let mut out = BytesMut::new();
        encode_record(&fields(&topic, b"body"), &mut out).unwrap();
        assert_eq!(out[4..8], magic.to_be_bytes());
        assert_eq!(MessageView::parse(&out).unwrap().topic, topic);
    }
}

#[test]
fn the_brokers_properties_follow_the_producers() {
    for (properties, stored) in [
        ("", "b\u{1}2\u{2}"),
        ("a\u{1}1", "a\u{1}1\u{2}b\u{1}2\u{2}"),
        ("a\u{1}1\u{2}", "a\u{1}1\u{2}b\u{1}2\u{2}"),
    ] {
        let mut out = BytesMut::new();
        let fields = MessageFields { properties, more_properties: "b\u{1}2\u{2}", ..fields("T", b"") };
        encode_record(&fields, &mut out).unwrap();
        assert_eq!(MessageView::parse(&out).unwrap().properties, stored);
    }
}

#[test]
fn what_does_not_fit_its_length_field_is_refused() {
    let mut out = BytesMut::new();
    let long = "p".repeat(PROPERTIES_BYTES_MAX + 1);
    let too_long = MessageFields { properties: &long, ..fields("T", b"") };
    assert!(matches!(encode_record(&too_long, &mut out), Err(MessageError::PropertiesLength { .. })));
    assert!(matches!(encode_record(&fields(&long, b""), &mut out), Err(MessageError::TopicLength { .. })));
    let body = vec![0; BODY_BYTES_MAX + 1];
    assert!(matches!(encode_record(&fields("T", &body), &mut out), Err(MessageError::BodyLength { .. })));
    assert!(out.is_empty());
}

fn any_host() -> impl Strategy<Value = SocketAddr> {
    (any::<std::net::IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

proptest! {
    #[test]
    fn every_record_reads_back_as_it_was_built_and_patched(
        topic in "[a-zA-Z0-9_%-]{0,200}",
        body in prop::collection::vec(any::<u8>(), 0..300),
        hosts in (any_host(), any_host()),
        numbers in any::<(i32, i32, i32, i64, i32, i64)>(),
        properties in "([a-z]{1,5}\u{1}[a-z]{1,9}\u{2}){0,5}",
        places in any::<(u64, u64, i64)>(),
    ) {
        let (queue_id, flag, sys_flag, born_timestamp, reconsume_times, prepared_transaction_offset) = numbers;
        let (born_host, store_host) = hosts;
        let fields = MessageFields {
            flag, sys_flag, born_timestamp, reconsume_times, prepared_transaction_offset, properties: &properties,
            ..MessageFields::new(&topic, queue_id, &body, born_host, store_host)
        };
        let mut out = BytesMut::from(&b"before"[..]);
        let len = encode_record(&fields, &mut out).unwrap();
        prop_assert_eq!(out.len(), 6 + len);
        patch_record(&mut out[6..], places.0, places.1, places.2);
        out.put_slice(b"after");
        let view = MessageView::parse(&out[6..]).unwrap();
        prop_assert_eq!(view.bytes.len(), len);
        prop_assert_eq!((view.queue_offset, view.physical_offset, view.store_timestamp), places);
        prop_assert_eq!((view.queue_id, view.flag, view.reconsume_times), (queue_id, flag, reconsume_times));
        prop_assert_eq!((view.born_host, view.store_host), (born_host, store_host));
        prop_assert_eq!((view.born_timestamp, view.prepared_transaction_offset), (born_timestamp, prepared_transaction_offset));
        prop_assert_eq!((view.topic, view.body, view.properties), (topic.as_str(), &body[..], properties.as_str()));
        prop_assert_eq!(view.sys_flag & !0x30, sys_flag & !0x30);
        prop_assert!(view.verify_crc().is_ok());
    }

    #[test]
    fn cut_and_mutated_records_never_panic(cut in 0usize..140, edits in prop::collection::vec((0usize..140, any::<u8>()), 0..6)) {
        let mut out = BytesMut::new();
        let fields = MessageFields { properties: "TAGS\u{1}TagA\u{2}", ..fields("TopicA", b"hello") };
        encode_record(&fields, &mut out).unwrap();
        for (at, byte) in edits {
            let at = at % out.len();
            out[at] = byte;
        }
        out.truncate(cut);
        let _ = record_head(&out);
        if let Ok(view) = MessageView::parse(&out) {
            let _ = (view.tags_code(), view.verify_crc(), view.offset_message_id().text());
        }
        let _ = MessageView::iter(&out).count();
        let _ = crate::message::decode_all(&out.freeze());
    }
}
