//! Sends messages: one, many, in order, by callback, without an answer.
//!
//! A send has one budget of time for all its attempts. After a failure the route is asked anew at once, another
//! broker is preferred, and the send goes on while it makes sense (`retry`): a failover within the budget is not seen
//! by the application.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use protocol::body::MessageQueue;
use protocol::header::{SendMessageRequestHeader, SendMessageResponseHeader};
use protocol::message::{BatchMessage, compress, encode_batch_message};
use protocol::{RemotingCommand, RequestCode, ResponseCode, Text, properties, sys_flag, topic};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client::{Client, Core, refused};
use crate::config::ProducerConfig;
use crate::error::ClientError;
use crate::message::Message;
use crate::retry::{Failure, Faults, Next, RetryPolicy};
use crate::unique_key::{UniqueKeys, now_millis};

/// The zlib bits of the compression type. Source: RocketMQ 5.3.3 `MessageSysFlag.COMPRESSION_ZLIB_TYPE`.
const COMPRESSION_ZLIB: i32 = 3 << 8;

/// How far an accepted message got. None of them is an error: the message is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendStatus {
    /// As far as the broker promises.
    Ok,
    /// Stored, but the disk did not confirm in time.
    FlushDiskTimeout,
    /// Stored, but the slave did not confirm in time.
    FlushSlaveTimeout,
    /// Stored, but there is no slave.
    SlaveNotAvailable,
}

/// What became of a message, or of the messages of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendResult {
    /// How far it got.
    pub status: SendStatus,
    /// The ids that we gave, one a message.
    pub message_ids: Vec<String>,
    /// The ids that say where the messages lie, one a message.
    pub offset_message_ids: Vec<String>,
    /// The queue.
    pub queue: MessageQueue,
    /// The first message's offset in the queue.
    pub queue_offset: u64,
    /// The transaction's id.
    pub transaction_id: Option<String>,
}

impl SendResult {
    /// The id of the only message, or of the first.
    pub fn message_id(&self) -> &str {
        self.message_ids.first().map_or("", String::as_str)
    }
}

/// A producer. Shared by reference or `Arc`.
#[derive(Debug)]
pub struct Producer {
    sender: Arc<Sender>,
    /// Sends by callback.
    sends: Mutex<JoinSet<()>>,
    permits: Arc<Semaphore>,
}

impl Producer {
    /// Starts a producer of the client.
    pub fn start(client: &Client, config: ProducerConfig) -> Result<Self, ClientError> {
        topic::validate_group(&config.group)?;
        let core = client.core().clone();
        core.join_producer(&config.group);
        let permits = Arc::new(Semaphore::new(config.sends_max));
        Ok(Self { sender: Arc::new(Sender::new(core, config)), sends: Mutex::default(), permits })
    }

    /// Sends a message and waits until the broker has taken it.
    pub async fn send(&self, message: Message) -> Result<SendResult, ClientError> {
        let outgoing = self.sender.prepare(message)?;
        self.sender.deliver(&outgoing, Target::Any).await
    }

    /// Sends a message to this queue.
    pub async fn send_to(&self, message: Message, queue: &MessageQueue) -> Result<SendResult, ClientError> {
        let outgoing = self.sender.prepare(message)?;
        self.sender.deliver(&outgoing, Target::Queue(queue)).await
    }

    /// Sends a message to the queue that `select` names by its position: messages for the same queue, each awaited
    /// before the next is sent, are consumed in this order.
    pub async fn send_ordered(
        &self,
        message: Message,
        select: impl FnOnce(&[MessageQueue]) -> usize,
    ) -> Result<SendResult, ClientError> {
        let queues = self.queues(&message.topic).await?;
        let chosen = select(&queues);
        let Some(queue) = queues.get(chosen) else {
            return Err(ClientError::Selected { chosen, queues: queues.len() });
        };
        self.send_to(message, queue).await
    }

