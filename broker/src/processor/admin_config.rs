//! The configuration, seen and changed at run time (26, 25).
//!
//! Always true: a change is checked whole before any of it counts; what needs a restart is kept in the file and takes
//! effect then; keys on the black list, and keys that nobody knows, change nothing.

use crate::config::Config;
use crate::error::BrokerError;
use crate::node::Node;
use crate::reply::{Answer, success};
use crate::store_config;
use daemon::{DaemonError, Properties};
use disk::replace_file;
use protocol::RemotingCommand;
use protocol::body::Body;
use protocol::header::GetBrokerConfigResponseHeader;
use remoting::Connection;
use std::sync::Arc;

/// RocketMQ 4's `exportConfigs` cannot do without these, although they mean nothing here.
const EXPORTED: [(&str, &str); 2] = [("filterServerNums", "0"), ("useTLS", "false")];

/// GET_BROKER_CONFIG: all values as properties text.
pub fn get(node: &Arc<Node>, _connection: &Arc<Connection>, _request: &RemotingCommand) -> Answer {
    let version = node.metadata.topics.read().version().encode();
    let version = String::from_utf8_lossy(&version).into_owned();
    let header = GetBrokerConfigResponseHeader { version: version.into() };
    let mut values = node.config.get().effective(&node.identity, false);
    EXPORTED.iter().for_each(|(key, value)| values.insert(*key, *value));
    Ok(success().with_header(&header).with_body(values.to_text()))
}

/// UPDATE_BROKER_CONFIG.
pub fn update(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let text = String::from_utf8_lossy(&request.body);
    let changes = Properties::parse(&text).map_err(DaemonError::from)?;
    let current = node.config.get();
    check_black_list(&current, &changes)?;
    let (whole, bound) = current.with(&changes)?;
    if let Some(key) = bound.unknown.first() {
        return Err(BrokerError::Parameter {
            name: "key",
            value: key.clone(),
            allowed: "a key of the configuration",
        });
    }
    let live: Properties = changes.iter().filter(|(key, _)| current.is_live(key)).collect();
    let (next, _) = current.with(&live)?;
    write_file(node, &changes)?;
    apply(node, &current, next);
    for key in changes.iter().map(|(key, _)| key).filter(|key| !current.is_live(key)) {
        tracing::info!(key, "changed in the configuration file; takes effect at the next start");
    }
    drop(whole);
    Ok(success())
}

fn check_black_list(config: &Config, changes: &Properties) -> Result<(), BrokerError> {
    for key in config.broker.config_black_list.split(';').map(str::trim) {
        if changes.get(key).is_some() {
            return Err(BrokerError::ConfigKeyForbidden { key: key.to_owned() });
        }
    }
    Ok(())
}

/// Keeps the change in the file that the broker was started with, comments and order included.
fn write_file(node: &Node, changes: &Properties) -> Result<(), BrokerError> {
    let Some(path) = &node.config_file else { return Ok(()) };
    let before = std::fs::read_to_string(path)
        .map_err(|source| DaemonError::ConfigUnreadable { path: path.clone(), source })?;
    let after = Properties::edit(&before, changes).map_err(DaemonError::from)?;
    replace_file(&*node.disk, path, after.as_bytes()).map_err(|error| BrokerError::Disk(Arc::new(error)))
}

fn apply(node: &Node, before: &Config, next: Config) {
    let permission_changed = before.broker.broker_permission != next.broker.broker_permission;
    node.store.reconfigure(store_config::read_limits(&next), store_config::retention(&next));
    node.config.replace(next);
    if permission_changed {
        node.register_and_wait();
    }
}
