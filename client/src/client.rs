//! The process as brokers see it: one id, one set of connections, routes and heartbeats, shared by its producers and
//! consumers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use protocol::body::{Body, HeartbeatData, ProducerData};
use protocol::header::UnregisterClientRequestHeader;
use protocol::{RemotingCommand, RequestCode, ResponseCode, Text};
use remoting::RemotingClient;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::config::ClientConfig;
use crate::consumer::Consumer;
use crate::error::ClientError;
use crate::inbound::Inbound;
use crate::route::MASTER_ID;
use crate::routes::Routes;
use crate::unique_key::local_ip;

static CLIENTS: AtomicU32 = AtomicU32::new(0);

/// A client. Cheap to clone; the connections close when the last clone and the last producer or consumer are gone.
#[derive(Debug, Clone)]
pub struct Client {
    core: Arc<Core>,
}

impl Client {
    /// Starts a client. Must be called on a tokio runtime, which carries its tasks.
    pub fn start(config: ClientConfig) -> Result<Self, ClientError> {
        Ok(Self { core: Arc::new(Core::start(config)?) })
    }

    /// Our id towards brokers.
    pub fn id(&self) -> &str {
        &self.core.id
    }

    /// The route cache.
    pub fn routes(&self) -> &Routes {
        &self.core.routes
    }

    /// Tells the brokers of us now instead of at the next beat.
    pub async fn heartbeat(&self) {
        self.core.heart.beat().await;
    }

