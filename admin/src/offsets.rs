//! Offsets of queues and of groups, and pulls from a queue, asked of the broker that has it.

use protocol::body::{MessageQueue, ResetOffsetBody, TopicRouteData};
use protocol::header::{
    GetMaxOffsetRequestHeader, GetMaxOffsetResponseHeader, GetMinOffsetRequestHeader,
    GetMinOffsetResponseHeader, PullMessageRequestHeader, PullMessageResponseHeader,
    ResetOffsetRequestHeader, SearchOffsetRequestHeader, SearchOffsetResponseHeader,
    UpdateConsumerOffsetRequestHeader,
};
use protocol::message::{MessageExt, decode_all};
use protocol::{RemotingCommand, RequestCode, ResponseCode, perm};

use crate::error::AdminError;
use crate::session::Session;

/// The group in whose name tools read. Source: RocketMQ `MixAll.TOOLS_CONSUMER_GROUP`.
pub(crate) const TOOLS_GROUP: &str = "TOOLS_CONSUMER";

/// Bit of a pull's `sysFlag`: the request carries its subscription. Source: RocketMQ `PullSysFlag`.
const PULL_HAS_SUBSCRIPTION: i32 = 0x4;

/// Messages of one pull at most. Source: RocketMQ `pullBatchMaxMessageCount` takes no more.
const PULL_MESSAGES_MAX: i32 = 32;

/// The readable queues of a route, sorted.
pub(crate) fn readable_queues(topic: &str, route: &TopicRouteData) -> Vec<MessageQueue> {
    let readable = route.queue_datas.iter().filter(|data| perm::is_readable(data.perm));
    let queue = |name: &str, id| MessageQueue::new(topic, name, id);
    let mut queues: Vec<MessageQueue> = readable
        .flat_map(|data| (0..data.read_queue_nums).map(move |id| queue(&data.broker_name, id)))
        .collect();
    queues.sort();
    queues
}

/// A queue as Java shows it.
pub(crate) fn queue_text(queue: &MessageQueue) -> String {
    format!(
        "MessageQueue [topic={}, brokerName={}, queueId={}]",
        queue.topic, queue.broker_name, queue.queue_id
    )
}

/// The first offset that is kept.
pub(crate) async fn min(session: &Session, address: &str, queue: &MessageQueue) -> Result<i64, AdminError> {
    let header = GetMinOffsetRequestHeader { topic: queue.topic.as_str().into(), queue_id: queue.queue_id };
    let request = RemotingCommand::request_with(RequestCode::GetMinOffset, &header);
    Ok(session.header_of::<GetMinOffsetResponseHeader>(address, request).await?.offset)
}

/// The offset after the last message.
pub(crate) async fn max(session: &Session, address: &str, queue: &MessageQueue) -> Result<i64, AdminError> {
    let header = GetMaxOffsetRequestHeader {
        topic: queue.topic.as_str().into(),
        queue_id: queue.queue_id,
        committed: true,
    };
    let request = RemotingCommand::request_with(RequestCode::GetMaxOffset, &header);
    Ok(session.header_of::<GetMaxOffsetResponseHeader>(address, request).await?.offset)
}

/// The first offset stored at or after this time.
pub(crate) async fn at_time(
    session: &Session,
    address: &str,
    queue: &MessageQueue,
    timestamp: i64,
) -> Result<i64, AdminError> {
    let header = SearchOffsetRequestHeader {
        topic: queue.topic.as_str().into(),
        queue_id: queue.queue_id,
        timestamp,
        boundary_type: protocol::header::BoundaryType::Lower,
    };
    let request = RemotingCommand::request_with(RequestCode::SearchOffsetByTimestamp, &header);
    Ok(session.header_of::<SearchOffsetResponseHeader>(address, request).await?.offset)
}

/// Sets how far a group is in a queue.
pub(crate) async fn set_consumed(
    session: &Session,
    address: &str,
    group: &str,
    queue: &MessageQueue,
    offset: i64,
) -> Result<(), AdminError> {
    let header = UpdateConsumerOffsetRequestHeader {
        consumer_group: group.into(),
        topic: queue.topic.as_str().into(),
        queue_id: queue.queue_id,
        commit_offset: offset,
    };
    let request = RemotingCommand::request_with(RequestCode::UpdateConsumerOffset, &header);
    session.ask(address, request).await.map(drop)
}

