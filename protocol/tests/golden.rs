//! Bytes that the Java classes of RocketMQ 5.3.3 wrote, read here and written again. `.json` files are bodies, `.hex` files anything else.
#![allow(missing_docs)]

use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use protocol::body::*;
use protocol::header::*;
use protocol::message::*;
use protocol::message_id::{OffsetMessageId, UniqueKey};
use protocol::{Header, LanguageCode, RemotingCommand, SerializeType, frame};

fn file(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn unhex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect::<Vec<_>>().into()
}

fn hex(name: &str) -> Bytes {
    unhex(&String::from_utf8(file(&format!("{name}.hex"))).unwrap())
}

/// Decodes a frame, then encodes it to the same bytes.
fn command(bytes: &Bytes) -> RemotingCommand {
    let mut buffer = BytesMut::from(&bytes[..]);
    let command = frame::decode(&mut buffer).unwrap().unwrap();
    assert!(buffer.is_empty());
    let mut again = BytesMut::new();
    frame::encode(&command, &mut again);
    assert_eq!(again, bytes, "{:?}\n{:?}", String::from_utf8_lossy(&again), String::from_utf8_lossy(bytes));
    command
}

/// Parses the custom header, then makes the same ext fields of it.
fn header<H: Header + Debug>(command: &RemotingCommand) -> H {
    let header: H = command.header().unwrap();
    let again = RemotingCommand::request(protocol::RequestCode::SendMessage).with_header(&header);
    for (key, value) in again.ext_fields.iter() {
        assert_eq!(command.ext_fields.get(key), Some(value), "{key}");
    }
    header
}

/// Reads a body, then writes it to the same bytes.
fn body<T: Body + Debug>(name: &str) -> T {
    let json = file(&format!("{name}.json"));
    let body = T::decode(&json).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(String::from_utf8_lossy(&body.encode()), String::from_utf8_lossy(&json), "{name}");
    body
}

/// Reads a body whose members fastjson writes in no order, or with references; writing it is checked by reading that again.
fn body_unordered<T: Body + Debug + PartialEq>(name: &str) -> T {
    let body = T::decode(&file(&format!("{name}.json"))).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(T::decode(&body.encode()).unwrap(), body, "{name}");
    body
}

const PROPERTIES: &str = "UNIQ_KEY\u{1}ABC\u{2}é\u{1}\"\\/\u{2028}\u{85}\u{2}";

#[test]
fn the_samples_of_the_reference_read_and_write_back() {
    let json = concat!(
        r#"{"code":310,"extFields":{"a":"PG","b":"TopicA","c":"TBW102","d":"4","e":"1","f":"0","g":"1700000000000","h":"0","#,
        r#""i":"UNIQ_KEY\u0001ABC\u0002","j":"0","k":"false","m":"false"},"flag":0,"language":"JAVA","opaque":0,"#,
        r#""serializeTypeCurrentRPC":"JSON","version":479}"#
    );
    let request = [&[0, 0, 1, 0x0D, 0, 0, 1, 4], json.as_bytes(), b"hello"].concat();
    let request = command(&Bytes::from(request));
    let v2: SendMessageRequestHeader = header(&request);
    assert_eq!(v2.properties.unwrap(), "UNIQ_KEY\u{1}ABC\u{2}");

    let binary = unhex(
        "000000a9 010000a0 0136 00 01df 00000002 00000000 00000000 0000008b 0001 61 00000002 5047 0001 62 00000006 546f70696341
         0001 63 00000006 544257313032 0001 64 00000001 34 0001 65 00000001 31 0001 66 00000001 30 0001 67 0000000d
         31373030303030303030303030 0001 68 00000001 30 0001 69 0000000d 554e49515f4b4559 01 414243 02 0001 6a 00000001 30
         0001 6b 00000005 66616c7365 0001 6d 00000005 66616c7365 68656c6c6f",
    );
    let request_binary = command(&binary);
    assert_eq!(request_binary.opaque, 2);
    assert_eq!(request_binary.ext_fields, request.ext_fields);
    assert_eq!(request_binary.body, request.body);

    let response =
        r#"{"code":0,"flag":1,"language":"JAVA","opaque":0,"serializeTypeCurrentRPC":"JSON","version":479}"#;
    let len = response.len() as u32;
    let response = [&(len + 4).to_be_bytes()[..], &len.to_be_bytes()[..], response.as_bytes()].concat();
    assert_eq!(command(&Bytes::from(response)), RemotingCommand::response(protocol::ResponseCode::Success));
}