    /// Closes the connections. Producers and consumers are to be stopped before.
    pub async fn stop(&self) {
        self.core.stop().await;
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

/// Who of this process takes part.
#[derive(Debug, Default)]
pub(crate) struct Members {
    producers: Mutex<BTreeMap<String, usize>>,
    consumers: Mutex<BTreeMap<String, Arc<Consumer>>>,
}

impl Members {
    pub(crate) fn consumer(&self, group: &str) -> Option<Arc<Consumer>> {
        self.consumers.lock().get(group).cloned()
    }

    fn is_empty(&self) -> bool {
        self.producers.lock().is_empty() && self.consumers.lock().is_empty()
    }
}

/// What clones of a client, its producers and consumers share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) id: String,
    pub(crate) ip: IpAddr,
    pub(crate) remoting: Arc<RemotingClient>,
    pub(crate) routes: Arc<Routes>,
    pub(crate) call_timeout: Duration,
    pub(crate) heart: Arc<Heart>,
    members: Arc<Members>,
    /// Owned, so that the tasks end with the client.
    tasks: Mutex<JoinSet<()>>,
}

impl Core {
    fn start(config: ClientConfig) -> Result<Self, ClientError> {
        if config.name_servers.is_empty() {
            return Err(ClientError::NoNameServer);
        }
        let ip = local_ip();
        let id = if config.client_id.is_empty() {
            let number = CLIENTS.fetch_add(1, Ordering::Relaxed);
            format!("{ip}@{}#{number}", std::process::id())
        } else {
            config.client_id.clone()
        };
        let members = Arc::new(Members::default());
        let sockets = remoting::ClientConfig {
            connect_timeout: config.connect_timeout,
            ..remoting::ClientConfig::default()
        };
        let remoting = Arc::new(RemotingClient::new(sockets, Arc::new(Inbound::new(members.clone()))));
        let routes = Arc::new(Routes::new(remoting.clone(), &config));
        let heart = Arc::new(Heart {
            id: id.clone(),
            remoting: remoting.clone(),
            routes: routes.clone(),
            members: members.clone(),
            call_timeout: config.call_timeout,
            told: Mutex::default(),
            soon: Notify::new(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(poll_routes(routes.clone(), config.route_poll));
        tasks.spawn(heart.clone().beat_on(config.heartbeat));
        let call_timeout = config.call_timeout;
        Ok(Self { id, ip, remoting, routes, call_timeout, heart, members, tasks: Mutex::new(tasks) })
    }

    /// Asks a broker; anything but success is an error.
    pub(crate) async fn ask(
        &self,
        address: &str,
        command: RemotingCommand,
        timeout: Duration,
    ) -> Result<RemotingCommand, ClientError> {
        let answer = self.remoting.call(address, command, timeout).await?;
        self.routes.note_answer(&answer);
        match answer.response_code() {
            Some(ResponseCode::Success) => Ok(answer),
            _ => Err(refused(address, answer)),
        }
    }

    /// The master of a broker; asks the route of `topic` anew if none is known.
    pub(crate) async fn master(&self, broker: &str, topic: &str) -> Result<String, ClientError> {
        if let Some(address) = self.routes.master(broker) {
            return Ok(address);
        }
        self.routes.refresh(topic).await?;
        self.routes.master(broker).ok_or_else(|| ClientError::BrokerUnknown { broker: broker.to_owned() })
    }

    /// The master of a broker, else any replica.
    pub(crate) async fn replica(&self, broker: &str, topic: &str) -> Result<String, ClientError> {
        match self.master(broker, topic).await {
            Ok(address) => Ok(address),
            Err(error) => self.routes.address(broker, MASTER_ID).ok_or(error),
        }
    }

    pub(crate) fn join_producer(&self, group: &str) {
        *self.members.producers.lock().entry(group.to_owned()).or_default() += 1;
        self.heart.soon.notify_one();
    }

    pub(crate) fn leave_producer(&self, group: &str) {
        let mut producers = self.members.producers.lock();
        if let Some(count) = producers.get_mut(group) {
            *count -= 1;
            if *count == 0 {
                producers.remove(group);
            }
        }
    }

    pub(crate) fn join_consumer(&self, consumer: Arc<Consumer>) {
        self.members.consumers.lock().insert(consumer.group().to_owned(), consumer);
        self.heart.soon.notify_one();
    }

    pub(crate) fn leave_consumer(&self, group: &str) {
        self.members.consumers.lock().remove(group);
    }

    /// Tells all brokers that a group has left this process.
    pub(crate) async fn unregister(&self, producer_group: Option<&str>, consumer_group: Option<&str>) {
        // They stay in the set: another group that stops now has to tell them as well.
        let told = self.heart.told.lock().clone();
        self.heart.unregister(&told, producer_group, consumer_group).await;
        self.heart.soon.notify_one();
    }

    async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.shutdown().await;
        self.remoting.stop().await;
    }
}

/// The error of an answer that is no success.
pub(crate) fn refused(peer: &str, answer: RemotingCommand) -> ClientError {
    ClientError::Refused { peer: peer.to_owned(), code: answer.code, remark: answer.remark }
}

/// Old routes are asked for anew at most so often: a replica goes on handing requests on until the name server knows more.
const OLD_ROUTES_PAUSE: Duration = Duration::from_millis(100);

async fn poll_routes(routes: Arc<Routes>, every: Duration) {
    let mut next = tokio::time::Instant::now() + every;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(next) => next = tokio::time::Instant::now() + every,
            () = routes.old() => {}
        }
        routes.refresh_all().await;
        tokio::time::sleep(OLD_ROUTES_PAUSE).await;
    }
}

/// Brokers that do not know us are tried so often: a broker that comes back learns of its consumers in a second.
const GREET: Duration = Duration::from_secs(1);

/// Tells brokers who we are: every 30 s, and soon when a group joins, or a broker appears or comes back.
#[derive(Debug)]
pub(crate) struct Heart {
    id: String,
    remoting: Arc<RemotingClient>,
    routes: Arc<Routes>,
    members: Arc<Members>,
    call_timeout: Duration,
    /// Brokers that have heard of all our present members.
    told: Mutex<BTreeSet<String>>,
    soon: Notify,
}

impl Heart {
    async fn beat_on(self: Arc<Self>, every: Duration) {
        let mut changes = self.routes.changes();
        let mut next = tokio::time::Instant::now() + every;
        loop {
            let is_due = tokio::select! {
                () = self.soon.notified() => true,
                _ = changes.changed() => false,
                () = tokio::time::sleep_until(next) => true,
                () = tokio::time::sleep(GREET) => false,
            };
            if is_due {
                next = tokio::time::Instant::now() + every;
                self.beat().await;
            } else {
                self.greet().await;
            }
        }
    }

    /// Tells all brokers.
    pub(crate) async fn beat(&self) {
        if self.members.is_empty() {
            return;
        }
        let addresses = self.part().await;
        let heard = self.tell(addresses.clone()).await;
        // Only now, for a group that stops meanwhile looks here whom to tell.
        self.told.lock().retain(|address| heard.contains(address) || !addresses.contains(address));
    }

    /// Tells the brokers that have not heard of us, or forgot us with the connection.
    async fn greet(&self) {
        if self.members.is_empty() {
            return;
        }
        let addresses = self.part().await;
        let unaware = addresses.difference(&self.told.lock()).cloned().collect();
        self.tell(unaware).await;
    }