    /// Sends a message; `done` is told what became of it.
    pub fn send_async(
        &self,
        message: Message,
        done: impl FnOnce(Result<SendResult, ClientError>) + Send + 'static,
    ) -> Result<(), ClientError> {
        let limit = self.sender.config.sends_max;
        let permit =
            self.permits.clone().try_acquire_owned().map_err(|_| ClientError::TooManySends { limit })?;
        let outgoing = self.sender.prepare(message)?;
        let sender = self.sender.clone();
        let mut sends = self.sends.lock();
        while sends.try_join_next().is_some() {}
        sends.spawn(async move {
            let outcome = sender.deliver(&outgoing, Target::Any).await;
            drop(permit);
            done(outcome);
        });
        Ok(())
    }

    /// Sends a message without learning what becomes of it.
    pub async fn send_oneway(&self, message: Message) -> Result<(), ClientError> {
        let outgoing = self.sender.prepare(message)?;
        let queue = self.sender.choose(&outgoing, None).await?;
        let address = self.sender.core.master(&queue.broker_name, &queue.topic).await?;
        let request = self.sender.request(&outgoing, &queue);
        Ok(self.sender.core.remoting.oneway(&address, request).await?)
    }

    /// Sends messages of one topic as one: they get neighbouring places in one queue, or none is stored.
    pub async fn send_batch(&self, messages: Vec<Message>) -> Result<SendResult, ClientError> {
        let outgoing = self.sender.prepare_batch(messages)?;
        self.sender.deliver(&outgoing, Target::Any).await
    }

    /// The topic's queues that can be sent to.
    pub async fn queues(&self, topic: &str) -> Result<Vec<MessageQueue>, ClientError> {
        let route =
            self.sender.core.routes.route_to_send(topic, self.sender.config.default_topic_queue_nums).await?;
        Ok(route.writable.clone())
    }

    /// Waits for the sends by callback and leaves the group.
    pub async fn stop(self) {
        let mut sends = std::mem::take(&mut *self.sends.lock());
        while sends.join_next().await.is_some() {}
        self.sender.core.leave_producer(&self.sender.config.group);
        self.sender.core.unregister(Some(&self.sender.config.group), None).await;
    }
}

/// Where a send may go.
#[derive(Debug, Clone, Copy)]
enum Target<'a> {
    Any,
    Queue(&'a MessageQueue),
}

/// A message, or a batch, ready for any queue.
#[derive(Debug)]
struct Outgoing {
    topic: Text,
    properties: Text,
    body: Bytes,
    flag: i32,
    sys_flag: i32,
    born_timestamp: i64,
    message_ids: Vec<String>,
    is_batch: bool,
    /// Of a message that a consumer sends back.
    reconsume_times: Option<i32>,
    max_reconsume_times: Option<i32>,
}

/// What sends; also the inner producer of consumers.
#[derive(Debug)]
pub(crate) struct Sender {
    core: Arc<Core>,
    config: ProducerConfig,
    keys: UniqueKeys,
    turn: AtomicUsize,
    faults: Mutex<Faults>,
}

impl Sender {
    pub(crate) fn new(core: Arc<Core>, config: ProducerConfig) -> Self {
        let keys = UniqueKeys::new(core.ip);
        Self { core, config, keys, turn: AtomicUsize::new(0), faults: Mutex::default() }
    }

    /// Sends a message that failed to be consumed to its retry topic.
    pub(crate) async fn send_retry(
        &self,
        message: Message,
        reconsume_times: i32,
        max_reconsume_times: Option<i32>,
    ) -> Result<SendResult, ClientError> {
        let outgoing = self.prepare(message)?;
        let outgoing = Outgoing { reconsume_times: Some(reconsume_times), max_reconsume_times, ..outgoing };
        self.deliver(&outgoing, Target::Any).await
    }

    fn prepare(&self, mut message: Message) -> Result<Outgoing, ClientError> {
        self.check(&message.topic, message.body.len())?;
        let message_id = self.give_id(&mut message);
        let (body, sys_flag) = self.squeeze(message.body);
        Ok(Outgoing {
            topic: message.topic.into(),
            properties: message.properties.to_text().into(),
            body,
            flag: message.flag,
            sys_flag,
            born_timestamp: now_millis(),
            message_ids: vec![message_id],
            is_batch: false,
            reconsume_times: None,
            max_reconsume_times: None,
        })
    }

