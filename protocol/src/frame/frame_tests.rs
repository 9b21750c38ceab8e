//! The promises of `frame`.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::header::SendMessageRequestHeader;
use crate::{ExtFields, LanguageCode, RequestCode, ResponseCode};

fn framed(serialize_type: u8, header: &[u8], body: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_u32((4 + header.len() + body.len()) as u32);
    out.put_u32(u32::from(serialize_type) << 24 | header.len() as u32);
    out.put_slice(header);
    out.put_slice(body);
    out
}

fn decode_json(header: &str) -> Result<RemotingCommand, FrameError> {
    decode(&mut framed(0, header.as_bytes(), b"")).map(|command| command.expect("a whole frame"))
}

#[test]
fn a_frame_comes_out_only_when_it_is_whole() {
    let mut whole = BytesMut::new();
    encode(&RemotingCommand::request(RequestCode::HeartBeat).with_body(&b"body"[..]), &mut whole);
    let mut buffer = BytesMut::new();
    for (at, byte) in whole.iter().enumerate() {
        assert_eq!(decode(&mut buffer), Ok(None), "{at}");
        buffer.put_u8(*byte);
    }
    buffer.put_slice(&whole);
    for _ in 0..2 {
        assert_eq!(decode(&mut buffer).unwrap().unwrap().body, &b"body"[..]);
    }
    assert!(buffer.is_empty());
}

#[test]
fn a_frame_past_the_limit_is_refused_at_its_first_word() {
    let max = FRAME_BYTES_MAX - 4;
    for length in [-1i32, i32::MIN, 0, 3, max as i32 + 1, i32::MAX] {
        let mut buffer = BytesMut::from(&length.to_be_bytes()[..]);
        assert_eq!(decode(&mut buffer), Err(FrameError::Length { claimed: i64::from(length), max }));
    }
    assert_eq!(decode(&mut BytesMut::from(&(max as i32).to_be_bytes()[..])), Ok(None));
}

#[test]
fn a_header_longer_than_its_frame_is_refused() {
    let mut buffer = framed(0, b"{}", b"");
    buffer[7] = 3;
    assert_eq!(decode(&mut buffer), Err(FrameError::HeaderLength { claimed: 3, left: 2 }));
    assert_eq!(decode(&mut framed(2, b"{}", b"")), Err(FrameError::SerializeType(2)));
}

