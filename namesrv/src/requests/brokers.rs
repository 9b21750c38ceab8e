//! What brokers say: registration, farewell, heartbeat, and questions about their own group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::body::{
    DataVersion, GetBrokerMemberGroupResponseBody, KVTable, RegisterBrokerBody, TopicConfig,
};
use protocol::header::{
    BrokerHeartbeatRequestHeader, GetBrokerMemberGroupRequestHeader, QueryDataVersionRequestHeader,
    QueryDataVersionResponseHeader, RegisterBrokerRequestHeader, RegisterBrokerResponseHeader,
    UnRegisterBrokerRequestHeader,
};
use protocol::json::Json;
use protocol::message::body_crc;
use protocol::{RemotingCommand, Text};

use super::{Answer, Request, success};
use crate::error::Refusal;
use crate::kv_config::ORDER_TOPIC_CONFIG;
use crate::registration::{Master, Registered, Registration};
use crate::route_table::{BrokerAddress, Queues};
use crate::state::State;

/// Ext field of REGISTER_BROKER by which a broker says that its broker name is a Raft group.
/// Trireme's own; other name servers ignore it.
pub const RAFT_GROUP: &str = "raftGroup";

/// Ext field by which a 5.x broker names its zone.
const ZONE_NAME: &str = "__ZONE_NAME";

/// How every zlib stream begins, and no JSON does. A 5.3.3 broker with compressedRegister=true
/// compresses the body and says `compressed=false` in the header (recorded in `tests/golden`).
const ZLIB: u8 = 0x78;

/// Longest silence that a registration may ask for: a day.
const SILENCE_MAX_MILLIS: i64 = 24 * 60 * 60 * 1000;

pub(super) fn register(state: &Arc<State>, request: &Request<'_>) -> Answer {
    let header: RegisterBrokerRequestHeader = request.command.header()?;
    let new = registration(&header, request)?;
    // Known before it stands in the table, so that a connection that closes meanwhile takes it out again.
    state.remember(request.connection);
    let (broker, version, first) = (new.broker.clone(), new.data_version.state_version, {
        let table = state.table.read();
        table.data_version(&new.broker).is_none()
    });
    let registered = state.table.write().register(new, Instant::now());
    match registered {
        Registered::Accepted { master, min_id_change } => {
            if first {
                tracing::info!(
                    cluster = broker.cluster, address = broker.address, name = %header.broker_name,
                    id = header.broker_id, state_version = version, "broker registered"
                );
            }
            min_id_change.iter().for_each(|change| state.tell(change));
            Ok(registered_answer(state, master))
        }
        Registered::Fenced { by } => {
            tracing::warn!(
                address = broker.address, name = %header.broker_name, id = header.broker_id, state_version = version, by,
                "registration ignored: a newer state version holds the id"
            );
            Ok(registered_answer(state, None))
        }
        Registered::SingleTopic => Err(Refusal::SingleTopic),
        Registered::TooMuch => Err(Refusal::TooMuch),
    }
}

fn registered_answer(state: &State, master: Option<Master>) -> RemotingCommand {
    let header =
        master.map_or_else(RegisterBrokerResponseHeader::default, |master| RegisterBrokerResponseHeader {
            ha_server_addr: Some(Text::from(master.ha_address)),
            master_addr: Some(Text::from(master.address)),
        });
    let answer = success().with_header(&header);
    if !state.config.read().namesrv.return_order_topic_config_to_broker {
        return answer;
    }
    let order = state.kv.read().namespace(ORDER_TOPIC_CONFIG).cloned();
    match order {
        Some(table) => answer.with_body(KVTable { table }.to_json()),
        None => answer,
    }
}

/// What the header, the ext fields and the body say together.
fn registration(
    header: &RegisterBrokerRequestHeader,
    request: &Request<'_>,
) -> Result<Registration, Refusal> {
    let command = request.command;
    if header.body_crc32 != 0 && i64::from(body_crc(&command.body)) != i64::from(header.body_crc32) {
        return Err(Refusal::BodyCrc);
    }
    let compressed = header.compressed || command.body.first() == Some(&ZLIB);
    let body = RegisterBrokerBody::decode_for(&command.body, command.version, compressed)?;
    let wrapper = body.topic_config_serialize_wrapper;
    let silence =
        header.heartbeat_timeout_millis.map(|millis| millis.clamp(1, SILENCE_MAX_MILLIS).unsigned_abs());
    Ok(Registration {
        broker: broker(&header.cluster_name, &header.broker_addr),
        broker_name: header.broker_name.to_string(),
        broker_id: header.broker_id,
        ha_address: header.ha_server_addr.to_string(),
        zone: command.ext_fields.get(ZONE_NAME).filter(|zone| !zone.is_empty()).map(str::to_owned),
        silence_max: silence.map(Duration::from_millis),
        acting_master: header.enable_acting_master,
        raft_group: command.ext_fields.get(RAFT_GROUP).is_some_and(|raft| raft.eq_ignore_ascii_case("true")),
        data_version: wrapper.data_version,
        topics: wrapper
            .topic_config_table
            .into_iter()
            .map(|(key, topic)| named_queues(key, &topic))
            .collect(),
        mappings: wrapper.topic_queue_mapping_info_map,
        filter_servers: Some(body.filter_server_list),
        connection: request.connection.id(),
    })
}

pub(super) fn unregister(state: &State, command: &RemotingCommand) -> Answer {
    let header: UnRegisterBrokerRequestHeader = command.header()?;
    let removal = state.table.write().unregister(&broker(&header.cluster_name, &header.broker_addr));
    state.after_removal(&removal, "it unregistered");
    Ok(success())
}

pub(super) fn heartbeat(state: &State, command: &RemotingCommand) -> Answer {
    let header: BrokerHeartbeatRequestHeader = command.header()?;
    state.table.write().heartbeat(&broker(&header.cluster_name, &header.broker_addr), Instant::now());
    Ok(success())
}

pub(super) fn query_data_version(state: &State, command: &RemotingCommand) -> Answer {
    let header: QueryDataVersionRequestHeader = command.header()?;
    let asked = DataVersion::from_json(&command.body)?;
    let broker = broker(&header.cluster_name, &header.broker_addr);
    let mut table = state.table.write();
    table.heartbeat(&broker, Instant::now());
    let known = table.data_version(&broker);
    drop(table);
    let changed = known != Some(asked);
    let answer = success().with_header(&QueryDataVersionResponseHeader { changed });
    Ok(match known {
        Some(version) => answer.with_body(version.to_json()),
        None => answer,
    })
}

pub(super) fn member_group(state: &State, command: &RemotingCommand) -> Answer {
    let header: GetBrokerMemberGroupRequestHeader = command.header()?;
    let group = state.table.read().member_group(&header.cluster_name, &header.broker_name);
    let body = GetBrokerMemberGroupResponseBody { broker_member_group: Some(group) };
    Ok(success().with_body(body.to_json()))
}

fn broker(cluster: &Text, address: &Text) -> BrokerAddress {
    BrokerAddress { cluster: cluster.to_string(), address: address.to_string() }
}

/// The topic under the name that it gives itself; the key stands in for a missing one.
fn named_queues(key: String, topic: &TopicConfig) -> (String, Queues) {
    let name = if topic.topic_name.is_empty() { key } else { topic.topic_name.clone() };
    let queues = Queues {
        read_nums: topic.read_queue_nums,
        write_nums: topic.write_queue_nums,
        perm: topic.perm,
        sys_flag: topic.topic_sys_flag,
    };
    (name, queues)
}
