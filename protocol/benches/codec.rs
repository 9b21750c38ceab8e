//! What one message costs in the codec: decode a send, encode its response, build and read its record.
#![allow(missing_docs)]

use std::hint::black_box;
use std::net::SocketAddr;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use protocol::header::{SendMessageRequestHeader, SendMessageResponseHeader};
use protocol::message::{MessageFields, MessageView, encode_record, patch_record};
use protocol::{RemotingCommand, RequestCode, ResponseCode, frame};

const PROPERTIES: &str = "KEYS\u{1}order-4711\u{2}UNIQ_KEY\u{1}7F0000010A4C18B4AAC25E1A7B2C0001\u{2}WAIT\u{1}true\u{2}TAGS\u{1}TagA\u{2}";

fn send_request() -> Vec<u8> {
    let header = SendMessageRequestHeader {
        producer_group: "please_rename_unique_group_name".into(),
        topic: "TopicTest".into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        queue_id: 3,
        born_timestamp: 1_700_000_000_000,
        properties: Some(PROPERTIES.into()),
        reconsume_times: Some(0),
        unit_mode: Some(false),
        batch: Some(false),
        broker_name: Some("broker-a".into()),
        ..Default::default()
    };
    let command = RemotingCommand::request_with(RequestCode::SendMessageV2, &header).with_body(vec![7; 1024]);
    let mut out = BytesMut::new();
    frame::encode(&command, &mut out);
    out.to_vec()
}

fn send_response() -> RemotingCommand {
    let header = SendMessageResponseHeader {
        msg_id: "7F00000100002A9F0000000000001234".into(),
        queue_id: 3,
        queue_offset: 123_456,
        transaction_id: Some("7F0000010A4C18B4AAC25E1A7B2C0001".into()),
        ..Default::default()
    };
    RemotingCommand::response(ResponseCode::Success)
        .with_header(&header)
        .with_ext("MSG_REGION", "DefaultRegion")
        .with_ext("TRACE_ON", "true")
}

fn frames(c: &mut Criterion) {
    let request = send_request();
    c.bench_function("send request: frame and header, decode", |b| {
        b.iter_batched_ref(
            || BytesMut::from(&request[..]),
            |buffer| {
                let command = frame::decode(buffer).unwrap().unwrap();
                black_box(command.header::<SendMessageRequestHeader>().unwrap())
            },
            BatchSize::SmallInput,
        );
    });
    let mut out = BytesMut::with_capacity(1 << 20);
    c.bench_function("send response: build and encode", |b| {
        b.iter(|| {
            out.clear();
            frame::encode(&send_response(), &mut out);
            black_box(out.len())
        });
    });
}

fn records(c: &mut Criterion) {
    let host: SocketAddr = "10.0.0.1:10911".parse().unwrap();
    let body = vec![7; 1024];
    let fields =
        MessageFields { properties: PROPERTIES, ..MessageFields::new("TopicTest", 3, &body, host, host) };
    let mut out = BytesMut::with_capacity(1 << 20);
    let mut group = c.benchmark_group("record");
    group.throughput(Throughput::Bytes(1024));
    group.bench_function("encode and patch", |b| {
        b.iter(|| {
            out.clear();
            encode_record(&fields, &mut out).unwrap();
            patch_record(&mut out, 1, 2, 3);
            black_box(out.len())
        });
    });
    group.bench_function("parse", |b| {
        b.iter(|| black_box(MessageView::parse(black_box(&out)).unwrap().queue_offset))
    });
    group.bench_function("parse, crc and tag", |b| {
        b.iter(|| {
            let view = MessageView::parse(black_box(&out)).unwrap();
            view.verify_crc().unwrap();
            black_box(view.tags_code())
        });
    });
    group.finish();
}

criterion_group!(benches, frames, records);
criterion_main!(benches);
