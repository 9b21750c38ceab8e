//! The ports that clients connect to: the listening port, and the fast port two below it.
//!
//! Always true: both serve the same requests; until the rooms are open, connections wait and requests are answered
//! "not available", so that a taken port is found out before any file is touched.

use crate::config::Config;
use crate::error::BrokerError;
use crate::reply::reply;
use protocol::RemotingCommand;
use remoting::{Connection, ConnectionLimits, Handler, RemotingError, Server, ServerConfig};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

/// Descriptors that clients never get: files of the store, and the broker's own connections.
const DESCRIPTORS_KEPT: u64 = 2_048;
/// Where descriptors are scarce, the fast port gets this part of the clients' share: few clients know it.
const FAST_PORT_PART: usize = 8;

/// How far below the listening port the fast port is. Source: RocketMQ `BrokerController.initialize`.
const FAST_PORT_BELOW: u16 = 2;

/// Passes requests on to whoever serves them once the broker is open.
#[derive(Default)]
pub struct Router {
    serving: OnceLock<Arc<dyn Handler>>,
}

impl std::fmt::Debug for Router {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Router").field("is_serving", &self.serving.get().is_some()).finish()
    }
}

impl Router {
    /// From now on requests are served.
    pub fn serve(&self, handler: Arc<dyn Handler>) {
        let first = self.serving.set(handler).is_ok();
        assert!(first, "a broker is opened once");
    }
}

impl Handler for Router {
    fn handle(&self, connection: &Arc<Connection>, requests: &mut Vec<RemotingCommand>) {
        match self.serving.get() {
            Some(handler) => handler.handle(connection, requests),
            None => {
                for request in requests.drain(..) {
                    reply(connection, &request, Err(BrokerError::Opening));
                }
            }
        }
    }

    fn closed(&self, connection: &Arc<Connection>) {
        if let Some(handler) = self.serving.get() {
            handler.closed(connection);
        }
    }
}

/// The servers of one broker.
#[derive(Debug)]
pub struct Listeners {
    main: Server,
    fast: Option<Server>,
}

impl Listeners {
    /// Takes the ports.
    pub fn bind(config: &Config, router: &Arc<Router>) -> Result<Self, BrokerError> {
        let ip: IpAddr =
            config.broker.bind_address.trim().parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let (main_max, fast_max) = connections(config.broker.connections_max, daemon::raise_open_files());
        let main = bind(config, SocketAddr::new(ip, config.broker.listen_port), router, main_max)?;
        let fast_port = main.local_addr().port().checked_sub(FAST_PORT_BELOW).filter(|port| *port > 0);
        let fast = fast_port.map(|port| bind(config, SocketAddr::new(ip, port), router, fast_max));
        let fast = match fast {
            None => None,
            Some(Ok(fast)) => Some(fast),
            Some(Err(error)) if config.broker.fast_port_required => return Err(error),
            Some(Err(error)) => {
                tracing::info!(%error, "going on without the fast port");
                None
            }
        };
        Ok(Self { main, fast })
    }

    /// Where clients connect.
    pub fn local_addr(&self) -> SocketAddr {
        self.main.local_addr()
    }

    /// The port that clients are told.
    pub fn port(&self) -> u16 {
        self.local_addr().port()
    }

    /// Takes nothing new, and answers what was read.
    pub async fn stop(self) {
        self.main.stop().await;
        if let Some(fast) = self.fast {
            fast.stop().await;
        }
    }
}

/// How many connections each of the two ports takes, so that the store can always open its files.
fn connections(wanted: usize, open_files: u64) -> (usize, usize) {
    let both = daemon::connections_within(open_files, wanted.saturating_mul(2), DESCRIPTORS_KEPT);
    if both == wanted * 2 {
        return (wanted, wanted);
    }
    let fast = wanted.min((both / FAST_PORT_PART).max(1));
    let main = wanted.min(both - fast).max(1);
    if main < wanted {
        tracing::warn!(
            connections = main,
            open_files,
            "fewer connections than configured: raise the limit of open files"
        );
    }
    (main, fast)
}

fn bind(
    config: &Config,
    address: SocketAddr,
    router: &Arc<Router>,
    connections_max: usize,
) -> Result<Server, BrokerError> {
    let keys = &config.broker;
    let server = ServerConfig {
        connections_max,
        limits: ConnectionLimits { idle_max: keys.idle_max.duration(), ..ConnectionLimits::default() },
        drain_max: keys.shutdown_wait.duration(),
        ..ServerConfig::new(address)
    };
    Server::bind(server, Arc::clone(router) as Arc<dyn Handler>).map_err(|source| match source {
        RemotingError::Bind { source, .. } => BrokerError::Bind { address, source },
        other => BrokerError::Remoting(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_both_ports_together_leave_the_store_its_descriptors() {
        for open_files in [64, 256, 1_024, 4_096, 20_000, 65_536, 1 << 20] {
            let (main, fast) = connections(20_000, open_files);
            let left = open_files.saturating_sub((main + fast) as u64);
            assert!(left >= DESCRIPTORS_KEPT.min(open_files / 2), "{open_files}: {main} and {fast}");
            assert!(main >= 1 && fast >= 1);
        }
        assert_eq!(connections(20_000, 1 << 20), (20_000, 20_000));
        assert_eq!(connections(20, 1_024), (20, 20));
        assert_eq!(connections(20_000, 20_000), (15_708, 2_244));
    }
}
