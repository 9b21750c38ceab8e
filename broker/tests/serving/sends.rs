//! Sending, in all forms.

use crate::support::{messages_of, send_header, send_request, sent, start, until};
use bytes::BytesMut;
use protocol::header::ViewMessageRequestHeader;
use protocol::message::{BatchMessage, encode_batch_message};
use protocol::message_id::OffsetMessageId;
use protocol::{RemotingCommand, RequestCode, SerializeType};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_found_where_its_answer_says() {
    let served = start(&[]).await;
    let client = served.client();
    let first = client.send("TopicA", 1, "hello", "UNIQ_KEY\u{1}ABC\u{2}TAGS\u{1}TagA\u{2}").await;
    assert_eq!((first.queue, first.offset), (1, 0));
    assert_eq!(first.transaction_id.as_deref(), Some("ABC"));
    let second = client.send("TopicA", 1, "again", "").await;
    assert_eq!(second.offset, 1);
    let id = OffsetMessageId::parse(&second.id).expect("an offset message id");
    assert_eq!(id.store_host.to_string(), served.address);

    let pulled = client.pull("G", "TopicA", 1, 0).await;
    assert_eq!((pulled.code, pulled.next, pulled.min, pulled.max), (0, 2, 0, 2));
    assert_eq!(pulled.remark, "FOUND");
    assert_eq!(pulled.bodies(), ["hello", "again"]);
    assert_eq!(pulled.messages[1].physical, id.physical_offset);
    assert_eq!(pulled.messages[0].property("UNIQ_KEY"), Some("ABC"));
    assert_eq!(pulled.messages[0].property("CLUSTER"), Some("DefaultCluster"));
    assert_eq!(pulled.messages[0].property("MSG_REGION"), Some("DefaultRegion"));
    assert_eq!(pulled.messages[0].property("TRACE_ON"), Some("true"));
    assert_eq!(pulled.messages[1].property("UNIQ_KEY").map(str::len), Some(32), "made by the broker");

    let header = ViewMessageRequestHeader { topic: None, offset: id.physical_offset as i64 };
    let viewed = client.ask(RequestCode::ViewMessageById, &header).await;
    assert_eq!(messages_of(&viewed.body)[0].body, "again");
    served.stop().await;
}

