//! What operators and tools change: topics, permissions, the KV configuration, the name server's own.
//!
//! A change that must be kept is made on the files' thread: the file first, then the table, then
//! the answer. What could not be kept was not changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use daemon::{DaemonError, Properties};
use protocol::body::{Body, KVTable, QueueData, TopicRouteData};
use protocol::header::{
    AddWritePermOfBrokerRequestHeader, AddWritePermOfBrokerResponseHeader, DeleteKVConfigRequestHeader,
    DeleteTopicFromNamesrvRequestHeader, GetKVConfigRequestHeader, GetKVConfigResponseHeader,
    GetKVListByNamespaceRequestHeader, PutKVConfigRequestHeader, RegisterTopicRequestHeader,
    WipeWritePermOfBrokerRequestHeader, WipeWritePermOfBrokerResponseHeader,
};
use protocol::{RemotingCommand, Text};

use super::{Answer, Request, reply, success};
use crate::config::Config;
use crate::error::Refusal;
use crate::kv_config::KvConfig;
use crate::route_table::Queues;
use crate::state::{State, keep};

pub(super) fn delete_topic(state: &State, command: &RemotingCommand) -> Answer {
    let header: DeleteTopicFromNamesrvRequestHeader = command.header()?;
    let cluster = header.cluster_name.as_deref().filter(|cluster| !cluster.is_empty());
    state.table.write().delete_topic(&header.topic, cluster);
    tracing::info!(topic = %header.topic, cluster, "topic deleted from the routes");
    Ok(success())
}

pub(super) fn register_topic(state: &State, command: &RemotingCommand) -> Answer {
    let header: RegisterTopicRequestHeader = command.header()?;
    let route = TopicRouteData::decode(&command.body)?;
    let queues: BTreeMap<String, Queues> = route.queue_datas.into_iter().map(queues_of).collect();
    if !state.table.write().register_topic(&header.topic, &queues.into_iter().collect::<Vec<_>>()) {
        tracing::warn!(topic = %header.topic, "topic not registered: a broker name is unknown, or a limit is reached");
    }
    Ok(success())
}

fn queues_of(data: QueueData) -> (String, Queues) {
    let queues = Queues {
        read_nums: data.read_queue_nums,
        write_nums: data.write_queue_nums,
        perm: data.perm,
        sys_flag: data.topic_sys_flag,
    };
    (data.broker_name, queues)
}

pub(super) fn wipe_write_perm(state: &State, command: &RemotingCommand) -> Answer {
    let header: WipeWritePermOfBrokerRequestHeader = command.header()?;
    let count = state.table.write().wipe_write_perm(&header.broker_name);
    tracing::info!(broker_name = %header.broker_name, count, "write permission taken");
    let wipe_topic_count = i32::try_from(count).unwrap_or(i32::MAX);
    Ok(success().with_header(&WipeWritePermOfBrokerResponseHeader { wipe_topic_count }))
}

pub(super) fn add_write_perm(state: &State, command: &RemotingCommand) -> Answer {
    let header: AddWritePermOfBrokerRequestHeader = command.header()?;
    let count = state.table.write().add_write_perm(&header.broker_name);
    tracing::info!(broker_name = %header.broker_name, count, "write permission given");
    let add_topic_count = i32::try_from(count).unwrap_or(i32::MAX);
    Ok(success().with_header(&AddWritePermOfBrokerResponseHeader { add_topic_count }))
}

pub(super) fn get_kv(state: &State, command: &RemotingCommand) -> Answer {
    let GetKVConfigRequestHeader { namespace, key } = command.header()?;
    match state.kv.read().get(&namespace, &key) {
        Some(value) => {
            Ok(success().with_header(&GetKVConfigResponseHeader { value: Some(Text::from(value)) }))
        }
        None => Err(Refusal::KeyUnknown { namespace: namespace.to_string(), key: key.to_string() }),
    }
}

