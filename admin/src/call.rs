//! What a command is, and what it is called with. `commands` holds the table of them, `command/` their bodies.

use std::io::Write;
use std::pin::Pin;

use anyhow::bail;
use protocol::body::BrokerData;

use crate::options::{Given, Opt};
use crate::session::{MASTER_ID, Session};

/// A running command.
pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;

/// One command of mqadmin.
pub(crate) struct Command {
    /// RocketMQ's name.
    pub name: &'static str,
    /// One line for the list of commands.
    pub about: &'static str,
    /// Its options beside `-h` and `-n`.
    pub options: &'static [Opt],
    /// Does it.
    pub run: for<'a> fn(Call<'a>) -> Running<'a>,
}

/// One run of a command.
pub(crate) struct Call<'a> {
    /// The connections.
    pub session: &'a Session,
    /// The options as typed.
    pub given: &'a Given,
    /// Where the output goes.
    pub out: &'a mut dyn Write,
}

impl Call<'_> {
    /// The master that `-b` names, or those of the cluster that `-c` names.
    pub async fn masters(&self) -> anyhow::Result<Vec<String>> {
        if let Some(address) = self.given.value("b") {
            return Ok(vec![address.to_owned()]);
        }
        match self.given.value("c") {
            Some(cluster) => Ok(self.session.masters(cluster).await?),
            None => bail!("option -b or -c is needed"),
        }
    }

    /// The broker that `-b` names, or all of the cluster that `-c` names, masters before their slaves.
    pub async fn brokers(&self) -> anyhow::Result<Vec<String>> {
        if let Some(address) = self.given.value("b") {
            return Ok(vec![address.to_owned()]);
        }
        match self.given.value("c") {
            Some(cluster) => Ok(self.session.replicas(cluster).await?),
            None => bail!("option -b or -c is needed"),
        }
    }

    /// The broker that `-b` names, the masters of the cluster that `-c` names, or every master there is.
    pub async fn masters_or_all(&self) -> anyhow::Result<Vec<String>> {
        if self.given.has("b") || self.given.has("c") {
            return self.masters().await;
        }
        let info = self.session.cluster_info().await?;
        let master = |broker: &BrokerData| broker.broker_addrs.get(&MASTER_ID).cloned();
        Ok(info.broker_addr_table.values().filter_map(master).collect())
    }
}
