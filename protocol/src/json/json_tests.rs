//! The promises of `json`.

use super::*;
use crate::error::BodyError;

fn json(value: &Value) -> String {
    String::from_utf8(value.to_json().to_vec()).unwrap()
}

#[test]
fn fastjsons_own_texts_are_read_and_written_back() {
    for text in [
        r#"{"a":{0:"x",1:"y"},"b":[1,2.5,-3],"c":true}"#,
        r#"{"offsetTable":{{"brokerName":"b","queueId":0}:10}}"#,
        r#"[]"#,
        r#"{}"#,
        r#""a\u0001\"\\\n""#,
        "-9223372036854775808",
    ] {
        assert_eq!(json(&parse(text.as_bytes()).unwrap()), text);
    }
}

#[test]
fn what_clients_write_beside_json_is_forgiven() {
    for (text, read) in [
        ("{a:1,'b':'x',}", r#"{"a":1,"b":"x"}"#),
        (" [1,,2,] \n", "[1,2]"),
        ("{\"a\":NaN,\"b\":null}", "{}"),
        ("{\"a\":12L}", r#"{"a":12}"#),
        ("\"\\u0041\\x42\\/\"", r#""AB/""#),
        ("\"\\ud83d\\ude00\\ud83d\"", "\"\u{1F600}\u{FFFD}\""),
    ] {
        assert_eq!(json(&parse(text.as_bytes()).unwrap()), read, "{text}");
    }
}

#[test]
fn rubbish_is_an_error_with_its_place() {
    for text in [
        "",
        "{",
        "{\"a\"}",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "\"",
        "\"\\",
        "\"\\u12",
        "tru",
        "1 2",
        "-",
        "\u{0}",
        "{:1}",
        "inf",
        "1e999",
    ] {
        assert!(
            matches!(parse(text.as_bytes()), Err(BodyError::Syntax { .. })),
            "{text:?}: {:?}",
            parse(text.as_bytes())
        );
    }
}

#[test]
fn depth_and_count_are_limited() {
    let deep = "[".repeat(1_000_000);
    assert_eq!(parse(deep.as_bytes()), Err(BodyError::TooDeep { max: DEPTH_MAX }));
    let keys = "{".repeat(1_000_000);
    assert_eq!(parse(keys.as_bytes()), Err(BodyError::TooDeep { max: DEPTH_MAX }));
    let wide = format!("[{}]", "1,".repeat(VALUES_MAX));
    assert_eq!(parse(wide.as_bytes()), Err(BodyError::TooLarge { max: VALUES_MAX }));
}

#[test]
fn the_standard_dialect_quotes_every_key_and_escapes_beyond_ascii() {
    let value = parse("{0:\"ä\",{\"q\":1}:2}".as_bytes()).unwrap();
    assert_eq!(&value.to_json_as(Dialect::Standard)[..], br#"{"0":"\u00E4","{\"q\":1}":2}"#);
}

#[test]
fn what_is_no_utf8_is_replaced() {
    assert_eq!(parse(b"\"a\xFFb\""), Ok(Value::String("a\u{FFFD}b".into())));
}
