//! The registration itself: one task for each name server, at the start, every 30 s, on each topic change, when the
//! connection broke, and the farewell at the stop.
//!
//! Always true: a registration carries all topics (system topics make that two or more), so that a name server that
//! was restarted knows everything after one. A name server that does not answer holds up nobody but itself.

use super::Rounds;
use crate::config::{Identity, LiveConfig};
use crate::ha::Part;
use crate::metadata::Metadata;
use crate::node::Node;
use crate::replication::Group;
use bytes::Bytes;
use daemon::{Shutdown, Tasks};
use parking_lot::Mutex;
use protocol::body::{Body, RegisterBrokerBody, TopicConfig, TopicConfigAndMappingSerializeWrapper};
use protocol::header::{
    RegisterBrokerRequestHeader, RegisterBrokerResponseHeader, UnRegisterBrokerRequestHeader,
};
use protocol::{RemotingCommand, RequestCode, ResponseCode, Text, perm};
use remoting::{ClientConfig, Connection, Handler, RemotingClient};
use std::sync::Arc;
use std::time::Duration;

/// Topic changes that come within so long share one registration.
const DEBOUNCE: Duration = Duration::from_millis(2);
/// A name server that did not answer is tried again after so long.
const RETRY: Duration = Duration::from_secs(2);
/// Tells our own name server that a survivor may stand in for id 0; others ignore it (docs/adr/0002).
const RAFT_GROUP: &str = "raftGroup";
/// How long the farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Registers one broker.
#[derive(Debug)]
pub struct Registrar {
    config: Arc<LiveConfig>,
    identity: Identity,
    metadata: Arc<Metadata>,
    group: Option<Arc<Group>>,
    part: Arc<Part>,
    client: RemotingClient,
    rounds: Arc<Rounds>,
    /// The last body and the topic table it was made of, so that all name servers share one.
    body: Mutex<Option<(BodyKey, Bytes)>>,
}

/// What a body depends on: the table's version (counter, time, term) and the broker's permission.
type BodyKey = (i64, i64, i64, i32);

/// Asks for a new registration when a connection to a name server breaks: it may have been restarted, and knows
/// nothing then. Requests of a name server (min broker id changes) concern slaves only.
#[derive(Debug)]
struct Lost {
    rounds: Arc<Rounds>,
}

impl Handler for Lost {
    fn handle(&self, connection: &Arc<Connection>, requests: &mut Vec<RemotingCommand>) {
        for request in requests.drain(..).filter(|request| !request.is_oneway()) {
            let refusal = RemotingCommand::response(ResponseCode::RequestCodeNotSupported);
            connection.send(refusal.answers(&request));
        }
    }

    fn closed(&self, _connection: &Arc<Connection>) {
        self.rounds.ask();
    }
}

impl Registrar {
    /// Starts to register, one task for each name server; `wait` on the rounds to know when it is done.
    pub fn start(tasks: &Tasks, node: &Node) {
        let lost = Arc::new(Lost { rounds: Arc::clone(&node.rounds) });
        let registrar = Arc::new(Self {
            config: Arc::clone(&node.config),
            identity: node.identity.clone(),
            metadata: Arc::clone(&node.metadata),
            group: node.group.clone(),
            part: Arc::clone(&node.part),
            client: RemotingClient::new(ClientConfig::default(), lost),
            rounds: Arc::clone(&node.rounds),
            body: Mutex::default(),
        });
        for (number, server) in node.config.get().name_servers().into_iter().enumerate() {
            let registrar = Arc::clone(&registrar);
            let name = format!("register at {server}");
            tasks.spawn(name, move |shutdown| async move { registrar.run(number, &server, shutdown).await });
        }
    }

