//! Consumer groups, who belongs to them and what they read (200, 225, 207, 201, 352, 353, 203, 204, 328, 300, 343, 345).

use crate::clients::Client;
use crate::error::BrokerError;
use crate::metadata::{MetadataCommand, groups_body};
use crate::node::Node;
use crate::reply::{Answer, success};
use protocol::body::{
    Body, Connection as ConnectionBody, ConsumerConnection, GroupForbidden, GroupList, ProducerConnection,
    ProducerInfo, ProducerTableInfo, QuerySubscriptionResponseBody, SubscriptionGroupConfig,
    SubscriptionGroupList, TopicList,
};
use protocol::header::{
    DeleteSubscriptionGroupRequestHeader, GetConsumerConnectionListRequestHeader,
    GetProducerConnectionListRequestHeader, GetSubscriptionGroupConfigRequestHeader,
    QuerySubscriptionByConsumerRequestHeader, QueryTopicConsumeByWhoRequestHeader,
    QueryTopicsByConsumerRequestHeader, UpdateGroupForbiddenRequestHeader,
};
use protocol::{RemotingCommand, topic};
use remoting::Connection;
use std::sync::Arc;

/// The bit of a forbidden topic that means reading. Source: RocketMQ `ForbiddenType.TOPIC_FORBIDDEN`'s sibling for groups.
const FORBIDDEN_TO_READ: i32 = 1;

/// UPDATE_AND_CREATE_SUBSCRIPTIONGROUP.
pub fn update(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    put(node, vec![SubscriptionGroupConfig::decode(&request.body)?])
}

/// UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST.
pub fn update_list(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    put(node, SubscriptionGroupList::decode(&request.body)?.group_config_list)
}

fn put(node: &Node, configs: Vec<SubscriptionGroupConfig>) -> Answer {
    for config in &configs {
        topic::validate_group(&config.group_name)?;
    }
    let names: Vec<String> = configs.iter().map(|config| config.group_name.clone()).collect();
    node.journal.propose(&MetadataCommand::PutGroups { configs, stamp: node.journal.stamp() })?;
    let max = node.config.get().broker.groups_max;
    let all_there = names.iter().all(|name| node.metadata.group(name).is_some());
    if all_there { Ok(success()) } else { Err(BrokerError::TableFull { what: "consumer groups", max }) }
}

/// DELETE_SUBSCRIPTIONGROUP.
pub fn delete(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: DeleteSubscriptionGroupRequestHeader = request.header()?;
    let group = header.group_name.as_str().to_owned();
    let stamp = node.journal.stamp();
    node.journal.propose(&MetadataCommand::DeleteGroup {
        group,
        clean_offsets: header.clean_offset,
        stamp,
    })?;
    node.stats.forget(&header.group_name);
    Ok(success())
}

/// GET_ALL_SUBSCRIPTIONGROUP_CONFIG, for tools and slaves.
pub fn all(node: &Arc<Node>, _connection: &Arc<Connection>, _request: &RemotingCommand) -> Answer {
    Ok(success().with_body(groups_body(&node.metadata.groups.read()).encode()))
}

/// GET_SUBSCRIPTIONGROUP_CONFIG.
pub fn get(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: GetSubscriptionGroupConfigRequestHeader = request.header()?;
    let group = node.metadata.group(&header.group);
    let group = group.ok_or_else(|| BrokerError::GroupUnknown { group: header.group.as_str().to_owned() })?;
    Ok(success().with_body(group.config.encode()))
}

/// UPDATE_AND_GET_GROUP_FORBIDDEN: whether a group may read a topic.
pub fn forbid(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: UpdateGroupForbiddenRequestHeader = request.header()?;
    let (group, topic) = (header.group.as_str().to_owned(), header.topic.as_str().to_owned());
    if let Some(readable) = header.readable {
        let stamp = node.journal.stamp();
        let bits = node.metadata.groups.read().forbidden_bits(&group, &topic) & !FORBIDDEN_TO_READ;
        let bits = if readable { bits } else { bits | FORBIDDEN_TO_READ };
        let command = MetadataCommand::Forbid { group: group.clone(), topic: topic.clone(), bits, stamp };
        node.journal.propose(&command)?;
    }
    let readable = Some(!node.metadata.groups.read().is_forbidden(&group, &topic));
    Ok(success().with_body(GroupForbidden { group, readable, topic }.encode()))
}

