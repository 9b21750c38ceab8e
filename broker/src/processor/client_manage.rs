//! Heartbeats, farewells, and what follows from them (34, 35, 46).
//!
//! Always true: when a heartbeat is answered, the group and its retry topic exist and the name servers know the topic;
//! whoever shares a group hears of every change of its members or subscriptions (code 40), the newcomer included.

use crate::caller::Caller;
use crate::clients::{Client, ConsumerSettings, Registered};
use crate::clock::now_ms;
use crate::error::BrokerError;
use crate::node::Node;
use crate::reply::{Answer, reply, success};
use crate::stats::StatName;
use protocol::body::{
    Body, CheckClientRequestBody, ConsumerData, HeartbeatData, MessageModel, SubscriptionGroupConfig,
    TopicConfig,
};
use protocol::header::{NotifyConsumerIdsChangedRequestHeader, UnregisterClientRequestHeader};
use protocol::tags::TagExpression;
use protocol::{RemotingCommand, RequestCode, perm, sys_flag, topic};
use remoting::Connection;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

/// Serves one heartbeat: here when all is known, on a worker thread when groups or topics must be made first.
pub fn heartbeat(node: &Arc<Node>, connection: &Arc<Connection>, request: RemotingCommand) {
    let data = match HeartbeatData::decode(&request.body) {
        Ok(data) => data,
        Err(error) => return reply(connection, &request, Err(error.into())),
    };
    // Who does not lead makes nothing: it only keeps the registry warm, and the leader hears the same heartbeat.
    if !node.leads() || data.consumer_data_set.iter().all(|consumer| is_known(node, consumer)) {
        let answer = register(node, connection, &request, data);
        return reply(connection, &request, answer);
    }
    let caller = Caller::of(connection, &request);
    let (node_there, connection_there) = (Arc::clone(node), Arc::clone(connection));
    let job = Box::new(move || {
        let answer = make_groups(&node_there, &data)
            .and_then(|()| register(&node_there, &connection_there, &request, data));
        reply(&connection_there, &request, answer);
    });
    if node.errands.try_do(job).is_err() {
        caller.answer(Err(BrokerError::Busy));
    }
}

fn is_known(node: &Node, consumer: &ConsumerData) -> bool {
    node.metadata.group(&consumer.group_name).is_some()
        && node.metadata.topic(&topic::retry_topic(&consumer.group_name)).is_some()
}

/// Makes missing groups and their retry topics, all with one change each: every change is written to the disk. Groups that may
/// not be made are left out.
fn make_groups(node: &Node, data: &HeartbeatData) -> Result<(), BrokerError> {
    let mut allowed = Vec::with_capacity(data.consumer_data_set.len());
    let mut missing = Vec::new();
    for consumer in &data.consumer_data_set {
        if node.metadata.group(&consumer.group_name).is_none() {
            if let Err(error) = node.check_new_group(&consumer.group_name) {
                tracing::warn!(client = data.client_id, %error, "a heartbeat's group is left out");
                continue;
            }
            missing.push(SubscriptionGroupConfig::new(&consumer.group_name));
        }
        allowed.push(consumer);
    }
    node.make_groups(missing)?;
    let mut retry_topics = Vec::new();
    for consumer in allowed {
        let group = node.metadata.group(&consumer.group_name).ok_or_else(|| node.groups_full())?;
        let name = topic::retry_topic(&consumer.group_name);
        if node.metadata.topic(&name).is_none() {
            let queues = group.config.retry_queue_nums.max(1);
            let sys_flag = if consumer.unit_mode { sys_flag::topic::UNIT_SUBSCRIPTION } else { 0 };
            let config = TopicConfig::new(name, queues, queues, perm::READ | perm::WRITE);
            retry_topics.push(TopicConfig { topic_sys_flag: sys_flag, ..config });
        }
    }
    node.make_topics(retry_topics)
}

fn register(
    node: &Node,
    connection: &Arc<Connection>,
    request: &RemotingCommand,
    data: HeartbeatData,
) -> Answer {
    let client = Client {
        connection_id: connection.id(),
        connection: Arc::clone(connection),
        client_id: data.client_id.as_str().into(),
        language: request.language,
        version: request.version,
        last_heartbeat: Instant::now(),
        last_heartbeat_ms: now_ms(),
    };
    for consumer in data.consumer_data_set {
        register_consumer(node, consumer, &client)?;
    }
    for producer in data.producer_data_set {
        let outcome = node.clients.write().register_producer(&producer.group_name, &client);
        if outcome == Registered::Full {
            return Err(BrokerError::TableFull {
                what: "producer groups",
                max: node.config.get().broker.groups_max,
            });
        }
        if outcome == Registered::Changed {
            node.stats.add(StatName::ProducerRegisterTime, &producer.group_name, 1);
        }
    }
    if connection.is_closed() {
        // It broke while this ran, maybe after `closed` had looked: nobody else will take it out.
        closed(node, connection);
    }
    Ok(success())
}

