//! The JSON bodies: one type each, named as in RocketMQ, members in the order in which fastjson writes them.
//!
//! Reading forgives (see `json`), writing is byte for byte RocketMQ's. `Body::encode` and `Body::decode` are all that callers need.

mod client;
mod config;
mod heartbeat;
mod offset;
mod queue;
mod raft;
mod register;
mod route;
mod running;
mod stats;

use bytes::Bytes;

pub use client::*;
pub use config::*;
pub use heartbeat::*;
pub use offset::*;
pub use queue::*;
pub use raft::*;
pub use register::*;
pub use route::*;
pub use running::*;
pub use stats::*;

use crate::error::BodyError;
pub use crate::json::Dialect;
use crate::json::Json;

/// A body that is JSON.
pub trait Body: Json {
    /// The body as RocketMQ writes it.
    fn encode(&self) -> Bytes {
        self.to_json()
    }

    /// The body in one of fastjson's two dialects.
    fn encode_as(&self, dialect: Dialect) -> Bytes {
        self.to_json_as(dialect)
    }

    /// Reads a body.
    fn decode(body: &[u8]) -> Result<Self, BodyError> {
        Self::from_json(body)
    }
}

impl<T: Json> Body for T {}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