#[test]
fn javas_frames_read_and_write_back() {
    let v2 = command(&hex("frame_send_v2_json"));
    assert_eq!((v2.code, v2.opaque, v2.version, v2.language), (310, 5, 479, LanguageCode::Java));
    assert_eq!(v2.body, "hello");
    let v2: SendMessageRequestHeader = header(&v2);
    assert_eq!(v2.properties.as_deref(), Some(PROPERTIES));
    assert_eq!(v2.max_reconsume_times, Some(16));
    // V1 has no broker name, and the fields stand in the order of Java's hash map.
    let v1 = command(&hex("frame_send_v1_json"));
    assert_eq!(v1.header::<SendMessageRequestHeader>().unwrap(), v2);
    let binary = command(&hex("frame_send_v2_rocketmq"));
    assert_eq!(binary.serialize_type, SerializeType::RocketMq);
    assert_eq!(header::<SendMessageRequestHeader>(&binary), v2);

    let pull: PullMessageRequestHeader = header(&command(&hex("frame_pull_json")));
    assert_eq!(
        (pull.queue_offset, pull.sys_flag, pull.subscription.as_deref()),
        (77, 3, Some("TagA || TagB"))
    );
    command(&hex("frame_response_empty_json"));
    let remark = command(&hex("frame_response_remark_json"));
    assert!(remark.remark.unwrap().ends_with("\"T\"\nSee é"));
    assert_eq!(command(&hex("frame_response_remark_rocketmq")).remark.as_deref(), Some("No topic é"));
    let sent: SendMessageResponseHeader = header(&command(&hex("frame_send_response_json")));
    assert_eq!((sent.queue_offset, sent.transaction_id.as_deref()), (42, Some("ABC")));
    let register: RegisterBrokerRequestHeader = header(&command(&hex("frame_register_json")));
    assert!(register.compressed && register.body_crc32 == 123);
    let end = command(&hex("frame_end_transaction_json"));
    assert!(end.is_oneway());
    let end: EndTransactionRequestHeader = header(&end);
    assert_eq!((end.commit_or_rollback, end.from_transaction_check), (8, true));
}

/// Parses a record and builds it anew from its parts.
fn record(name: &str) -> (Bytes, MessageExt) {
    let bytes = hex(name);
    let view = MessageView::parse(&bytes).unwrap();
    assert_eq!(view.bytes.len(), bytes.len());
    view.verify_crc().unwrap();
    let fields = MessageFields {
        flag: view.flag,
        sys_flag: view.sys_flag,
        born_timestamp: view.born_timestamp,
        reconsume_times: view.reconsume_times,
        prepared_transaction_offset: view.prepared_transaction_offset,
        properties: view.properties,
        ..MessageFields::new(view.topic, view.queue_id, view.body, view.born_host, view.store_host)
    };
    let mut again = BytesMut::new();
    encode_record(&fields, &mut again).unwrap();
    patch_record(&mut again, view.queue_offset, view.physical_offset, view.store_timestamp);
    assert_eq!(again, bytes);
    let message = MessageExt::decode(&bytes).unwrap();
    (bytes, message)
}

