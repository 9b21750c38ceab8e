//! The broker of the tests: messages in memory, and faults on request.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use protocol::body::{
    Body, ConsumerData, GetConsumerListByGroupResponseBody, HeartbeatData, LockBatchRequestBody,
    LockBatchResponseBody, MessageQueue, TopicConfig, UnlockBatchRequestBody,
};
use protocol::header::{
    ConsumerSendMsgBackRequestHeader, CreateTopicRequestHeader, GetConsumerListByGroupRequestHeader,
    GetMaxOffsetRequestHeader, GetMaxOffsetResponseHeader, GetMinOffsetRequestHeader,
    GetMinOffsetResponseHeader, NotifyConsumerIdsChangedRequestHeader, PullMessageRequestHeader,
    PullMessageResponseHeader, QueryConsumerOffsetRequestHeader, QueryConsumerOffsetResponseHeader,
    SendMessageRequestHeader, SendMessageResponseHeader, UnregisterClientRequestHeader,
    UpdateConsumerOffsetRequestHeader, ViewMessageRequestHeader,
};
use protocol::message::{
    MessageExt, MessageFields, MessageView, batch_messages, encode_record, patch_record,
};
use protocol::message_id::OffsetMessageId;
use protocol::properties::{self, Properties};
use protocol::tags::TagExpression;
use protocol::{RemotingCommand, RequestCode, ResponseCode, topic};
use remoting::{Connection, Handler};

use super::names::Names;

type Queue = (String, i32);

/// What a broker keeps, and what its successor takes over.
#[derive(Default)]
pub struct Store {
    queues: BTreeMap<Queue, Vec<Bytes>>,
    by_position: BTreeMap<u64, Bytes>,
    end: u64,
    pub offsets: BTreeMap<(String, Queue), i64>,
    topics: BTreeMap<String, i32>,
}

impl Store {
    pub fn record(&self, topic: &str, queue_id: i32, offset: usize) -> Bytes {
        self.queues[&(topic.to_owned(), queue_id)][offset].clone()
    }
}

type Held = Vec<(Arc<Connection>, RemotingCommand)>;

pub struct Broker {
    pub name: String,
    pub store: Arc<Mutex<Store>>,
    names: Arc<Names>,
    address: OnceLock<SocketAddr>,
    /// Group → client id → connection.
    pub members: Mutex<HashMap<String, BTreeMap<String, Arc<Connection>>>>,
    pub consumers: Mutex<BTreeMap<String, ConsumerData>>,
    locks: Mutex<HashMap<(String, MessageQueue), String>>,
    held: Mutex<Held>,
    /// Codes that the next sends are answered with.
    pub refuse: Mutex<VecDeque<ResponseCode>>,
    /// So many sends are stored and not answered, but their connection closed.
    pub cut: AtomicUsize,
    /// Whether sends are left unanswered.
    pub silent: AtomicBool,
    /// Whether messages are not taken back.
    pub refuse_back: AtomicBool,
    /// Whether offsets that are told without asking for an answer get lost.
    pub lose_offsets: AtomicBool,
    /// Queue → the last offset that got lost.
    pub lost_offsets: Mutex<BTreeMap<i32, i64>>,
    pub sends: AtomicUsize,
    pub beats: AtomicUsize,
}

fn ok() -> RemotingCommand {
    RemotingCommand::response(ResponseCode::Success)
}

impl Broker {
    pub fn new(name: &str, store: Arc<Mutex<Store>>, names: Arc<Names>) -> Self {
        Self {
            name: name.to_owned(),
            store,
            names,
            address: OnceLock::new(),
            members: Mutex::default(),
            consumers: Mutex::default(),
            locks: Mutex::default(),
            held: Mutex::default(),
            refuse: Mutex::default(),
            cut: AtomicUsize::new(0),
            silent: AtomicBool::new(false),
            refuse_back: AtomicBool::new(false),
            lose_offsets: AtomicBool::new(false),
            lost_offsets: Mutex::default(),
            sends: AtomicUsize::new(0),
            beats: AtomicUsize::new(0),
        }
    }