/// Asks a broker to take its consumers of a group elsewhere.
pub(crate) async fn reset(
    session: &Session,
    address: &str,
    header: &ResetOffsetRequestHeader,
) -> Result<ResetOffsetBody, AdminError> {
    let request = RemotingCommand::request_with(RequestCode::InvokeBrokerToResetOffset, header);
    session.body_of(address, request).await
}

/// What one pull brought.
#[derive(Debug)]
pub(crate) struct Pulled {
    /// `FOUND`, `NO_NEW_MSG`, `NO_MATCHED_MSG` or `OFFSET_ILLEGAL`, as RocketMQ's clients say.
    pub status: PullStatus,
    /// The messages, with the limits of their queue among the properties, as RocketMQ's clients put them there.
    pub messages: Vec<MessageExt>,
    /// Where to go on.
    pub next: i64,
}

/// How a pull ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PullStatus {
    /// There are messages.
    Found,
    /// The end of the queue.
    NoNewMessage,
    /// Only messages that the expression leaves out.
    NoMatchedMessage,
    /// The offset is outside the queue.
    OffsetIllegal,
}

impl PullStatus {
    /// RocketMQ's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "FOUND",
            Self::NoNewMessage => "NO_NEW_MSG",
            Self::NoMatchedMessage => "NO_MATCHED_MSG",
            Self::OffsetIllegal => "OFFSET_ILLEGAL",
        }
    }
}

/// Pulls once, without waiting for messages to come.
pub(crate) async fn pull(
    session: &Session,
    address: &str,
    queue: &MessageQueue,
    expression: &str,
    offset: i64,
    count: i64,
) -> Result<Pulled, AdminError> {
    let header = PullMessageRequestHeader {
        consumer_group: TOOLS_GROUP.into(),
        topic: queue.topic.as_str().into(),
        queue_id: queue.queue_id,
        queue_offset: offset,
        max_msg_nums: i32::try_from(count).unwrap_or(PULL_MESSAGES_MAX).clamp(1, PULL_MESSAGES_MAX),
        sys_flag: PULL_HAS_SUBSCRIPTION,
        commit_offset: 0,
        suspend_timeout_millis: 0,
        subscription: Some(expression.into()),
        sub_version: 0,
        expression_type: Some(protocol::body::EXPRESSION_TAG.into()),
        max_msg_bytes: None,
        request_source: None,
        proxy_froward_client_id: None,
    };
    let answer =
        session.exchange(address, RemotingCommand::request_with(RequestCode::PullMessage, &header)).await?;
    let status = match ResponseCode::try_from(answer.code) {
        Ok(ResponseCode::Success) => PullStatus::Found,
        Ok(ResponseCode::PullNotFound) => PullStatus::NoNewMessage,
        Ok(ResponseCode::PullRetryImmediately) => PullStatus::NoMatchedMessage,
        Ok(ResponseCode::PullOffsetMoved) => PullStatus::OffsetIllegal,
        _ => return Err(AdminError::refused(address, answer)),
    };
    let header: PullMessageResponseHeader =
        answer.header().map_err(|source| AdminError::Header { peer: address.to_owned(), source })?;
    let mut messages = if status == PullStatus::Found { decode_all(&answer.body)? } else { Vec::new() };
    for message in &mut messages {
        message.properties.set(protocol::properties::MIN_OFFSET, header.min_offset.to_string());
        message.properties.set(protocol::properties::MAX_OFFSET, header.max_offset.to_string());
    }
    if expression != "*" {
        let tags: Vec<&str> = expression.split("||").map(str::trim).collect();
        messages.retain(|message| message.tags().is_some_and(|tag| tags.contains(&tag)));
    }
    Ok(Pulled { status, messages, next: header.next_begin_offset })
}

#[cfg(test)]
mod tests {
    use protocol::body::QueueData;

    use super::*;

    #[test]
    fn only_readable_queues_are_read_in_the_order_of_broker_and_number() {
        let data = |name: &str, perm, read_queue_nums| QueueData {
            broker_name: name.to_owned(),
            perm,
            read_queue_nums,
            ..QueueData::default()
        };
        let route = TopicRouteData {
            queue_datas: vec![data("b", 6, 1), data("a", 4, 2), data("c", 2, 9)],
            ..TopicRouteData::default()
        };
        let found: Vec<String> = readable_queues("T", &route).iter().map(queue_text).collect();
        assert_eq!(
            found,
            [
                "MessageQueue [topic=T, brokerName=a, queueId=0]",
                "MessageQueue [topic=T, brokerName=a, queueId=1]",
                "MessageQueue [topic=T, brokerName=b, queueId=0]",
            ]
        );
    }
}
