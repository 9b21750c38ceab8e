//! Topics, for tools and slaves (17, 18, 215, 21, 351, 305, 316).

use crate::error::BrokerError;
use crate::metadata::{MetadataCommand, topics_body};
use crate::node::Node;
use crate::reply::{Answer, success};
use protocol::body::{
    Body, CreateTopicListRequestBody, TopicConfig, TopicConfigAndMappingSerializeWrapper,
    TopicConfigAndQueueMapping, TopicFilterType, TopicList,
};
use protocol::header::{CreateTopicRequestHeader, DeleteTopicRequestHeader, GetTopicConfigRequestHeader};
use protocol::{RemotingCommand, topic};
use remoting::Connection;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most queues of one topic.
const QUEUES_MAX: i32 = 65_536;
/// Every permission bit.
const PERM_MAX: i32 = 15;

/// UPDATE_AND_CREATE_TOPIC; answered when the name servers know the topic.
pub fn update(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: CreateTopicRequestHeader = request.header()?;
    let known = node.metadata.topic(&header.topic);
    let attributes = known.map(|topic| topic.config.attributes.clone()).unwrap_or_default();
    let config = TopicConfig {
        topic_filter_type: filter_type(&header.topic_filter_type)?,
        topic_sys_flag: header.topic_sys_flag,
        order: header.order,
        attributes: changed_attributes(attributes, header.attributes.as_deref().unwrap_or_default())?,
        ..TopicConfig::new(
            header.topic.as_str(),
            header.read_queue_nums,
            header.write_queue_nums,
            header.perm,
        )
    };
    check(node, &config)?;
    node.put_topics(vec![config])?;
    exists(node, &header.topic)
}

/// UPDATE_AND_CREATE_TOPIC_LIST.
pub fn update_list(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let body = CreateTopicListRequestBody::decode(&request.body)?;
    for config in &body.topic_config_list {
        check(node, config)?;
    }
    let last = body.topic_config_list.last().map(|config| config.topic_name.clone());
    node.put_topics(body.topic_config_list)?;
    last.map_or_else(|| Ok(success()), |name| exists(node, &name))
}

/// A table at its limit takes nothing new.
fn exists(node: &Node, name: &str) -> Answer {
    let max = node.config.get().broker.topics_max;
    node.metadata.topic(name).map(|_| success()).ok_or(BrokerError::TableFull { what: "topics", max })
}

fn check(node: &Node, config: &TopicConfig) -> Result<(), BrokerError> {
    topic::validate(&config.topic_name)?;
    if node.config.get().broker.validate_system_topic && topic::is_system(&config.topic_name) {
        return Err(BrokerError::SystemTopic { topic: config.topic_name.clone() });
    }
    for (name, value) in
        [("readQueueNums", config.read_queue_nums), ("writeQueueNums", config.write_queue_nums)]
    {
        if !(0..=QUEUES_MAX).contains(&value) {
            return Err(BrokerError::Parameter { name, value: value.to_string(), allowed: "0 to 65536" });
        }
    }
    if !(0..=PERM_MAX).contains(&config.perm) {
        let value = config.perm.to_string();
        return Err(BrokerError::Parameter { name: "perm", value, allowed: "2 write, 4 read, 6 both" });
    }
    Ok(())
}

fn filter_type(text: &str) -> Result<TopicFilterType, BrokerError> {
    let invalid = || BrokerError::Parameter {
        name: "topicFilterType",
        value: text.chars().take(64).collect(),
        allowed: "SINGLE_TAG or MULTI_TAG",
    };
    TopicFilterType::from_name(text).ok_or_else(invalid)
}

/// `+key=value` sets an attribute, `-key` removes one; separated by commas.
fn changed_attributes(
    mut known: BTreeMap<String, String>,
    changes: &str,
) -> Result<BTreeMap<String, String>, BrokerError> {
    for change in changes.split(',').map(str::trim).filter(|change| !change.is_empty()) {
        let invalid = || BrokerError::Parameter {
            name: "attributes",
            value: change.chars().take(64).collect(),
            allowed: "+key=value or -key, separated by commas",
        };
        if let Some(key) = change.strip_prefix('-') {
            known.remove(key);
        } else {
            let (key, value) =
                change.strip_prefix('+').unwrap_or(change).split_once('=').ok_or_else(invalid)?;
            known.insert(key.to_owned(), value.to_owned());
        }
    }
    Ok(known)
}

