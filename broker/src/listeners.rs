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
        let main = bind(config, SocketAddr::new(ip, config.broker.listen_port), router)?;
        let fast_port = main.local_addr().port().checked_sub(FAST_PORT_BELOW).filter(|port| *port > 0);
        let fast = fast_port.map(|port| bind(config, SocketAddr::new(ip, port), router));
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

fn bind(config: &Config, address: SocketAddr, router: &Arc<Router>) -> Result<Server, BrokerError> {
    let keys = &config.broker;
    let server = ServerConfig {
        connections_max: keys.connections_max,
        limits: ConnectionLimits { idle_max: keys.idle_max.duration(), ..ConnectionLimits::default() },
        drain_max: keys.shutdown_wait.duration(),
        ..ServerConfig::new(address)
    };
    Server::bind(server, Arc::clone(router) as Arc<dyn Handler>).map_err(|source| match source {
        RemotingError::Bind { source, .. } => BrokerError::Bind { address, source },
        other => BrokerError::Remoting(other),
    })
}
