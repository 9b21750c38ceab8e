//! Who this broker is, after all defaults are filled in: names and addresses that others see.

use super::{BrokerKeys, Config};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;

/// An address of the documentation range: nobody answers there, and none is asked; only the route counts.
const FAR_AWAY: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// Cluster, broker name, id and the address that clients are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Cluster name.
    pub cluster: Arc<str>,
    /// Broker name.
    pub broker: Arc<str>,
    /// 0 for a master.
    pub broker_id: i64,
    /// `brokerIP1:listenPort`: in messages, in message ids.
    pub address: SocketAddr,
    /// The same as the route tells it: a host name stays one, and is looked up by whoever connects.
    pub advertised: Arc<str>,
    /// `brokerIP2:haListenPort`.
    pub ha_address: SocketAddr,
    /// The same as slaves are told it.
    pub ha_advertised: Arc<str>,
}

impl Config {
    /// Who a broker with this configuration will be, if its ports are free.
    pub fn identity(&self) -> Identity {
        Identity::new(self, self.broker.listen_port, self.store.ha_listen_port)
    }
}

impl Identity {
    /// Fills in what the configuration leaves open. `port` is the port that was really bound.
    pub fn new(config: &Config, port: u16, ha_port: u16) -> Self {
        let keys = &config.broker;
        let ip = resolve(&keys.broker_ip1).unwrap_or_else(|| default_ip(&keys.bind_address));
        let ha_ip = resolve(&keys.broker_ip2).unwrap_or(ip);
        let ha_port = if ha_port == 0 { port.saturating_add(1) } else { ha_port };
        let address = SocketAddr::new(ip, port);
        let ha_address = SocketAddr::new(ha_ip, ha_port);
        let ha_name = if keys.broker_ip2.trim().is_empty() { &keys.broker_ip1 } else { &keys.broker_ip2 };
        Self {
            cluster: keys.cluster_name.as_str().into(),
            broker: broker_name(keys).into(),
            // Whoever is no slave is the master. Source: RocketMQ `BrokerStartup`.
            broker_id: if config.is_slave() || config.raft.enabled { keys.broker_id } else { 0 },
            address,
            advertised: told(&keys.broker_ip1, address),
            ha_address,
            ha_advertised: told(ha_name, ha_address),
        }
    }
}

/// What others are told: the configured name, or the address where there is none.
fn told(configured: &str, address: SocketAddr) -> Arc<str> {
    let name = configured.trim();
    if name.is_empty() || parse_ip(name).is_some() {
        return address.to_string().into();
    }
    format!("{name}:{}", address.port()).into()
}

/// The address of an IP address or of a host name; messages hold four bytes of it, so that IPv4 goes first.
fn resolve(host: &str) -> Option<IpAddr> {
    let host = host.trim();
    if host.is_empty() || parse_ip(host).is_some() {
        return parse_ip(host);
    }
    let found: Vec<IpAddr> = (host, 0)
        .to_socket_addrs()
        .map_or_else(|_| Vec::new(), |all| all.map(|address| address.ip()).collect());
    let first = found.iter().find(|ip| ip.is_ipv4()).or_else(|| found.first()).copied();
    if first.is_none() {
        // Clients may know a name that this machine does not.
        tracing::warn!(
            host,
            "no address is known for this name: message ids will hold that of the default route"
        );
    }
    first
}

/// Whether this is an IP address or has the form of a host name.
pub fn is_host(text: &str) -> bool {
    let host = text.trim();
    let is_name = |host: &str| {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
        // All digits and dots is an address that was mistyped.
        host.chars().all(fits) && host.chars().any(|letter| letter.is_ascii_alphabetic())
    };
    parse_ip(host).is_some() || is_name(host)
}

/// The broker's name: the configured one or the host's.
pub fn broker_name(keys: &BrokerKeys) -> String {
    if !keys.broker_name.is_empty() {
        return keys.broker_name.clone();
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    // RocketMQ's own answer when the host has no name.
    if host.is_empty() { "DEFAULT_BROKER".to_owned() } else { host.to_owned() }
}

/// An IP address, or nothing for an empty or malformed text.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    text.trim().parse().ok()
}

/// The bound address when it is one that others can use, else the local end of the default route.
fn default_ip(bind: &str) -> IpAddr {
    if let Some(bound) = parse_ip(bind).filter(|ip| !ip.is_unspecified()) {
        return bound;
    }
    // Connecting a datagram socket sends nothing; it only asks the system which way it would go.
    let routed = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect(FAR_AWAY).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    routed().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_address_is_advertised_unless_another_is_configured() {
        let mut config = Config::default();
        config.broker.bind_address = "127.0.0.1".to_owned();
        let identity = Identity::new(&config, 4000, 0);
        assert_eq!(identity.address, "127.0.0.1:4000".parse().expect("an address"));
        assert_eq!(identity.ha_address, "127.0.0.1:4001".parse().expect("an address"));
        config.broker.broker_ip1 = "10.1.2.3".to_owned();
        config.broker.broker_ip2 = "10.9.9.9".to_owned();
        let identity = Identity::new(&config, 4000, 5000);
        assert_eq!(identity.address, "10.1.2.3:4000".parse().expect("an address"));
        assert_eq!(identity.ha_address, "10.9.9.9:5000".parse().expect("an address"));
    }

    #[test]
    fn a_host_name_is_advertised_as_it_is_and_messages_hold_its_address() {
        let mut config = Config::default();
        config.broker.broker_ip1 = "localhost".to_owned();
        let identity = Identity::new(&config, 4000, 0);
        assert_eq!((&*identity.advertised, &*identity.ha_advertised), ("localhost:4000", "localhost:4001"));
        assert_eq!(identity.address, "127.0.0.1:4000".parse().expect("an address"));
        config.broker.broker_ip2 = "127.0.0.1".to_owned();
        assert_eq!(&*Identity::new(&config, 4000, 5000).ha_advertised, "127.0.0.1:5000");
        for (text, fits) in
            [("broker-a.mq.svc", true), ("rmq_broker", true), ("::1", true), ("10.1.2", false)]
        {
            assert_eq!(is_host(text), fits, "{text}");
        }
        assert!(!is_host("a:1") && !is_host("") && !is_host("two words"));
    }

    #[test]
    fn a_broker_without_a_name_bears_its_hosts() {
        assert!(!broker_name(&BrokerKeys::default()).is_empty());
        let named = BrokerKeys { broker_name: "broker-a".to_owned(), ..BrokerKeys::default() };
        assert_eq!(broker_name(&named), "broker-a");
    }
}