    pub fn set_address(&self, address: SocketAddr) {
        self.address.set(address).unwrap();
    }

    pub fn address(&self) -> SocketAddr {
        *self.address.get().unwrap()
    }

    pub fn create_topic(&self, topic: &str, queues: i32) {
        self.store.lock().topics.insert(topic.to_owned(), queues);
        self.names.set_topic(topic, &self.name, queues, 6);
    }

    /// Bodies of all messages outside of retry and dead-letter topics.
    pub fn bodies(&self) -> Vec<String> {
        let store = self.store.lock();
        let plain =
            store.queues.iter().filter(|((name, _), _)| !topic::is_retry(name) && !topic::is_dlq(name));
        plain
            .flat_map(|(_, records)| records)
            .map(|record| super::text(&MessageExt::decode(record).unwrap()))
            .collect()
    }

    pub fn records(&self, topic: &str) -> Vec<MessageExt> {
        let store = self.store.lock();
        let of_topic = store.queues.iter().filter(|((name, _), _)| name == topic);
        of_topic.flat_map(|(_, records)| records).map(|record| MessageExt::decode(record).unwrap()).collect()
    }

    pub fn offset(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        self.store.lock().offsets.get(&(group.to_owned(), (topic.to_owned(), queue_id))).copied()
    }

    /// Forgets the first messages of a queue.
    pub fn expire(&self, topic: &str, queue_id: i32, keep_from: usize) {
        let mut store = self.store.lock();
        let records = store.queues.get_mut(&(topic.to_owned(), queue_id)).unwrap();
        records[..keep_from].iter_mut().for_each(|record| *record = Bytes::new());
    }

    pub fn lock_owner(&self, group: &str, queue: &MessageQueue) -> Option<String> {
        self.locks.lock().get(&(group.to_owned(), queue.clone())).cloned()
    }

    fn append(&self, fields: &MessageFields<'_>) -> (u64, u64) {
        let mut store = self.store.lock();
        let mut record = BytesMut::new();
        encode_record(fields, &mut record).unwrap();
        let position = store.end;
        let queue = (fields.topic.to_owned(), fields.queue_id);
        let records = store.queues.entry(queue).or_default();
        let queue_offset = records.len() as u64;
        patch_record(&mut record, queue_offset, position, 1);
        let record = record.freeze();
        records.push(record.clone());
        store.end += record.len() as u64;
        store.by_position.insert(position, record);
        (queue_offset, position)
    }

    fn send(&self, connection: &Arc<Connection>, request: &RemotingCommand) -> Option<RemotingCommand> {
        self.sends.fetch_add(1, Ordering::SeqCst);
        if self.silent.load(Ordering::SeqCst) {
            return None;
        }
        if let Some(code) = self.refuse.lock().pop_front() {
            return Some(RemotingCommand::response(code).with_remark("as the test wants"));
        }
        let header: SendMessageRequestHeader = request.header().unwrap();
        if !self.store.lock().topics.contains_key(header.topic.as_str()) {
            self.create_topic(&header.topic, header.default_topic_queue_nums);
        }
        let properties = header.properties.as_ref().map_or("", |text| text.as_str());
        let is_dead = header.reconsume_times.unwrap_or_default() > header.max_reconsume_times.unwrap_or(16);
        let dead = header.topic.strip_prefix(topic::RETRY_PREFIX).filter(|_| is_dead).map(topic::dlq_topic);
        let mut fields = MessageFields::new(
            dead.as_deref().unwrap_or(&header.topic),
            header.queue_id,
            &request.body,
            connection.peer(),
            self.address(),
        );
        fields.properties = properties;
        fields.sys_flag = header.sys_flag;
        fields.reconsume_times = header.reconsume_times.unwrap_or_default();
        let mut placed = Vec::new();
        if header.is_batch() {
            for message in batch_messages(&request.body) {
                let message = message.unwrap();
                placed.push(self.append(&MessageFields {
                    body: message.body,
                    properties: message.properties,
                    ..fields
                }));
            }
        } else {
            placed.push(self.append(&fields));
        }
        self.wake_held();
        if self.cut.load(Ordering::SeqCst) > 0 {
            self.cut.fetch_sub(1, Ordering::SeqCst);
            connection.close();
            return None;
        }
        let ids: Vec<_> = placed
            .iter()
            .map(|(_, position)| {
                OffsetMessageId { store_host: self.address(), physical_offset: *position }.text()
            })
            .collect();
        Some(ok().with_header(&SendMessageResponseHeader {
            msg_id: ids.join(",").into(),
            queue_id: header.queue_id,
            queue_offset: i64::try_from(placed[0].0).unwrap(),
            ..SendMessageResponseHeader::default()
        }))
    }

