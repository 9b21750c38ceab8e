//! A name server as brokers, clients and tools see it: through real sockets.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daemon::Properties;
use namesrv::{Config, NameServer, RAFT_GROUP};
use protocol::body::{
    Body, DataVersion, RegisterBrokerBody, TopicConfig, TopicConfigSerializeWrapper, TopicRouteData,
};
use protocol::header::{
    GetRouteInfoRequestHeader, PutKVConfigRequestHeader, RegisterBrokerRequestHeader,
    UnRegisterBrokerRequestHeader,
};
use protocol::json::Json;
use protocol::message::body_crc;
use protocol::{Bytes, RemotingCommand, RequestCode, ResponseCode};
use remoting::{ClientConfig, Connection, Handler, NoRequests, RemotingClient, Server, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Far longer than anything here takes; reached only when something is broken.
const PATIENCE: Duration = Duration::from_secs(20);

const ROUTE_BARE: &str = r#"{"brokerDatas":[{"brokerAddrs":{0:"10.0.0.1:10911",1:"10.0.0.2:10911"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":8,"topicSysFlag":0,"writeQueueNums":8}]}"#;

struct House {
    directory: TempDir,
    server: NameServer,
}

impl House {
    async fn new() -> Self {
        Self::with("").await
    }

    async fn with(extra: &str) -> Self {
        Self::at(tempfile::tempdir().unwrap(), extra).await
    }

    async fn at(directory: TempDir, extra: &str) -> Self {
        let server = NameServer::start(config(directory.path(), extra)).await.unwrap();
        Self { directory, server }
    }

    fn peer(&self) -> Peer {
        Peer {
            client: RemotingClient::new(ClientConfig::default(), Arc::new(NoRequests)),
            address: self.server.local_addr().to_string(),
        }
    }
}

fn config(directory: &Path, extra: &str) -> Config {
    let mut config = Config::default();
    let text = format!(
        "bindAddress=127.0.0.1\nlistenPort=0\nkvConfigPath={0}/kv/kvConfig.json\nconfigStorePath={0}/namesrv.conf\n{extra}",
        directory.display()
    );
    let bound = config.update(&Properties::parse(&text).unwrap()).unwrap();
    assert!(bound.unknown.is_empty(), "{bound:?}");
    config
}

/// Somebody with one connection.
struct Peer {
    client: RemotingClient,
    address: String,
}

impl Peer {
    async fn call(&self, command: RemotingCommand) -> RemotingCommand {
        self.client.call(&self.address, command, PATIENCE).await.unwrap()
    }

    async fn ask(
        &self,
        code: RequestCode,
        fields: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> RemotingCommand {
        let request = RemotingCommand::request(code).with_body(body);
        self.call(fields.iter().fold(request, |request, (key, value)| request.with_ext(key, value))).await
    }

    async fn register(&self, command: RemotingCommand) {
        let answer = self.call(command).await;
        assert_eq!(answer.code, ResponseCode::Success, "{:?}", answer.remark);
    }

    async fn route(&self, topic: &str, version: i32) -> RemotingCommand {
        let header = GetRouteInfoRequestHeader { topic: topic.into(), accept_standard_json_only: None };
        let mut request = RemotingCommand::request_with(RequestCode::GetRouteInfoByTopic, &header);
        request.version = version;
        self.call(request).await
    }

    /// Ids of the route's first broker; none when there is no route.
    async fn ids(&self, topic: &str) -> Vec<i64> {
        let answer = self.route(topic, 479).await;
        if answer.code == ResponseCode::TopicNotExist {
            return Vec::new();
        }
        let route = TopicRouteData::decode(&answer.body).unwrap();
        route.broker_datas[0].broker_addrs.keys().copied().collect()
    }

    async fn ids_become(&self, topic: &str, expected: &[i64]) {
        let deadline = Instant::now() + PATIENCE;
        while self.ids(topic).await != expected {
            assert!(Instant::now() < deadline, "ids of {topic} never became {expected:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn body(names: &[&str], version: DataVersion) -> RegisterBrokerBody {
    let mut body = RegisterBrokerBody::default();
    body.topic_config_serialize_wrapper.data_version = version;
    body.topic_config_serialize_wrapper.topic_config_table = topics(names);
    body
}

fn topics(names: &[&str]) -> BTreeMap<String, TopicConfig> {
    names.iter().map(|name| ((*name).to_owned(), TopicConfig::new(*name, 8, 8, 6))).collect()
}

fn version(state_version: i64) -> DataVersion {
    DataVersion { counter: 1, state_version, timestamp: 1_700_000_000_000 }
}

fn header(id: i64, host: u8) -> RegisterBrokerRequestHeader {
    RegisterBrokerRequestHeader {
        broker_name: "broker-a".into(),
        broker_addr: format!("10.0.0.{host}:10911").into(),
        cluster_name: "DefaultCluster".into(),
        ha_server_addr: format!("10.0.0.{host}:10912").into(),
        broker_id: id,
        enable_acting_master: Some(false),
        ..RegisterBrokerRequestHeader::default()
    }
}

fn registration(header: &RegisterBrokerRequestHeader, body: Bytes) -> RemotingCommand {
    let header =
        RegisterBrokerRequestHeader { body_crc32: i32::try_from(body_crc(&body)).unwrap(), ..header.clone() };
    RemotingCommand::request_with(RequestCode::RegisterBroker, &header).with_body(body)
}

fn plain(id: i64, host: u8) -> RemotingCommand {
    registration(&header(id, host), body(&["TopicA", "TBW102"], version(0)).encode())
}

fn raft(id: i64, host: u8, term: i64) -> RemotingCommand {
    registration(&header(id, host), body(&["TopicA", "TBW102"], version(term)).encode())
        .with_ext(RAFT_GROUP, "true")
}

#[tokio::test]
async fn every_client_gets_the_route_in_the_json_that_it_reads() {
    let house = House::new().await;
    let peer = house.peer();
    peer.register(plain(0, 1)).await;
    let slave = peer.call(plain(1, 2)).await;
    assert_eq!(slave.ext_fields.get("masterAddr"), Some("10.0.0.1:10911"));
    assert_eq!(slave.ext_fields.get("haServerAddr"), Some("10.0.0.1:10912"));
    let standard = ROUTE_BARE.replace("{0:", "{\"0\":").replace(",1:", ",\"1\":");
    for _ in 0..2 {
        assert_eq!(peer.route("TopicA", 400).await.body, ROUTE_BARE);
        assert_eq!(peer.route("TopicA", 401).await.body, standard);
    }
    let mut asks = RemotingCommand::request(RequestCode::GetRouteInfoByTopic)
        .with_ext("topic", "TopicA")
        .with_ext("acceptStandardJsonOnly", "true");
    asks.version = 121;
    assert_eq!(peer.call(asks).await.body, standard);
    let cluster = peer.ask(RequestCode::GetBrokerClusterInfo, &[], "").await;
    assert_eq!(
        cluster.body,
        r#"{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"10.0.0.1:10911",1:"10.0.0.2:10911"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}},"clusterAddrTable":{"DefaultCluster":["broker-a"]}}"#
    );
    let unknown = peer.route("TopicB", 479).await;
    assert_eq!(unknown.code, ResponseCode::TopicNotExist);
    let remark = unknown.remark.unwrap();
    assert!(remark.starts_with("No topic route info in name server for the topic: TopicB\n"), "{remark}");
}

#[tokio::test]
async fn a_changed_registration_changes_routes_that_were_answered_before() {
    let house = House::new().await;
    let peer = house.peer();
    peer.register(plain(0, 1)).await;
    assert_eq!(peer.ids("TopicA").await, [0]);
    peer.register(plain(1, 2)).await;
    assert_eq!(peer.ids("TopicA").await, [0, 1]);
    let gone = UnRegisterBrokerRequestHeader {
        broker_name: "broker-a".into(),
        broker_addr: "10.0.0.2:10911".into(),
        cluster_name: "DefaultCluster".into(),
        broker_id: 1,
    };
    peer.register(RemotingCommand::request_with(RequestCode::UnregisterBroker, &gone)).await;
    assert_eq!(peer.ids("TopicA").await, [0]);
}

#[tokio::test]
async fn register_bodies_are_read_compressed_bare_and_absent() {
    let house = House::new().await;
    let peer = house.peer();
    let compressed = RegisterBrokerRequestHeader { compressed: true, ..header(0, 1) };
    let content = body(&["Packed", "TBW102"], version(0)).encode_compressed();
    peer.register(registration(&compressed, content)).await;
    assert_eq!(peer.ids("Packed").await, [0]);

    let bare = TopicConfigSerializeWrapper {
        data_version: version(1),
        topic_config_table: topics(&["Bare", "TBW102"]),
    };
    let mut old = registration(&header(0, 1), bare.encode());
    old.version = 36;
    peer.register(old).await;
    assert_eq!(peer.ids("Bare").await, [0]);

    peer.register(registration(
        &RegisterBrokerRequestHeader { broker_name: "b".into(), ..header(0, 3) },
        Bytes::new(),
    ))
    .await;
    let cluster = peer.ask(RequestCode::GetBrokerClusterInfo, &[], "").await;
    assert!(String::from_utf8_lossy(&cluster.body).contains(r#"["b","broker-a"]"#));
}

#[tokio::test]
async fn a_compressed_body_is_known_by_itself() {
    let house = House::new().await;
    let peer = house.peer();
    let recorded = Bytes::from_static(include_bytes!("golden/register-5.3.3-compressed.bin"));
    peer.register(registration(&RegisterBrokerRequestHeader { compressed: false, ..header(0, 1) }, recorded))
        .await;
    let route = TopicRouteData::decode(&peer.route("TBW102", 479).await.body).unwrap();
    assert_eq!((route.queue_datas[0].read_queue_nums, route.queue_datas[0].perm), (8, 7));
    let list = peer.ask(RequestCode::GetAllTopicListFromNameServer, &[], "").await;
    assert_eq!(protocol::body::TopicList::decode(&list.body).unwrap().topic_list.len(), 13);
}

#[tokio::test]
async fn a_body_that_is_not_what_was_sent_is_refused() {
    let house = House::new().await;
    let peer = house.peer();
    let mut damaged = plain(0, 1);
    damaged.body = Bytes::from([&damaged.body[..], b" "].concat());
    let answer = peer.call(damaged).await;
    assert_eq!((answer.code, answer.remark.as_deref()), (1, Some("crc32 not match")));
    for content in ["{", "[]", "{\"topicConfigSerializeWrapper\":7}"] {
        let answer = peer.call(registration(&header(0, 1), Bytes::from(content))).await;
        assert_eq!(answer.code, ResponseCode::SystemError, "{content}");
    }
    let packed = RegisterBrokerRequestHeader { compressed: true, ..header(0, 1) };
    assert_eq!(
        peer.call(registration(&packed, Bytes::from("no zlib"))).await.code,
        ResponseCode::SystemError
    );
    let single = registration(&header(0, 1), body(&["Single"], version(0)).encode());
    assert_eq!(peer.call(single).await.remark.as_deref(), Some("register broker failed"));
    assert_eq!(house.server.broker_count(), 0);
}

#[tokio::test]
async fn a_broker_whose_connection_closes_is_gone_at_once() {
    let house = House::new().await;
    let (master, slave, client) = (house.peer(), house.peer(), house.peer());
    master.register(plain(0, 1)).await;
    slave.register(plain(1, 2)).await;
    master.client.stop().await;
    client.ids_become("TopicA", &[1]).await;
    slave.client.stop().await;
    client.ids_become("TopicA", &[]).await;
}

#[tokio::test]
async fn a_raft_group_has_an_id_0_from_the_moment_its_leader_dies() {
    let house = House::new().await;
    let (leader, second, third, client) = (house.peer(), house.peer(), house.peer(), house.peer());
    leader.register(raft(0, 1, 3)).await;
    second.register(raft(1, 2, 3)).await;
    third.register(raft(2, 3, 3)).await;
    assert_eq!(client.ids("TopicA").await, [0, 1, 2]);
    leader.client.stop().await;
    client.ids_become("TopicA", &[0, 2]).await;
    let stale = third.call(raft(0, 3, 2)).await;
    assert_eq!(stale.code, ResponseCode::Success, "an older term is ignored, not refused");
    assert_eq!(client.ids("TopicA").await, [0, 2]);
    third.register(raft(0, 3, 4)).await;
    let route = TopicRouteData::decode(&client.route("TopicA", 479).await.body).unwrap();
    assert_eq!(route.broker_datas[0].broker_addrs[&0], "10.0.0.3:10911");
    assert_eq!(route.broker_datas[0].broker_addrs[&1], "10.0.0.2:10911");
    assert_eq!(route.queue_datas[0].perm, 6);
}

#[tokio::test]
async fn a_silent_broker_is_removed_and_its_connection_closed() {
    let house = House::with("scanNotActiveBrokerInterval=5").await;
    let (broker, client) = (house.peer(), house.peer());
    let header = RegisterBrokerRequestHeader { heartbeat_timeout_millis: Some(20), ..header(0, 1) };
    broker.register(registration(&header, body(&["TopicA", "TBW102"], version(0)).encode())).await;
    client.ids_become("TopicA", &[]).await;
    let deadline = Instant::now() + PATIENCE;
    while broker.client.connected(&broker.address).is_some() {
        assert!(Instant::now() < deadline, "the connection stays open");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn data_version_heartbeat_and_member_group_are_answered() {
    let house = House::new().await;
    let peer = house.peer();
    let who = [
        ("brokerName", "broker-a"),
        ("brokerAddr", "10.0.0.1:10911"),
        ("clusterName", "DefaultCluster"),
        ("brokerId", "0"),
    ];
    let before = peer.ask(RequestCode::QueryDataVersion, &who, version(0).encode()).await;
    assert_eq!((before.ext_fields.get("changed"), before.body.len()), (Some("true"), 0));
    peer.register(plain(0, 1)).await;
    let same = peer.ask(RequestCode::QueryDataVersion, &who, version(0).encode()).await;
    assert_eq!(same.ext_fields.get("changed"), Some("false"));
    assert_eq!(same.body, r#"{"counter":1,"stateVersion":0,"timestamp":1700000000000}"#);
    let other = peer.ask(RequestCode::QueryDataVersion, &who, version(1).encode()).await;
    assert_eq!(other.ext_fields.get("changed"), Some("true"));
    assert_eq!(peer.ask(RequestCode::BrokerHeartbeat, &who, "").await.code, ResponseCode::Success);
    let group = peer.ask(RequestCode::GetBrokerMemberGroup, &who, "").await;
    assert_eq!(
        group.body,
        r#"{"brokerMemberGroup":{"brokerAddrs":{0:"10.0.0.1:10911"},"brokerName":"broker-a","cluster":"DefaultCluster"}}"#
    );
}

#[tokio::test]
async fn tools_list_delete_register_and_protect_topics() {
    let house = House::new().await;
    let peer = house.peer();
    peer.register(plain(0, 1)).await;
    let list = peer.ask(RequestCode::GetAllTopicListFromNameServer, &[], "").await;
    assert_eq!(list.body, r#"{"topicList":["TBW102","TopicA"]}"#);
    let cluster = peer.ask(RequestCode::GetTopicsByCluster, &[("cluster", "DefaultCluster")], "").await;
    assert_eq!(cluster.body, r#"{"topicList":["TBW102","TopicA"]}"#);
    let system = peer.ask(RequestCode::GetSystemTopicListFromNs, &[], "").await;
    assert_eq!(system.body, r#"{"brokerAddr":"10.0.0.1:10911","topicList":["DefaultCluster","broker-a"]}"#);
    for code in [
        RequestCode::GetUnitTopicList,
        RequestCode::GetHasUnitSubTopicList,
        RequestCode::GetHasUnitSubUnunitTopicList,
    ] {
        assert_eq!(peer.ask(code, &[], "").await.body, r#"{"topicList":[]}"#);
    }
    let wiped = peer.ask(RequestCode::WipeWritePermOfBroker, &[("brokerName", "broker-a")], "").await;
    assert_eq!(wiped.ext_fields.get("wipeTopicCount"), Some("2"));
    let route = TopicRouteData::decode(&peer.route("TopicA", 479).await.body).unwrap();
    assert_eq!(route.queue_datas[0].perm, 4);
    let added = peer.ask(RequestCode::AddWritePermOfBroker, &[("brokerName", "broker-a")], "").await;
    assert_eq!(added.ext_fields.get("addTopicCount"), Some("2"));
    assert_eq!(peer.route("TopicA", 479).await.body, route_with_perm(&route, 6));
    peer.register(
        RemotingCommand::request(RequestCode::RegisterTopicInNamesrv)
            .with_ext("topic", "Made")
            .with_body(route.encode()),
    )
    .await;
    assert_eq!(peer.ids("Made").await, [0]);
    peer.ask(RequestCode::DeleteTopicInNamesrv, &[("topic", "Made"), ("clusterName", "elsewhere")], "").await;
    assert_eq!(peer.ids("Made").await, [0]);
    peer.ask(RequestCode::DeleteTopicInNamesrv, &[("topic", "Made")], "").await;
    assert_eq!(peer.ids("Made").await, [0; 0]);
}

fn route_with_perm(route: &TopicRouteData, perm: i32) -> Bytes {
    let mut route = route.clone();
    route.queue_datas[0].perm = perm;
    route.to_json_as(protocol::json::Dialect::Standard)
}

#[tokio::test]
async fn the_kv_configuration_survives_a_restart_and_feeds_order_topics() {
    let house = House::with("orderMessageEnable=true").await;
    let peer = house.peer();
    peer.register(plain(0, 1)).await;
    assert!(!String::from_utf8_lossy(&peer.route("TopicA", 479).await.body).contains("orderTopicConf"));
    let put = PutKVConfigRequestHeader {
        namespace: "ORDER_TOPIC_CONFIG".into(),
        key: "TopicA".into(),
        value: "broker-a:8".into(),
    };
    peer.register(RemotingCommand::request_with(RequestCode::PutKvConfig, &put)).await;
    let route = peer.route("TopicA", 479).await.body;
    assert!(String::from_utf8_lossy(&route).contains(r#""orderTopicConf":"broker-a:8""#));
    let House { directory, server } = house;
    server.stop().await;

    let house = House::at(directory, "").await;
    let peer = house.peer();
    let key = [("namespace", "ORDER_TOPIC_CONFIG"), ("key", "TopicA")];
    let value = peer.ask(RequestCode::GetKvConfig, &key, "").await;
    assert_eq!(value.ext_fields.get("value"), Some("broker-a:8"));
    let list = peer.ask(RequestCode::GetKvListByNamespace, &key, "").await;
    assert_eq!(list.body, r#"{"table":{"TopicA":"broker-a:8"}}"#);
    let registered = peer.call(plain(0, 1)).await;
    assert_eq!(registered.body, r#"{"table":{"TopicA":"broker-a:8"}}"#);
    assert_eq!(peer.ask(RequestCode::DeleteKvConfig, &key, "").await.code, ResponseCode::Success);
    let value = peer.ask(RequestCode::GetKvConfig, &key, "").await;
    assert_eq!(value.code, ResponseCode::QueryNotFound);
    assert_eq!(value.remark.as_deref(), Some("No config item, Namespace: ORDER_TOPIC_CONFIG Key: TopicA"));
    let nowhere = peer.ask(RequestCode::GetKvListByNamespace, &[("namespace", "N")], "").await;
    assert_eq!(nowhere.code, ResponseCode::QueryNotFound);
    let text = std::fs::read_to_string(house.directory.path().join("kv/kvConfig.json")).unwrap();
    assert!(text.contains("ORDER_TOPIC_CONFIG"), "{text}");
}

#[tokio::test]
async fn the_configuration_is_shown_changed_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("namesrv.conf");
    std::fs::write(&file, "# ours\nenableTopicList=true\n").unwrap();
    let house = House::at(directory, "").await;
    let peer = house.peer();
    let shown = peer.ask(RequestCode::GetNamesrvConfig, &[], "").await;
    let shown = Properties::parse(&String::from_utf8_lossy(&shown.body)).unwrap();
    assert_eq!((shown.get("enableTopicList"), shown.get("listenPort")), (Some("true"), Some("0")));

    let changed = peer.ask(RequestCode::UpdateNamesrvConfig, &[], "enableTopicList=false\nnobody=1").await;
    assert_eq!(changed.code, ResponseCode::Success, "{:?}", changed.remark);
    let list = peer.ask(RequestCode::GetSystemTopicListFromNs, &[], "").await;
    assert_eq!((list.code, list.remark.as_deref()), (1, Some("disable")));
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("# ours\nenableTopicList=false\n"));

    let forbidden = peer.ask(RequestCode::UpdateNamesrvConfig, &[], "kvConfigPath=/tmp/x").await;
    assert_eq!(forbidden.code, ResponseCode::NoPermission);
    let wrong = peer.ask(RequestCode::UpdateNamesrvConfig, &[], "listenPort=x\nenableAllTopicList=y").await;
    assert_eq!(wrong.code, ResponseCode::SystemError);
    assert!(wrong.remark.unwrap().starts_with("2 wrong configuration values: "));
    let list = peer.ask(RequestCode::GetAllTopicListFromNameServer, &[], "").await;
    assert_eq!(list.code, ResponseCode::Success, "nothing of a wrong change was taken");
}

#[tokio::test]
async fn requests_that_make_no_sense_are_answered_and_one_way_ones_are_not() {
    let house = House::new().await;
    let peer = house.peer();
    let mut unknown = RemotingCommand::request(RequestCode::SendMessage);
    unknown.code = 31_999;
    let answer = peer.call(unknown).await;
    assert_eq!((answer.code, answer.remark.as_deref()), (3, Some(" request type 31999 not supported")));
    let elsewhere = peer.ask(RequestCode::SendMessage, &[], "").await;
    assert_eq!(elsewhere.code, ResponseCode::RequestCodeNotSupported);
    for code in [RequestCode::GetRouteInfoByTopic, RequestCode::RegisterBroker, RequestCode::PutKvConfig] {
        assert_eq!(peer.ask(code, &[], "").await.code, ResponseCode::SystemError);
    }
    let connection = peer.client.connect(&peer.address).await.unwrap();
    connection.oneway(plain(0, 1)).unwrap();
    peer.ids_become("TopicA", &[0]).await;
}

#[tokio::test]
async fn noise_closes_its_own_connection_and_nothing_else() {
    let house = House::new().await;
    let peer = house.peer();
    peer.register(plain(0, 1)).await;
    for noise in [&[0xff; 64][..], b"GET / HTTP/1.1\r\n\r\n", &[0, 0, 0, 8, 0, 0, 0, 200, 1, 2, 3, 4]] {
        let mut stream = TcpStream::connect(&peer.address).await.unwrap();
        stream.write_all(noise).await.unwrap();
        let end = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 16])).await.expect("closed in time");
        assert!(matches!(end, Ok(0) | Err(_)), "{noise:?} was answered");
    }
    assert_eq!(peer.ids("TopicA").await, [0]);
}

#[tokio::test]
async fn a_name_server_that_waits_for_brokers_says_so() {
    let house = House::with("needWaitForService=true\nwaitSecondsForService=3600").await;
    let answer = house.peer().route("TopicA", 479).await;
    assert_eq!((answer.code, answer.remark.as_deref()), (1, Some("name server not ready")));
    let house = House::with("needWaitForService=true\nwaitSecondsForService=0").await;
    assert_eq!(house.peer().route("TopicA", 479).await.code, ResponseCode::TopicNotExist);
}

/// A broker's own port: what name servers send to it.
struct Told(mpsc::UnboundedSender<RemotingCommand>);

impl Handler for Told {
    fn handle(&self, _: &Arc<Connection>, requests: &mut Vec<RemotingCommand>) {
        requests.drain(..).for_each(|request| self.0.send(request).unwrap());
    }
}

#[tokio::test]
async fn members_are_told_of_a_new_smallest_id_when_the_configuration_says_so() {
    let house = House::with("notifyMinBrokerIdChanged=true").await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let listen = ServerConfig::new(([127, 0, 0, 1], 0).into());
    let port = Server::bind(listen, Arc::new(Told(tell))).unwrap();
    let (master, slave) = (house.peer(), house.peer());
    master.register(plain(0, 1)).await;
    let address = port.local_addr().to_string();
    let header = RegisterBrokerRequestHeader { broker_addr: address.clone().into(), ..header(1, 2) };
    slave.register(registration(&header, body(&["TopicA", "TBW102"], version(0)).encode())).await;
    master.client.stop().await;
    let notice = tokio::time::timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
    assert_eq!(notice.code, RequestCode::NotifyMinBrokerIdChange);
    assert!(notice.is_oneway());
    assert_eq!(notice.ext_fields.get("minBrokerId"), Some("1"));
    assert_eq!(notice.ext_fields.get("minBrokerAddr"), Some(address.as_str()));
    assert_eq!(notice.ext_fields.get("offlineBrokerAddr"), Some("10.0.0.1:10911"));
}

#[tokio::test]
async fn figures_are_shown_when_they_are_asked_for() {
    let house =
        House::with("metricsExporterType=PROM\nmetricsPromExporterHost=127.0.0.1\nmetricsPromExporterPort=0")
            .await;
    house.peer().register(plain(0, 1)).await;
    let mut stream = TcpStream::connect(house.server.metrics_addr().unwrap()).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.contains("rocketmq_namesrv_requests_total{request_code=\"REGISTER_BROKER\"} 1\n"), "{text}");
}

#[tokio::test]
async fn a_taken_port_and_files_that_cannot_be_used_are_one_clear_line() {
    let house = House::new().await;
    let taken = house.server.local_addr().port();
    let directory = tempfile::tempdir().unwrap();
    let line = |error: namesrv::NamesrvError| {
        let line = error.to_string();
        assert!(!line.contains('\n'), "{line}");
        line
    };
    let config_at = |extra: &str| config(directory.path(), extra);
    let error = NameServer::start(config_at(&format!("listenPort={taken}"))).await.unwrap_err();
    assert!(line(error).contains(&format!("cannot listen on 127.0.0.1:{taken}: ")));

    std::fs::write(directory.path().join("file"), "").unwrap();
    let path = directory.path().join("file/kvConfig.json");
    let error = NameServer::start(config_at(&format!("kvConfigPath={}", path.display()))).await.unwrap_err();
    let said = line(error);
    assert!(said.contains("kvConfigPath") && said.contains("file/kvConfig.json"), "{said}");

    let path = directory.path().join("damaged.json");
    std::fs::write(&path, "{\"configTable\":").unwrap();
    let error = NameServer::start(config_at(&format!("kvConfigPath={}", path.display()))).await.unwrap_err();
    let said = line(error);
    assert!(said.contains("kvConfigPath") && said.contains("damaged.json"), "{said}");
}
