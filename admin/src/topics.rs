//! Topics: their configuration at a broker, their lists and order configurations at the name server.

use protocol::body::{TopicConfig, TopicList, TopicStatsTable};
use protocol::header::{
    CreateTopicRequestHeader, GetKVConfigRequestHeader, GetKVConfigResponseHeader,
    GetTopicStatsInfoRequestHeader, PutKVConfigRequestHeader, QueryTopicConsumeByWhoRequestHeader,
};
use protocol::{RemotingCommand, RequestCode, ResponseCode, perm, topic};

use crate::error::AdminError;
use crate::session::Session;
use crate::text;

/// Where the name server keeps the queues of ordered topics. Source: RocketMQ `NamesrvUtil`.
pub(crate) const ORDER_NAMESPACE: &str = "ORDER_TOPIC_CONFIG";

/// All topics that the name server knows.
pub(crate) async fn all(session: &Session) -> Result<TopicList, AdminError> {
    let request = RemotingCommand::request(RequestCode::GetAllTopicListFromNameServer);
    session.name_server_body(request).await
}

/// Creates or changes a topic at one broker.
pub(crate) async fn put(session: &Session, address: &str, config: &TopicConfig) -> Result<(), AdminError> {
    let attributes: Vec<String> = config
        .attributes
        .iter()
        .map(|(name, value)| if value.is_empty() { name.clone() } else { format!("{name}={value}") })
        .collect();
    let header = CreateTopicRequestHeader {
        topic: config.topic_name.as_str().into(),
        default_topic: topic::AUTO_CREATE.into(),
        read_queue_nums: config.read_queue_nums,
        write_queue_nums: config.write_queue_nums,
        perm: config.perm,
        topic_filter_type: config.topic_filter_type.name().into(),
        topic_sys_flag: config.topic_sys_flag,
        order: config.order,
        attributes: (!attributes.is_empty()).then(|| attributes.join(",").into()),
        force: None,
    };
    session
        .ask(address, RemotingCommand::request_with(RequestCode::UpdateAndCreateTopic, &header))
        .await
        .map(drop)
}

/// The offsets of a topic at one broker.
pub(crate) async fn stats_at(
    session: &Session,
    address: &str,
    topic: &str,
) -> Result<TopicStatsTable, AdminError> {
    let header = GetTopicStatsInfoRequestHeader { topic: topic.into() };
    session.body_of(address, RemotingCommand::request_with(RequestCode::GetTopicStatsInfo, &header)).await
}

/// The groups that consume a topic, from the first broker that has it.
pub(crate) async fn consumed_by(session: &Session, topic: &str) -> Result<Vec<String>, AdminError> {
    let header = QueryTopicConsumeByWhoRequestHeader { topic: topic.into() };
    let request = RemotingCommand::request_with(RequestCode::QueryTopicConsumeByWho, &header);
    let brokers = session.brokers_of(topic).await?;
    let Some(address) = brokers.values().next() else { return Ok(Vec::new()) };
    let groups: protocol::body::GroupList = session.body_of(address, request).await?;
    Ok(groups.group_list.into_iter().collect())
}

/// The order configuration of a topic.
pub(crate) async fn order_conf(session: &Session, topic: &str) -> Result<Option<String>, AdminError> {
    let header = GetKVConfigRequestHeader { namespace: ORDER_NAMESPACE.into(), key: topic.into() };
    match session.ask_name_server(RemotingCommand::request_with(RequestCode::GetKvConfig, &header)).await {
        Err(error) if error.is(ResponseCode::QueryNotFound) => Ok(None),
        answer => {
            let header: GetKVConfigResponseHeader = answer?
                .header()
                .map_err(|source| AdminError::Header { peer: "the name server".to_owned(), source })?;
            Ok(header.value.map(String::from))
        }
    }
}

/// Writes a value at every name server.
pub(crate) async fn put_value(
    session: &Session,
    namespace: &str,
    key: &str,
    value: &str,
) -> Result<(), AdminError> {
    let header =
        PutKVConfigRequestHeader { namespace: namespace.into(), key: key.into(), value: value.into() };
    for address in session.name_servers()? {
        session.ask(address, RemotingCommand::request_with(RequestCode::PutKvConfig, &header)).await?;
    }
    Ok(())
}

/// An order configuration with one broker's queues replaced.
pub(crate) fn with_broker(conf: &str, broker: &str, queues: i32) -> String {
    let mut parts: Vec<String> = conf
        .split(';')
        .filter(|part| !part.is_empty() && part.split(':').next() != Some(broker))
        .map(str::to_owned)
        .collect();
    parts.push(format!("{broker}:{queues}"));
    parts.sort();
    parts.join(";")
}

/// A topic as Java shows it.
pub(crate) fn config_text(config: &TopicConfig) -> String {
    format!(
        "TopicConfig [topicName={}, readQueueNums={}, writeQueueNums={}, perm={}, topicFilterType={}, \
         topicSysFlag={}, order={}, attributes={}]",
        config.topic_name,
        config.read_queue_nums,
        config.write_queue_nums,
        perm::text(config.perm),
        config.topic_filter_type.name(),
        config.topic_sys_flag,
        config.order,
        text::java_map(&config.attributes),
    )
}

/// Attributes as operators type them: `+a=b,+c=d,-e`. The sign stays part of the name: the broker wants it.
pub(crate) fn parse_attributes(typed: &str) -> std::collections::BTreeMap<String, String> {
    let parts = typed.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by RocketMQ 5.3.3 for `mqadmin updateTopic`.
    #[test]
    fn a_topic_is_shown_as_rocketmqs() {
        let mut config = TopicConfig::new("TopicF", 8, 8, 6);
        config.attributes = parse_attributes("+message.type=FIFO");
        assert_eq!(
            config_text(&config),
            "TopicConfig [topicName=TopicF, readQueueNums=8, writeQueueNums=8, perm=RW-, \
             topicFilterType=SINGLE_TAG, topicSysFlag=0, order=false, attributes={+message.type=FIFO}]"
        );
    }

    #[test]
    fn one_brokers_part_of_an_order_configuration_is_replaced() {
        assert_eq!(with_broker("", "a", 4), "a:4");
        assert_eq!(with_broker("b:2;a:8", "a", 4), "a:4;b:2");
    }
}
