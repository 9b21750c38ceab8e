//! A broker on a free port and a client that speaks to it.

use broker::{Broker, BrokerError, Config, Start};
use bytes::Bytes;
use daemon::Properties;
use parking_lot::Mutex;
use protocol::body::{Body, ConsumerData, HeartbeatData, ProducerData, SubscriptionData};
use protocol::header::{
    PullMessageRequestHeader, PullMessageResponseHeader, QueryConsumerOffsetRequestHeader,
    QueryConsumerOffsetResponseHeader, RegisterBrokerRequestHeader, RegisterBrokerResponseHeader,
    ResetOffsetRequestHeader, SendMessageRequestHeader, SendMessageResponseHeader,
};
use protocol::message::MessageView;
use protocol::{Header, RemotingCommand, RequestCode, ResponseCode, Text, sys_flag};
use remoting::{ClientConfig, Connection, Handler, RemotingClient, Server, ServerConfig};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Far longer than anything takes, unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A broker of a test.
pub struct Served {
    pub broker: Broker,
    pub directory: Arc<TempDir>,
    pub address: String,
}

/// The configuration of a broker of a test, with these keys on top.
pub fn properties(directory: &TempDir, more: &[(&str, &str)]) -> Properties {
    let mut properties = Properties::new();
    properties.insert("storePathRootDir", directory.path().join("store").display().to_string());
    properties.insert("bindAddress", "127.0.0.1");
    properties.insert("listenPort", "0");
    properties.insert("brokerName", "broker-a");
    properties.insert("mappedFileSizeCommitLog", (16 << 20).to_string());
    // A test says nothing of the disk of the machine that it runs on.
    properties.insert("diskSpaceCleanForciblyRatio", "99");
    properties.insert("diskSpaceWarningLevelRatio", "99");
    for (key, value) in more {
        properties.insert(*key, *value);
    }
    properties
}

/// Starts a broker that shares this directory.
pub async fn try_start_in(directory: &Arc<TempDir>, more: &[(&str, &str)]) -> Result<Served, BrokerError> {
    let (config, bound) = Config::parse(&properties(directory, more))?;
    assert!(bound.unknown.is_empty(), "{:?}", bound.unknown);
    let broker = Broker::start(Start { config, config_file: None }).await?;
    let address = broker.local_addr().to_string();
    Ok(Served { broker, directory: Arc::clone(directory), address })
}

pub async fn start_in(directory: &Arc<TempDir>, more: &[(&str, &str)]) -> Served {
    try_start_in(directory, more).await.expect("the broker starts")
}

/// Starts a broker in a directory of its own.
pub async fn start(more: &[(&str, &str)]) -> Served {
    start_in(&Arc::new(TempDir::new().expect("a directory")), more).await
}

impl Served {
    pub fn client(&self) -> Client {
        Client::new(&self.address)
    }

    pub async fn stop(self) -> Arc<TempDir> {
        self.broker.stop().await.expect("the broker stops cleanly");
        self.directory
    }
}

/// Keeps the requests that the broker sends by itself, and answers them.
#[derive(Debug, Default)]
pub struct Pushed {
    requests: Mutex<Vec<RemotingCommand>>,
    answer_body: Mutex<Bytes>,
}

impl Handler for Pushed {
    fn handle(&self, connection: &Arc<Connection>, requests: &mut Vec<RemotingCommand>) {
        for request in requests.drain(..) {
            if !request.is_oneway() {
                let answer = RemotingCommand::response(ResponseCode::Success);
                connection.send(answer.with_body(self.answer_body.lock().clone()).answers(&request));
            }
            self.requests.lock().push(request);
        }
    }
}

/// One client process.
pub struct Client {
    remoting: RemotingClient,
    pub pushed: Arc<Pushed>,
    address: String,
}

