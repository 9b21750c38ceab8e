//! What tools ask and change.

use crate::support::{Client, consumer, messages_of, producer, properties, start};
use broker::{Broker, Config, Start};
use protocol::body::{
    Body, BrokerStatsData, ConsumeStats, ConsumeStatsList, GroupForbidden, GroupList, HARuntimeInfo, KVTable,
    ProducerConnection, ProducerTableInfo, QueryConsumeQueueResponseBody, QueryConsumeTimeSpanBody,
    SubscriptionGroupConfig, SubscriptionGroupWrapper, TopicConfigAndMappingSerializeWrapper,
    TopicConfigAndQueueMapping, TopicList, TopicStatsTable,
};
use protocol::header::{
    CreateTopicRequestHeader, DeleteSubscriptionGroupRequestHeader, DeleteTopicRequestHeader,
    GetConsumeStatsInBrokerHeader, GetConsumeStatsRequestHeader, GetProducerConnectionListRequestHeader,
    GetSubscriptionGroupConfigRequestHeader, GetTopicConfigRequestHeader, GetTopicStatsInfoRequestHeader,
    QueryConsumeQueueRequestHeader, QueryConsumeTimeSpanRequestHeader, QueryMessageRequestHeader,
    QueryTopicConsumeByWhoRequestHeader, QueryTopicsByConsumerRequestHeader,
    UpdateGroupForbiddenRequestHeader, ViewBrokerStatsDataRequestHeader,
};
use protocol::{RemotingCommand, RequestCode};
use tempfile::TempDir;

async fn body<B: Body>(client: &Client, request: RemotingCommand) -> B {
    let answer = client.call(request).await;
    assert_eq!(answer.code, 0, "{:?}", answer.remark);
    B::decode(&answer.body).expect("a body")
}

