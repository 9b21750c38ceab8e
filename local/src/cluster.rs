//! The running cluster: starts servers in order, knows when they are ready, stops them in reverse order.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::bail;
use client::{Admin, Client, ClientConfig, MASTER_ID};
use tokio::task::JoinSet;

use crate::figures::{self, Figures};
use crate::layout::{BROKER_NAME, Layout, Shape};
use crate::process::{Role, Server};
use crate::screen::Screen;

/// How long a start may take; a store that was not closed is recovered meanwhile.
const READY_MAX: Duration = Duration::from_secs(60);
/// How long a stop may take before it is enforced.
const STOP_MAX: Duration = Duration::from_secs(20);
/// Between two looks at something that is about to change.
pub(crate) const GLANCE: Duration = Duration::from_millis(20);

/// A server that ended without being told to.
#[derive(Debug)]
pub(crate) struct Fallen {
    /// Which broker; nothing for the name server.
    pub(crate) broker: Option<usize>,
    pub(crate) name: String,
    pub(crate) status: ExitStatus,
    pub(crate) last_words: String,
}

impl std::fmt::Display for Fallen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ended by itself ({}); its last lines:", self.name, self.status)?;
        self.last_words.lines().try_for_each(|line| write!(f, "\n  | {line}"))
    }
}

/// A name server and its brokers.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) layout: Layout,
    client: Client,
    admin: Admin,
    namesrv: Server,
    brokers: Vec<Server>,
}

impl Cluster {
    /// Starts all servers; they are not ready yet. To be called from the main thread, see [`crate::process`].
    pub(crate) fn start(layout: Layout) -> anyhow::Result<Self> {
        let client = Client::start(ClientConfig::new(&layout.namesrv.address))?;
        let admin = Admin::new(&client);
        let namesrv = Server::start(layout.namesrv.clone(), Role::Namesrv)?;
        let brokers = layout.brokers.iter().map(|node| Server::start(node.clone(), Role::Broker));
        let brokers = brokers.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { layout, client, admin, namesrv, brokers })
    }

    /// Waits until clients can send; says how long it took.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<Duration> {
        let start = Instant::now();
        while !self.is_ready().await {
            if let Some(fallen) = self.fallen().first() {
                bail!("{fallen}");
            }
            if start.elapsed() > READY_MAX {
                bail!(
                    "not ready after {READY_MAX:?}; see {}",
                    self.layout.directory.join("*/node.log").display()
                );
            }
            tokio::time::sleep(GLANCE).await;
        }
        Ok(start.elapsed())
    }

    /// All brokers answer, and the name server sends clients to the leader.
    async fn is_ready(&self) -> bool {
        let Ok(info) = self.admin.cluster_info().await else { return false };
        let Some(addresses) = info.broker_addr_table.get(BROKER_NAME).map(|data| &data.broker_addrs) else {
            return false;
        };
        let seen = self.figures().await;
        let Some(leader) = figures::leader(&seen) else { return false };
        seen.iter().all(Option::is_some)
            && addresses.len() == seen.len()
            && addresses.get(&MASTER_ID) == Some(&self.layout.brokers[leader].address)
    }

    /// What each broker says of itself; nothing for those that are silent.
    pub(crate) async fn figures(&self) -> Vec<Option<Figures>> {
        let mut asking = JoinSet::new();
        for (number, node) in self.layout.brokers.iter().enumerate() {
            let (admin, address, shape) = (self.admin.clone(), node.address.clone(), self.layout.shape);
            asking.spawn(async move { (number, figures::ask(&admin, &address, shape).await) });
        }
        let mut seen = vec![None; self.layout.brokers.len()];
        while let Some(Ok((number, figures))) = asking.join_next().await {
            seen[number] = figures;
        }
        seen
    }

    /// The administration of this cluster.
    pub(crate) fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Process ids: the name server's, then the brokers'.
    pub(crate) fn pids(&self) -> Vec<Option<u32>> {
        std::iter::once(&self.namesrv).chain(&self.brokers).map(Server::pid).collect()
    }

    /// A broker.
    pub(crate) fn broker(&mut self, number: usize) -> &mut Server {
        &mut self.brokers[number]
    }

    /// Servers that ended by themselves since the last look.
    pub(crate) fn fallen(&mut self) -> Vec<Fallen> {
        let brokers = self.brokers.iter_mut().enumerate().map(|(number, server)| (Some(number), server));
        let all = std::iter::once((None, &mut self.namesrv)).chain(brokers);
        all.filter_map(|(broker, server)| {
            let status = server.ended()?;
            let (name, last_words) = (server.node.name.clone(), server.last_words());
            Some(Fallen { broker, name, status, last_words })
        })
        .collect()
    }

    /// Whether the rest goes on without this one.
    pub(crate) fn survives(&self, fallen: &Fallen) -> bool {
        let running = self.brokers.iter().filter(|server| server.pid().is_some()).count();
        fallen.broker.is_some() && self.layout.shape == Shape::Group && running * 2 > self.brokers.len()
    }

    /// Stops the brokers, all together, then the name server; an error if one did not stop in peace.
    ///
    /// Together, because a leader that stops looks for an heir, and the last of three would look in vain.
    pub(crate) async fn stop(mut self, screen: &Screen) -> anyhow::Result<()> {
        self.client.stop().await;
        let (mut stopped, mut failed) = (Vec::new(), Vec::new());
        for servers in [&mut self.brokers[..], std::slice::from_mut(&mut self.namesrv)] {
            servers.iter().for_each(Server::ask_to_stop);
            for server in servers.iter_mut().filter(|server| server.pid().is_some()) {
                let how = if server.wait_until_stopped(STOP_MAX) { &mut stopped } else { &mut failed };
                how.push(server.node.name.clone());
            }
        }
        if !failed.is_empty() {
            bail!("did not stop in order: {}", failed.join(", "));
        }
        screen.say(&format!("stopped: {}", stopped.join(", ")));
        Ok(())
    }
}
