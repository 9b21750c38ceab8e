//! The seam between sockets and whatever answers requests: the broker, the name server, a client.

use std::sync::Arc;

use protocol::RemotingCommand;

use crate::connection::Connection;

/// Answers requests.
///
/// `handle` runs on the connection's own task, so it must not block: work that waits is handed to another
/// thread, and the reply leaves through [`Connection::send`] whenever it is ready, from any thread, in any order.
/// Replies that are queued before `handle` returns leave together in one write.
pub trait Handler: Send + Sync + 'static {
    /// Takes the requests that one read brought, in the order in which they were sent.
    ///
    /// Every request that is not one-way must be answered sooner or later, or its connection closed.
    /// Bodies and header texts are slices of the read buffer: who keeps a request for long keeps what it parsed,
    /// or a copy, and not the command. Commands left in `requests` are dropped.
    fn handle(&self, connection: &Arc<Connection>, requests: &mut Vec<RemotingCommand>);

    /// The connection is gone; called once for each connection, after its last `handle`.
    fn closed(&self, connection: &Arc<Connection>) {
        let _ = connection;
    }
}

/// Drops every request: for clients to which nobody sends requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRequests;

impl Handler for NoRequests {
    fn handle(&self, connection: &Arc<Connection>, requests: &mut Vec<RemotingCommand>) {
        tracing::debug!(peer = %connection.peer(), requests = requests.len(), "requests nobody answers");
    }
}
