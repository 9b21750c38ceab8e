//! Sockets that speak the protocol: server, connection, client.
//!
//! One task per connection reads and writes it. Requests reach a [`Handler`] as many at once as one read brought;
//! replies are queued on the [`Connection`] from any thread, in any order, and leave as many at once as one write
//! takes. Whatever a peer can make grow has a limit ([`ConnectionLimits`]). The broker and the name server listen
//! through [`Server`]; clients, and the broker towards name servers, talk through [`RemotingClient`].

pub mod burst;
mod calls;
mod client;
mod connection;
mod driver;
mod error;
mod handler;
mod inbound;
mod limits;
mod outbound;
mod server;
pub mod turn;
mod unfinished;

pub use client::{ClientConfig, RemotingClient};
pub use connection::{Call, Connection};
pub use error::RemotingError;
pub use handler::{Handler, NoRequests};
pub use limits::ConnectionLimits;
pub use server::{Server, ServerConfig};
