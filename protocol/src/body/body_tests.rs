//! The promises of `body`.

use super::*;
use crate::language::LanguageCode;

fn text(body: Bytes) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}

/// Reads what RocketMQ wrote and writes the same bytes.
fn golden<T: Body + std::fmt::Debug>(json: &str) -> T {
    let body = T::decode(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"));
    assert_eq!(text(body.encode()), json);
    body
}

#[test]
fn a_route_has_bare_keys_for_old_clients_and_quoted_ones_for_new() {
    let json = r#"{"brokerDatas":[{"brokerAddrs":{0:"10.0.0.1:10911",1:"10.0.0.2:10911"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":8,"topicSysFlag":0,"writeQueueNums":8}]}"#;
    let route: TopicRouteData = golden(json);
    let standard = json.replace("0:\"10", "\"0\":\"10").replace("1:\"10", "\"1\":\"10");
    assert_eq!(text(route.encode_for(401, false)), standard);
    assert_eq!(text(route.encode_for(1, true)), standard);
    assert_eq!(text(route.encode_for(400, false)), json);
    assert_eq!(TopicRouteData::decode(standard.as_bytes()).unwrap(), route);
}

#[test]
fn the_bodies_of_the_reference_are_written_as_they_were_read() {
    golden::<ClusterInfo>(
        r#"{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"10.0.0.1:10911",1:"10.0.0.2:10911"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}},"clusterAddrTable":{"DefaultCluster":["broker-a"]}}"#,
    );
    golden::<TopicConfigSerializeWrapper>(
        r#"{"dataVersion":{"counter":0,"stateVersion":0,"timestamp":5},"topicConfigTable":{"TopicA":{"attributes":{},"order":false,"perm":6,"readQueueNums":8,"topicFilterType":"SINGLE_TAG","topicName":"TopicA","topicSysFlag":0,"writeQueueNums":8}}}"#,
    );
    golden::<SubscriptionGroupWrapper>(
        r#"{"dataVersion":{"counter":0,"stateVersion":0,"timestamp":5},"forbiddenTable":{},"subscriptionGroupTable":{"CG":{"attributes":{},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"CG","groupRetryPolicy":{"type":"CUSTOMIZED"},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}}}"#,
    );
    golden::<ConsumerOffsetSerializeWrapper>(r#"{"offsetTable":{"TopicA@CG":{0:5,1:7}}}"#);
    golden::<DelayOffsetSerializeWrapper>(r#"{"offsetTable":{1:10}}"#);
    golden::<LockBatchRequestBody>(
        r#"{"clientId":"cid","consumerGroup":"CG","mqSet":[{"brokerName":"broker-a","queueId":0,"topic":"TopicA"}],"onlyThisBroker":false}"#,
    );
    golden::<LockBatchResponseBody>(
        r#"{"lockOKMQSet":[{"brokerName":"broker-a","queueId":0,"topic":"TopicA"}]}"#,
    );
    golden::<GetConsumerListByGroupResponseBody>(r#"{"consumerIdList":["c1","c2"]}"#);
    golden::<TopicList>(r#"{"topicList":["TopicA"]}"#);
    golden::<GroupList>(r#"{"groupList":["CG"]}"#);
    golden::<KVTable>(r#"{"table":{"k":"v"}}"#);
    golden::<GetBrokerMemberGroupResponseBody>(
        r#"{"brokerMemberGroup":{"brokerAddrs":{0:"a:1"},"brokerName":"broker-a","cluster":"DefaultCluster"}}"#,
    );
    golden::<ResetOffsetBodyForC>(
        r#"{"offsetTable":[{"brokerName":"broker-a","offset":10,"queueId":0,"topic":"TopicA"}]}"#,
    );
    golden::<ConsumeMessageDirectlyResult>(
        r#"{"autoCommit":true,"consumeResult":"CR_SUCCESS","order":false,"spentTimeMills":0}"#,
    );
    golden::<QueryConsumeQueueResponseBody>(
        r#"{"maxQueueIndex":5,"minQueueIndex":0,"queueData":[{"eval":true,"physicOffset":1,"physicSize":2,"tagsCode":3}]}"#,
    );
    golden::<DataVersion>(r#"{"counter":0,"stateVersion":0,"timestamp":17}"#);
}

#[test]
fn objects_are_keys() {
    golden::<ResetOffsetBody>(
        r#"{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"TopicA"}:10}}"#,
    );
    golden::<TopicStatsTable>(
        r#"{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"TopicA"}:{"lastUpdateTimestamp":1700000000000,"maxOffset":9,"minOffset":0}},"topicPutTps":0.0}"#,
    );
    let stats: ConsumeStats = golden(
        r#"{"consumeTps":1.5,"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"TopicA"}:{"brokerOffset":9,"consumerOffset":3,"lastTimestamp":17,"pullOffset":5}}}"#,
    );
    let standard = stats.encode_as(Dialect::Standard);
    assert_eq!(ConsumeStats::decode(&standard).unwrap(), stats);
}

#[test]
fn a_java_heartbeat_reads_back() {
    let json = r#"{"clientID":"10.0.0.9@1234#567","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"CG","messageModel":"CLUSTERING","subscriptionDataSet":[{"classFilterMode":false,"codeSet":[2598919,2598920],"expressionType":"TAG","subString":"TagA || TagB","subVersion":1700000000000,"tagsSet":["TagA","TagB"],"topic":"TopicA"}],"unitMode":false}],"heartbeatFingerprint":0,"producerDataSet":[{"groupName":"PG"}],"withoutSub":false}"#;
    let heartbeat: HeartbeatData = golden(json);
    let expected = SubscriptionData::of_tags("TopicA", "TagA || TagB", 1_700_000_000_000).unwrap();
    assert_eq!(heartbeat.consumer_data_set[0].subscription_data_set, [expected]);
}

#[test]
fn heartbeats_of_other_languages_are_read() {
    let cpp = "{\"clientID\":\"c\",\"consumerDataSet\":[{\"consumeFromWhere\":0,\"consumeType\":1,\"groupName\":\"CG\",\"messageModel\":1,\"subscriptionDataSet\":[{\"codeSet\":[\"2598919\"],\"subString\":\"TagA\",\"subVersion\":\"1700000000000000000\",\"tagsSet\":[\"TagA\"],\"topic\":\"T\"}]}]}\n";
    let heartbeat = HeartbeatData::decode(cpp.as_bytes()).unwrap();
    let consumer = &heartbeat.consumer_data_set[0];
    assert_eq!(consumer.consume_type, ConsumeType::ConsumePassively);
    assert_eq!(consumer.message_model, MessageModel::Clustering);
    assert_eq!(consumer.subscription_data_set[0].sub_version, 1_700_000_000_000_000_000);
    assert!(consumer.subscription_data_set[0].is_tag());
    assert!(heartbeat.producer_data_set.is_empty());

    let sparse = r#"{"clientID":"c","producerDataSet":null,"consumerDataSet":[{"groupName":"CG","messageModel":"clustering","consumeType":"NEW_TYPE","subscriptionDataSet":[{"topic":"T","tagsSet":null}]}],"unknown":{"x":[1]}}"#;
    let heartbeat = HeartbeatData::decode(sparse.as_bytes()).unwrap();
    assert_eq!(heartbeat.consumer_data_set[0].subscription_data_set[0].topic, "T");
    assert!(
        HeartbeatData::decode(b"{\"clientID\":\"c\",\"consumerDataSet\":[{\"subscriptionDataSet\":5}]}")
            .is_err()
    );
}

#[test]
fn a_lock_request_without_only_this_broker_means_false() {
    let body = LockBatchRequestBody::decode(br#"{"clientId":"c","consumerGroup":"g","mqSet":[]}"#).unwrap();
    assert!(!body.only_this_broker);
}

#[test]
fn a_python_connection_names_its_language_by_number() {
    let connection = Connection::decode(br#"{"clientId":"c","language":3}"#).unwrap();
    assert_eq!(connection.language, LanguageCode::Python);
}

fn registration() -> RegisterBrokerBody {
    let mut body = RegisterBrokerBody::default();
    let wrapper = &mut body.topic_config_serialize_wrapper;
    wrapper.data_version = DataVersion { counter: 3, state_version: 2, timestamp: 1 };
    let mut topic = TopicConfig::new("TopicA", 8, 4, 6);
    topic.attributes.insert("message.type".into(), "FIFO".into());
    wrapper.topic_config_table.insert("TopicA".into(), topic);
    wrapper.topic_config_table.insert("TBW102".into(), TopicConfig::new("TBW102", 8, 8, 7));
    body.filter_server_list.push("f".into());
    body
}

#[test]
fn a_compressed_registration_reads_back() {
    let body = registration();
    assert_eq!(RegisterBrokerBody::decode_for(&body.encode_compressed(), 479, true).unwrap(), body);
    assert_eq!(RegisterBrokerBody::decode_for(&body.encode_compressed(), 409, true).unwrap(), body);
    assert_eq!(RegisterBrokerBody::decode_for(&body.encode(), 479, false).unwrap(), body);
    let bare = r#"{"dataVersion":{"counter":1},"topicConfigTable":{"T":{"topicName":"T"}}}"#;
    let read = RegisterBrokerBody::decode_for(bare.as_bytes(), 36, false).unwrap();
    assert_eq!(read.topic_config_serialize_wrapper.topic_config_table["T"].read_queue_nums, 16);
    assert_eq!(RegisterBrokerBody::decode_for(b"", 479, true).unwrap(), RegisterBrokerBody::default());
}

#[test]
fn a_broken_compressed_registration_is_an_error() {
    let whole = registration().encode_compressed();
    for cut in 1..whole.len() {
        assert!(RegisterBrokerBody::decode_for(&whole[..cut], 479, true).is_err(), "{cut}");
    }
    let plain = [0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3];
    let lies = crate::message::compress(&plain);
    assert_eq!(
        RegisterBrokerBody::decode_for(&lies, 479, true),
        Err(BodyError::Register { part: "data version" })
    );
}