impl Client {
    pub fn new(address: &str) -> Self {
        let pushed = Arc::new(Pushed::default());
        let remoting = RemotingClient::new(ClientConfig::default(), Arc::clone(&pushed) as Arc<dyn Handler>);
        Self { remoting, pushed, address: address.to_owned() }
    }

    pub async fn call(&self, command: RemotingCommand) -> RemotingCommand {
        self.remoting.call(&self.address, command, PATIENCE).await.expect("an answer")
    }

    pub async fn ask<H: Header>(&self, code: RequestCode, header: &H) -> RemotingCommand {
        self.call(RemotingCommand::request_with(code, header)).await
    }

    /// How far a group is in queue 0 of a topic, and the code of the answer.
    pub async fn offset(
        &self,
        group: &str,
        topic: &str,
        set_zero_if_not_found: Option<bool>,
    ) -> (i32, Option<i64>) {
        let header = QueryConsumerOffsetRequestHeader {
            consumer_group: group.into(),
            topic: topic.into(),
            queue_id: 0,
            set_zero_if_not_found,
        };
        let answer = self.ask(RequestCode::QueryConsumerOffset, &header).await;
        (answer.code, answer.header::<QueryConsumerOffsetResponseHeader>().ok().map(|header| header.offset))
    }

    pub async fn oneway(&self, command: RemotingCommand) {
        self.remoting.oneway(&self.address, command).await.expect("sent");
    }

    pub async fn connection(&self) -> Arc<Connection> {
        self.remoting.connect(&self.address).await.expect("connected")
    }

    pub fn answers_with(&self, body: Bytes) {
        *self.pushed.answer_body.lock() = body;
    }

    /// The first such request that the broker sent by itself.
    pub fn pushed(&self, code: RequestCode) -> RemotingCommand {
        let requests = self.pushed.requests.lock();
        requests.iter().find(|request| code == request.code).expect("it was pushed").clone()
    }

    pub fn pushes(&self, code: RequestCode) -> usize {
        self.pushed.requests.lock().iter().filter(|request| code == request.code).count()
    }

    /// Sends a message; tells where it is.
    pub async fn send(&self, topic: &str, queue: i32, body: &str, properties: &str) -> Sent {
        let answer = self.call(send_request(topic, queue, body, properties)).await;
        assert_eq!(answer.code, 0, "{:?}", answer.remark);
        sent(&answer)
    }

    /// Pulls without waiting.
    pub async fn pull(&self, group: &str, topic: &str, queue: i32, offset: i64) -> Pulled {
        self.pull_with(&pull_header(group, topic, queue, offset)).await
    }

    pub async fn pull_with(&self, header: &PullMessageRequestHeader) -> Pulled {
        pulled(&self.ask(RequestCode::PullMessage, header).await)
    }

    /// Pulls until something is there.
    pub async fn pull_found(&self, group: &str, topic: &str, queue: i32, offset: i64) -> Pulled {
        let header = PullMessageRequestHeader {
            sys_flag: sys_flag::pull::SUBSCRIPTION | sys_flag::pull::SUSPEND,
            suspend_timeout_millis: 5_000,
            ..pull_header(group, topic, queue, offset)
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.pull_with(&header).await;
            if found.code == 0 {
                return found;
            }
            assert!(Instant::now() < deadline, "nothing arrived in {topic}: {found:?}");
        }
    }

    pub async fn heartbeat(&self, data: &HeartbeatData) {
        let answer =
            self.call(RemotingCommand::request(RequestCode::HeartBeat).with_body(data.encode())).await;
        assert_eq!(answer.code, 0, "{:?}", answer.remark);
    }

    pub async fn consume(&self, client_id: &str, group: &str, topic: &str, expression: &str) {
        self.heartbeat(&consumer(client_id, group, topic, expression, 1)).await;
    }
}