pub(super) fn list_kv(state: &State, command: &RemotingCommand) -> Answer {
    let GetKVListByNamespaceRequestHeader { namespace } = command.header()?;
    match state.kv.read().namespace(&namespace) {
        Some(table) => Ok(success().with_body(KVTable { table: table.clone() }.encode())),
        None => Err(Refusal::NamespaceUnknown { namespace: namespace.to_string() }),
    }
}

pub(super) fn put_kv(state: &Arc<State>, request: &Request<'_>) -> Result<(), Refusal> {
    let PutKVConfigRequestHeader { namespace, key, value } = request.command.header()?;
    change_kv(
        state,
        request,
        move |kv| {
            if kv.put(&namespace, &key, &value) { Ok(()) } else { Err(Refusal::KvFull) }
        },
    )
}

pub(super) fn delete_kv(state: &Arc<State>, request: &Request<'_>) -> Result<(), Refusal> {
    let DeleteKVConfigRequestHeader { namespace, key } = request.command.header()?;
    change_kv(state, request, move |kv| {
        kv.delete(&namespace, &key);
        Ok(())
    })
}

/// Changes the KV configuration on the files' thread, which is its only writer.
fn change_kv(
    state: &Arc<State>,
    request: &Request<'_>,
    change: impl FnOnce(&mut KvConfig) -> Result<(), Refusal> + Send + 'static,
) -> Result<(), Refusal> {
    later(state, request, move |state| {
        let mut kv = state.kv.read().clone();
        change(&mut kv)?;
        if kv != *state.kv.read() {
            keep(state.disk.as_ref(), &state.config().kv_config_path(), &kv.to_json())?;
            *state.kv.write() = kv;
            state.table.write().changed();
        }
        Ok(success())
    })
}

pub(super) fn get_config(state: &State) -> RemotingCommand {
    success().with_body(state.config().effective(false).to_text())
}

pub(super) fn update_config(state: &Arc<State>, request: &Request<'_>) -> Result<(), Refusal> {
    let text = String::from_utf8_lossy(&request.command.body);
    let changes = Properties::parse(&text).map_err(DaemonError::from)?;
    let peer = request.connection.peer();
    later(state, request, move |state| {
        let config = state.config();
        if changes.iter().any(|(key, _)| config.is_black_listed(key)) {
            return Err(Refusal::ConfigForbidden);
        }
        let updated = updated_config(&config, &changes)?;
        keep_config(state, &config, &changes)?;
        tracing::info!(%peer, changes = changes.to_text().trim_end(), "configuration changed");
        let mut table = state.table.write();
        table.set_rules(updated.route_rules());
        *state.config.write() = Arc::new(updated);
        Ok(success())
    })
}

fn updated_config(config: &Config, changes: &Properties) -> Result<Config, Refusal> {
    let mut updated = config.clone();
    let bound = updated.update(changes)?;
    for key in &bound.unknown {
        tracing::warn!(key, "unknown configuration key");
    }
    for key in bound.set.iter().filter(|key| !config.is_live(key)) {
        tracing::warn!(key, "this key takes effect at the next start");
    }
    Ok(updated)
}

/// Writes the changes into the configuration file; all else in it stays as it is.
fn keep_config(state: &State, config: &Config, changes: &Properties) -> Result<(), Refusal> {
    let path = std::path::Path::new(&config.namesrv.config_store_path);
    let before = disk::read_or_bak(state.disk.as_ref(), path, |text| String::from_utf8(text.to_vec()).ok())?;
    let text = Properties::edit(&before.unwrap_or_default(), changes).map_err(DaemonError::from)?;
    Ok(keep(state.disk.as_ref(), path, text.as_bytes())?)
}

/// Does something that writes a file, and then answers.
fn later(
    state: &Arc<State>,
    request: &Request<'_>,
    deed: impl FnOnce(&State) -> Answer + Send + 'static,
) -> Result<(), Refusal> {
    let owner = Arc::clone(state);
    let connection = Arc::clone(request.connection);
    let command = request.command.clone();
    let job = move || {
        let answer = deed(&owner);
        reply(&owner, &connection, &command, answer);
    };
    state.files.submit(job).map_err(|_| Refusal::FilesBusy)
}
