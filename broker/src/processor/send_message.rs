//! SEND_MESSAGE in all its forms (10, 310, 320).
//!
//! Always true: everything is checked before anything is stored; a message is refused with a code, or its answer
//! comes from the store's completion. Nothing here waits: a missing topic is made on a worker thread, and the same
//! request runs once more.

use super::send_properties::SendProperties;
use super::send_record::{Destination, added_properties, build, single};
use super::send_reply::{SendReply, UniqueKeyText};
use crate::caller::Caller;
use crate::config::Config;
use crate::delay_levels::queue_of_level;
use crate::error::BrokerError;
use crate::metadata::{Topic, inherit};
use crate::node::Node;
use crate::replication::born_host;
use crate::reply::reply;
use bytes::BytesMut;
use protocol::body::{TopicConfig, TopicFilterType};
use protocol::header::SendMessageView;
use protocol::message::{BatchMessage, MessageFields, batch_messages, encode_record};
use protocol::properties::PROPERTIES_BYTES_MAX;
use protocol::{RemotingCommand, RequestCode, perm, sys_flag, topic};
use remoting::Connection;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;
use store::Put;

/// Client versions from here on may say how often a message is tried. Source: RocketMQ `MQVersion.V3_4_9`.
const MAX_RECONSUME_VERSION: i32 = 121;
/// Most messages of one batch: each costs a record of its own.
const BATCH_MESSAGES_MAX: usize = 16_384;

/// Spreads messages without a queue over the queues.
static NEXT_QUEUE: AtomicU32 = AtomicU32::new(0);

/// How far a send came.
enum Placed {
    /// The store has it, and will answer.
    Put,
    /// This topic must be made first.
    Needs(TopicConfig),
}

/// Serves one send.
pub fn send(node: &Arc<Node>, connection: &Arc<Connection>, request: RemotingCommand) {
    match place(node, connection, &request) {
        Ok(Placed::Put) => {}
        Ok(Placed::Needs(topic)) => make_topic_and_send(node, connection, request, topic),
        Err(error) => refuse(node, connection, request, error),
    }
}

/// Refuses a send of which nothing was kept; in a group, another replica may take it.
fn refuse(node: &Node, connection: &Arc<Connection>, request: RemotingCommand, error: BrokerError) {
    if let Some(group) = &node.group
        && group.may_go_elsewhere(&error)
    {
        return group.forwarder.take_back(Caller::of(connection, &request), request);
    }
    reply(connection, &request, Err(error));
}

fn make_topic_and_send(
    node: &Arc<Node>,
    connection: &Arc<Connection>,
    request: RemotingCommand,
    config: TopicConfig,
) {
    let caller = Caller::of(connection, &request);
    let (node_there, connection_there) = (Arc::clone(node), Arc::clone(connection));
    let job = Box::new(move || {
        let name = config.topic_name.clone();
        let sent = node_there
            .make_topics(vec![config])
            .and_then(|()| place(&node_there, &connection_there, &request));
        match sent {
            Ok(Placed::Put) => {}
            Ok(Placed::Needs(_)) => {
                reply(&connection_there, &request, Err(BrokerError::TopicUnknown { topic: name }))
            }
            Err(error) => refuse(&node_there, &connection_there, request, error),
        }
    });
    if node.errands.try_do(job).is_err() {
        caller.answer(Err(BrokerError::Busy));
    }
}

/// Checks a send and hands its records to the log.
fn place(
    node: &Arc<Node>,
    connection: &Arc<Connection>,
    request: &RemotingCommand,
) -> Result<Placed, BrokerError> {
    let started = Instant::now();
    node.check_writable()?;
    let config = node.config.get();
    let header = SendMessageView::of(&request.ext_fields)?;
    check_time(&config)?;
    topic::validate(header.topic)?;
    if topic::is_not_allowed_to_send(header.topic) {
        return Err(BrokerError::TopicNotSendable { topic: header.topic.into() });
    }
    let Some(found) = node.metadata.topic(header.topic) else {
        return missing_topic(node, &config, &header);
    };
    if !perm::is_writable(config.broker.broker_permission) && found.config.order {
        return Err(BrokerError::BrokerNotWritable { topic: header.topic.into() });
    }
    let queue = choose_queue(&found, header.queue_id)?;
    check_size(&config, request, &header)?;
    let born_host = born_host::of(node, connection, request);
    let send = Send { node, config: &config, connection, request, header: &header, started, born_host };
    if header.is_batch() || RequestCode::SendBatchMessage == request.code {
        return send.batch(found, queue);
    }
    match send.reroute(&found)? {
        Reroute::Stay => send.one(found, queue),
        Reroute::Dead(dead) => match node.metadata.topic(&dead) {
            Some(topic) => send.dead(topic),
            None => Ok(Placed::Needs(TopicConfig::new(dead, 1, 1, perm::READ | perm::WRITE))),
        },
    }
}

