//! Routes of the topics in use, and the addresses of all brokers that occur in them.
//!
//! Asked when a topic is first used, every 30 s, and at once when a send or pull failed: a new master is found as
//! soon as the name server knows it. Many who ask for the same topic at the same time share one question. An answer
//! "no such topic" and a silent name server change nothing that is known.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use protocol::body::{Body, TopicRouteData};
use protocol::header::GetRouteInfoRequestHeader;
use protocol::{RemotingCommand, RequestCode, ResponseCode, topic};
use remoting::RemotingClient;
use tokio::sync::{Notify, OnceCell, watch};

use crate::config::ClientConfig;
use crate::error::ClientError;
use crate::route::{MASTER_ID, Route};

/// In an answer that a replica handed on from the leader: our route is old. Brokers of RocketMQ never say so.
const FORWARDED_TO: &str = "forwardedTo";

type Shared = Result<Arc<Route>, ClientError>;

#[derive(Debug)]
struct Entry {
    route: Arc<Route>,
    /// Made after the topic for creation, because this one does not exist yet.
    is_inherited: bool,
    used: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    topics: HashMap<String, Entry>,
    /// Broker name → id → address.
    brokers: BTreeMap<String, BTreeMap<i64, String>>,
}

/// The route cache of one client.
#[derive(Debug)]
pub struct Routes {
    remoting: Arc<RemotingClient>,
    name_servers: Vec<String>,
    /// The name server that answered last.
    current: AtomicUsize,
    call_timeout: Duration,
    topics_max: usize,
    table: RwLock<Table>,
    asking: Mutex<HashMap<String, Arc<OnceCell<Shared>>>>,
    uses: AtomicU64,
    version: watch::Sender<u64>,
    old: Notify,
}

impl Routes {
    pub(crate) fn new(remoting: Arc<RemotingClient>, config: &ClientConfig) -> Self {
        Self {
            remoting,
            name_servers: config.name_servers.clone(),
            current: AtomicUsize::new(0),
            call_timeout: config.call_timeout,
            topics_max: config.routes_max.max(1),
            table: RwLock::default(),
            asking: Mutex::default(),
            uses: AtomicU64::new(0),
            version: watch::Sender::new(0),
            old: Notify::new(),
        }
    }

    /// The topic's route, from memory if it is there.
    pub async fn route(&self, topic: &str) -> Shared {
        match self.known(topic) {
            Some(route) => Ok(route),
            None => self.refresh(topic).await,
        }
    }

    /// The topic's route for sending: if the topic does not exist, that of the topic it would be made after, with at
    /// most so many queues at each broker.
    pub async fn route_to_send(&self, topic: &str, queues_max: i32) -> Shared {
        if let Some(route) = self.known(topic)
            && !route.writable.is_empty()
        {
            return Ok(route);
        }
        match self.refresh(topic).await {
            Err(ClientError::NoRoute { .. }) => self.inherit(topic, queues_max).await,
            outcome => outcome,
        }
    }

    /// Asks the name servers for the topic's route.
    pub async fn refresh(&self, topic: &str) -> Shared {
        let question = self.asking.lock().entry(topic.to_owned()).or_default().clone();
        let outcome = question.get_or_init(|| self.ask(topic)).await.clone();
        let mut asking = self.asking.lock();
        if asking.get(topic).is_some_and(|current| Arc::ptr_eq(current, &question)) {
            asking.remove(topic);
        }
        outcome
    }

    /// Asks for every topic in use, one after the other.
    pub async fn refresh_all(&self) {
        let topics: Vec<String> = self.table.read().topics.keys().cloned().collect();
        for topic in topics {
            if let Err(error) = self.refresh(&topic).await {
                tracing::debug!(topic, %error, "route not refreshed");
            }
        }
    }

    /// Looks at an answer of a broker: one that another broker gave says that our routes are old.
    pub(crate) fn note_answer(&self, answer: &RemotingCommand) {
        if answer.ext_fields.contains(FORWARDED_TO) {
            self.old.notify_one();
        }
    }

    /// Waits until routes are known to be old.
    pub(crate) async fn old(&self) {
        self.old.notified().await;
    }

    /// The master's address.
    pub fn master(&self, broker: &str) -> Option<String> {
        self.table.read().brokers.get(broker)?.get(&MASTER_ID).cloned()
    }

