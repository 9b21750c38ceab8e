//! Who this broker is, after all defaults are filled in: names and addresses that others see.

use super::{BrokerKeys, Config};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
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
    /// `brokerIP1:listenPort`: in the route, in messages, in message ids.
    pub address: SocketAddr,
    /// `brokerIP2:haListenPort`.
    pub ha_address: SocketAddr,
}

impl Identity {
    /// Fills in what the configuration leaves open. `port` is the port that was really bound.
    pub fn new(config: &Config, port: u16, ha_port: u16) -> Self {
        let keys = &config.broker;
        let ip = parse_ip(&keys.broker_ip1).unwrap_or_else(|| default_ip(&keys.bind_address));
        let ha_ip = parse_ip(&keys.broker_ip2).unwrap_or(ip);
        let ha_port = if ha_port == 0 { port.saturating_add(1) } else { ha_port };
        Self {
            cluster: keys.cluster_name.as_str().into(),
            broker: broker_name(keys).into(),
            // Whoever is no slave is the master. Source: RocketMQ `BrokerStartup`.
            broker_id: if config.is_slave() || config.raft.enabled { keys.broker_id } else { 0 },
            address: SocketAddr::new(ip, port),
            ha_address: SocketAddr::new(ha_ip, ha_port),
        }
    }
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
    fn a_broker_without_a_name_bears_its_hosts() {
        assert!(!broker_name(&BrokerKeys::default()).is_empty());
        let named = BrokerKeys { broker_name: "broker-a".to_owned(), ..BrokerKeys::default() };
        assert_eq!(broker_name(&named), "broker-a");
    }
}