    async fn run(&self, number: usize, server: &str, shutdown: Shutdown) {
        let mut wishes = self.rounds.wishes();
        loop {
            wishes.mark_unchanged();
            let begun = self.rounds.begin();
            let is_answering = tokio::select! {
                () = shutdown.requested() => break,
                is_answering = self.register(server) => is_answering,
            };
            self.rounds.end(number, begun, is_answering);
            let wait = if is_answering { self.period() } else { RETRY };
            tokio::select! {
                () = shutdown.requested() => break,
                _ = wishes.changed(), if is_answering => tokio::time::sleep(DEBOUNCE).await,
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.farewell(server).await;
    }

    /// A slave that follows nobody asks often where its master is.
    fn period(&self) -> Duration {
        let period = self.config.get().broker.register_period.duration();
        match self.part.slave() {
            Some(slave) if slave.seeks_master() => RETRY.min(period),
            _ => period,
        }
    }

    async fn register(&self, server: &str) -> bool {
        let config = self.config.get();
        let (broker_id, term) = self.seat();
        let header = RegisterBrokerRequestHeader {
            broker_name: (&*self.identity.broker).into(),
            broker_addr: (&*self.identity.advertised).into(),
            cluster_name: (&*self.identity.cluster).into(),
            ha_server_addr: (&*self.identity.ha_advertised).into(),
            broker_id,
            heartbeat_timeout_millis: None,
            enable_acting_master: Some(false),
            compressed: false,
            body_crc32: 0,
        };
        let body = self.body(config.broker.broker_permission, term);
        let mut request = RemotingCommand::request_with(RequestCode::RegisterBroker, &header).with_body(body);
        if term.is_some() {
            request.ext_fields.insert(RAFT_GROUP, "true");
        }
        let timeout = config.broker.register_timeout.duration();
        let Some(answer) = self.call(server, request, timeout).await else { return false };
        self.learn_master(&answer);
        true
    }

    /// Slaves are told where their master is.
    fn learn_master(&self, answer: &RemotingCommand) {
        let Some(slave) = self.part.slave() else { return };
        let Ok(told) = answer.header::<RegisterBrokerResponseHeader>() else { return };
        let text = |text: Option<Text>| text.map_or_else(String::new, |text| text.as_str().to_owned());
        slave.learn(&text(told.master_addr), &text(told.ha_server_addr));
    }

    /// Under which id this broker is found, and in which term: both at once, or a deposed leader could bear a new term.
    /// Id 0 is whoever leads; a replica that follows has an id of its own, as in DLedger.
    fn seat(&self) -> (i64, Option<i64>) {
        match &self.group {
            None => (self.identity.broker_id, None),
            Some(group) => group.seat(),
        }
    }

    async fn farewell(&self, server: &str) {
        let header = UnRegisterBrokerRequestHeader {
            broker_name: (&*self.identity.broker).into(),
            broker_addr: (&*self.identity.advertised).into(),
            cluster_name: (&*self.identity.cluster).into(),
            broker_id: self.seat().0,
        };
        let request = RemotingCommand::request_with(RequestCode::UnregisterBroker, &header);
        self.call(server, request, FAREWELL).await;
    }

    async fn call(
        &self,
        server: &str,
        request: RemotingCommand,
        timeout: Duration,
    ) -> Option<RemotingCommand> {
        match self.client.call(server, request, timeout).await {
            Ok(answer) if ResponseCode::Success == answer.code => Some(answer),
            Ok(answer) => {
                let remark = answer.remark.unwrap_or_default();
                tracing::warn!(server, code = answer.code, remark, "the name server refused");
                None
            }
            Err(error) => {
                tracing::warn!(server, %error, "the name server did not answer");
                None
            }
        }
    }

    /// All topics. What the broker as a whole does not permit, no topic permits.
    fn body(&self, broker_permission: i32, term: Option<i64>) -> Bytes {
        let topics = self.metadata.topics.read();
        let mut version = *topics.version();
        // The term fences: a name server refuses id 0 from an older one.
        version.state_version = term.unwrap_or(version.state_version);
        let key = (version.counter, version.timestamp, version.state_version, broker_permission);
        let mut body = self.body.lock();
        if let Some((known, body)) = &*body
            && *known == key
        {
            return body.clone();
        }
        let lowered = |config: &TopicConfig| TopicConfig {
            perm: config.perm & (broker_permission | perm::INHERIT),
            ..config.clone()
        };
        let wrapper = TopicConfigAndMappingSerializeWrapper {
            data_version: version,
            topic_config_table: topics
                .iter()
                .map(|topic| (topic.name().to_owned(), lowered(&topic.config)))
                .collect(),
            ..TopicConfigAndMappingSerializeWrapper::default()
        };
        let register =
            RegisterBrokerBody { topic_config_serialize_wrapper: wrapper, ..RegisterBrokerBody::default() };
        let encoded = register.encode();
        *body = Some((key, encoded.clone()));
        encoded
    }
}