fn create(topic: &str, queues: i32) -> CreateTopicRequestHeader {
    CreateTopicRequestHeader {
        topic: topic.into(),
        default_topic: "TBW102".into(),
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm: 6,
        topic_filter_type: "SINGLE_TAG".into(),
        ..CreateTopicRequestHeader::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_changed_shown_and_deleted() {
    let served = start(&[]).await;
    let client = served.client();
    let update = |header: CreateTopicRequestHeader| {
        let client = &client;
        async move { client.ask(RequestCode::UpdateAndCreateTopic, &header).await.code }
    };
    assert_eq!(update(create("Made", 2)).await, 0);
    assert_eq!(update(CreateTopicRequestHeader { perm: 4, ..create("Made", 3) }).await, 0);
    assert_eq!(update(create("TBW102", 2)).await, 29, "system topics stay as they are");
    assert_eq!(update(create("a b", 2)).await, 29);
    assert_eq!(update(create("Made", -1)).await, 29);
    assert_eq!(
        update(CreateTopicRequestHeader { topic_filter_type: "X".into(), ..create("Made", 1) }).await,
        29
    );
    let get = GetTopicConfigRequestHeader { topic: "Made".into() };
    let request = RemotingCommand::request_with(RequestCode::GetTopicConfig, &get);
    let shown: TopicConfigAndQueueMapping = body(&client, request).await;
    assert_eq!((shown.read_queue_nums, shown.perm), (3, 4));
    let all: TopicConfigAndMappingSerializeWrapper =
        body(&client, RemotingCommand::request(RequestCode::GetAllTopicConfig)).await;
    assert!(all.topic_config_table.contains_key("Made") && all.data_version.counter > 0);
    let system: TopicList =
        body(&client, RemotingCommand::request(RequestCode::GetSystemTopicListFromBroker)).await;
    assert!(system.topic_list.contains("TBW102") && system.topic_list.contains("broker-a"));

    client.send("Gone", 0, "x", "").await;
    client.consume("c1", "G", "Gone", "*").await;
    let delete = DeleteTopicRequestHeader { topic: "Gone".into() };
    assert_eq!(client.ask(RequestCode::DeleteTopicInBroker, &delete).await.code, 0);
    assert_eq!(client.pull("G", "Gone", 0, 0).await.code, 17);
    assert_eq!(
        client
            .ask(RequestCode::GetTopicConfig, &GetTopicConfigRequestHeader { topic: "Gone".into() })
            .await
            .code,
        17
    );
    client.send("Gone", 0, "again", "").await;
    assert_eq!(client.pull("G", "Gone", 0, 0).await.bodies(), ["again"]);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_made_shown_forbidden_and_deleted() {
    let served = start(&[]).await;
    let client = served.client();
    let group = SubscriptionGroupConfig {
        retry_max_times: 2,
        consume_enable: false,
        ..SubscriptionGroupConfig::new("Made")
    };
    let update =
        RemotingCommand::request(RequestCode::UpdateAndCreateSubscriptionGroup).with_body(group.encode());
    assert_eq!(client.call(update).await.code, 0);
    let get = GetSubscriptionGroupConfigRequestHeader { group: "Made".into() };
    let shown: SubscriptionGroupConfig =
        body(&client, RemotingCommand::request_with(RequestCode::GetSubscriptionGroupConfig, &get)).await;
    assert_eq!(shown, group);
    client.send("TopicA", 0, "x", "").await;
    assert_eq!(client.pull("Made", "TopicA", 0, 0).await.code, 16, "it may not consume");

    assert_eq!(client.pull("G", "TopicA", 0, 0).await.code, 0);
    let forbid = UpdateGroupForbiddenRequestHeader {
        group: "G".into(),
        topic: "TopicA".into(),
        readable: Some(false),
    };
    let shown: GroupForbidden =
        body(&client, RemotingCommand::request_with(RequestCode::UpdateAndGetGroupForbidden, &forbid)).await;
    assert_eq!(shown.readable, Some(false));
    assert_eq!(client.pull("G", "TopicA", 0, 0).await.code, 16);
    let all: SubscriptionGroupWrapper =
        body(&client, RemotingCommand::request(RequestCode::GetAllSubscriptionGroupConfig)).await;
    assert!(
        all.subscription_group_table.contains_key("Made")
            && all.subscription_group_table.contains_key("TOOLS_CONSUMER")
    );

    let delete = DeleteSubscriptionGroupRequestHeader { group_name: "Made".into(), clean_offset: true };
    assert_eq!(client.ask(RequestCode::DeleteSubscriptionGroup, &delete).await.code, 0);
    assert_eq!(client.ask(RequestCode::GetSubscriptionGroupConfig, &get).await.code, 26);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_see_how_far_groups_are() {
    let served = start(&[]).await;
    let client = served.client();
    client.heartbeat(&consumer("c1", "G", "TopicA", "*", 1)).await;
    client.heartbeat(&producer("p1", "PG")).await;
    for text in ["0", "1", "2"] {
        client.send("TopicA", 0, text, "").await;
    }
    served.broker.node().journal.commit_offset("G", "TopicA", 0, 1);

    let stats = GetTopicStatsInfoRequestHeader { topic: "TopicA".into() };
    let stats: TopicStatsTable =
        body(&client, RemotingCommand::request_with(RequestCode::GetTopicStatsInfo, &stats)).await;
    assert_eq!(stats.offset_table.len(), 4);
    assert_eq!(stats.offset_table.values().map(|offset| offset.max_offset).sum::<i64>(), 3);
    assert!(stats.offset_table.values().next().is_some_and(|offset| offset.last_update_timestamp > 0));

    let header = GetConsumeStatsRequestHeader { consumer_group: "G".into(), topic: None, topic_list: None };
    let stats: ConsumeStats =
        body(&client, RemotingCommand::request_with(RequestCode::GetConsumeStats, &header)).await;
    let (_, offset) = stats.offset_table.first_key_value().expect("a queue");
    assert_eq!((offset.broker_offset, offset.consumer_offset, offset.pull_offset), (3, 1, 1));
    assert!(offset.last_timestamp > 0);

    let header = GetConsumeStatsInBrokerHeader { is_order: false };
    let list: ConsumeStatsList =
        body(&client, RemotingCommand::request_with(RequestCode::GetBrokerConsumeStats, &header)).await;
    assert_eq!(list.total_diff, 2);

    let header = QueryConsumeTimeSpanRequestHeader { topic: "TopicA".into(), group: "G".into() };
    let spans: QueryConsumeTimeSpanBody =
        body(&client, RemotingCommand::request_with(RequestCode::QueryConsumeTimeSpan, &header)).await;
    assert_eq!(spans.consume_time_span_set.len(), 4);

    let header = QueryTopicConsumeByWhoRequestHeader { topic: "TopicA".into() };
    let groups: GroupList =
        body(&client, RemotingCommand::request_with(RequestCode::QueryTopicConsumeByWho, &header)).await;
    assert!(groups.group_list.contains("G"));
    let header = QueryTopicsByConsumerRequestHeader { group: "G".into() };
    let topics: TopicList =
        body(&client, RemotingCommand::request_with(RequestCode::QueryTopicsByConsumer, &header)).await;
    assert!(topics.topic_list.contains("TopicA"));

    let header = GetProducerConnectionListRequestHeader { producer_group: "PG".into() };
    let shown: ProducerConnection =
        body(&client, RemotingCommand::request_with(RequestCode::GetProducerConnectionList, &header)).await;
    assert_eq!(shown.connection_set[0].client_id, "p1");
    let all: ProducerTableInfo =
        body(&client, RemotingCommand::request(RequestCode::GetAllProducerInfo)).await;
    assert_eq!(all.data["PG"].len(), 1);
    assert!(all.data["PG"][0].remote_ip.starts_with("/127.0.0.1:"), "{}", all.data["PG"][0].remote_ip);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_found_by_key_and_units_shown() {
    let served = start(&[]).await;
    let client = served.client();
    client.send("TopicA", 0, "one", "KEYS\u{1}red blue\u{2}UNIQ_KEY\u{1}U1\u{2}").await;
    client.send("TopicA", 0, "two", "KEYS\u{1}blue\u{2}TAGS\u{1}TagA\u{2}").await;
    let query = |key: &str| QueryMessageRequestHeader {
        topic: "TopicA".into(),
        key: key.into(),
        max_num: 10,
        begin_timestamp: 0,
        end_timestamp: i64::MAX,
    };
    let found = async |key: &str| {
        let answer = client.ask(RequestCode::QueryMessage, &query(key)).await;
        (answer.code, messages_of(&answer.body).into_iter().map(|message| message.body).collect::<Vec<_>>())
    };
    assert_eq!(found("blue").await.1.len(), 2);
    assert_eq!(found("red").await, (0, vec!["one".to_owned()]));
    assert_eq!(found("green").await, (22, vec![]));
    let unique = RemotingCommand::request_with(RequestCode::QueryMessage, &query("U1"))
        .with_ext("_UNIQUE_KEY_QUERY", "true");
    assert_eq!(messages_of(&client.call(unique).await.body)[0].body, "one");

    let header = QueryConsumeQueueRequestHeader {
        topic: Some("TopicA".into()),
        count: 10,
        ..QueryConsumeQueueRequestHeader::default()
    };
    let units: QueryConsumeQueueResponseBody =
        body(&client, RemotingCommand::request_with(RequestCode::QueryConsumeQueue, &header)).await;
    assert_eq!((units.min_queue_index, units.max_queue_index), (0, 2));
    let units = units.queue_data.expect("units");
    assert_eq!(units.iter().map(|unit| unit.tags_code).collect::<Vec<_>>(), [0, 2_598_919]);
    let absent = QueryConsumeQueueRequestHeader { queue_id: 9, ..header };
    let answer = client.ask(RequestCode::QueryConsumeQueue, &absent).await;
    assert_eq!((answer.code, answer.remark.as_deref()), (1, Some("9@TopicA is not exist!")));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_the_broker() {
    let served = start(&[]).await;
    let client = served.client();
    client.send("TopicA", 0, "x", "").await;
    let info: KVTable = body(&client, RemotingCommand::request(RequestCode::GetBrokerRuntimeInfo)).await;
    for key in [
        "brokerActive",
        "brokerVersionDesc",
        "putTps",
        "getTransferredTps",
        "sendThreadPoolQueueSize",
        "pullThreadPoolQueueSize",
        "sendThreadPoolQueueHeadWaitTimeMills",
        "pageCacheLockTimeMills",
        "earliestMessageTimeStamp",
        "commitLogDiskRatio",
        "timerReadBehind",
        "timerEnqueueTps",
        "msgPutTotalTodayNow",
        "commitLogMaxOffset",
        "runtime",
        "putMessageDistributeTime",
        "remainHowManyDataToFlush",
    ] {
        assert!(info.table.contains_key(key), "{key}");
    }
    assert_eq!(info.table["msgPutTotalTodayNow"], "1");
    let first_rate = info.table["putTps"].split(' ').next().expect("three numbers");
    assert!(first_rate.parse::<f64>().is_ok());
    let status: HARuntimeInfo = body(&client, RemotingCommand::request(RequestCode::GetBrokerHaStatus)).await;
    assert!(status.master && status.master_commit_log_max_offset > 0);

    let header =
        ViewBrokerStatsDataRequestHeader { stats_name: "TOPIC_PUT_NUMS".into(), stats_key: "TopicA".into() };
    let _: BrokerStatsData =
        body(&client, RemotingCommand::request_with(RequestCode::ViewBrokerStatsData, &header)).await;
    let header =
        ViewBrokerStatsDataRequestHeader { stats_name: "TOPIC_PUT_NUMS".into(), stats_key: "None".into() };
    assert_eq!(client.ask(RequestCode::ViewBrokerStatsData, &header).await.code, 1);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_shown_changed_and_kept() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("broker.conf");
    let text = format!("# mine\n{}", properties(&directory, &[]).to_text());
    std::fs::write(&file, &text).expect("written");
    let (config, _) = Config::parse(&daemon::config::read_file(&file).expect("readable")).expect("valid");
    let broker = Broker::start(Start { config, config_file: Some(file.clone()) }).await.expect("started");
    let client = Client::new(&broker.local_addr().to_string());
    let answer = client.call(RemotingCommand::request(RequestCode::GetBrokerConfig)).await;
    let shown = String::from_utf8(answer.body.to_vec()).expect("text");
    assert!(shown.contains("brokerName=broker-a\n") && answer.ext_fields.contains("version"));
    // What is in effect, not what the file left open; and what `exportConfigs` of RocketMQ 4 cannot do without.
    let own_port = format!("listenPort={}", broker.local_addr().port());
    for line in [own_port.as_str(), "brokerIP2=127.0.0.1", "filterServerNums=0", "useTLS=false"] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
    }
    let update = async |text: &str| {
        client
            .call(RemotingCommand::request(RequestCode::UpdateBrokerConfig).with_body(text.to_owned()))
            .await
            .code
    };
    assert_eq!(update("maxMessageSize=3\nlistenPort=5000").await, 0);
    assert_eq!(update("maxMessageSize=a lot").await, 1);
    assert_eq!(update("noSuchKey=1").await, 29);
    assert_eq!(update("configBlackList=x").await, 16);
    let config = broker.node().config.get();
    assert_eq!((config.store.max_message_size.0, config.broker.listen_port), (3, 0));
    let answer = client.call(crate::support::send_request("TopicA", 0, "four", "")).await;
    assert_eq!(answer.code, 13, "the new limit counts at once");
    let kept = std::fs::read_to_string(&file).expect("readable");
    assert!(
        kept.starts_with("# mine\n")
            && kept.contains("maxMessageSize=3\n")
            && kept.contains("listenPort=5000\n")
    );
    broker.stop().await.expect("stopped");
}