#[test]
fn javas_records_read_and_write_back() {
    for (name, born, store) in [
        ("message_v1", "10.0.0.9:5555", "10.0.0.1:10911"),
        ("message_v1_ipv6", "[fd00::9]:5555", "[fd00::1]:10911"),
        ("message_v1_mixed", "[fd00::9]:5555", "10.0.0.1:10911"),
    ] {
        let (_, message) = record(name);
        assert_eq!(
            (message.born_host.to_string(), message.store_host.to_string()),
            (born.into(), store.into()),
            "{name}"
        );
        assert_eq!(
            (message.queue_id, message.flag, message.queue_offset, message.physical_offset),
            (3, 7, 42, 0x1_2345_6789)
        );
        assert_eq!((message.born_timestamp, message.store_timestamp), (1_700_000_000_000, 1_700_000_000_123));
        assert_eq!((message.reconsume_times, message.prepared_transaction_offset), (2, 99));
        assert_eq!((&message.body[..], message.tags()), (&b"hello"[..], Some("TagA")));
        assert_eq!(message.keys().collect::<Vec<_>>(), ["k1", "k2"]);
        assert_eq!(message.properties.get("标"), Some("值"));
    }
}

/// As the broker's own encoder writes them into its commit log, before the position is known.
#[test]
fn the_java_stores_records_read_and_write_back() {
    let (v1, v1_message) = record("stored_v1");
    let (v2, v2_message) = record("stored_v2");
    assert_eq!((&v1[4..8], &v2[4..8]), (&MAGIC_V1.to_be_bytes()[..], &MAGIC_V2.to_be_bytes()[..]));
    assert_eq!((v1_message.topic.as_str(), v2_message.topic), ("TopicA", "L".repeat(200)));
    assert_eq!(
        (v1_message.queue_offset, v1_message.physical_offset, v1_message.store_timestamp),
        (42, 0, 1_700_000_000_123)
    );
    assert_eq!(v1_message.properties.get("标"), Some("值"));
}

#[test]
fn a_body_that_java_compressed_is_expanded() {
    let message = MessageExt::decode(&hex("message_compressed")).unwrap();
    assert_eq!(message.body, "hello hello hello hello ".repeat(50));
}

#[test]
fn javas_batch_reads_and_writes_back() {
    let bytes = hex("batch");
    let messages: Vec<_> = batch_messages(&bytes).collect::<Result<_, _>>().unwrap();
    assert_eq!(
        messages.iter().map(|message| (message.flag, message.body)).collect::<Vec<_>>(),
        [(5, &b"one"[..]), (0, &b"two!"[..])]
    );
    let mut again = BytesMut::new();
    messages.iter().for_each(|message| encode_batch_message(message, &mut again).unwrap());
    assert_eq!(again, bytes);
}

#[test]
fn javas_ids_read_and_write_back() {
    for (text, host) in String::from_utf8(file("offset_message_ids.txt"))
        .unwrap()
        .lines()
        .zip(["10.0.0.1:10911", "[fd00::1]:10911"])
    {
        let id = OffsetMessageId::parse(text).unwrap();
        assert_eq!((id.store_host.to_string(), id.physical_offset), (host.to_owned(), 0x1_2345_6789));
        assert_eq!(id.text(), text);
    }
    // Made by MessageClientIDSetter in a process with the id 5931.
    let text = "FD000000000000000000000000000002172B30946E09704B46300000";
    let key = UniqueKey::parse(text).unwrap();
    assert_eq!((key.ip.to_string(), key.pid, key.counter), ("fd00::2".to_owned(), 5931, 0));
    assert_eq!(key.text(), text);
}