fn check_time(config: &Config) -> Result<(), BrokerError> {
    let from_ms = config.broker.accept_sends_after;
    if from_ms > 0 && crate::clock::now_ms() < from_ms {
        return Err(BrokerError::NotYetAccepting { from_ms });
    }
    Ok(())
}

/// What becomes of an unknown topic: retry topics are made, others inherit from the default topic if they may.
fn missing_topic(node: &Node, config: &Config, header: &SendMessageView<'_>) -> Result<Placed, BrokerError> {
    let unit = if header.unit_mode == Some(true) { sys_flag::topic::UNIT } else { 0 };
    if topic::is_retry(header.topic) {
        let sys_flag = if unit != 0 { sys_flag::topic::UNIT_SUBSCRIPTION } else { 0 };
        let created = TopicConfig::new(header.topic, 1, 1, perm::READ | perm::WRITE);
        return Ok(Placed::Needs(TopicConfig { topic_sys_flag: sys_flag, ..created }));
    }
    let unknown = || BrokerError::TopicUnknown { topic: header.topic.to_owned() };
    let may_inherit = config.broker.auto_create_topic || header.default_topic != topic::AUTO_CREATE;
    let default = node.metadata.topic(header.default_topic).filter(|_| may_inherit).ok_or_else(unknown)?;
    let created = inherit(header.topic, &default.config, header.default_topic_queue_nums, unit);
    created.map(Placed::Needs).ok_or_else(unknown)
}

fn choose_queue(topic: &Topic, asked: i32) -> Result<u32, BrokerError> {
    let illegal =
        || BrokerError::QueueIllegal { topic: topic.name().to_owned(), queue: asked, queues: topic.queues() };
    match u32::try_from(asked) {
        Ok(queue) if queue < topic.queues() => Ok(queue),
        Ok(_) => Err(illegal()),
        Err(_) => NEXT_QUEUE.fetch_add(1, Relaxed).checked_rem(topic.write_queues()).ok_or_else(illegal),
    }
}

fn check_size(
    config: &Config,
    request: &RemotingCommand,
    header: &SendMessageView<'_>,
) -> Result<(), BrokerError> {
    let max = config.store.max_message_size.0;
    if request.body.len() as u64 > max {
        return Err(BrokerError::BodyTooLong { bytes: request.body.len(), max });
    }
    let bytes = header.properties.map_or(0, str::len);
    if bytes > PROPERTIES_BYTES_MAX {
        return Err(BrokerError::PropertiesTooLong { bytes, max: PROPERTIES_BYTES_MAX });
    }
    Ok(())
}

/// Where a retried message goes.
enum Reroute {
    /// Where it was sent.
    Stay,
    /// Into this dead letter topic.
    Dead(String),
}

/// One send that passed its checks.
struct Send<'a> {
    node: &'a Arc<Node>,
    config: &'a Config,
    connection: &'a Arc<Connection>,
    request: &'a RemotingCommand,
    header: &'a SendMessageView<'a>,
    started: Instant,
    born_host: SocketAddr,
}