    fn pull(
        &self,
        connection: &Arc<Connection>,
        request: &RemotingCommand,
        may_hold: bool,
    ) -> Option<RemotingCommand> {
        let header: PullMessageRequestHeader = request.header().unwrap();
        let store = self.store.lock();
        let none = Vec::new();
        let records = store.queues.get(&(header.topic.to_string(), header.queue_id)).unwrap_or(&none);
        let (min, max) = (records.iter().take_while(|record| record.is_empty()).count(), records.len());
        let from = usize::try_from(header.queue_offset).unwrap();
        let wanted = TagExpression::parse(header.subscription.as_deref().unwrap_or("*")).unwrap();
        let (mut body, mut next) = (BytesMut::new(), from);
        let code = if from < min {
            next = min;
            ResponseCode::PullOffsetMoved
        } else if from > max {
            next = max;
            ResponseCode::PullOffsetMoved
        } else if from == max {
            if may_hold && header.sys_flag & protocol::sys_flag::pull::SUSPEND != 0 {
                drop(store);
                self.hold(connection.clone(), request.clone(), header.suspend_timeout_millis);
                return None;
            }
            ResponseCode::PullNotFound
        } else {
            for record in records[from..].iter().take(usize::try_from(header.max_msg_nums).unwrap()) {
                next += 1;
                if wanted.matches_code(MessageView::parse(record).unwrap().tags_code()) {
                    body.extend_from_slice(record);
                }
            }
            if body.is_empty() { ResponseCode::PullRetryImmediately } else { ResponseCode::Success }
        };
        let header = PullMessageResponseHeader {
            suggest_which_broker_id: 0,
            next_begin_offset: next as i64,
            min_offset: min as i64,
            max_offset: max as i64,
            ..PullMessageResponseHeader::default()
        };
        Some(RemotingCommand::response(code).with_header(&header).with_body(body.freeze()))
    }

    fn hold(&self, connection: Arc<Connection>, request: RemotingCommand, millis: i64) {
        let deadline =
            tokio::time::Instant::now() + std::time::Duration::from_millis(u64::try_from(millis).unwrap());
        self.held.lock().push((connection.clone(), request.clone()));
        // The tests' broker may leave tasks to the test's runtime.
        tokio::spawn(async move {
            tokio::time::sleep_until(deadline).await;
            let header: PullMessageRequestHeader = request.header().unwrap();
            let header = PullMessageResponseHeader {
                next_begin_offset: header.queue_offset,
                max_offset: header.queue_offset,
                ..PullMessageResponseHeader::default()
            };
            connection.send(
                RemotingCommand::response(ResponseCode::PullNotFound).with_header(&header).answers(&request),
            );
        });
    }

    /// Held pulls look again. Those that were answered already are answered twice, which clients bear.
    fn wake_held(&self) {
        let held = std::mem::take(&mut *self.held.lock());
        for (connection, request) in held {
            match self.pull(&connection, &request, false) {
                Some(answer) if ResponseCode::Success == answer.code => {
                    connection.send(answer.answers(&request));
                }
                _ => self.held.lock().push((connection, request)),
            }
        }
        let mut held = self.held.lock();
        held.retain(|(connection, _)| !connection.is_closed());
    }

