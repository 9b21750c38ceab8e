//! How replicas speak with each other: own frames over TCP, one connection for each purpose, so that a bulk of entries never
//! delays a heartbeat or a vote.

pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod exchange;
pub(crate) mod frame;
pub(crate) mod handshake;
pub(crate) mod server;
pub(crate) mod snapshot;
