//! Connections that we make: one per address, made when first used, made again when used after it closed.
//!
//! Everybody who waits for a connection to the same address waits for the same attempt and shares its failure; a
//! failed attempt is forgotten, so the next use tries anew.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use protocol::RemotingCommand;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::connection::{Connection, Side};
use crate::driver;
use crate::error::RemotingError;
use crate::handler::Handler;
use crate::limits::ConnectionLimits;
use crate::server::prepare;

/// How a client connects.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// A connection that is not made in this time has failed.
    /// Source: RocketMQ 5.3.3 `connectTimeoutMillis`.
    pub connect_timeout: Duration,
    /// Limits of each connection.
    pub limits: ConnectionLimits,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(3), limits: ConnectionLimits::default() }
    }
}

/// One try to connect; all who want the address share it.
type Attempt = Arc<OnceCell<Result<Arc<Connection>, RemotingError>>>;

#[derive(Debug)]
struct Book {
    attempts: HashMap<String, Attempt>,
    tasks: JoinSet<()>,
    stopped: bool,
}

/// Connections by address. Cheap to share behind an `Arc`; dropping it closes everything.
pub struct RemotingClient {
    config: ClientConfig,
    handler: Arc<dyn Handler>,
    runtime: Handle,
    book: Mutex<Book>,
}

impl std::fmt::Debug for RemotingClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemotingClient").field("config", &self.config).finish_non_exhaustive()
    }
}

impl RemotingClient {
    /// A client without connections. Requests that peers send go to `handler`. Must be called on a tokio runtime,
    /// which serves the connections.
    pub fn new(config: ClientConfig, handler: Arc<dyn Handler>) -> Self {
        let book = Book { attempts: HashMap::new(), tasks: JoinSet::new(), stopped: false };
        Self { config, handler, runtime: Handle::current(), book: Mutex::new(book) }
    }

    /// Sends a request to `address` (`host:port`) and waits for the answer; connecting is part of the time.
    pub async fn call(
        &self,
        address: &str,
        command: RemotingCommand,
        timeout: Duration,
    ) -> Result<RemotingCommand, RemotingError> {
        if let Some(connection) = self.connected(address) {
            return connection.call(command, timeout).await;
        }
        let started = tokio::time::Instant::now();
        let Ok(connection) = tokio::time::timeout(timeout, self.connect(address)).await else {
            return Err(RemotingError::ConnectTimeout { address: address.to_owned(), waited: timeout });
        };
        connection?.call(command, timeout.saturating_sub(started.elapsed())).await
    }

    /// Sends a request that is never answered.
    pub async fn oneway(&self, address: &str, command: RemotingCommand) -> Result<(), RemotingError> {
        self.connect(address).await?.oneway(command)
    }

    /// The connection to `address`, if it is open.
    pub fn connected(&self, address: &str) -> Option<Arc<Connection>> {
        let book = self.book.lock();
        let connection = book.attempts.get(address)?.get()?.as_ref().ok()?;
        (!connection.is_closed()).then(|| connection.clone())
    }

    /// The connection to `address`, made if there is none.
    pub async fn connect(&self, address: &str) -> Result<Arc<Connection>, RemotingError> {
        let attempt = self.attempt(address)?;
        let outcome = attempt.get_or_init(|| self.open(address)).await.clone();
        if outcome.is_err() {
            let mut book = self.book.lock();
            if book.attempts.get(address).is_some_and(|current| Arc::ptr_eq(current, &attempt)) {
                book.attempts.remove(address);
            }
        }
        outcome
    }

    /// Closes every connection and refuses new ones. Calls that wait fail.
    pub async fn stop(&self) {
        let (attempts, mut tasks) = {
            let mut book = self.book.lock();
            book.stopped = true;
            (std::mem::take(&mut book.attempts), std::mem::take(&mut book.tasks))
        };
        for attempt in attempts.values() {
            if let Some(Ok(connection)) = attempt.get() {
                connection.close();
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// The attempt that counts for the address: the last one, unless its connection has closed.
    fn attempt(&self, address: &str) -> Result<Attempt, RemotingError> {
        let mut book = self.book.lock();
        if book.stopped {
            return Err(RemotingError::Stopped);
        }
        if let Some(attempt) = book.attempts.get(address) {
            let over = match attempt.get() {
                None => false,
                Some(Ok(connection)) => connection.is_closed(),
                Some(Err(_)) => true,
            };
            if !over {
                return Ok(attempt.clone());
            }
        }
        // A new attempt is rare: the right moment to forget connections that ended.
        while book.tasks.try_join_next().is_some() {}
        book.attempts.retain(|_, attempt| match attempt.get() {
            None => true,
            Some(Ok(connection)) => !connection.is_closed(),
            Some(Err(_)) => false,
        });
        let attempt = Attempt::default();
        book.attempts.insert(address.to_owned(), attempt.clone());
        Ok(attempt)
    }

    async fn open(&self, address: &str) -> Result<Arc<Connection>, RemotingError> {
        let failed = |source: io::Error| RemotingError::Connect {
            address: address.to_owned(),
            source: Arc::new(source),
        };
        let waited = self.config.connect_timeout;
        let stream = tokio::time::timeout(waited, TcpStream::connect(address))
            .await
            .map_err(|_| RemotingError::ConnectTimeout { address: address.to_owned(), waited })?
            .map_err(failed)?;
        prepare(&stream, &self.config.limits).map_err(failed)?;
        let (reader, writer) = stream.into_split();
        let connection = Connection::new(writer, Side::Made, self.config.limits.clone()).map_err(failed)?;
        let mut book = self.book.lock();
        if book.stopped {
            return Err(RemotingError::Stopped);
        }
        book.tasks.spawn_on(driver::serve(reader, connection.clone(), self.handler.clone()), &self.runtime);
        Ok(connection)
    }
}