impl Send<'_> {
    /// A message that a consumer sends to its retry topic goes to the dead letter queue when it was tried often enough.
    fn reroute(&self, topic: &Topic) -> Result<Reroute, BrokerError> {
        let Some(group) = topic.name().strip_prefix(topic::RETRY_PREFIX) else { return Ok(Reroute::Stay) };
        let known = self.node.metadata.group(group);
        let known = known.ok_or_else(|| BrokerError::GroupUnknown { group: group.to_owned() })?;
        let from_header =
            self.header.max_reconsume_times.filter(|_| self.request.version >= MAX_RECONSUME_VERSION);
        let max = from_header.unwrap_or(known.config.retry_max_times);
        let tried = self.header.reconsume_times.unwrap_or(0);
        // An orderly consumer has already retried by itself: what it sends back is dead.
        let is_orderly = || self.node.locks.lock().is_group_live(group, self.started);
        if tried > max || (self.header.reconsume_times.is_some() && is_orderly()) {
            self.node.stats.add(crate::stats::StatName::DlqPutNums, &format!("{}@{group}", topic.name()), 1);
            return Ok(Reroute::Dead(topic::dlq_topic(group)));
        }
        Ok(Reroute::Stay)
    }

    fn one(&self, topic: Arc<Topic>, queue: u32) -> Result<Placed, BrokerError> {
        let text = self.header.properties.unwrap_or_default();
        let scanned = self.scan(text)?;
        self.put(topic, queue, self.node.delay_levels.clamp(scanned.delay_level), &scanned, text)
    }

    fn dead(&self, topic: Arc<Topic>) -> Result<Placed, BrokerError> {
        let text = self.header.properties.unwrap_or_default();
        let text = protocol::properties::without(text, &[protocol::properties::DELAY]);
        let scanned = self.scan(&text)?;
        self.put(topic, 0, None, &scanned, &text)
    }

    fn scan<'t>(&self, text: &'t str) -> Result<SendProperties<'t>, BrokerError> {
        let scanned = SendProperties::scan(text);
        let is_half = sys_flag::transaction(self.header.sys_flag) == sys_flag::TRANSACTION_PREPARED;
        if scanned.is_transaction || is_half {
            let is_rejected = self.config.broker.reject_transaction;
            return Err(if is_rejected {
                BrokerError::TransactionRejected
            } else {
                BrokerError::TransactionUnserved
            });
        }
        if scanned.is_timer {
            return Err(BrokerError::TimerUnserved);
        }
        Ok(scanned)
    }

    fn put(
        &self,
        topic: Arc<Topic>,
        queue: u32,
        level: Option<u32>,
        scanned: &SendProperties<'_>,
        text: &str,
    ) -> Result<Placed, BrokerError> {
        let destination = level.map(|_| Destination { topic: topic.name(), queue });
        let more = added_properties(self.node, self.config, scanned, destination);
        let rewritten = scanned.rewritten();
        let (stored_topic, stored_queue) = match level {
            None => (topic.name(), queue),
            Some(level) => (topic::SCHEDULE, queue_of_level(level)),
        };
        let fields = MessageFields {
            properties: rewritten.as_deref().unwrap_or(text),
            more_properties: &more,
            ..self.fields(&topic, stored_topic, stored_queue, &self.request.body)
        };
        let records = single(&fields)?;
        let unique_key = scanned.unique_key.map(unique_key_text);
        let target = self.node.store.queue(stored_topic, stored_queue)?;
        self.hand_over(target, topic, queue, unique_key, records, scanned.wait)
    }

    fn fields<'f>(
        &self,
        topic: &Topic,
        stored_topic: &'f str,
        queue: u32,
        body: &'f [u8],
    ) -> MessageFields<'f> {
        let multi_tags = match topic.config.topic_filter_type {
            TopicFilterType::MultiTag => sys_flag::MULTI_TAGS,
            TopicFilterType::SingleTag => 0,
        };
        let queue = i32::try_from(queue).unwrap_or(i32::MAX);
        MessageFields {
            flag: self.header.flag,
            sys_flag: sys_flag::with_transaction(self.header.sys_flag, sys_flag::TRANSACTION_NOT)
                | multi_tags,
            born_timestamp: self.header.born_timestamp,
            reconsume_times: self.header.reconsume_times.unwrap_or(0),
            ..MessageFields::new(stored_topic, queue, body, self.born_host, self.node.identity.address)
        }
    }

    /// Each message of a batch is stored as a message of its own, all in one put.
    fn batch(&self, topic: Arc<Topic>, queue: u32) -> Result<Placed, BrokerError> {
        if topic::is_retry(topic.name()) {
            return Err(BrokerError::BatchIllegal { what: "messages for a retry topic" });
        }
        let messages = batch_messages(&self.request.body).collect::<Result<Vec<_>, _>>()?;
        if messages.is_empty() || messages.len() > BATCH_MESSAGES_MAX {
            return Err(BrokerError::BatchIllegal { what: "none or more than 16384 messages" });
        }
        let mut wait = true;
        let mut added = Vec::with_capacity(messages.len());
        for message in &messages {
            let scanned = self.scan(message.properties)?;
            if scanned.delay_level > 0 {
                return Err(BrokerError::BatchIllegal { what: "delayed messages" });
            }
            wait &= scanned.wait;
            added.push((scanned.rewritten(), added_properties(self.node, self.config, &scanned, None)));
        }
        let encode = |message: &BatchMessage<'_>, added: &(Option<String>, String), out: &mut BytesMut| {
            let fields = MessageFields {
                flag: message.flag,
                properties: added.0.as_deref().unwrap_or(message.properties),
                more_properties: &added.1,
                ..self.fields(&topic, topic.name(), queue, message.body)
            };
            encode_record(&fields, out).map(|_| ())
        };
        let records = build(|out| {
            messages.iter().zip(&added).try_for_each(|(message, added)| encode(message, added, out))
        })?;
        let header_text = self.header.properties.unwrap_or_default();
        let unique_key = SendProperties::scan(header_text).unique_key.map(unique_key_text);
        let target = self.node.store.queue(topic.name(), queue)?;
        self.hand_over(target, topic, queue, unique_key, records, wait)
    }

    fn hand_over(
        &self,
        target: Arc<store::ConsumeQueue>,
        topic: Arc<Topic>,
        queue: u32,
        unique_key: Option<UniqueKeyText>,
        records: BytesMut,
        wait: bool,
    ) -> Result<Placed, BrokerError> {
        let reply = SendReply {
            caller: Caller::of(self.connection, self.request),
            node: Arc::clone(self.node),
            topic,
            queue,
            unique_key,
            bytes: records.len(),
            started: self.started,
            request: self.node.group.as_ref().map(|_| Box::new(self.request.clone())),
        };
        let done = Box::new(move |result| reply.finish(result));
        self.node.log.put(Put { queue: target, records, wait, done })?;
        Ok(Placed::Put)
    }
}

fn unique_key_text(key: &str) -> UniqueKeyText {
    UniqueKeyText::from_slice(key.as_bytes())
}
