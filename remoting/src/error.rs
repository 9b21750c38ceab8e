//! What can go wrong between two ends of a socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// An error of this room. It is cheap to clone, because one closed connection fails many calls.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RemotingError {
    /// The server's address could not be taken.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// No connection could be made.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The address asked for.
        address: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The peer did not take the connection in time.
    #[error("no connection to {address} within {waited:?}")]
    ConnectTimeout {
        /// The address asked for.
        address: String,
        /// How long we waited.
        waited: Duration,
    },
    /// The connection closed before the answer came, or was closed already. The request may have been done.
    #[error("connection to {peer} is closed")]
    Closed {
        /// The other end.
        peer: SocketAddr,
    },
    /// No answer came in time. The request may have been done, or may be done yet.
    #[error("no answer from {peer} in time")]
    Timeout {
        /// The other end.
        peer: SocketAddr,
    },
    /// As many calls as allowed wait for their answers on this connection.
    #[error("{limit} calls to {peer} wait for answers already")]
    TooManyCalls {
        /// The other end.
        peer: SocketAddr,
        /// The limit met.
        limit: usize,
    },
    /// The peer takes bytes more slowly than we make them; nothing of this command was sent.
    #[error("{queued} bytes wait for {peer} to read them already")]
    PeerSlow {
        /// The other end.
        peer: SocketAddr,
        /// Bytes that wait.
        queued: usize,
    },
    /// The client was stopped.
    #[error("the client is stopped")]
    Stopped,
}

impl RemotingError {
    /// Whether the request certainly never left this machine, so that sending it again cannot do it twice.
    pub fn is_unsent(&self) -> bool {
        match self {
            Self::Bind { .. }
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::TooManyCalls { .. }
            | Self::PeerSlow { .. }
            | Self::Stopped => true,
            Self::Closed { .. } | Self::Timeout { .. } => false,
        }
    }
}