#[test]
fn network_threads_that_append_what_they_read_answer_every_send() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // As `mqbroker` makes its own.
    let runtime = remoting::turn::keep(&mut runtime).worker_threads(2).enable_all().build().expect("threads");
    runtime.block_on(async {
        let served = start(&[]).await;
        let clients: Vec<_> = (0..8).map(|_| served.client()).collect();
        // The first message has the topic made, on another thread.
        clients[0].send("TopicA", 0, "first", "").await;
        let senders: Vec<_> = clients
            .into_iter()
            .map(|client| {
                tokio::spawn(async move {
                    let mut offsets = Vec::new();
                    for n in 0..50 {
                        offsets.push(client.send("TopicA", 0, &n.to_string(), "").await.offset);
                    }
                    offsets
                })
            })
            .collect();
        let mut offsets = vec![0];
        for sender in senders {
            offsets.extend(sender.await.expect("a sender ends"));
        }
        offsets.sort_unstable();
        assert_eq!(offsets, (0..=400).collect::<Vec<_>>());
        served.stop().await;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_a_send_is_understood() {
    let served = start(&[]).await;
    let client = served.client();
    let header = send_header("TopicA", 0, "");

    let mut full_names = RemotingCommand::request(RequestCode::SendMessage).with_body("v1");
    header.encode_v1(&mut full_names.ext_fields);
    assert_eq!(sent(&client.call(full_names).await).offset, 0);

    let mut binary = send_request("TopicA", 0, "binary", "");
    binary.serialize_type = SerializeType::RocketMq;
    let answer = client.call(binary).await;
    assert_eq!(answer.serialize_type, SerializeType::RocketMq);
    assert_eq!(sent(&answer).offset, 1);

    let mut body = BytesMut::new();
    for text in ["b0", "b1", "b2"] {
        let message = BatchMessage { flag: 7, body: text.as_bytes(), properties: "KEYS\u{1}k\u{2}" };
        encode_batch_message(&message, &mut body).expect("fits");
    }
    let batch = protocol::header::SendMessageRequestHeader { batch: Some(true), ..header.clone() };
    let batch = RemotingCommand::request_with(RequestCode::SendBatchMessage, &batch).with_body(body.freeze());
    let batch = sent(&client.call(batch).await);
    assert_eq!(batch.offset, 2);
    assert_eq!(batch.id.split(',').count(), 3);

    client.oneway(send_request("TopicA", 0, "one-way", "")).await;
    let node = served.broker.node();
    until("the one-way message is stored", || node.store.max_offset("TopicA", 0) == 6).await;
    let pulled = client.pull("G", "TopicA", 0, 0).await;
    assert_eq!(pulled.bodies(), ["v1", "binary", "b0", "b1", "b2", "one-way"]);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_sent_has_rocketmqs_code() {
    let served = start(&[("maxMessageSize", "1024")]).await;
    let client = served.client();
    client.send("TopicA", 0, "x", "").await;
    let refused =
        |topic: &str, queue: i32, body: &str, properties: &str| send_request(topic, queue, body, properties);
    let long = "x".repeat(1025);
    let long_properties = format!("a\u{1}{}\u{2}", "x".repeat(32_767));
    let mut half = send_request("TopicA", 0, "x", "");
    half.ext_fields.insert("f", "4");
    let mut without_parent = send_request("Unknown", 0, "x", "");
    without_parent.ext_fields.insert("c", "NoSuchTopic");
    let mut missing = send_request("TopicA", 0, "x", "");
    missing.ext_fields.remove("e");
    for (what, request, code) in [
        ("illegal name", refused("a b", 0, "x", ""), 29),
        ("schedule topic", refused("SCHEDULE_TOPIC_XXXX", 0, "x", ""), 16),
        ("unknown topic without a parent", without_parent, 17),
        ("queue beyond the topic's", refused("TopicA", 4, "x", ""), 29),
        ("body too long", refused("TopicA", 0, &long, ""), 13),
        ("properties too long", refused("TopicA", 0, "x", &long_properties), 13),
        ("transaction by property", refused("TopicA", 0, "x", "TRAN_MSG\u{1}true\u{2}"), 16),
        ("transaction by flag", half, 16),
        ("retry topic of no group", refused("%RETRY%NoGroup", 0, "x", ""), 26),
        ("missing field", missing, 1),
    ] {
        let answer = client.call(request).await;
        assert_eq!(answer.code, code, "{what}: {:?}", answer.remark);
        assert!(answer.remark.is_some_and(|remark| !remark.is_empty()), "{what}");
    }
    assert!((0..4).contains(&client.send("TopicA", -1, "any queue", "").await.queue));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_may_create_its_topic_only_where_that_is_allowed() {
    let served = start(&[]).await;
    let client = served.client();
    client.send("Created", 3, "x", "").await;
    let topic = served.broker.node().metadata.topic("Created").expect("created");
    assert_eq!((topic.read_queues(), topic.write_queues(), topic.config.perm), (4, 4, 6));
    served.stop().await;

    let served = start(&[("autoCreateTopicEnable", "false")]).await;
    let answer = served.client().call(send_request("Created", 0, "x", "")).await;
    assert_eq!(answer.code, 17);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sends_in_flight_keep_their_order_in_each_queue() {
    let served = start(&[("flushDiskType", "SYNC_FLUSH")]).await;
    let client = served.client();
    client.send("TopicA", 0, "first", "").await;
    let connection = client.connection().await;
    let calls: Vec<_> = (0..500)
        .map(|number| {
            connection
                .call(send_request("TopicA", number % 4, &number.to_string(), ""), crate::support::PATIENCE)
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.expect("an answer").code, 0);
    }
    let mut bodies = Vec::new();
    let mut offset = 0;
    while bodies.len() < 125 {
        let pulled = client.pull("G", "TopicA", 1, offset).await;
        assert_eq!(pulled.code, 0);
        bodies.extend(pulled.messages.iter().map(|message| message.body.parse::<i32>().expect("a number")));
        offset = pulled.next;
    }
    assert_eq!(bodies, (0..500).filter(|number| number % 4 == 1).collect::<Vec<_>>());
    served.stop().await;
}
