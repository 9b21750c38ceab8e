//! The promises of `header`.

use super::*;
use crate::{ExtFields, Header, HeaderError};

fn fields(pairs: &[(&str, &str)]) -> ExtFields {
    pairs.iter().copied().collect()
}

#[test]
fn a_missing_mandatory_field_is_named() {
    let error = GetMinOffsetRequestHeader::decode(&fields(&[("topic", "T")])).unwrap_err();
    assert_eq!(error, HeaderError::Missing { field: "queueId" });
    assert_eq!(error.to_string(), "the custom header field <queueId> is null");
}

#[test]
fn a_value_of_the_wrong_type_is_named() {
    let error =
        GetMinOffsetRequestHeader::decode(&fields(&[("topic", "T"), ("queueId", "2147483648")])).unwrap_err();
    assert!(matches!(error, HeaderError::Invalid { field: "queueId", .. }), "{error}");
}

#[test]
fn both_spellings_of_a_send_are_one_header() {
    let header = SendMessageRequestHeader {
        producer_group: "PG".into(),
        topic: "TopicA".into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        queue_id: -1,
        sys_flag: 1,
        born_timestamp: 1_700_000_000_000,
        flag: 3,
        properties: Some("a\u{1}b\u{2}".into()),
        reconsume_times: Some(0),
        unit_mode: Some(false),
        max_reconsume_times: Some(16),
        batch: Some(true),
        broker_name: Some("broker-a".into()),
    };
    let (mut v1, mut v2) = (ExtFields::new(), ExtFields::new());
    header.encode_v1(&mut v1);
    header.encode(&mut v2);
    assert_eq!(v1.get("producerGroup"), Some("PG"));
    assert_eq!(v2.get("a"), Some("PG"));
    assert_eq!(SendMessageRequestHeader::decode(&v1), Ok(header.clone()));
    assert_eq!(SendMessageRequestHeader::decode(&v2), Ok(header.clone()));
    for fields in [&v1, &v2] {
        let view = SendMessageView::of(fields).unwrap();
        assert_eq!((view.topic, view.properties), ("TopicA", Some("a\u{1}b\u{2}")));
        let mut again = ExtFields::new();
        let owned = SendMessageRequestHeader {
            producer_group: view.producer_group.into(),
            topic: view.topic.into(),
            default_topic: view.default_topic.into(),
            properties: view.properties.map(Into::into),
            broker_name: view.broker_name.map(Into::into),
            ..header.clone()
        };
        owned.encode(&mut again);
        assert_eq!(again, v2);
    }
    assert_eq!(SendMessageView::of(&ExtFields::new()), Err(HeaderError::Missing { field: "producerGroup" }));
}

#[test]
fn a_send_without_its_queue_is_refused() {
    let error = SendMessageRequestHeader::decode(&fields(&[("a", "PG"), ("b", "T"), ("c", "X"), ("d", "4")]));
    assert_eq!(error, Err(HeaderError::Missing { field: "queueId" }));
}

#[test]
fn cpp_booleans_are_false_instead_of_an_error() {
    let all =
        [("a", "P"), ("b", "T"), ("c", "D"), ("d", "4"), ("e", "0"), ("f", "0"), ("g", "1"), ("h", "0")];
    let mut fields = fields(&all);
    fields.insert("k", "0");
    fields.insert("m", "1");
    let header = SendMessageRequestHeader::decode(&fields).unwrap();
    assert_eq!((header.unit_mode, header.batch), (Some(false), Some(false)));
}

#[test]
fn defaults_stand_in_for_missing_fields() {
    let header = GetMaxOffsetRequestHeader::decode(&fields(&[("topic", "T"), ("queueId", "1")])).unwrap();
    assert!(header.committed);
    let search = [("topic", "T"), ("queueId", "1"), ("timestamp", "5"), ("boundaryType", "upper")];
    assert_eq!(
        SearchOffsetRequestHeader::decode(&fields(&search)).unwrap().boundary_type,
        BoundaryType::Upper
    );
    assert_eq!(
        SearchOffsetRequestHeader::decode(&fields(&search[..3])).unwrap().boundary_type,
        BoundaryType::Lower
    );
}

#[test]
fn a_pull_response_carries_its_four_offsets_as_strings() {
    let header = PullMessageResponseHeader { next_begin_offset: 5, max_offset: 9, ..Default::default() };
    let mut fields = ExtFields::new();
    header.encode(&mut fields);
    for (key, value) in
        [("suggestWhichBrokerId", "0"), ("nextBeginOffset", "5"), ("minOffset", "0"), ("maxOffset", "9")]
    {
        assert_eq!(fields.get(key), Some(value));
    }
    assert_eq!(fields.len(), 4);
}