    /// The address with this id, else any other of the broker.
    pub fn address(&self, broker: &str, id: i64) -> Option<String> {
        let table = self.table.read();
        let addresses = table.brokers.get(broker)?;
        addresses.get(&id).or_else(|| addresses.values().next()).cloned()
    }

    /// All brokers: name → id → address.
    pub fn brokers(&self) -> BTreeMap<String, BTreeMap<i64, String>> {
        self.table.read().brokers.clone()
    }

    /// Tells of every change of any route.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Asks name servers, beginning with the one that answered last, until one answers.
    pub async fn ask_name_server(&self, command: RemotingCommand) -> Result<RemotingCommand, ClientError> {
        let start = self.current.load(Ordering::Relaxed);
        let tried = self.name_servers.len();
        let mut last = None;
        for step in 0..tried {
            let index = (start + step) % tried;
            match self.remoting.call(&self.name_servers[index], command.clone(), self.call_timeout).await {
                Ok(answer) => {
                    self.current.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or(ClientError::NoNameServer, |last| ClientError::NameServers { tried, last }))
    }

    /// The name servers in use.
    pub fn name_servers(&self) -> &[String] {
        &self.name_servers
    }

    fn known(&self, topic: &str) -> Option<Arc<Route>> {
        let table = self.table.read();
        let entry = table.topics.get(topic)?;
        entry.used.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Some(entry.route.clone())
    }

    async fn ask(&self, topic: &str) -> Shared {
        let header = GetRouteInfoRequestHeader { topic: topic.into(), accept_standard_json_only: Some(true) };
        let request = RemotingCommand::request_with(RequestCode::GetRouteInfoByTopic, &header);
        let answer = self.ask_name_server(request).await?;
        let peer = || "name server".to_owned();
        match answer.response_code() {
            Some(ResponseCode::Success) => {
                let data = TopicRouteData::decode(&answer.body)
                    .map_err(|source| ClientError::Body { peer: peer(), source })?;
                Ok(self.learn(topic, Route::new(topic, data), false))
            }
            Some(ResponseCode::TopicNotExist) => Err(ClientError::NoRoute { topic: topic.to_owned() }),
            _ => Err(ClientError::Refused { peer: peer(), code: answer.code, remark: answer.remark }),
        }
    }

    async fn inherit(&self, topic: &str, queues_max: i32) -> Shared {
        let model = match self.route(topic::AUTO_CREATE).await {
            Err(ClientError::NoRoute { .. }) => return Err(ClientError::NoRoute { topic: topic.to_owned() }),
            outcome => outcome?,
        };
        Ok(self.learn(topic, Route::inherited(topic, model.data.clone(), queues_max), true))
    }

    fn learn(&self, topic: &str, route: Route, is_inherited: bool) -> Arc<Route> {
        let mut table = self.table.write();
        let mut is_news = false;
        for broker in &route.data.broker_datas {
            if table.brokers.get(&broker.broker_name) != Some(&broker.broker_addrs) {
                table.brokers.insert(broker.broker_name.clone(), broker.broker_addrs.clone());
                is_news = true;
            }
        }
        let used = AtomicU64::new(self.uses.fetch_add(1, Ordering::Relaxed));
        let route = match table.topics.get(topic) {
            Some(entry) if *entry.route == route && entry.is_inherited == is_inherited => entry.route.clone(),
            _ => {
                is_news = true;
                let route = Arc::new(route);
                table.topics.insert(topic.to_owned(), Entry { route: route.clone(), is_inherited, used });
                route
            }
        };
        if is_news {
            table.forget_beyond(self.topics_max);
            drop(table);
            self.version.send_modify(|version| *version += 1);
        }
        route
    }
}

impl Table {
    /// Forgets what was not used longest, and brokers that no route names any more.
    fn forget_beyond(&mut self, topics_max: usize) {
        while self.topics.len() > topics_max {
            let oldest = self.topics.iter().min_by_key(|(_, entry)| entry.used.load(Ordering::Relaxed));
            let Some(topic) = oldest.map(|(topic, _)| topic.clone()) else { break };
            self.topics.remove(&topic);
        }
        let topics = &self.topics;
        self.brokers.retain(|name, _| {
            topics
                .values()
                .any(|entry| entry.route.data.broker_datas.iter().any(|data| data.broker_name == *name))
        });
    }
}
