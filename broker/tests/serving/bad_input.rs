//! Whatever a peer sends, the broker answers it or closes the connection, and goes on.

use crate::support::{PATIENCE, pull_header, send_request, start, until};
use bytes::BytesMut;
use protocol::{RemotingCommand, RequestCode, frame};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_code_is_answered_with_rocketmqs_words() {
    let served = start(&[]).await;
    let mut request = RemotingCommand::request(RequestCode::HeartBeat);
    request.code = 4242;
    let answer = served.client().call(request).await;
    assert_eq!((answer.code, answer.remark.as_deref()), (3, Some(" request type 4242 not supported")));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_without_header_and_body_is_answered() {
    let served = start(&[]).await;
    let client = served.client();
    for &code in RequestCode::ALL {
        let answer = client.call(RemotingCommand::request(code)).await;
        assert!(answer.is_response(), "{code}");
        let with_body = RemotingCommand::request(code).with_body("{\"a\":[1,{\"b\":");
        assert!(client.call(with_body).await.is_response(), "{code}");
    }
    client.send("TopicA", 0, "still serving", "").await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_way_request_is_never_answered() {
    let served = start(&[]).await;
    let mut stream = TcpStream::connect(&served.address).await.expect("connected");
    let mut bytes = BytesMut::new();
    for code in [
        RequestCode::SendMessageV2,
        RequestCode::PullMessage,
        RequestCode::HeartBeat,
        RequestCode::AckMessage,
    ] {
        let mut request = RemotingCommand::request(code);
        request.mark_oneway();
        frame::encode(&request, &mut bytes);
    }
    let mut last = RemotingCommand::request(RequestCode::GetBrokerHaStatus);
    last.opaque = 77;
    frame::encode(&last, &mut bytes);
    stream.write_all(&bytes).await.expect("written");
    let mut answers = BytesMut::new();
    let answer = loop {
        stream.read_buf(&mut answers).await.expect("read");
        if let Some(answer) = frame::decode(&mut answers).expect("a frame") {
            break answer;
        }
    };
    assert_eq!(answer.opaque, 77, "nothing came before the one that is answered");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_fills_a_frame_is_refused_although_the_refusal_that_repeats_it_would_not_fit() {
    let served = start(&[]).await;
    let client = served.client();
    let longest = frame::FRAME_BYTES_MAX - 200;
    for code in [RequestCode::GetConsumerListByGroup, RequestCode::GetTopicConfig] {
        let name = "X".repeat(longest);
        let request = RemotingCommand::request(code).with_ext("consumerGroup", &name);
        assert!(client.call(request).await.is_response(), "{code}");
        let request = RemotingCommand::request(code).with_ext("topic", &name);
        assert!(client.call(request).await.is_response(), "{code}");
    }
    client.send("TopicA", 0, "still serving", "").await;
    served.stop().await;
}

/// A small generator, so that a failure can be run again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

fn samples() -> Vec<Vec<u8>> {
    let encode = |request: &RemotingCommand| {
        let mut bytes = BytesMut::new();
        frame::encode(request, &mut bytes);
        bytes.to_vec()
    };
    let mut binary = send_request("TopicA", 0, "body", "TAGS\u{1}TagA\u{2}DELAY\u{1}2\u{2}");
    binary.serialize_type = protocol::SerializeType::RocketMq;
    let mut samples = vec![
        encode(&send_request("TopicA", 0, "body", "UNIQ_KEY\u{1}A\u{2}KEYS\u{1}k\u{2}")),
        encode(&binary),
        encode(&RemotingCommand::request_with(RequestCode::PullMessage, &pull_header("G", "TopicA", 0, 0))),
    ];
    let bodies = [
        (
            RequestCode::HeartBeat,
            "{\"clientID\":\"c\",\"consumerDataSet\":[{\"groupName\":\"G\",\"subscriptionDataSet\":[{\"topic\":\"T\",\"subString\":\"*\",\"subVersion\":1}]}]}",
        ),
        (
            RequestCode::LockBatchMq,
            "{\"clientId\":\"c\",\"consumerGroup\":\"G\",\"mqSet\":[{\"brokerName\":\"b\",\"queueId\":0,\"topic\":\"T\"}]}",
        ),
        (
            RequestCode::SendBatchMessage,
            "\u{0}\u{0}\u{0}\u{1a}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{4}body\u{0}\u{0}",
        ),
    ];
    for (code, body) in bodies {
        let mut request = send_request("TopicA", 0, body, "");
        request.code = code.number();
        samples.push(encode(&request));
    }
    samples
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_mutated_frames_later_the_broker_serves() {
    let seed = 0x5EED_0003_u64;
    let served = start(&[]).await;
    let address: Arc<str> = served.address.as_str().into();
    let workers = (0..4_u64).map(|worker| {
        let address = Arc::clone(&address);
        tokio::spawn(async move { throw(&address, 25_000, seed + worker).await })
    });
    let mut thrown = 0;
    for worker in workers.collect::<Vec<_>>() {
        thrown += worker.await.expect("no panic");
    }
    assert_eq!(thrown, 100_000, "seed {seed:#x}");
    let client = served.client();
    client.send("After", 0, "still serving", "").await;
    assert_eq!(client.pull("G", "After", 0, 0).await.bodies(), ["still serving"]);
    served.stop().await;
}

/// Throws mutated frames, on a new connection whenever the old one was closed.
async fn throw(address: &str, count: usize, seed: u64) -> usize {
    let samples = samples();
    let mut random = Random(seed);
    let mut thrown = 0;
    while thrown < count {
        let mut stream = TcpStream::connect(address).await.expect("the broker still listens");
        let mut sink = vec![0; 64 << 10];
        let (mut reader, mut writer) = stream.split();
        loop {
            let mut batch = Vec::new();
            for _ in 0..50.min(count - thrown) {
                let mut frame = samples[random.below(samples.len())].clone();
                mutate(&mut frame, &mut random);
                batch.extend_from_slice(&frame);
                thrown += 1;
            }
            // Not waiting for answers: broken lengths may leave the broker waiting for more.
            let wrote = tokio::time::timeout(PATIENCE, writer.write_all(&batch)).await;
            let open = matches!(wrote, Ok(Ok(())));
            let read =
                tokio::time::timeout(std::time::Duration::from_millis(1), reader.read(&mut sink)).await;
            if !open || matches!(read, Ok(Ok(0) | Err(_))) || random.below(8) == 0 || thrown >= count {
                break;
            }
        }
    }
    thrown
}

fn mutate(frame: &mut Vec<u8>, random: &mut Random) {
    match random.below(6) {
        // The length stays right: the inside is broken.
        0..=3 => {
            for _ in 0..=random.below(3) {
                let at = 8 + random.below(frame.len() - 8);
                frame[at] = random.next() as u8;
            }
        }
        4 => {
            let at = random.below(frame.len());
            frame[at] ^= 1 << random.below(8);
        }
        _ => frame.truncate(1 + random.below(frame.len())),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_are_bounded_and_others_go_on() {
    let served = start(&[("connectionsMax", "20")]).await;
    let client = served.client();
    client.send("TopicA", 0, "x", "").await;
    let mut idle = Vec::new();
    for _ in 0..30 {
        idle.push(TcpStream::connect(&served.address).await.expect("accepted by the system"));
    }
    let mut refused = 0;
    for stream in &mut idle[20..] {
        let mut byte = [0; 1];
        if matches!(tokio::time::timeout(PATIENCE, stream.read(&mut byte)).await, Ok(Ok(0) | Err(_))) {
            refused += 1;
        }
    }
    assert_eq!(refused, 10);
    client.send("TopicA", 0, "x", "").await;
    drop(idle);
    let node = Arc::clone(served.broker.node());
    until("others may connect again", || node.arrivals.is_empty()).await;
    served.stop().await;
}
