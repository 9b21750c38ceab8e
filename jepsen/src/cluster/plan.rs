//! Who is where: members, addresses and ports of a run. Pure.

use std::net::{Ipv4Addr, SocketAddr};

use crate::net::Member;

/// How the brokers replicate and flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Three replicas, Raft over the commit log, SYNC_FLUSH.
    Raft,
    /// The same with ASYNC_FLUSH.
    RaftAsync,
    /// One master, ASYNC_FLUSH.
    SingleAsync,
    /// One master, SYNC_FLUSH.
    SingleSync,
    /// ASYNC_MASTER and a slave.
    AsyncMaster,
    /// SYNC_MASTER and a slave.
    SyncMaster,
}

impl Mode {
    /// Every mode with its name on the command line.
    pub const ALL: [(&'static str, Self); 6] = [
        ("raft", Self::Raft),
        ("raft-async", Self::RaftAsync),
        ("single-async", Self::SingleAsync),
        ("single-sync", Self::SingleSync),
        ("async-master", Self::AsyncMaster),
        ("sync-master", Self::SyncMaster),
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, mode)| *mode == self).map_or("unnamed", |(name, _)| name)
    }

    /// The mode of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, mode)| *mode)
    }

    /// How many brokers it has by default.
    pub fn replicas(self) -> u32 {
        match self {
            Self::Raft | Self::RaftAsync => 3,
            Self::SingleAsync | Self::SingleSync => 1,
            Self::AsyncMaster | Self::SyncMaster => 2,
        }
    }

    /// Whether replicas elect their master.
    pub fn is_raft(self) -> bool {
        matches!(self, Self::Raft | Self::RaftAsync)
    }

    /// Whether a slave follows a master.
    pub fn has_slave(self) -> bool {
        matches!(self, Self::AsyncMaster | Self::SyncMaster)
    }

    /// Whether an acknowledgement waits for the disk.
    pub fn syncs(self) -> bool {
        matches!(self, Self::Raft | Self::SingleSync)
    }
}

/// The address range of a run. All of it hangs on one number, so that runs side by side differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Third number of every address.
    pub run: u8,
    /// Addresses of namespaces, or of loopback.
    pub namespaces: bool,
}

impl Addresses {
    /// The harness and its proxies.
    pub fn harness(self) -> Ipv4Addr {
        self.host(1)
    }

    /// A server.
    pub fn member(self, member: Member) -> Ipv4Addr {
        self.host(10 + u8::try_from(member).unwrap_or(u8::MAX - 10))
    }

    fn host(self, last: u8) -> Ipv4Addr {
        if self.namespaces {
            Ipv4Addr::new(10, 78, self.run, last)
        } else {
            Ipv4Addr::new(127, 78, self.run, last)
        }
    }
}

/// A service of a server that other servers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Raft peers.
    Raft,
    /// A slave's connection to its master.
    Ha,
    /// Registration with a name server.
    Names,
}

/// One directed link that goes through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Who connects.
    pub from: Member,
    /// Who is connected to.
    pub to: Member,
    /// For what.
    pub service: Service,
    /// Where the proxy listens.
    pub listen: SocketAddr,
    /// Where the server listens.
    pub target: SocketAddr,
}

/// The members and addresses of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The mode.
    pub mode: Mode,
    /// How many brokers.
    pub replicas: u32,
    /// How many name servers; their members come after the brokers.
    pub name_servers: u32,
    /// Where.
    pub addresses: Addresses,
    /// Name of the topic that workloads use.
    pub topic: String,
    /// Its queues.
    pub queues: u32,
}

impl Plan {
    /// Port where brokers listen.
    pub const BROKER_PORT: u16 = 10_911;
    /// Port where masters serve slaves.
    pub const HA_PORT: u16 = 10_912;
    /// Port of Raft peers.
    pub const RAFT_PORT: u16 = 40_911;
    /// Port where name servers listen.
    pub const NAMES_PORT: u16 = 9_876;
    /// Name of the broker, or of the group.
    pub const BROKER: &'static str = "broker-a";
    /// Name of the cluster.
    pub const CLUSTER: &'static str = "JepsenCluster";

    /// All members: brokers, then name servers.
    pub fn members(&self) -> impl Iterator<Item = Member> + use<> {
        0..self.replicas + self.name_servers
    }

    /// The brokers.
    pub fn brokers(&self) -> impl Iterator<Item = Member> + use<> {
        0..self.replicas
    }

    /// The name servers.
    pub fn names(&self) -> impl Iterator<Item = Member> + use<> {
        self.replicas..self.replicas + self.name_servers
    }

    /// A member's name: `n0` for brokers, `ns0` for name servers.
    pub fn name(&self, member: Member) -> String {
        if member < self.replicas { format!("n{member}") } else { format!("ns{}", member - self.replicas) }
    }

    /// Where clients reach a broker.
    pub fn broker(&self, member: Member) -> SocketAddr {
        SocketAddr::from((self.addresses.member(member), Self::BROKER_PORT))
    }

    /// Where clients reach a name server.
    pub fn name_server(&self, member: Member) -> SocketAddr {
        SocketAddr::from((self.addresses.member(member), Self::NAMES_PORT))
    }

    /// Every link that servers have with each other.
    pub fn routes(&self) -> Vec<Route> {
        let mut routes = Vec::new();
        for from in self.brokers() {
            for to in self.brokers().filter(|to| *to != from) {
                if self.mode.is_raft() {
                    routes.push(self.route(from, to, Service::Raft));
                } else if to == 0 {
                    routes.push(self.route(from, to, Service::Ha));
                }
            }
            routes.extend(self.names().map(|to| self.route(from, to, Service::Names)));
        }
        routes
    }

    /// The link between two members for a service.
    pub fn route(&self, from: Member, to: Member, service: Service) -> Route {
        let (offset, port) = match service {
            Service::Raft => (0, Self::RAFT_PORT),
            Service::Ha => (1_000, Self::HA_PORT),
            Service::Names => (2_000, Self::NAMES_PORT),
        };
        let link = u16::try_from(from * 20 + to).unwrap_or(999);
        Route {
            from,
            to,
            service,
            listen: SocketAddr::from((self.addresses.harness(), 20_000 + offset + link)),
            target: SocketAddr::from((self.addresses.member(to), port)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn plan(mode: Mode) -> Plan {
        let addresses = Addresses { run: 5, namespaces: true };
        Plan { mode, replicas: mode.replicas(), name_servers: 2, addresses, topic: "T".to_owned(), queues: 4 }
    }

    #[test]
    fn every_link_has_a_port_of_its_own() {
        for (_, mode) in Mode::ALL {
            let routes = plan(mode).routes();
            let ports: BTreeSet<_> = routes.iter().map(|route| route.listen).collect();
            assert_eq!(ports.len(), routes.len());
        }
        assert_eq!(plan(Mode::Raft).routes().len(), 6 + 6);
        assert_eq!(plan(Mode::AsyncMaster).routes().len(), 1 + 4);
        assert_eq!(plan(Mode::SingleAsync).routes().len(), 2);
    }

    #[test]
    fn names_and_modes_are_told_apart() {
        let plan = plan(Mode::Raft);
        assert_eq!(
            plan.members().map(|member| plan.name(member)).collect::<Vec<_>>(),
            ["n0", "n1", "n2", "ns0", "ns1"]
        );
        assert_eq!(plan.broker(1).to_string(), "10.78.5.11:10911");
        for (name, mode) in Mode::ALL {
            assert_eq!(Mode::named(name), Some(mode));
            assert_eq!(mode.name(), name);
        }
    }
}
