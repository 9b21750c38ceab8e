//! Registration of clients, locks, retries and dead letters.

use crate::support::{Client, consumer, producer, send_header, sent, start, until};
use protocol::body::{
    Body, ConsumerConnection, ConsumerData, GetConsumerListByGroupResponseBody, HeartbeatData,
    LockBatchRequestBody, LockBatchResponseBody, MessageModel, MessageQueue, UnlockBatchRequestBody,
};
use protocol::header::{
    ConsumerSendMsgBackRequestHeader, GetConsumerConnectionListRequestHeader,
    GetConsumerListByGroupRequestHeader, GetConsumerRunningInfoRequestHeader, ReplyMessageRequestHeader,
    UnregisterClientRequestHeader,
};
use protocol::{RemotingCommand, RequestCode};

async fn members(client: &Client, group: &str) -> (i32, Vec<String>) {
    let header = GetConsumerListByGroupRequestHeader { consumer_group: group.into() };
    let answer = client.ask(RequestCode::GetConsumerListByGroup, &header).await;
    let body = GetConsumerListByGroupResponseBody::decode(&answer.body).unwrap_or_default();
    (answer.code, body.consumer_id_list)
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_group_hear_of_each_other() {
    let served = start(&[]).await;
    let (one, two) = (served.client(), served.client());
    assert_eq!(members(&one, "G").await, (1, vec![]), "an empty list would stop its consumers");
    one.consume("c1", "G", "TopicA", "*").await;
    until("the newcomer hears of itself", || one.pushes(RequestCode::NotifyConsumerIdsChanged) == 1).await;
    two.consume("c2", "G", "TopicA", "*").await;
    until("both hear", || {
        one.pushes(RequestCode::NotifyConsumerIdsChanged) == 2
            && two.pushes(RequestCode::NotifyConsumerIdsChanged) == 1
    })
    .await;
    two.consume("c2", "G", "TopicA", "*").await;
    assert_eq!(members(&one, "G").await, (0, vec!["c1".to_owned(), "c2".to_owned()]));
    assert_eq!(one.pushes(RequestCode::NotifyConsumerIdsChanged), 2, "a repeated heartbeat is no news");

    two.connection().await.close();
    until("the one that is left hears", || one.pushes(RequestCode::NotifyConsumerIdsChanged) == 3).await;
    assert_eq!(members(&one, "G").await.1, ["c1"]);
    let header = UnregisterClientRequestHeader {
        client_id: "c1".into(),
        producer_group: None,
        consumer_group: Some("G".into()),
    };
    one.ask(RequestCode::UnregisterClient, &header).await;
    assert_eq!(members(&one, "G").await.0, 1);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcasting_group_is_registered_but_not_notified() {
    let served = start(&[]).await;
    let client = served.client();
    let mut data = consumer("c1", "G", "TopicA", "*", 1);
    data.consumer_data_set[0].message_model = MessageModel::Broadcasting;
    client.heartbeat(&data).await;
    assert_eq!(members(&client, "G").await.1, ["c1"]);
    assert_eq!(client.pushes(RequestCode::NotifyConsumerIdsChanged), 0);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heartbeats_of_other_languages_are_understood() {
    let served = start(&[]).await;
    let client = served.client();
    for (group, text) in [
        (
            "Go",
            r#"{"clientID":"go@1","producerDataSet":[],"consumerDataSet":[{"groupName":"Go","consumeType":"CONSUME_PASSIVELY",
            "messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","subscriptionDataSet":[{"topic":"T",
            "subString":"*","subVersion":1700000000000000000}],"unitMode":false}]}"#,
        ),
        (
            "Cpp",
            "{\"clientID\":\"cpp@1\",\"consumerDataSet\":[{\"groupName\":\"Cpp\",\"consumeType\":1,\"messageModel\":1,\
             \"consumeFromWhere\":0,\"subscriptionDataSet\":[{\"topic\":\"T\",\"subString\":\"TagA\",\"subVersion\":\"5\"}]}]}\n",
        ),
        ("Bare", r#"{"clientID":"b@1","consumerDataSet":[{"groupName":"Bare"}],"later":{"x":[1]}}"#),
    ] {
        let beat = RemotingCommand::request(RequestCode::HeartBeat).with_body(text.to_owned());
        let answer = client.call(beat).await;
        assert_eq!(answer.code, 0, "{group}: {:?}", answer.remark);
        assert_eq!(members(&client, group).await.0, 0, "{group}");
    }
    client.heartbeat(&HeartbeatData::default()).await;
    let header = GetConsumerConnectionListRequestHeader { consumer_group: "Cpp".into() };
    let answer = client.ask(RequestCode::GetConsumerConnectionList, &header).await;
    let body = ConsumerConnection::decode(&answer.body).expect("a body");
    assert_eq!(body.connection_set.len(), 1);
    assert_eq!(body.subscription_table["T"].sub_string, "TagA");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_locked_for_one_client_of_a_group() {
    let served = start(&[]).await;
    let client = served.client();
    let queues: std::collections::BTreeSet<_> =
        (0..2).map(|id| MessageQueue::new("TopicA", "broker-a", id)).collect();
    let lock = |id: &str| LockBatchRequestBody {
        client_id: id.into(),
        consumer_group: "G".into(),
        mq_set: queues.clone(),
        only_this_broker: false,
    };
    let locked = async |id: &str| {
        let request = RemotingCommand::request(RequestCode::LockBatchMq).with_body(lock(id).encode());
        LockBatchResponseBody::decode(&client.call(request).await.body).expect("a body").lock_ok_mq_set.len()
    };
    assert_eq!(locked("c1").await, 2);
    assert_eq!(locked("c2").await, 0);
    let unlock = UnlockBatchRequestBody {
        client_id: "c1".into(),
        consumer_group: "G".into(),
        mq_set: queues.iter().take(1).cloned().collect(),
        only_this_broker: false,
    };
    client.call(RemotingCommand::request(RequestCode::UnlockBatchMq).with_body(unlock.encode())).await;
    assert_eq!(locked("c2").await, 1);
    assert_eq!(locked("c1").await, 1);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_sent_back_comes_again_and_in_the_end_dies() {
    let served = start(&[]).await;
    let client = served.client();
    client.consume("c1", "G", "TopicA", "*").await;
    client.send("TopicA", 0, "bitter", "UNIQ_KEY\u{1}ABC\u{2}").await;
    let original = client.pull("G", "TopicA", 0, 0).await.messages.remove(0);
    let back = |physical: u64, delay_level: i32, max: Option<i32>| ConsumerSendMsgBackRequestHeader {
        offset: physical as i64,
        group: "G".into(),
        delay_level,
        origin_topic: Some("TopicA".into()),
        max_reconsume_times: max,
        ..ConsumerSendMsgBackRequestHeader::default()
    };
    let answer = client.ask(RequestCode::ConsumerSendMsgBack, &back(original.physical, 1, None)).await;
    assert_eq!(answer.code, 0, "{:?}", answer.remark);
    let retried = client.pull_found("G", "%RETRY%G", 0, 0).await.messages.remove(0);
    assert_eq!((retried.body.as_str(), retried.reconsume_times), ("bitter", 1));
    assert_eq!(retried.property("RETRY_TOPIC"), Some("TopicA"));
    assert_eq!(retried.property("UNIQ_KEY"), Some("ABC"));
    assert_eq!(retried.property("DELAY"), None);
    assert!(retried.property("ORIGIN_MESSAGE_ID").is_some());

    let answer = client.ask(RequestCode::ConsumerSendMsgBack, &back(retried.physical, 0, Some(1))).await;
    assert_eq!(answer.code, 0, "{:?}", answer.remark);
    let dead = client.pull_found("G", "%DLQ%G", 0, 0).await.messages.remove(0);
    assert_eq!((dead.body.as_str(), dead.reconsume_times), ("bitter", 2));
    assert_eq!(dead.property("DLQ_ORIGIN_TOPIC"), Some("TopicA"));
    assert_eq!(dead.property("DLQ_ORIGIN_MESSAGE_ID"), retried.property("ORIGIN_MESSAGE_ID"));

    let answer = client.ask(RequestCode::ConsumerSendMsgBack, &back(1 << 40, 0, None)).await;
    assert_eq!(answer.code, 1, "no such message");
    let unknown = ConsumerSendMsgBackRequestHeader { group: "Nobody".into(), ..back(0, 0, None) };
    assert_eq!(client.ask(RequestCode::ConsumerSendMsgBack, &unknown).await.code, 26);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_was_tried_too_often_goes_to_the_dead_letters() {
    let served = start(&[]).await;
    let client = served.client();
    client.consume("c1", "G", "TopicA", "*").await;
    let header = protocol::header::SendMessageRequestHeader {
        reconsume_times: Some(3),
        max_reconsume_times: Some(2),
        ..send_header("%RETRY%G", 0, "DELAY\u{1}3\u{2}")
    };
    let request = RemotingCommand::request_with(RequestCode::SendMessageV2, &header).with_body("dead");
    assert_eq!(client.call(request).await.code, 0);
    assert_eq!(client.pull_found("G", "%DLQ%G", 0, 0).await.bodies(), ["dead"]);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tool_asks_of_a_consumer_is_passed_on() {
    let served = start(&[]).await;
    let (tool, consumer) = (served.client(), served.client());
    let header = GetConsumerRunningInfoRequestHeader {
        consumer_group: "G".into(),
        client_id: "c1".into(),
        jstack_enable: false,
    };
    assert_eq!(tool.ask(RequestCode::GetConsumerRunningInfo, &header).await.code, 206);
    consumer.consume("c1", "G", "TopicA", "*").await;
    consumer.answers_with("running".into());
    let answer = tool.ask(RequestCode::GetConsumerRunningInfo, &header).await;
    assert_eq!((answer.code, &answer.body[..]), (0, &b"running"[..]));
    assert_eq!(consumer.pushes(RequestCode::GetConsumerRunningInfo), 1);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_makes_the_retry_topic_and_a_producers_makes_nothing() {
    let served = start(&[]).await;
    let client = served.client();
    client.heartbeat(&producer("p1", "PG")).await;
    client
        .heartbeat(&HeartbeatData {
            client_id: "c".into(),
            consumer_data_set: vec![ConsumerData {
                group_name: "G".into(),
                unit_mode: true,
                ..ConsumerData::default()
            }],
            ..HeartbeatData::default()
        })
        .await;
    let metadata = &served.broker.node().metadata;
    assert_eq!(
        metadata.topic("%RETRY%G").map(|topic| (topic.queues(), topic.config.topic_sys_flag)),
        Some((1, 2))
    );
    assert!(metadata.group("PG").is_none());
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_of_many_new_groups_is_one_change_of_each_table() {
    let served = start(&[]).await;
    let client = served.client();
    let metadata = &served.broker.node().metadata;
    let counters = || (metadata.groups.read().version().counter, metadata.topics.read().version().counter);
    let before = counters();
    let mut data = consumer("c1", "G", "T", "*", 1);
    let one = data.consumer_data_set[0].clone();
    let named = |n| ConsumerData { group_name: format!("G{n}"), ..one.clone() };
    data.consumer_data_set = (0..3000).map(named).collect();
    // What may not be made is left out, and holds up nobody.
    data.consumer_data_set[7].group_name = "not a name!".to_owned();
    client.heartbeat(&data).await;
    assert_eq!(counters(), (before.0 + 1, before.1 + 1));
    assert!(metadata.group("G2999").is_some() && metadata.topic("%RETRY%G2999").is_some());
    assert_eq!(members(&client, "G1500").await.1, ["c1"]);
    served.stop().await;
}

/// What a client sends that answers the request of another.
fn answer_to(client_id: &str) -> RemotingCommand {
    let properties =
        format!("REPLY_TO_CLIENT\u{1}{client_id}\u{2}CORRELATION_ID\u{1}c-1\u{2}MSG_TYPE\u{1}reply\u{2}");
    let header = send_header("DefaultCluster_REPLY_TOPIC", 0, &properties);
    RemotingCommand::request_with(RequestCode::SendReplyMessageV2, &header).with_body("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_pushed_to_whoever_asked_and_stored() {
    let served = start(&[]).await;
    let (asking, answering) = (served.client(), served.client());
    asking.heartbeat(&producer("asking@1", "AskingGroup")).await;
    let told = sent(&answering.call(answer_to("asking@1")).await);
    assert_eq!((told.queue, told.offset), (0, 0));
    assert_eq!(asking.pushes(RequestCode::PushReplyMessageToClient), 1);
    let push = asking.pushed(RequestCode::PushReplyMessageToClient);
    let header: ReplyMessageRequestHeader = push.header().expect("the push's header");
    let text = header.properties.as_deref().unwrap_or_default();
    assert_eq!(protocol::properties::get(text, "CORRELATION_ID"), Some("c-1"));
    assert!(protocol::properties::get(text, "PUSH_REPLY_TIME").is_some());
    assert!(header.born_host.starts_with("/127.0.0.1:"), "{}", &*header.born_host);
    assert_eq!(&push.body[..], b"an answer");
    let stored = answering.pull_found("G", "DefaultCluster_REPLY_TOPIC", 0, 0).await;
    assert_eq!(stored.bodies(), ["an answer"]);

    let answer = answering.call(answer_to("nobody@1")).await;
    assert_eq!(answer.code, 1);
    assert_eq!(answer.remark.as_deref(), Some("push reply message fail, channel of <nobody@1> not found."));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_not_stored_where_the_configuration_says_so() {
    let served = start(&[("storeReplyMessageEnable", "false")]).await;
    let (asking, answering) = (served.client(), served.client());
    asking.heartbeat(&producer("asking@1", "AskingGroup")).await;
    let told = sent(&answering.call(answer_to("asking@1")).await);
    assert_eq!((told.id.as_str(), told.offset), ("0", 0));
    assert_eq!(answering.pull("G", "DefaultCluster_REPLY_TOPIC", 0, 0).await.max, 0);
    served.stop().await;
}