pub fn send_header(topic: &str, queue: i32, properties: &str) -> SendMessageRequestHeader {
    SendMessageRequestHeader {
        producer_group: "PG".into(),
        topic: topic.into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        queue_id: queue,
        born_timestamp: 1_700_000_000_000,
        properties: (!properties.is_empty()).then(|| Text::from(properties)),
        ..SendMessageRequestHeader::default()
    }
}

pub fn send_request(topic: &str, queue: i32, body: &str, properties: &str) -> RemotingCommand {
    let header = send_header(topic, queue, properties);
    RemotingCommand::request_with(RequestCode::SendMessageV2, &header).with_body(body.to_owned())
}

/// What a send is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub id: String,
    pub queue: i32,
    pub offset: i64,
    pub transaction_id: Option<String>,
}

pub fn sent(answer: &RemotingCommand) -> Sent {
    let header: SendMessageResponseHeader = answer.header().expect("the header of a send's answer");
    assert_eq!(answer.ext_fields.get("MSG_REGION"), Some("DefaultRegion"));
    assert_eq!(answer.ext_fields.get("TRACE_ON"), Some("true"));
    Sent {
        id: header.msg_id.into(),
        queue: header.queue_id,
        offset: header.queue_offset,
        transaction_id: header.transaction_id.map(String::from),
    }
}

/// Back to the beginning of all queues.
pub fn reset_header(group: &str, topic: &str) -> ResetOffsetRequestHeader {
    ResetOffsetRequestHeader {
        group: group.into(),
        topic: topic.into(),
        queue_id: -1,
        offset: None,
        timestamp: 0,
        is_force: true,
    }
}

pub fn pull_header(group: &str, topic: &str, queue: i32, offset: i64) -> PullMessageRequestHeader {
    PullMessageRequestHeader {
        consumer_group: group.into(),
        topic: topic.into(),
        queue_id: queue,
        queue_offset: offset,
        max_msg_nums: 32,
        sys_flag: sys_flag::pull::SUBSCRIPTION,
        subscription: Some("*".into()),
        ..PullMessageRequestHeader::default()
    }
}

/// What a pull is told.
#[derive(Debug, Clone)]
pub struct Pulled {
    pub code: i32,
    pub remark: String,
    pub next: i64,
    pub min: i64,
    pub max: i64,
    pub suggested: i64,
    pub messages: Vec<Message>,
}

/// A message that was pulled.
#[derive(Debug, Clone)]
pub struct Message {
    pub topic: String,
    pub body: String,
    pub physical: u64,
    pub reconsume_times: i32,
    pub properties: String,
}

impl Message {
    pub fn property(&self, name: &str) -> Option<&str> {
        protocol::properties::get(&self.properties, name)
    }
}

impl Pulled {
    pub fn bodies(&self) -> Vec<&str> {
        self.messages.iter().map(|message| message.body.as_str()).collect()
    }
}

pub fn pulled(answer: &RemotingCommand) -> Pulled {
    let remark = answer.remark.clone().unwrap_or_default();
    let offsets: Option<PullMessageResponseHeader> = answer.header().ok();
    if [0, 19, 20, 21].contains(&answer.code) {
        assert!(offsets.is_some(), "all four offsets travel with code {}", answer.code);
    }
    let offsets = offsets.unwrap_or_default();
    let messages = messages_of(&answer.body);
    Pulled {
        code: answer.code,
        remark,
        next: offsets.next_begin_offset,
        min: offsets.min_offset,
        max: offsets.max_offset,
        suggested: offsets.suggest_which_broker_id,
        messages,
    }
}

pub fn messages_of(body: &[u8]) -> Vec<Message> {
    let read = |view: MessageView<'_>| {
        view.verify_crc().expect("the body is what its checksum says");
        Message {
            topic: view.topic.to_owned(),
            body: String::from_utf8_lossy(view.body).into_owned(),
            physical: view.physical_offset,
            reconsume_times: view.reconsume_times,
            properties: view.properties.to_owned(),
        }
    };
    MessageView::iter(body).map(|view| read(view.expect("whole records"))).collect()
}

