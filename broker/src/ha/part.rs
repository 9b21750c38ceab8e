//! Which part a broker plays in classic replication, and what is known of the other side.

use super::slave::SlaveStatus;
use super::slaves::Slaves;
use crate::config::Config;
use std::sync::Arc;
use tokio::sync::watch;

/// The part of one broker.
#[derive(Debug)]
pub enum Part {
    /// None: a Raft group keeps the log.
    None,
    /// It has slaves, or may have.
    Master(MasterPart),
    /// It follows a master.
    Slave(SlavePart),
}

/// A master.
#[derive(Debug)]
pub struct MasterPart {
    /// Who follows.
    pub slaves: Arc<Slaves>,
    /// How far behind a slave may be to be in sync, in bytes.
    pub gap_max: u64,
}

/// A slave.
#[derive(Debug)]
pub struct SlavePart {
    /// How the following goes.
    pub status: Arc<SlaveStatus>,
    /// Where the master serves clients: metadata is fetched there.
    address: watch::Sender<Option<String>>,
    /// Where the master serves slaves.
    ha_address: watch::Sender<Option<String>>,
    /// The configuration says where; name servers are not asked.
    is_configured: bool,
}

impl Part {
    /// The part that the configuration gives.
    pub fn of(config: &Config) -> Self {
        if config.raft.enabled {
            Self::None
        } else if config.is_slave() {
            Self::Slave(SlavePart::new(config.store.ha_master_address.trim()))
        } else {
            Self::Master(MasterPart { slaves: Arc::default(), gap_max: config.store.gap_max() })
        }
    }

    /// Whether a slave hears its master now.
    pub fn follows(&self) -> bool {
        self.slave().is_some_and(|slave| slave.status.is_connected())
    }

    /// The slave's part, when it is one.
    pub fn slave(&self) -> Option<&SlavePart> {
        match self {
            Self::Slave(slave) => Some(slave),
            Self::None | Self::Master(_) => None,
        }
    }
}

impl SlavePart {
    fn new(configured: &str) -> Self {
        let is_configured = !configured.is_empty();
        Self {
            status: Arc::default(),
            address: watch::Sender::new(None),
            ha_address: watch::Sender::new(is_configured.then(|| configured.to_owned())),
            is_configured,
        }
    }

    /// A name server said where the master is. One that says nothing does not make us forget: the master may be back
    /// before anybody notices.
    pub fn learn(&self, address: &str, ha_address: &str) {
        set(&self.address, address);
        if !self.is_configured {
            set(&self.ha_address, ha_address);
        }
    }

    /// Whether the name servers should be asked soon: we follow nobody.
    pub fn seeks_master(&self) -> bool {
        !self.status.is_connected()
    }

    /// Where the master serves clients.
    pub fn address(&self) -> watch::Receiver<Option<String>> {
        self.address.subscribe()
    }

    /// Where the master serves slaves.
    pub fn ha_address(&self) -> watch::Receiver<Option<String>> {
        self.ha_address.subscribe()
    }
}

fn set(known: &watch::Sender<Option<String>>, said: &str) {
    if said.is_empty() {
        return;
    }
    known.send_if_modified(|known| {
        let is_new = known.as_deref() != Some(said);
        if is_new {
            *known = Some(said.to_owned());
        }
        is_new
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_server_does_not_say_is_not_forgotten() {
        let slave = SlavePart::new("");
        let mut told = slave.ha_address();
        slave.learn("a:1", "a:2");
        slave.learn("", "");
        assert!(told.has_changed().expect("the part lives"));
        assert_eq!(told.borrow_and_update().as_deref(), Some("a:2"));
        slave.learn("a:1", "a:2");
        assert!(!told.has_changed().expect("the part lives"));
        assert_eq!(slave.address().borrow().as_deref(), Some("a:1"));
    }

    #[test]
    fn a_configured_address_stays() {
        let slave = SlavePart::new("b:2");
        slave.learn("a:1", "a:2");
        assert_eq!(slave.ha_address().borrow().as_deref(), Some("b:2"));
        assert_eq!(slave.address().borrow().as_deref(), Some("a:1"));
    }
}