#[test]
fn javas_bodies_read_and_write_back() {
    body::<DataVersion>("data_version");
    body::<TopicConfigSerializeWrapper>("topic_config_wrapper");
    body::<TopicConfigAndQueueMapping>("topic_config_and_queue_mapping");
    body::<HeartbeatData>("heartbeat");
    let pull: HeartbeatData = body("heartbeat_pull_broadcast");
    assert_eq!(pull.consumer_data_set[0].message_model, MessageModel::Broadcasting);
    body::<ClusterInfo>("cluster_info");
    body::<TopicRouteData>("route_fastjson");
    body::<TopicStatsTable>("topic_stats_table");
    body::<ConsumeStats>("consume_stats");
    body::<ConsumeStatsList>("consume_stats_list");
    body::<SubscriptionGroupWrapper>("subscription_group_wrapper");
    body::<ConsumerOffsetSerializeWrapper>("consumer_offset_wrapper");
    body::<ResetOffsetBody>("reset_offset_body");
    body::<LockBatchRequestBody>("lock_batch_request");
    body::<LockBatchResponseBody>("lock_batch_response");
    body::<UnlockBatchRequestBody>("unlock_batch_request");
    body::<ConsumerConnection>("consumer_connection");
    body::<ProducerConnection>("producer_connection");
    body::<ProducerTableInfo>("producer_table_info");
    body::<ConsumeMessageDirectlyResult>("consume_message_directly_result");
    body::<QueryConsumeQueueResponseBody>("query_consume_queue");
    body::<HARuntimeInfo>("ha_runtime_info");
    body::<BrokerSyncInfo>("broker_sync_info");
    body::<GetBrokerMemberGroupResponseBody>("broker_member_group");
    body::<QueryCorrectionOffsetBody>("correction_offset");
    body::<GroupForbidden>("group_forbidden");
    body::<MessageRequestModeSerializeWrapper>("message_request_mode");
    body::<CheckClientRequestBody>("check_client_request");
    body::<QuerySubscriptionResponseBody>("query_subscription");
    body::<QueryAssignmentRequestBody>("query_assignment");
    body::<QueryAssignmentResponseBody>("query_assignment_response");
    body::<KVTable>("kv_table");
    body::<TopicList>("topic_list");
    body::<CreateTopicListRequestBody>("create_topic_list");
    body::<SubscriptionGroupList>("subscription_group_list");
}

#[test]
fn the_standard_dialect_is_javas() {
    let route: TopicRouteData = body("route_fastjson");
    let json = route.encode_for(479, false);
    assert_eq!(String::from_utf8_lossy(&json), String::from_utf8_lossy(&file("route_standard.json")));
    assert_eq!(TopicRouteData::decode(&json).unwrap(), route);
}

#[test]
fn what_java_writes_in_no_order_or_by_reference_is_read() {
    let stats: BrokerStatsData = body_unordered("broker_stats_data");
    assert_eq!((stats.stats_hour.sum, stats.stats_minute.avgpt), (3, 2.25));
    let status: GetConsumerStatusBody = body_unordered("get_consumer_status_body");
    assert_eq!(status.message_queue_table, status.consumer_table["cid"]);
    let running: ConsumerRunningInfo = body_unordered("consumer_running_info");
    assert!(running.mq_table.contains_key(&MessageQueue::new("TopicA", "broker-a", 0)));
    let span: QueryConsumeTimeSpanBody = body_unordered("consume_time_span");
    assert_eq!(span.consume_time_span_set[0].delay_time, 4);
}

#[test]
fn javas_registration_is_the_same_plain_and_compressed() {
    let plain: RegisterBrokerBody = body_unordered("register_broker_body");
    assert_eq!(
        RegisterBrokerBody::decode_for(&hex("register_broker_body_plain"), 479, false).unwrap(),
        plain
    );
    let compressed =
        RegisterBrokerBody::decode_for(&hex("register_broker_body_compressed"), 479, true).unwrap();
    let (one, other) = (&plain.topic_config_serialize_wrapper, &compressed.topic_config_serialize_wrapper);
    assert_eq!(one.topic_config_table, other.topic_config_table);
    assert_eq!(
        (one.data_version, plain.filter_server_list),
        (other.data_version, compressed.filter_server_list)
    );
}
