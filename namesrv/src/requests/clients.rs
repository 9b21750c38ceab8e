//! What clients and tools ask: routes, the cluster, lists of topics.

use protocol::body::{STANDARD_JSON_VERSION, TopicList};
use protocol::header::{GetRouteInfoRequestHeader, GetTopicsByClusterRequestHeader};
use protocol::json::{Dialect, Json};
use protocol::{Bytes, RemotingCommand, RequestCode};

use super::{Answer, success};
use crate::error::Refusal;
use crate::kv_config::ORDER_TOPIC_CONFIG;
use crate::route::keep_zone;
use crate::state::State;
use crate::topics::UnitTopics;

pub(super) fn route(state: &State, command: &RemotingCommand) -> Answer {
    let header: GetRouteInfoRequestHeader = command.header()?;
    let config = state.config();
    let wait = config.namesrv.wait_seconds_for_service.duration();
    if config.namesrv.need_wait_for_service && state.started.elapsed() < wait {
        return Err(Refusal::NotReady);
    }
    let standard = command.version >= STANDARD_JSON_VERSION || header.accept_standard_json_only == Some(true);
    let dialect = if standard { Dialect::Standard } else { Dialect::FastJson };
    let body = match zone_of(command) {
        Some(zone) => zone_route(state, &header.topic, zone, dialect),
        None => cached_route(state, &header.topic, dialect),
    };
    body.map(|body| success().with_body(body))
        .ok_or_else(|| Refusal::TopicUnknown { topic: header.topic.to_string() })
}

/// The zone that the client wants to stay in, if it does.
fn zone_of(command: &RemotingCommand) -> Option<&str> {
    let wants = command.ext_fields.get("__ZONE_MODE").is_some_and(|mode| mode.eq_ignore_ascii_case("true"));
    command.ext_fields.get("__ZONE_NAME").filter(|zone| wants && !zone.is_empty())
}

fn cached_route(state: &State, topic: &str, dialect: Dialect) -> Option<Bytes> {
    let generation = state.table.read().generation();
    if let Some(body) = state.cache.lock().get(generation, topic, dialect) {
        state.figures.routes_cached.increment();
        return Some(body);
    }
    // The order configuration is read under the table's lock: whoever changes it raises the generation after.
    let table = state.table.read();
    let generation = table.generation();
    let mut route = table.route(topic)?;
    route.order_topic_conf = order_conf(state, topic);
    drop(table);
    let body = route.to_json_as(dialect);
    state.cache.lock().put(generation, topic, dialect, body.clone());
    Some(body)
}

fn zone_route(state: &State, topic: &str, zone: &str, dialect: Dialect) -> Option<Bytes> {
    let mut route = state.table.read().route(topic)?;
    route.order_topic_conf = order_conf(state, topic);
    keep_zone(&mut route, zone);
    Some(route.to_json_as(dialect))
}

fn order_conf(state: &State, topic: &str) -> Option<String> {
    let shown = state.config.read().namesrv.order_message_enable;
    shown.then(|| state.kv.read().get(ORDER_TOPIC_CONFIG, topic).map(str::to_owned)).flatten()
}

pub(super) fn cluster_info(state: &State) -> Answer {
    let info = state.table.read().cluster_info();
    Ok(success().with_body(info.to_json()))
}

pub(super) fn all_topics(state: &State) -> Answer {
    if !state.config.read().namesrv.enable_all_topic_list {
        return Err(Refusal::ListDisabled);
    }
    Ok(list(state.table.read().all_topics(), None))
}

pub(super) fn topics_of_cluster(state: &State, command: &RemotingCommand) -> Answer {
    allow_lists(state)?;
    let header: GetTopicsByClusterRequestHeader = command.header()?;
    Ok(list(state.table.read().topics_of_cluster(&header.cluster), None))
}

pub(super) fn system_topics(state: &State) -> Answer {
    allow_lists(state)?;
    let (topics, address) = state.table.read().system_topics();
    Ok(list(topics, address))
}

pub(super) fn unit_topics(state: &State, code: RequestCode) -> Answer {
    allow_lists(state)?;
    let which = match code {
        RequestCode::GetUnitTopicList => UnitTopics::Unit,
        RequestCode::GetHasUnitSubTopicList => UnitTopics::HasUnitSubscription,
        _ => UnitTopics::HasUnitSubscriptionAndNoUnit,
    };
    Ok(list(state.table.read().unit_topics(which), None))
}

fn allow_lists(state: &State) -> Result<(), Refusal> {
    if state.config.read().namesrv.enable_topic_list { Ok(()) } else { Err(Refusal::ListDisabled) }
}

fn list(topics: Vec<String>, broker_addr: Option<String>) -> RemotingCommand {
    let list = TopicList { topic_list: topics.into_iter().collect(), broker_addr };
    success().with_body(list.to_json())
}