    fn prepare_batch(&self, messages: Vec<Message>) -> Result<Outgoing, ClientError> {
        let refuse = |reason| ClientError::Batch { reason };
        let Some(first) = messages.first() else { return Err(refuse("it has no message")) };
        let topic = first.topic.clone();
        if topic::is_retry(&topic) {
            return Err(refuse("retry topics take no batch"));
        }
        let (mut body, mut message_ids) = (BytesMut::new(), Vec::with_capacity(messages.len()));
        for mut message in messages {
            if message.topic != topic {
                return Err(refuse("its messages have different topics"));
            }
            if message.properties.get(properties::DELAY).is_some_and(|level| level != "0") {
                return Err(refuse("delayed messages go alone"));
            }
            message_ids.push(self.give_id(&mut message));
            let text = message.properties.to_text();
            let one = BatchMessage { flag: message.flag, body: &message.body, properties: &text };
            encode_batch_message(&one, &mut body)?;
        }
        self.check(&topic, body.len())?;
        Ok(Outgoing {
            topic: topic.into(),
            properties: Text::new(),
            body: body.freeze(),
            flag: 0,
            sys_flag: 0,
            born_timestamp: now_millis(),
            message_ids,
            is_batch: true,
            reconsume_times: None,
            max_reconsume_times: None,
        })
    }

    fn check(&self, topic: &str, len: usize) -> Result<(), ClientError> {
        topic::validate(topic)?;
        let max = self.config.message_bytes_max;
        if len > max { Err(ClientError::MessageSize { len, max }) } else { Ok(()) }
    }

    fn give_id(&self, message: &mut Message) -> String {
        if let Some(known) = message.properties.get(properties::UNIQ_KEY) {
            return known.to_owned();
        }
        let id = self.keys.make();
        message.properties.set(properties::UNIQ_KEY, id.clone());
        id
    }

    fn squeeze(&self, body: Bytes) -> (Bytes, i32) {
        if body.len() < self.config.compress_bytes_min {
            return (body, 0);
        }
        let squeezed = compress(&body);
        if squeezed.len() < body.len() {
            (squeezed.into(), sys_flag::COMPRESSED | COMPRESSION_ZLIB)
        } else {
            (body, 0)
        }
    }

