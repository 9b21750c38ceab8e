//! Consumer groups as all their brokers together see them.

use std::collections::BTreeMap;

use protocol::body::{
    Body, ConsumeStats, ConsumerConnection, ConsumerRunningInfo, GroupRetryPolicy, SubscriptionGroupConfig,
};
use protocol::header::{
    GetConsumeStatsRequestHeader, GetConsumerConnectionListRequestHeader, GetConsumerRunningInfoRequestHeader,
};
use protocol::json::Value;
use protocol::{RemotingCommand, RequestCode, ResponseCode, topic};

use crate::error::AdminError;
use crate::session::{Session, reachable};
use crate::text;

/// The brokers that know a group: those that have its retry topic, else those of the topic or cluster given.
pub(crate) async fn brokers(
    session: &Session,
    group: &str,
    fallback: Option<&str>,
) -> Result<BTreeMap<String, String>, AdminError> {
    match session.route(&topic::retry_topic(group)).await {
        Err(error) if error.is(ResponseCode::TopicNotExist) => match fallback {
            Some(topic) => session.brokers_of(topic).await,
            None => Err(AdminError::GroupUnknown {
                group: group.to_owned(),
                retry_topic: topic::retry_topic(group),
            }),
        },
        route => Ok(reachable(&route?)),
    }
}

/// How far a group is, at one broker. Without a topic: in all that it consumes.
pub(crate) async fn stats_at(
    session: &Session,
    address: &str,
    group: &str,
    topic: Option<&str>,
) -> Result<ConsumeStats, AdminError> {
    let header = GetConsumeStatsRequestHeader {
        consumer_group: group.into(),
        topic: topic.map(Into::into),
        topic_list: None,
    };
    session.body_of(address, RemotingCommand::request_with(RequestCode::GetConsumeStats, &header)).await
}

/// How far a group is, at all these brokers.
pub(crate) async fn stats(
    session: &Session,
    brokers: &BTreeMap<String, String>,
    group: &str,
    topic: Option<&str>,
) -> Result<ConsumeStats, AdminError> {
    let mut all = ConsumeStats::default();
    for address in brokers.values() {
        let one = stats_at(session, address, group, topic).await?;
        all.offset_table.extend(one.offset_table);
        all.consume_tps += one.consume_tps;
    }
    Ok(all)
}

/// The members of a group at one broker.
pub(crate) async fn connection_at(
    session: &Session,
    address: &str,
    group: &str,
) -> Result<ConsumerConnection, AdminError> {
    let header = GetConsumerConnectionListRequestHeader { consumer_group: group.into() };
    let request = RemotingCommand::request_with(RequestCode::GetConsumerConnectionList, &header);
    session.body_of(address, request).await
}

/// The members of a group, from the first of these brokers that has any.
pub(crate) async fn connection(
    session: &Session,
    brokers: &BTreeMap<String, String>,
    group: &str,
) -> Result<ConsumerConnection, AdminError> {
    let mut last = Err(AdminError::BrokerUnknown { broker: topic::retry_topic(group) });
    for address in brokers.values() {
        last = connection_at(session, address, group).await;
        if last.as_ref().is_ok_and(|connection| !connection.connection_set.is_empty()) {
            break;
        }
    }
    last
}

/// What one member tells about itself, through a broker that it is connected to.
pub(crate) async fn running_info(
    session: &Session,
    address: &str,
    group: &str,
    client_id: &str,
    with_stacks: bool,
) -> Result<ConsumerRunningInfo, AdminError> {
    let header = GetConsumerRunningInfoRequestHeader {
        consumer_group: group.into(),
        client_id: client_id.into(),
        jstack_enable: with_stacks,
    };
    let request = RemotingCommand::request_with(RequestCode::GetConsumerRunningInfo, &header);
    session.body_of(address, request).await
}

/// A group as Java shows it.
pub(crate) fn config_text(config: &SubscriptionGroupConfig) -> String {
    format!(
        "SubscriptionGroupConfig{{groupName={}, consumeEnable={}, consumeFromMinEnable={}, \
         consumeBroadcastEnable={}, consumeMessageOrderly={}, retryQueueNums={}, retryMaxTimes={}, \
         groupRetryPolicy={}, brokerId={}, whichBrokerWhenConsumeSlowly={}, notifyConsumerIdsChangedEnable={}, \
         groupSysFlag={}, consumeTimeoutMinute={}, subscriptionDataSet={}, attributes={}}}",
        config.group_name,
        config.consume_enable,
        config.consume_from_min_enable,
        config.consume_broadcast_enable,
        config.consume_message_orderly,
        config.retry_queue_nums,
        config.retry_max_times,
        policy_text(&config.group_retry_policy),
        config.broker_id,
        config.which_broker_when_consume_slowly,
        config.notify_consumer_ids_changed_enable,
        config.group_sys_flag,
        config.consume_timeout_minute,
        shown(config.subscription_data_set.as_ref()),
        text::java_map(&config.attributes),
    )
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| String::from_utf8_lossy(&value.encode()).into_owned())
}

/// A retry policy as Java shows it.
pub(crate) fn policy_text(policy: &GroupRetryPolicy) -> String {
    format!(
        "GroupRetryPolicy{{type={}, exponentialRetryPolicy={}, customizedRetryPolicy={}}}",
        policy.kind.name(),
        shown(policy.exponential_retry_policy.as_ref()),
        shown(policy.customized_retry_policy.as_ref()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by RocketMQ 5.3.3 for `mqadmin updateSubGroup`.
    #[test]
    fn a_group_is_shown_as_rocketmqs() {
        let config = SubscriptionGroupConfig {
            consume_from_min_enable: false,
            consume_broadcast_enable: false,
            ..SubscriptionGroupConfig::new("CG")
        };
        assert_eq!(
            config_text(&config),
            "SubscriptionGroupConfig{groupName=CG, consumeEnable=true, consumeFromMinEnable=false, \
             consumeBroadcastEnable=false, consumeMessageOrderly=false, retryQueueNums=1, retryMaxTimes=16, \
             groupRetryPolicy=GroupRetryPolicy{type=CUSTOMIZED, exponentialRetryPolicy=null, \
             customizedRetryPolicy=null}, brokerId=0, whichBrokerWhenConsumeSlowly=1, \
             notifyConsumerIdsChangedEnable=true, groupSysFlag=0, consumeTimeoutMinute=15, \
             subscriptionDataSet=null, attributes={}}"
        );
    }
}