#[test]
fn other_clients_headers_are_read() {
    let ali_ons = r#" { "extFields" : { "queueId" : 3 , "sysFlag":0,"big":-5,"unitMode":false, "n":null, "x":{"y":["}",1]} },
        "code":"310", "flag":0,"language":"CPP" ,"opaque":7,"version":63, "other":[{"a":"]"}], "remark":"" } "#;
    let command = decode_json(ali_ons).unwrap();
    assert_eq!((command.code, command.opaque, command.version), (310, 7, 63));
    assert_eq!(command.language, LanguageCode::Cpp);
    let fields: Vec<_> = command.ext_fields.iter().collect();
    assert_eq!(fields, [("queueId", "3"), ("sysFlag", "0"), ("big", "-5"), ("unitMode", "false")]);

    let nulls =
        decode_json(r#"{"code":105,"extFields":null,"remark":null,"language":null,"flag":null}"#).unwrap();
    assert!(nulls.ext_fields.is_empty() && nulls.remark.is_none());
    assert_eq!(decode_json(r#"{"language":3}"#).unwrap().language, LanguageCode::Python);
    assert_eq!(decode_json(r#"{"language":"KLINGON"}"#).unwrap().language, LanguageCode::Unknown);
    assert_eq!(decode_json(r#"{}"#).unwrap().language, LanguageCode::Java);
}

#[test]
fn escapes_are_undone_where_they_stand() {
    let header = r#"{"extFields":{"i":"KEYS\u0001a\"b\\\/\n\u0002","\u0061":"\u00e4\u6807\ud83d\ude00","h":"\ud83dx"},"remark":"\t!"}"#;
    let command = decode_json(header).unwrap();
    assert_eq!(command.ext_fields.get("i"), Some("KEYS\u{1}a\"b\\/\n\u{2}"));
    assert_eq!(command.ext_fields.get("a"), Some("ä标\u{1F600}"));
    assert_eq!(command.ext_fields.get("h"), Some("\u{FFFD}x"));
    assert_eq!(command.remark.as_deref(), Some("\t!"));
}

#[test]
fn a_repeated_field_has_its_last_value() {
    let command = decode_json(r#"{"extFields":{"a":"1","a":"2"}}"#).unwrap();
    assert_eq!(command.ext_fields.get("a"), Some("2"));
    assert_eq!(command, command.clone());
    assert_eq!(command.ext_fields, [("a", "2")].into_iter().collect());
}

#[test]
fn malformed_headers_are_errors() {
    for header in [
        "",
        "[]",
        "{",
        "{]",
        "{\"code\"}",
        "{\"code\":}",
        "{\"code\":1,}",
        "{,}",
        "{\"a\":1 \"b\":2}",
        "{}x",
        "{\"a\":\"",
        "{\"a\":\"\\",
        "{\"a\":\"\\q\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"code\":1.5}",
        "{\"code\":99999999999}",
        "{\"a\":[}",
        "{\"code\":{}}",
        "{\"extFields\":{\"a\":\"b\"}",
        "{'code':1}",
    ] {
        assert!(matches!(decode_json(header), Err(FrameError::Json { .. })), "{header}");
    }
}

#[test]
fn a_header_that_is_no_utf8_has_it_replaced() {
    let command = decode(&mut framed(0, b"{\"extFields\":{\"a\":\"x\xFFy\"}}", b"")).unwrap().unwrap();
    assert_eq!(command.ext_fields.get("a"), Some("x\u{FFFD}y"));
    let mut binary = BytesMut::new();
    let mut fields = ExtFields::new();
    fields.insert("a", "xyz");
    let command =
        RemotingCommand { ext_fields: fields, serialize_type: SerializeType::RocketMq, ..request() };
    encode(&command, &mut binary);
    let at = binary.len() - 2;
    binary[at] = 0xFF;
    assert_eq!(decode(&mut binary).unwrap().unwrap().ext_fields.get("a"), Some("x\u{FFFD}z"));
}

#[test]
fn more_ext_fields_than_any_client_sends_are_refused() {
    let max = crate::ext_fields::EXT_FIELDS_MAX;
    let many: Vec<String> = (0..=max).map(|at| format!("\"k{at}\":\"\"")).collect();
    let header = format!("{{\"extFields\":{{{}}}}}", many.join(","));
    assert_eq!(decode_json(&header), Err(FrameError::ExtFieldsTooMany { max }));
    assert_eq!(decode_json(&header.replace(",\"k1024\":\"\"", "")).unwrap().ext_fields.len(), max);
}

#[test]
fn deep_nesting_in_what_nobody_reads_is_skipped() {
    let header = format!("{{\"x\":{}{},\"code\":5}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(decode_json(&header).unwrap().code, 5);
}

fn request() -> RemotingCommand {
    RemotingCommand::request(RequestCode::SendMessageV2)
}

#[test]
fn a_response_goes_out_in_the_type_of_its_request() {
    let mut request = request();
    request.opaque = 77;
    request.serialize_type = SerializeType::RocketMq;
    let response = RemotingCommand::response(ResponseCode::Success).answers(&request);
    assert!(response.is_response() && !response.is_oneway());
    assert_eq!((response.opaque, response.serialize_type), (77, SerializeType::RocketMq));
}

#[test]
fn decoding_a_send_takes_no_copy_of_its_body_and_properties() {
    let header = SendMessageRequestHeader { properties: Some("a\u{1}b\u{2}".into()), ..Default::default() };
    let mut buffer = BytesMut::new();
    encode(
        &RemotingCommand::request_with(RequestCode::SendMessageV2, &header).with_body(vec![1; 100]),
        &mut buffer,
    );
    let memory = buffer.as_ptr_range();
    let command = decode(&mut buffer).unwrap().unwrap();
    let header: SendMessageRequestHeader = command.header().unwrap();
    assert!(memory.contains(&command.body.as_ptr()));
    assert!(memory.contains(&header.properties.unwrap().as_bytes().as_ptr()));
}

fn any_command() -> impl Strategy<Value = RemotingCommand> {
    let fields = prop::collection::vec((".{1,20}", ".{1,60}"), 0..20);
    let numbers = (0..0x7FFF, any::<i32>(), 0..4, 0..0x7FFF, 0..14i64);
    (numbers, fields, prop::option::of(".{1,40}"), any::<bool>(), prop::collection::vec(any::<u8>(), 0..100))
        .prop_map(|((code, opaque, flag, version, language), fields, remark, is_json, body)| {
            RemotingCommand {
                code,
                opaque,
                flag,
                version,
                language: LanguageCode::from_number(language),
                remark,
                ext_fields: fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(),
                serialize_type: if is_json { SerializeType::Json } else { SerializeType::RocketMq },
                body: Bytes::from(body),
            }
        })
}

proptest! {
    #[test]
    fn every_command_survives_the_wire(command in any_command()) {
        let mut buffer = BytesMut::new();
        encode(&command, &mut buffer);
        prop_assert_eq!(decode(&mut buffer).unwrap().unwrap(), command);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn mutated_frames_never_panic(command in any_command(), edits in prop::collection::vec((any::<u16>(), any::<u8>()), 1..8)) {
        let mut buffer = BytesMut::new();
        encode(&command, &mut buffer);
        for (at, byte) in edits {
            let at = usize::from(at) % buffer.len();
            buffer[at] = byte;
        }
        if let Ok(Some(command)) = decode(&mut buffer) {
            prop_assert!(command.ext_fields.iter().count() == command.ext_fields.len());
            let _ = command.header::<SendMessageRequestHeader>();
        }
    }

    #[test]
    fn hostile_headers_never_panic(is_json in any::<bool>(), header in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&mut framed(u8::from(!is_json), &header, b""));
    }

    #[test]
    fn hostile_json_headers_never_panic(header in "[{}\\[\\]\",:\\\\u0-9a-d \u{1}é]{0,60}") {
        let _ = decode_json(&header);
    }
}

#[test]
fn an_answer_that_no_peer_would_accept_is_replaced_by_one_that_says_so_and_a_request_by_nothing() {
    for serialize_type in [SerializeType::Json, SerializeType::RocketMq] {
        let fitting = |room: usize| {
            let mut answer = RemotingCommand::response(ResponseCode::TopicNotExist);
            (answer.opaque, answer.serialize_type) = (7, serialize_type);
            let mut head = BytesMut::new();
            assert!(encode_head(&answer, 0, &mut head));
            answer.with_body(vec![1; FRAME_BYTES_MAX - head.len() + room])
        };
        let mut out = BytesMut::new();
        encode(&fitting(0), &mut out);
        assert_eq!(decode(&mut out).unwrap(), Some(fitting(0)));
        encode(&fitting(1), &mut out);
        let refusal = decode(&mut out).unwrap().unwrap();
        assert_eq!((refusal.opaque, refusal.response_code()), (7, Some(ResponseCode::SystemError)));
        assert_eq!((refusal.serialize_type, refusal.body.len(), out.len()), (serialize_type, 0, 0));
        let long = RemotingCommand { remark: Some("\u{1}".repeat(FRAME_BYTES_MAX)), ..fitting(0) };
        encode(&long, &mut out);
        assert_eq!(decode(&mut out).unwrap().unwrap().response_code(), Some(ResponseCode::SystemError));
        encode(&RemotingCommand { flag: 0, ..fitting(1) }, &mut out);
        assert!(out.is_empty());
    }
}
