//! What the requests of a name server work on: the tables, behind locks that nobody holds for long.
//!
//! Always true: no lock is held while a socket or a disk is waited for; where two are taken, the
//! route table's comes first. Called by the request modules and by the name server's own tasks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use disk::{Disk, DiskError};
use parking_lot::{Mutex, RwLock};
use protocol::header::NotifyMinBrokerIdChangeRequestHeader;
use protocol::{RemotingCommand, RequestCode};
use remoting::Connection;
use tokio::sync::mpsc;

use crate::config::Config;
use crate::error::NamesrvError;
use crate::figures::Figures;
use crate::files::Files;
use crate::kv_config::KvConfig;
use crate::removal::Removal;
use crate::route_cache::RouteCache;
use crate::route_table::{MinIdChange, RouteTable};

/// A request that the name server itself sends to a broker.
pub(crate) type Notice = (String, RemotingCommand);

/// Everything behind the sockets.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: RwLock<Arc<Config>>,
    pub(crate) table: RwLock<RouteTable>,
    pub(crate) cache: Mutex<RouteCache>,
    pub(crate) kv: RwLock<KvConfig>,
    pub(crate) files: Files,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) figures: Figures,
    pub(crate) started: Instant,
    /// Connections that brokers registered over, so that a silent one can be closed.
    registered: Mutex<HashMap<u64, Arc<Connection>>>,
    notices: mpsc::Sender<Notice>,
}

impl State {
    pub(crate) fn open(
        config: Config,
        disk: Arc<dyn Disk>,
        notices: mpsc::Sender<Notice>,
    ) -> Result<Self, NamesrvError> {
        let kv = load_kv(disk.as_ref(), &config.kv_config_path())?;
        Ok(Self {
            table: RwLock::new(RouteTable::new(config.route_rules())),
            cache: Mutex::default(),
            kv: RwLock::new(kv),
            files: Files::start().map_err(NamesrvError::Thread)?,
            disk,
            figures: Figures::new(),
            started: Instant::now(),
            registered: Mutex::default(),
            notices,
            config: RwLock::new(Arc::new(config)),
        })
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read())
    }

    /// Remembers a connection that carried a registration.
    pub(crate) fn remember(&self, connection: &Arc<Connection>) {
        let mut registered = self.registered.lock();
        registered.entry(connection.id()).or_insert_with(|| Arc::clone(connection));
    }

    /// A connection is gone, and with it whoever registered over it.
    pub(crate) fn connection_closed(&self, connection: &Connection) {
        if self.registered.lock().remove(&connection.id()).is_none() {
            return;
        }
        let removal = self.table.write().connection_closed(connection.id());
        self.after_removal(&removal, "its connection closed");
    }

    /// Removes brokers that were silent for too long and closes their connections.
    pub(crate) fn expire(&self, now: Instant) {
        let removal = self.table.write().expire(now);
        let silent: Vec<_> = {
            let registered = self.registered.lock();
            removal.connections.iter().filter_map(|id| registered.get(id).cloned()).collect()
        };
        silent.iter().for_each(|connection| connection.close());
        self.after_removal(&removal, "it was silent for too long");
    }

    /// Copies the sizes of the tables into the figures.
    pub(crate) fn count(&self, connections: usize) {
        let size = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let table = self.table.read();
        self.figures.brokers.set(size(table.address_count()));
        self.figures.topics.set(size(table.topic_count()));
        self.figures.connections.set(size(connections));
    }

    /// Says who left, and tells those who want to know.
    pub(crate) fn after_removal(&self, removal: &Removal, why: &str) {
        for broker in &removal.gone {
            tracing::info!(cluster = broker.cluster, address = broker.address, "broker is gone: {why}");
        }
        removal.min_id_changes.iter().for_each(|change| self.tell(change));
    }

    /// Tells the members of a broker name that their smallest id changed, if the configuration says so.
    pub(crate) fn tell(&self, change: &MinIdChange) {
        if !self.config.read().namesrv.notify_min_broker_id_changed {
            return;
        }
        let header = NotifyMinBrokerIdChangeRequestHeader {
            min_broker_id: Some(change.id),
            broker_name: Some(change.broker_name.as_str().into()),
            min_broker_addr: Some(change.address.as_str().into()),
            offline_broker_addr: change.offline_address.as_deref().map(Into::into),
            ha_broker_addr: change.ha_address.as_deref().map(Into::into),
        };
        for address in &change.tell {
            let command = RemotingCommand::request_with(RequestCode::NotifyMinBrokerIdChange, &header);
            if self.notices.try_send((address.clone(), command)).is_err() {
                tracing::warn!(
                    address,
                    "too many notices wait; a change of the smallest broker id is not told"
                );
            }
        }
    }
}

/// Reads the KV configuration and makes sure that it can be written, before anybody relies on it.
fn load_kv(disk: &dyn Disk, path: &Path) -> Result<KvConfig, NamesrvError> {
    let kv = disk::read_or_bak(disk, path, KvConfig::parse).map_err(NamesrvError::KvUnreadable)?;
    probe(disk, path).map_err(|source| NamesrvError::KvUnwritable { path: path.to_owned(), source })?;
    Ok(kv.unwrap_or_default())
}

/// Makes the directory and a file beside `path`, as a later change will.
fn probe(disk: &dyn Disk, path: &Path) -> std::io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        disk.create_dir_all(directory)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".probe");
    let name = PathBuf::from(name);
    drop(disk.open(&name, disk::OpenHow::Create)?);
    disk.remove(&name)
}

/// Replaces a file, making its directory first.
pub(crate) fn keep(disk: &dyn Disk, path: &Path, content: &[u8]) -> Result<(), DiskError> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        disk.create_dir_all(directory).map_err(|source| DiskError::io("create", directory, source))?;
    }
    disk::replace_file(disk, path, content)
}