    fn heartbeat(&self, connection: &Arc<Connection>, request: &RemotingCommand) -> RemotingCommand {
        self.beats.fetch_add(1, Ordering::SeqCst);
        let data = HeartbeatData::decode(&request.body).unwrap();
        for consumer in data.consumer_data_set {
            let group = consumer.group_name.clone();
            let retry = topic::retry_topic(&group);
            if !self.store.lock().topics.contains_key(&retry) {
                self.create_topic(&retry, 1);
            }
            self.consumers.lock().insert(data.client_id.clone(), consumer);
            let former = self
                .members
                .lock()
                .entry(group.clone())
                .or_default()
                .insert(data.client_id.clone(), connection.clone());
            if former.is_none_or(|former| former.id() != connection.id()) {
                self.notify(&group);
            }
        }
        ok()
    }

    fn notify(&self, group: &str) {
        let header = NotifyConsumerIdsChangedRequestHeader { consumer_group: group.into() };
        for connection in self.members.lock().get(group).into_iter().flat_map(BTreeMap::values) {
            let push = RemotingCommand::request_with(RequestCode::NotifyConsumerIdsChanged, &header);
            let _ = connection.oneway(push);
        }
    }

    fn take_back(&self, request: &RemotingCommand) -> RemotingCommand {
        if self.refuse_back.load(Ordering::SeqCst) {
            return RemotingCommand::response(ResponseCode::SystemError);
        }
        let header: ConsumerSendMsgBackRequestHeader = request.header().unwrap();
        let position = u64::try_from(header.offset).unwrap();
        let record = self.store.lock().by_position.get(&position).cloned();
        let Some(record) = record else { return RemotingCommand::response(ResponseCode::SystemError) };
        let view = MessageView::parse(&record).unwrap();
        let mut kept = Properties::parse(view.properties);
        if !kept.contains(properties::RETRY_TOPIC) {
            kept.set(properties::RETRY_TOPIC, view.topic);
        }
        let text = kept.to_text();
        let is_dead =
            header.delay_level < 0 || view.reconsume_times >= header.max_reconsume_times.unwrap_or(16);
        let name = if is_dead { topic::dlq_topic(&header.group) } else { topic::retry_topic(&header.group) };
        let mut fields = MessageFields::new(&name, 0, view.body, view.born_host, view.store_host);
        fields.properties = &text;
        fields.sys_flag = view.sys_flag;
        fields.reconsume_times = view.reconsume_times + 1;
        self.append(&fields);
        self.wake_held();
        ok()
    }

    fn lock(&self, request: &RemotingCommand) -> RemotingCommand {
        let body = LockBatchRequestBody::decode(&request.body).unwrap();
        let mut locks = self.locks.lock();
        let mut granted = BTreeSet::new();
        for queue in body.mq_set {
            let owner = locks
                .entry((body.consumer_group.clone(), queue.clone()))
                .or_insert_with(|| body.client_id.clone());
            if *owner == body.client_id {
                granted.insert(queue);
            }
        }
        ok().with_body(LockBatchResponseBody { lock_ok_mq_set: granted }.encode())
    }

    fn unlock(&self, request: &RemotingCommand) -> RemotingCommand {
        let body = UnlockBatchRequestBody::decode(&request.body).unwrap();
        self.locks
            .lock()
            .retain(|(_, queue), owner| !(body.mq_set.contains(queue) && *owner == body.client_id));
        ok()
    }

    fn leave(&self, group: &str, client_id: &str) {
        let former = self.members.lock().get_mut(group).and_then(|members| members.remove(client_id));
        if former.is_some() {
            self.notify(group);
        }
    }

