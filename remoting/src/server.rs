//! A listening socket and the connections that came through it.
//!
//! One task accepts and owns the connections' tasks; `stop` ends them in order: no new connection, nothing more is
//! read, what was read is answered, then the sockets close. Beyond the limit, a connection is closed as soon as it
//! is accepted, so that the peer learns it at once instead of waiting in the backlog.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::connection::{Connection, Side};
use crate::driver;
use crate::error::RemotingError;
use crate::handler::Handler;
use crate::limits::ConnectionLimits;

/// Connections that may wait to be accepted. Source: RocketMQ 5.3.3 `serverSocketBacklog`.
const BACKLOG: i32 = 1024;

/// A pause after an error of `accept`, such as too many open files: trying again at once would only burn.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How a server listens.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Connections beyond this are refused.
    pub connections_max: usize,
    /// Limits of each connection.
    pub limits: ConnectionLimits,
    /// How long `stop` waits for requests to be answered.
    pub drain_max: Duration,
}

impl ServerConfig {
    /// Listens there, with the limits a broker wants.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            connections_max: 10_000,
            limits: ConnectionLimits::default(),
            drain_max: Duration::from_secs(3),
        }
    }
}

/// A server. Dropping it without [`Server::stop`] closes everything at once.
#[derive(Debug)]
pub struct Server {
    local_addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    drain_max: Duration,
    stopping: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Takes the address and starts to accept. Must be called on a tokio runtime, which serves the connections.
    pub fn bind(config: ServerConfig, handler: Arc<dyn Handler>) -> Result<Self, RemotingError> {
        let failed = |source| RemotingError::Bind { address: config.listen, source: Arc::new(source) };
        let listener = listen(config.listen).map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let connections = Arc::new(AtomicUsize::new(0));
        let drain_max = config.drain_max;
        let (stopping, stop) = watch::channel(false);
        let door = Door {
            listener,
            config,
            handler,
            count: connections.clone(),
            refused: 0,
            served: Served::default(),
        };
        let accepting = tokio::spawn(door.accept(stop));
        Ok(Self { local_addr, connections, drain_max, stopping, accepting })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Stops: accepts and reads no more, waits until what was read is answered, closes. Requests that are not
    /// answered in time lose their answer.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        // The door closes what is left by itself when the time is up; twice that is for a runtime out of breath.
        if tokio::time::timeout(self.drain_max * 2 + ACCEPT_PAUSE, &mut self.accepting).await.is_err() {
            tracing::warn!(address = %self.local_addr, "server did not stop in time");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Options that both ends of a connection want.
pub(crate) fn prepare(stream: &TcpStream, limits: &ConnectionLimits) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // A peer that vanished without a word: bytes that nobody acknowledges end the connection.
    #[cfg(target_os = "linux")]
    SockRef::from(stream).set_tcp_user_timeout(Some(limits.stall_max))?;
    Ok(())
}

/// The connections of a server and their tasks.
#[derive(Default)]
struct Served {
    tasks: JoinSet<u64>,
    open: std::collections::HashMap<u64, Arc<Connection>>,
}

struct Door {
    listener: TcpListener,
    config: ServerConfig,
    handler: Arc<dyn Handler>,
    count: Arc<AtomicUsize>,
    /// Connections refused since the last time there was room.
    refused: u64,
    served: Served,
}

enum Event {
    Accepted(io::Result<(TcpStream, SocketAddr)>),
    Ended(Option<u64>),
    Stop,
}

impl Door {
    async fn accept(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            match self.next_event(&mut stop).await {
                Event::Accepted(Ok((stream, peer))) => self.admit(stream, peer),
                Event::Accepted(Err(error)) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                Event::Ended(id) => self.forget(id),
                Event::Stop => break,
            }
        }
        self.close().await;
    }

    async fn next_event(&mut self, stop: &mut watch::Receiver<bool>) -> Event {
        tokio::select! {
            accepted = self.listener.accept() => Event::Accepted(accepted),
            Some(ended) = self.served.tasks.join_next() => Event::Ended(ended.ok()),
            _ = stop.wait_for(|stop| *stop) => Event::Stop,
        }
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        if self.served.open.len() >= self.config.connections_max {
            self.refused += 1;
            if self.refused.is_power_of_two() {
                let limit = self.config.connections_max;
                tracing::warn!(%peer, limit, refused = self.refused, "refusing connections: too many are open");
            }
            return;
        }
        self.refused = 0;
        let prepared = prepare(&stream, &self.config.limits).and_then(|()| {
            let (reader, writer) = stream.into_split();
            Ok((reader, Connection::new(writer, Side::Accepted, self.config.limits.clone())?))
        });
        let (reader, connection) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                tracing::debug!(%peer, %error, "connection broke as it was accepted");
                return;
            }
        };
        let id = connection.id();
        self.served.open.insert(id, connection.clone());
        let handler = self.handler.clone();
        self.served.tasks.spawn(async move {
            driver::serve(reader, connection, handler).await;
            id
        });
        self.note_count();
    }

    /// Lets an ended connection go. A task that panicked does not say whose it was: all closed ones go.
    fn forget(&mut self, id: Option<u64>) {
        match id {
            Some(id) => drop(self.served.open.remove(&id)),
            None => self.served.open.retain(|_, connection| !connection.is_closed()),
        }
        self.note_count();
    }

    fn note_count(&self) {
        self.count.store(self.served.open.len(), Ordering::Relaxed);
    }

    async fn close(mut self) {
        drop(self.listener);
        for connection in self.served.open.values() {
            connection.drain();
        }
        let drained = async { while self.served.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.config.drain_max, drained).await.is_err() {
            let left = self.served.tasks.len();
            tracing::warn!(left, "closing connections that still wait for replies");
            self.served.tasks.shutdown().await;
        }
        self.count.store(0, Ordering::Relaxed);
    }
}
