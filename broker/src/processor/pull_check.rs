//! What must hold before a pull reads anything, in RocketMQ's order. Source: reference 2.2.

use super::pull_message::{Pull, hold_until};
use crate::caller::Caller;
use crate::clients::Subscription;
use crate::error::BrokerError;
use crate::held_pulls::Wanted;
use crate::metadata::{Group, Topic};
use crate::node::Node;
use protocol::body::{EXPRESSION_SQL92, EXPRESSION_TAG, MessageModel};
use protocol::header::PullMessageRequestHeader;
use protocol::sys_flag::pull as flags;
use protocol::tags::TagExpression;
use protocol::{RemotingCommand, RequestCode, perm};
use remoting::Connection;
use std::sync::{Arc, LazyLock};

/// The filter of everything, shared by all pulls without tags.
static ALL: LazyLock<Arc<Wanted>> = LazyLock::new(|| Arc::new(Wanted::All));

/// What became of the checks.
pub enum Checked {
    /// All hold.
    Pull(Box<Pull>),
    /// The group is unknown, and may be made.
    GroupMissing,
}

/// Checks one pull.
pub fn check(
    node: &Node,
    connection: &Arc<Connection>,
    request: &RemotingCommand,
) -> Result<Checked, BrokerError> {
    let header: PullMessageRequestHeader = request.header()?;
    let config = node.config.get();
    if !perm::is_readable(config.broker.broker_permission) {
        return Err(BrokerError::BrokerNotReadable);
    }
    if RequestCode::LitePullMessage == request.code && !config.broker.lite_pull {
        return Err(BrokerError::LitePullDisabled);
    }
    let Some(group) = node.metadata.group(&header.consumer_group) else { return Ok(Checked::GroupMissing) };
    let group_name = || header.consumer_group.as_str().to_owned();
    if !group.config.consume_enable {
        return Err(BrokerError::ConsumeDisabled { group: group_name() });
    }
    let topic = node.metadata.topic(&header.topic);
    let topic = topic.ok_or_else(|| BrokerError::TopicUnknown { topic: header.topic.as_str().to_owned() })?;
    if !topic.is_readable() {
        return Err(BrokerError::TopicNotReadable { topic: topic.name().to_owned() });
    }
    if node.metadata.groups.read().is_forbidden(&header.consumer_group, topic.name()) {
        return Err(BrokerError::GroupForbidden { group: group_name(), topic: topic.name().to_owned() });
    }
    let queue = check_queue(&topic, header.queue_id)?;
    let (wanted, subscription) = if header.sys_flag & flags::SUBSCRIPTION != 0 {
        (wanted_of_request(&header)?, None)
    } else {
        let subscription = registered(node, &header, &group)?;
        (Arc::clone(&subscription.wanted), Some(subscription))
    };
    Ok(Checked::Pull(Box::new(Pull {
        caller: Caller::of(connection, request),
        topic,
        queue,
        group,
        offset: header.queue_offset,
        count_max: usize::try_from(header.max_msg_nums).unwrap_or(0).max(1),
        bytes_max: header
            .max_msg_bytes
            .and_then(|bytes| usize::try_from(bytes).ok())
            .filter(|bytes| *bytes > 0),
        wanted,
        subscription,
        commit: offset_to_commit(&header).filter(|_| !node.is_slave()),
        hold_until: hold_until(node, header.sys_flag, header.suspend_timeout_millis),
        is_confirmed: false,
    })))
}

/// Makes the group of a pull, if that is allowed.
pub fn make_group(node: &Node, request: &RemotingCommand) -> Result<(), BrokerError> {
    let header: PullMessageRequestHeader = request.header()?;
    node.group_or_make(&header.consumer_group).map(|_| ())
}

fn offset_to_commit(header: &PullMessageRequestHeader) -> Option<i64> {
    let carries = header.sys_flag & flags::COMMIT_OFFSET != 0 && header.commit_offset >= 0;
    carries.then_some(header.commit_offset)
}

fn check_queue(topic: &Topic, asked: i32) -> Result<u32, BrokerError> {
    let queues = topic.read_queues();
    let illegal = || BrokerError::QueueIllegal { topic: topic.name().to_owned(), queue: asked, queues };
    u32::try_from(asked).ok().filter(|queue| *queue < queues).ok_or_else(illegal)
}

fn wanted_of_request(header: &PullMessageRequestHeader) -> Result<Arc<Wanted>, BrokerError> {
    match header.expression_type.as_deref() {
        None | Some("" | EXPRESSION_TAG) => {}
        Some(other) => return Err(unserved(other)),
    }
    let expression = header.subscription.as_deref().unwrap_or_default();
    if expression.is_empty() || expression == "*" {
        return Ok(Arc::clone(&ALL));
    }
    let malformed = |_| BrokerError::SubscriptionMalformed { expression: expression.to_owned() };
    let parsed = TagExpression::parse(expression).map_err(malformed)?;
    if parsed.is_all() {
        return Ok(Arc::clone(&ALL));
    }
    Ok(Arc::new(Wanted::tags(parsed.codes.into_iter().map(i64::from).collect())))
}

/// What the group's heartbeats say that it wants.
fn registered(
    node: &Node,
    header: &PullMessageRequestHeader,
    group: &Group,
) -> Result<Arc<Subscription>, BrokerError> {
    let group_name = || header.consumer_group.as_str().to_owned();
    let topic_name = || header.topic.as_str().to_owned();
    let found = node.clients.read().subscription(&header.consumer_group, &header.topic);
    let (settings, subscription) =
        found.ok_or_else(|| BrokerError::SubscriptionUnknown { group: group_name() })?;
    if !group.config.consume_broadcast_enable && settings.message_model == MessageModel::Broadcasting {
        return Err(BrokerError::BroadcastDisabled { group: group_name() });
    }
    let unsubscribed = || BrokerError::TopicUnsubscribed { group: group_name(), topic: topic_name() };
    let subscription = subscription.ok_or_else(unsubscribed)?;
    let (known, asked) = (subscription.data.sub_version, header.sub_version);
    if known < asked {
        return Err(BrokerError::SubscriptionOld { group: group_name(), topic: topic_name(), known, asked });
    }
    if !subscription.data.is_tag() {
        return Err(unserved(subscription.data.expression_type.as_deref().unwrap_or_default()));
    }
    Ok(subscription)
}

/// RocketMQ's words for a broker with `enablePropertyFilter=false`.
fn unserved(expression_type: &str) -> BrokerError {
    BrokerError::FilterUnserved(if expression_type == EXPRESSION_SQL92 {
        EXPRESSION_SQL92.to_owned()
    } else {
        expression_type.chars().take(64).collect()
    })
}