/// DELETE_TOPIC_IN_BROKER: configuration, queues, offsets.
pub fn delete(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: DeleteTopicRequestHeader = request.header()?;
    topic::validate(&header.topic)?;
    if node.config.get().broker.validate_system_topic && topic::is_system(&header.topic) {
        return Err(BrokerError::SystemTopic { topic: header.topic.as_str().to_owned() });
    }
    let topic = header.topic.as_str().to_owned();
    node.journal.propose(&MetadataCommand::DeleteTopic { topic, stamp: node.journal.stamp() })?;
    if node.group.is_none() {
        // In a group every replica has done so where the command stands in the log; queues that came after it stay.
        node.store.delete_topic(&header.topic)?;
    }
    node.stats.forget(&header.topic);
    node.arrivals.wake_topic(&header.topic);
    Ok(success())
}

/// GET_ALL_TOPIC_CONFIG, for tools and slaves.
pub fn all(node: &Arc<Node>, _connection: &Arc<Connection>, _request: &RemotingCommand) -> Answer {
    let topics = topics_body(&node.metadata.topics.read());
    let body = TopicConfigAndMappingSerializeWrapper {
        data_version: topics.data_version,
        topic_config_table: topics.topic_config_table,
        ..TopicConfigAndMappingSerializeWrapper::default()
    };
    Ok(success().with_body(body.encode()))
}

/// GET_TOPIC_CONFIG.
pub fn get(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: GetTopicConfigRequestHeader = request.header()?;
    let topic = node.metadata.topic(&header.topic);
    let topic =
        topic.ok_or_else(|| BrokerError::AdminTopicUnknown { topic: header.topic.as_str().to_owned() })?;
    let config = &topic.config;
    let body = TopicConfigAndQueueMapping {
        attributes: config.attributes.clone(),
        mapping_detail: None,
        order: config.order,
        perm: config.perm,
        read_queue_nums: config.read_queue_nums,
        topic_filter_type: config.topic_filter_type,
        topic_name: config.topic_name.clone(),
        topic_sys_flag: config.topic_sys_flag,
        write_queue_nums: config.write_queue_nums,
    };
    Ok(success().with_body(body.encode()))
}

/// GET_SYSTEM_TOPIC_LIST_FROM_BROKER.
pub fn system_list(node: &Arc<Node>, _connection: &Arc<Connection>, _request: &RemotingCommand) -> Answer {
    let mut topics: std::collections::BTreeSet<String> =
        topic::SYSTEM_TOPICS.iter().map(|name| (*name).to_owned()).collect();
    topics.insert(node.identity.cluster.to_string());
    topics.insert(node.identity.broker.to_string());
    topics.insert(format!("{}_{}", node.identity.cluster, topic::REPLY_SUFFIX));
    Ok(success().with_body(TopicList { topic_list: topics, broker_addr: None }.encode()))
}

/// CLEAN_UNUSED_TOPIC: deletes the queues of topics that have no configuration. Not in a group: the queues of its replicas
/// change by their common log alone, and one that lacks a queue would number the next message otherwise.
pub fn clean_unused(node: &Arc<Node>, _connection: &Arc<Connection>, _request: &RemotingCommand) -> Answer {
    if node.group.is_some() {
        return Ok(success());
    }
    let deleted = node.store.delete_unused_topics(&|topic| node.metadata.topic(topic).is_some())?;
    tracing::info!(?deleted, "deleted the queues of topics that are not configured");
    Ok(success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_added_and_removed() {
        let known = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
        let changed = changed_attributes(known.clone(), "+message.type=FIFO, -a").expect("well formed");
        assert_eq!(
            changed,
            BTreeMap::from([("b".into(), "2".into()), ("message.type".into(), "FIFO".into())])
        );
        assert_eq!(changed_attributes(known.clone(), "").expect("nothing"), known);
        assert!(changed_attributes(known, "+novalue").is_err());
    }
}