    /// Parts with brokers that are gone or no masters any more; returns those that are to know us.
    async fn part(&self) -> BTreeSet<String> {
        self.told.lock().retain(|address| self.remoting.connected(address).is_some());
        let addresses = self.addresses();
        self.take_leave(&addresses).await;
        addresses
    }

    /// Tells these brokers, and notes each that has heard; returns those.
    async fn tell(&self, addresses: BTreeSet<String>) -> BTreeSet<String> {
        let data = self.data();
        let body = data.encode();
        let mut beats = JoinSet::new();
        for address in addresses.clone() {
            let (remoting, timeout) = (self.remoting.clone(), self.call_timeout);
            let request = RemotingCommand::request(RequestCode::HeartBeat).with_body(body.clone());
            beats.spawn(async move {
                let outcome = remoting.call(&address, request, timeout).await;
                (address, outcome)
            });
        }
        let mut heard = BTreeSet::new();
        while let Some(beat) = beats.join_next().await {
            match beat {
                Ok((address, Ok(answer))) if ResponseCode::Success == answer.code => {
                    self.told.lock().insert(address.clone());
                    heard.insert(address);
                }
                Ok((address, outcome)) => tracing::debug!(address, ?outcome, "heartbeat not taken"),
                Err(error) => tracing::debug!(%error, "heartbeat not sent"),
            }
        }
        self.take_back(&data, &addresses).await;
        heard
    }

    /// A group that left while `data` was on its way may have told so before `data` arrived and brought it back.
    async fn take_back(&self, data: &HeartbeatData, addresses: &BTreeSet<String>) {
        let now = self.data();
        for one in data.producer_data_set.iter().filter(|one| !now.producer_data_set.contains(one)) {
            self.unregister(addresses, Some(&one.group_name), None).await;
        }
        let groups = now.consumer_data_set.iter().map(|one| &one.group_name).collect::<BTreeSet<_>>();
        for one in data.consumer_data_set.iter().filter(|one| !groups.contains(&one.group_name)) {
            self.unregister(addresses, None, Some(&one.group_name)).await;
        }
    }

    /// Tells brokers that a group has left this process.
    async fn unregister(
        &self,
        addresses: &BTreeSet<String>,
        producer_group: Option<&str>,
        consumer_group: Option<&str>,
    ) {
        let header = UnregisterClientRequestHeader {
            client_id: self.id.as_str().into(),
            producer_group: producer_group.map(Text::from),
            consumer_group: consumer_group.map(Text::from),
        };
        // A broker that we are not connected to has forgotten us with the connection.
        for address in addresses.iter().filter(|address| self.remoting.connected(address).is_some()) {
            let request = RemotingCommand::request_with(RequestCode::UnregisterClient, &header);
            if let Err(error) = self.remoting.call(address, request, self.call_timeout).await {
                tracing::debug!(address, %error, "broker not told that a group left");
            }
        }
    }

    /// Tells brokers that are no masters any more that our producers have moved: one that stops need not wait for us.
    async fn take_leave(&self, addresses: &BTreeSet<String>) {
        let left: BTreeSet<String> = self.told.lock().difference(addresses).cloned().collect();
        let groups: Vec<String> = self.members.producers.lock().keys().cloned().collect();
        self.told.lock().retain(|address| !left.contains(address));
        for group in groups {
            self.unregister(&left, Some(&group), None).await;
        }
    }

    /// Producers are known to masters, consumers to every replica: any of them may serve their pulls.
    fn addresses(&self) -> BTreeSet<String> {
        let everywhere = !self.members.consumers.lock().is_empty();
        let brokers = self.routes.brokers();
        let ids = brokers.into_values().flatten();
        ids.filter(|(id, _)| everywhere || *id == MASTER_ID).map(|(_, address)| address).collect()
    }

    fn data(&self) -> HeartbeatData {
        let producers = self.members.producers.lock().keys().cloned().collect::<Vec<_>>();
        let consumers = self.members.consumers.lock().values().map(|consumer| consumer.data()).collect();
        HeartbeatData {
            client_id: self.id.clone(),
            consumer_data_set: consumers,
            producer_data_set: producers.into_iter().map(|group_name| ProducerData { group_name }).collect(),
            ..HeartbeatData::default()
        }
    }
}
