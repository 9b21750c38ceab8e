//! Answers what brokers ask clients: changes of a group, resets, status, one message consumed on request.

use std::sync::Arc;
use std::time::Instant;

use protocol::body::{
    Body, CMResult, ConsumeMessageDirectlyResult, GetConsumerStatusBody, MessageQueue, ResetOffsetBody,
};
use protocol::header::{
    ConsumeMessageDirectlyResultRequestHeader, GetConsumerRunningInfoRequestHeader,
    GetConsumerStatusRequestHeader, NotifyConsumerIdsChangedRequestHeader, ResetOffsetRequestHeader,
};
use protocol::message::MessageExt;
use protocol::{Header, RemotingCommand, RequestCode, ResponseCode};
use remoting::{Connection, Handler};

use crate::client::Members;
use crate::consumer::concurrent::{listen, restore_topics};
use crate::consumer::listener::{ConsumeOutcome, Delivery};
use crate::consumer::{Consumer, Kind};

/// The handler of all connections that a client makes.
#[derive(Debug)]
pub(crate) struct Inbound {
    members: Arc<Members>,
}

impl Inbound {
    pub(crate) fn new(members: Arc<Members>) -> Self {
        Self { members }
    }

    /// The answer; `None` if it comes later.
    fn answer(&self, connection: &Arc<Connection>, request: &RemotingCommand) -> Option<RemotingCommand> {
        match request.request_code() {
            Some(RequestCode::NotifyConsumerIdsChanged) => Some(self.ids_changed(request)),
            Some(RequestCode::ResetConsumerClientOffset) => Some(self.reset(request)),
            Some(RequestCode::GetConsumerStatusFromClient) => Some(self.status(request)),
            Some(RequestCode::GetConsumerRunningInfo) => Some(self.running_info(request)),
            Some(RequestCode::ConsumeMessageDirectly) => self.consume_directly(connection, request),
            _ => Some(
                RemotingCommand::response(ResponseCode::RequestCodeNotSupported)
                    .with_remark(format!(" request type {} not supported", request.code)),
            ),
        }
    }

    fn ids_changed(&self, request: &RemotingCommand) -> RemotingCommand {
        self.with_consumer(
            request,
            |header: &NotifyConsumerIdsChangedRequestHeader| &header.consumer_group,
            |_, consumer| {
                consumer.share_soon.notify_one();
                RemotingCommand::response(ResponseCode::Success)
            },
        )
    }

    fn reset(&self, request: &RemotingCommand) -> RemotingCommand {
        self.with_consumer(
            request,
            |header: &ResetOffsetRequestHeader| &header.group,
            |header, consumer| match ResetOffsetBody::decode(&request.body) {
                Ok(body) => {
                    let of_topic =
                        body.offset_table.into_iter().filter(|(queue, _)| *queue.topic == *header.topic);
                    let offsets = of_topic
                        .filter_map(|(queue, offset)| Some((queue, u64::try_from(offset).ok()?)))
                        .collect();
                    tracing::info!(group = consumer.group(), ?offsets, "a tool resets offsets");
                    consumer.reset(&offsets);
                    RemotingCommand::response(ResponseCode::Success)
                }
                Err(error) => failed(error.to_string()),
            },
        )
    }

    fn status(&self, request: &RemotingCommand) -> RemotingCommand {
        self.with_consumer(
            request,
            |header: &GetConsumerStatusRequestHeader| &header.group,
            |header, consumer| {
                let mut offsets = consumer.offsets.lock().all();
                offsets.retain(|queue, _| *queue.topic == *header.topic);
                let body = GetConsumerStatusBody {
                    message_queue_table: offsets,
                    ..GetConsumerStatusBody::default()
                };
                RemotingCommand::response(ResponseCode::Success).with_body(body.encode())
            },
        )
    }

    fn running_info(&self, request: &RemotingCommand) -> RemotingCommand {
        self.with_consumer(
            request,
            |header: &GetConsumerRunningInfoRequestHeader| &header.consumer_group,
            |_, consumer| {
                RemotingCommand::response(ResponseCode::Success).with_body(consumer.running_info().encode())
            },
        )
    }

    fn consume_directly(
        &self,
        connection: &Arc<Connection>,
        request: &RemotingCommand,
    ) -> Option<RemotingCommand> {
        let header: ConsumeMessageDirectlyResultRequestHeader = match request.header() {
            Ok(header) => header,
            Err(error) => return Some(failed(error.to_string())),
        };
        let message = match MessageExt::decode(&request.body) {
            Ok(message) => message,
            Err(error) => return Some(failed(error.to_string())),
        };
        let Some(consumer) =
            self.members.consumer(&header.consumer_group).filter(|one| one.listener.is_some())
        else {
            return Some(no_consumer(&header.consumer_group));
        };
        let broker = header.broker_name.as_ref().map_or("", |name| name.as_str());
        let queue = MessageQueue::new(&message.topic, broker, message.queue_id);
        let head = RemotingCommand { body: bytes::Bytes::new(), ..request.clone() };
        let (connection, running) = (connection.clone(), consumer.clone());
        consumer.work(async move {
            let result = consume_one(&running, message, queue).await;
            let answer = RemotingCommand::response(ResponseCode::Success).with_body(result.encode());
            connection.send(answer.answers(&head));
        });
        None
    }

    fn with_consumer<H: Header>(
        &self,
        request: &RemotingCommand,
        group: impl Fn(&H) -> &protocol::Text,
        answer: impl FnOnce(&H, Arc<Consumer>) -> RemotingCommand,
    ) -> RemotingCommand {
        match request.header::<H>() {
            Ok(header) => match self.members.consumer(group(&header)) {
                Some(consumer) => answer(&header, consumer),
                None => no_consumer(group(&header)),
            },
            Err(error) => failed(error.to_string()),
        }
    }
}

impl Handler for Inbound {
    fn handle(&self, connection: &Arc<Connection>, requests: &mut Vec<RemotingCommand>) {
        for request in requests.drain(..) {
            if let Some(answer) = self.answer(connection, &request)
                && !request.is_oneway()
            {
                connection.send(answer.answers(&request));
            }
        }
    }
}

async fn consume_one(
    consumer: &Consumer,
    message: MessageExt,
    queue: MessageQueue,
) -> ConsumeMessageDirectlyResult {
    let started = Instant::now();
    let listener = consumer.listener.as_ref().expect("asked for before");
    let delivery = Delivery::new(restore_topics(vec![message]), Arc::new(queue));
    let outcome = listen(consumer, listener, delivery).await;
    ConsumeMessageDirectlyResult {
        consume_result: Some(match outcome {
            ConsumeOutcome::Success => CMResult::CrSuccess,
            ConsumeOutcome::Later { .. } => CMResult::CrLater,
        }),
        order: consumer.kind == Kind::Orderly,
        spent_time_mills: i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX),
        ..ConsumeMessageDirectlyResult::default()
    }
}

fn failed(remark: String) -> RemotingCommand {
    RemotingCommand::response(ResponseCode::SystemError).with_remark(remark)
}

fn no_consumer(group: &str) -> RemotingCommand {
    failed(format!("the consumer group {group} is not in this client"))
}
