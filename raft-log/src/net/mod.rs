//! Replicas talking to each other: own frames over TCP, one connection a lane.

pub(crate) mod client;
pub(crate) mod frame;
pub(crate) mod server;
pub(crate) mod shared;