pub fn consumer(client_id: &str, group: &str, topic: &str, expression: &str, version: i64) -> HeartbeatData {
    let subscription = SubscriptionData::of_tags(topic, expression, version).expect("a tag expression");
    let retry = SubscriptionData::of_tags(format!("%RETRY%{group}"), "*", version).expect("all");
    HeartbeatData {
        client_id: client_id.to_owned(),
        consumer_data_set: vec![ConsumerData {
            group_name: group.to_owned(),
            subscription_data_set: vec![subscription, retry],
            ..ConsumerData::default()
        }],
        ..HeartbeatData::default()
    }
}

pub fn producer(client_id: &str, group: &str) -> HeartbeatData {
    HeartbeatData {
        client_id: client_id.to_owned(),
        producer_data_set: vec![ProducerData { group_name: group.to_owned() }],
        ..HeartbeatData::default()
    }
}

/// Waits until a condition holds that has to be asked for.
pub async fn until_asked(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a condition holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A name server that only writes down what it is told.
#[derive(Debug, Default)]
pub struct NameServer {
    pub told: Mutex<Vec<RemotingCommand>>,
}

/// A name server that tells slaves where their master is.
#[derive(Debug, Default)]
pub struct Matchmaker {
    master: Mutex<RegisterBrokerResponseHeader>,
}

impl Matchmaker {
    /// Listens; tells where.
    pub fn listen() -> (Server, String) {
        let config = ServerConfig {
            drain_max: Duration::from_millis(200),
            ..ServerConfig::new("127.0.0.1:0".parse().expect("an address"))
        };
        let server = Server::bind(config, Arc::new(Self::default()) as Arc<dyn Handler>).expect("a port");
        let address = server.local_addr().to_string();
        (server, address)
    }
}

impl Handler for Matchmaker {
    fn handle(&self, connection: &Arc<Connection>, requests: &mut Vec<RemotingCommand>) {
        for request in requests.drain(..) {
            let mut answer = RemotingCommand::response(ResponseCode::Success);
            if RequestCode::RegisterBroker == request.code {
                let told: RegisterBrokerRequestHeader = request.header().expect("a header");
                let mut master = self.master.lock();
                if told.broker_id == 0 {
                    master.master_addr = Some(told.broker_addr);
                    master.ha_server_addr = Some(told.ha_server_addr);
                } else {
                    answer = answer.with_header(&*master);
                }
            }
            connection.send(answer.answers(&request));
        }
    }
}

impl NameServer {
    /// Listens; tells where.
    pub fn listen(at: &str) -> (Arc<Self>, Server, String) {
        let this = Arc::new(Self::default());
        let config = ServerConfig {
            drain_max: Duration::from_millis(200),
            ..ServerConfig::new(at.parse().expect("an address"))
        };
        let server = Server::bind(config, Arc::clone(&this) as Arc<dyn Handler>).expect("a port");
        let address = server.local_addr().to_string();
        (this, server, address)
    }

    pub fn count(&self, code: RequestCode) -> usize {
        self.told.lock().iter().filter(|request| code == request.code).count()
    }

    /// Whether the last registration names this topic.
    pub fn knows(&self, topic: &str) -> bool {
        let told = self.told.lock();
        let last = told.iter().rev().find(|request| RequestCode::RegisterBroker == request.code);
        last.is_some_and(|request| {
            let body = protocol::body::RegisterBrokerBody::decode(&request.body).expect("a register body");
            body.topic_config_serialize_wrapper.topic_config_table.contains_key(topic)
        })
    }
}

impl Handler for NameServer {
    fn handle(&self, connection: &Arc<Connection>, requests: &mut Vec<RemotingCommand>) {
        for request in requests.drain(..) {
            connection.send(RemotingCommand::response(ResponseCode::Success).answers(&request));
            self.told.lock().push(request);
        }
    }
}