/// GET_CONSUMER_CONNECTION_LIST.
pub fn consumer_connections(
    node: &Arc<Node>,
    _connection: &Arc<Connection>,
    request: &RemotingCommand,
) -> Answer {
    let header: GetConsumerConnectionListRequestHeader = request.header()?;
    let clients = node.clients.read();
    let offline = || BrokerError::ConsumerOffline { group: header.consumer_group.as_str().to_owned() };
    let group = clients.consumer_group(&header.consumer_group).ok_or_else(offline)?;
    let subscriptions = group.subscriptions.iter();
    let body = ConsumerConnection {
        connection_set: group.members().map(connection_body).collect(),
        consume_from_where: Some(group.settings.consume_from_where),
        consume_type: Some(group.settings.consume_type),
        message_model: Some(group.settings.message_model),
        subscription_table: subscriptions
            .map(|(topic, wanted)| (topic.to_string(), wanted.data.clone()))
            .collect(),
    };
    Ok(success().with_body(body.encode()))
}

/// GET_PRODUCER_CONNECTION_LIST.
pub fn producer_connections(
    node: &Arc<Node>,
    _connection: &Arc<Connection>,
    request: &RemotingCommand,
) -> Answer {
    let header: GetProducerConnectionListRequestHeader = request.header()?;
    let producers = node.clients.read().producers_of(&header.producer_group);
    if producers.is_empty() {
        return Err(BrokerError::ProducerOffline { group: header.producer_group.as_str().to_owned() });
    }
    let body = ProducerConnection { connection_set: producers.iter().map(connection_body).collect() };
    Ok(success().with_body(body.encode()))
}

fn connection_body(client: &Client<Arc<Connection>>) -> ConnectionBody {
    ConnectionBody {
        client_addr: client.connection.peer().to_string(),
        client_id: client.client_id.to_string(),
        language: client.language,
        version: client.version,
    }
}

/// GET_ALL_PRODUCER_INFO.
pub fn all_producers(node: &Arc<Node>, _connection: &Arc<Connection>, _request: &RemotingCommand) -> Answer {
    let info = |client: &Client<Arc<Connection>>| ProducerInfo {
        client_id: client.client_id.to_string(),
        language: client.language,
        last_update_timestamp: client.last_heartbeat_ms,
        // With the slash that Java's addresses have.
        remote_ip: format!("/{}", client.connection.peer()),
        version: client.version,
    };
    let groups = node.clients.read().all_producers().into_iter();
    let data = groups.map(|(group, members)| (group, members.iter().map(info).collect())).collect();
    Ok(success().with_body(ProducerTableInfo { data }.encode()))
}

/// QUERY_TOPIC_CONSUME_BY_WHO: groups that are online or have offsets.
pub fn groups_of_topic(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: QueryTopicConsumeByWhoRequestHeader = request.header()?;
    let mut groups = node.clients.read().groups_consuming(&header.topic);
    groups.append(&mut node.metadata.offsets.groups_of(&header.topic));
    Ok(success().with_body(GroupList { group_list: groups }.encode()))
}

/// QUERY_TOPICS_BY_CONSUMER.
pub fn topics_of_group(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: QueryTopicsByConsumerRequestHeader = request.header()?;
    let topics = node.metadata.offsets.topics_of(&header.group);
    Ok(success().with_body(TopicList { topic_list: topics, broker_addr: None }.encode()))
}

/// QUERY_SUBSCRIPTION_BY_CONSUMER.
pub fn subscription(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: QuerySubscriptionByConsumerRequestHeader = request.header()?;
    let topic = header.topic.as_deref().unwrap_or_default().to_owned();
    let found =
        node.clients.read().subscription(&header.group, &topic).and_then(|(_, subscription)| subscription);
    let body = QuerySubscriptionResponseBody {
        group: header.group.as_str().to_owned(),
        subscription_data: found.map(|subscription| subscription.data.clone()),
        topic,
    };
    Ok(success().with_body(body.encode()))
}