fn register_consumer(
    node: &Node,
    consumer: ConsumerData,
    client: &Client<Arc<Connection>>,
) -> Result<(), BrokerError> {
    let group = node.metadata.group(&consumer.group_name);
    if group.is_none() && node.leads() {
        return Ok(());
    }
    let settings = ConsumerSettings {
        consume_type: consumer.consume_type,
        message_model: consumer.message_model,
        consume_from_where: consumer.consume_from_where,
    };
    let outcome = node.clients.write().register_consumer(
        &consumer.group_name,
        settings,
        consumer.subscription_data_set,
        client,
    );
    match outcome {
        Registered::Known => {}
        Registered::Full => {
            return Err(BrokerError::TableFull {
                what: "consumer groups",
                max: node.config.get().broker.groups_max,
            });
        }
        Registered::Changed => {
            node.stats.add(StatName::ConsumerRegisterTime, &consumer.group_name, 1);
            let is_shared = settings.message_model != MessageModel::Broadcasting;
            let wants_notice = group.is_some_and(|group| group.config.notify_consumer_ids_changed_enable);
            if is_shared && wants_notice && node.leads() {
                notify(node, &consumer.group_name);
            }
        }
    }
    Ok(())
}

/// UNREGISTER_CLIENT: a client leaves a group.
pub fn unregister(node: &Arc<Node>, connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: UnregisterClientRequestHeader = request.header()?;
    if let Some(group) = &header.producer_group {
        node.clients.write().unregister_producer(group, connection.id());
    }
    if let Some(group) = &header.consumer_group {
        let has_left = node.clients.write().unregister_consumer(group, connection.id());
        if has_left {
            notify_changed(node, [group.as_str()]);
        }
    }
    Ok(success())
}

/// CHECK_CLIENT_CONFIG: whether a subscription can be served; clients ask for expressions that are not tags.
pub fn check_config(_node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    if request.body.is_empty() {
        return Ok(success());
    }
    let body = CheckClientRequestBody::decode(&request.body)?;
    let subscription = body.subscription_data;
    if !subscription.is_tag() {
        return Err(BrokerError::FilterUnserved(subscription.expression_type.unwrap_or_default()));
    }
    TagExpression::parse(&subscription.sub_string)
        .map_err(|_| BrokerError::SubscriptionMalformed { expression: subscription.sub_string.clone() })?;
    Ok(success())
}

/// A connection is gone: its client leaves all groups at once.
pub fn closed(node: &Node, connection: &Connection) {
    let changed = node.clients.write().closed(connection.id());
    notify_changed(node, changed.iter().map(String::as_str));
}

/// Forgets the clients that said nothing for too long, and closes their connections.
pub fn expire(node: &Node, now: Instant) {
    let silence_max = node.config.get().broker.channel_expired_timeout.duration();
    let expired = node.clients.write().expire(now, silence_max);
    for connection in expired.connections {
        tracing::info!(peer = %connection.peer(), "closing a client that sends no heartbeats");
        connection.close();
    }
    notify_changed(node, expired.changed_groups.iter().map(String::as_str));
}

fn notify_changed<'a>(node: &Node, groups: impl IntoIterator<Item = &'a str>) {
    for group in groups {
        let wants =
            node.metadata.group(group).is_some_and(|group| group.config.notify_consumer_ids_changed_enable);
        if wants {
            notify(node, group);
        }
    }
}

/// Tells all members of a group that they must share its queues anew.
fn notify(node: &Node, group: &str) {
    if !node.config.get().broker.notify_consumer_ids {
        return;
    }
    let connections =
        node.clients.read().consumer_group(group).map(|group| group.connections()).unwrap_or_default();
    let header = NotifyConsumerIdsChangedRequestHeader { consumer_group: group.into() };
    let mut told = BTreeSet::new();
    for connection in connections {
        let command = RemotingCommand::request_with(RequestCode::NotifyConsumerIdsChanged, &header);
        if told.insert(connection.id())
            && let Err(error) = connection.oneway(command)
        {
            tracing::debug!(peer = %connection.peer(), %error, "a consumer was not told of its group's change");
        }
    }
}