    async fn deliver(&self, outgoing: &Outgoing, target: Target<'_>) -> Result<SendResult, ClientError> {
        let started = Instant::now();
        let policy = RetryPolicy { budget: self.config.send_timeout, unknown_max: self.config.retries };
        let (mut attempts, mut unknowns, mut failed_broker) = (0, 0, None::<String>);
        loop {
            let left = policy.budget.saturating_sub(started.elapsed());
            let (broker, outcome) = self.attempt(outgoing, target, failed_broker.as_deref(), left).await;
            let error = match outcome {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            attempts += 1;
            let failure = Failure::of(&error);
            unknowns += u32::from(failure == Failure::Unknown);
            if let (Some(broker), true) = (&broker, failure != Failure::Final) {
                self.faults.lock().note_failure(broker, Instant::now());
            }
            match policy.next(failure, attempts, unknowns, started.elapsed()) {
                Next::GiveUp if attempts == 1 => return Err(error),
                Next::GiveUp => {
                    return Err(ClientError::BudgetSpent {
                        budget: policy.budget,
                        attempts,
                        last: Arc::new(error),
                    });
                }
                Next::Again(pause) => {
                    tracing::debug!(topic = %outgoing.topic, attempts, %error, "send is tried again");
                    failed_broker = broker.or(failed_broker);
                    self.prepare_retry(outgoing, pause, policy.budget.saturating_sub(started.elapsed()))
                        .await;
                }
            }
        }
    }

    /// Waits and learns where the topic is now; what the name server says in vain is seen by the next attempt.
    async fn prepare_retry(&self, outgoing: &Outgoing, pause: Duration, left: Duration) {
        tokio::time::sleep(pause).await;
        let _ = tokio::time::timeout(left, self.core.routes.refresh(&outgoing.topic)).await;
    }

    /// One attempt; tells which broker it went to, if it came so far.
    async fn attempt(
        &self,
        outgoing: &Outgoing,
        target: Target<'_>,
        failed_broker: Option<&str>,
        left: Duration,
    ) -> (Option<String>, Result<SendResult, ClientError>) {
        let queue = match target {
            Target::Queue(queue) => queue.clone(),
            Target::Any => match self.choose(outgoing, failed_broker).await {
                Ok(queue) => queue,
                Err(error) => return (None, Err(error)),
            },
        };
        let broker = queue.broker_name.clone();
        let outcome = self.send_once(outgoing, queue, left).await;
        if outcome.is_ok() {
            self.faults.lock().note_success(&broker);
        }
        (Some(broker), outcome)
    }

    async fn send_once(
        &self,
        outgoing: &Outgoing,
        queue: MessageQueue,
        left: Duration,
    ) -> Result<SendResult, ClientError> {
        let address = self.core.master(&queue.broker_name, &queue.topic).await?;
        let request = self.request(outgoing, &queue);
        let answer = self.core.remoting.call(&address, request, left).await?;
        self.core.routes.note_answer(&answer);
        let status = match answer.response_code() {
            Some(ResponseCode::Success) => SendStatus::Ok,
            Some(ResponseCode::FlushDiskTimeout) => SendStatus::FlushDiskTimeout,
            Some(ResponseCode::FlushSlaveTimeout) => SendStatus::FlushSlaveTimeout,
            Some(ResponseCode::SlaveNotAvailable) => SendStatus::SlaveNotAvailable,
            _ => return Err(refused(&address, answer)),
        };
        let header: SendMessageResponseHeader =
            answer.header().map_err(|source| ClientError::Header { peer: address, source })?;
        Ok(SendResult {
            status,
            message_ids: outgoing.message_ids.clone(),
            offset_message_ids: header.msg_id.split(',').map(str::to_owned).collect(),
            queue: MessageQueue { queue_id: header.queue_id, ..queue },
            queue_offset: u64::try_from(header.queue_offset).unwrap_or_default(),
            transaction_id: header.transaction_id.map(String::from),
        })
    }

    /// The next queue in turn, at a broker that did not just fail, if there is one.
    async fn choose(
        &self,
        outgoing: &Outgoing,
        failed_broker: Option<&str>,
    ) -> Result<MessageQueue, ClientError> {
        let queues_max = self.config.default_topic_queue_nums;
        let route = self.core.routes.route_to_send(&outgoing.topic, queues_max).await?;
        let queues = &route.writable;
        if queues.is_empty() {
            return Err(ClientError::NoQueue { topic: outgoing.topic.to_string(), what: "writable" });
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = || (0..queues.len()).map(|step| &queues[(turn % queues.len() + step) % queues.len()]);
        let now = Instant::now();
        let faults = self.faults.lock();
        let is_other = |queue: &&MessageQueue| failed_broker != Some(queue.broker_name.as_str());
        let queue = in_turn()
            .find(|queue| is_other(queue) && !faults.is_avoided(&queue.broker_name, now))
            .or_else(|| in_turn().find(is_other))
            .or_else(|| in_turn().next());
        Ok(queue.expect("the route has queues").clone())
    }

    fn request(&self, outgoing: &Outgoing, queue: &MessageQueue) -> RemotingCommand {
        let header = SendMessageRequestHeader {
            producer_group: self.config.group.as_str().into(),
            topic: outgoing.topic.clone(),
            default_topic: Text::from_static(topic::AUTO_CREATE),
            default_topic_queue_nums: self.config.default_topic_queue_nums,
            queue_id: queue.queue_id,
            sys_flag: outgoing.sys_flag,
            born_timestamp: outgoing.born_timestamp,
            flag: outgoing.flag,
            properties: Some(outgoing.properties.clone()),
            reconsume_times: Some(outgoing.reconsume_times.unwrap_or_default()),
            unit_mode: Some(false),
            max_reconsume_times: outgoing.max_reconsume_times,
            batch: Some(outgoing.is_batch),
            broker_name: Some(queue.broker_name.as_str().into()),
        };
        let code = if outgoing.is_batch { RequestCode::SendBatchMessage } else { RequestCode::SendMessageV2 };
        RemotingCommand::request_with(code, &header).with_body(outgoing.body.clone())
    }
}