    fn answer(&self, connection: &Arc<Connection>, request: &RemotingCommand) -> Option<RemotingCommand> {
        let code = request.request_code().unwrap();
        Some(match code {
            RequestCode::SendMessageV2 | RequestCode::SendBatchMessage => {
                return self.send(connection, request);
            }
            RequestCode::PullMessage | RequestCode::LitePullMessage => {
                return self.pull(connection, request, true);
            }
            RequestCode::HeartBeat => self.heartbeat(connection, request),
            RequestCode::ConsumerSendMsgBack => self.take_back(request),
            RequestCode::LockBatchMq => self.lock(request),
            RequestCode::UnlockBatchMq => self.unlock(request),
            RequestCode::UnregisterClient => {
                let header: UnregisterClientRequestHeader = request.header().unwrap();
                if let Some(group) = &header.consumer_group {
                    self.leave(group, &header.client_id);
                }
                ok()
            }
            RequestCode::GetConsumerListByGroup => {
                let header: GetConsumerListByGroupRequestHeader = request.header().unwrap();
                let members = self.members.lock();
                match members.get(header.consumer_group.as_str()).filter(|members| !members.is_empty()) {
                    Some(members) => {
                        let ids = members.keys().cloned().collect();
                        ok().with_body(GetConsumerListByGroupResponseBody { consumer_id_list: ids }.encode())
                    }
                    None => RemotingCommand::response(ResponseCode::SystemError),
                }
            }
            RequestCode::QueryConsumerOffset => {
                let header: QueryConsumerOffsetRequestHeader = request.header().unwrap();
                match self.offset(&header.consumer_group, &header.topic, header.queue_id) {
                    Some(offset) => ok().with_header(&QueryConsumerOffsetResponseHeader { offset }),
                    None => RemotingCommand::response(ResponseCode::QueryNotFound),
                }
            }
            RequestCode::UpdateConsumerOffset => {
                let header: UpdateConsumerOffsetRequestHeader = request.header().unwrap();
                if request.is_oneway() && self.lose_offsets.load(Ordering::SeqCst) {
                    self.lost_offsets.lock().insert(header.queue_id, header.commit_offset);
                    return None;
                }
                let key = (header.consumer_group.to_string(), (header.topic.to_string(), header.queue_id));
                self.store.lock().offsets.insert(key, header.commit_offset);
                ok()
            }
            RequestCode::GetMaxOffset => {
                let header: GetMaxOffsetRequestHeader = request.header().unwrap();
                let store = self.store.lock();
                let queue = store.queues.get(&(header.topic.to_string(), header.queue_id));
                ok().with_header(&GetMaxOffsetResponseHeader {
                    offset: queue.map_or(0, |all| all.len() as i64),
                })
            }
            RequestCode::GetMinOffset => {
                let _: GetMinOffsetRequestHeader = request.header().unwrap();
                ok().with_header(&GetMinOffsetResponseHeader { offset: 0 })
            }
            RequestCode::ViewMessageById => {
                let header: ViewMessageRequestHeader = request.header().unwrap();
                let position = u64::try_from(header.offset).unwrap();
                match self.store.lock().by_position.get(&position) {
                    Some(record) => ok().with_body(record.clone()),
                    None => RemotingCommand::response(ResponseCode::SystemError),
                }
            }
            RequestCode::UpdateAndCreateTopic => {
                let header: CreateTopicRequestHeader = request.header().unwrap();
                let config = TopicConfig::new(
                    header.topic.as_str(),
                    header.read_queue_nums,
                    header.write_queue_nums,
                    header.perm,
                );
                self.create_topic(&config.topic_name, config.write_queue_nums);
                ok()
            }
            _ => RemotingCommand::response(ResponseCode::RequestCodeNotSupported),
        })
    }
}

impl Handler for Broker {
    fn handle(&self, connection: &Arc<Connection>, requests: &mut Vec<RemotingCommand>) {
        for request in requests.drain(..) {
            if let Some(answer) = self.answer(connection, &request)
                && !request.is_oneway()
            {
                connection.send(answer.answers(&request));
            }
        }
    }

    fn closed(&self, connection: &Arc<Connection>) {
        let gone: Vec<(String, String)> = {
            let members = self.members.lock();
            let all = members.iter().flat_map(|(group, all)| all.iter().map(move |one| (group, one)));
            let of_connection = all.filter(|(_, (_, member))| member.id() == connection.id());
            of_connection.map(|(group, (id, _))| (group.clone(), id.clone())).collect()
        };
        gone.iter().for_each(|(group, id)| self.leave(group, id));
        self.held.lock().retain(|(held, _)| held.id() != connection.id());
    }
}
