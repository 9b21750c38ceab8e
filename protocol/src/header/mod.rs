//! The custom header of every request and response, one struct each, named as in RocketMQ.
//!
//! A field of a plain type is mandatory (`!` in the reference), an `Option` may be missing, `or` gives the value of a missing one.

mod admin;
mod client;
mod field;
mod message;
mod namesrv;
mod offset;
mod pop;
mod send;

pub use admin::*;
pub use client::*;
pub use field::BoundaryType;
pub use message::*;
pub use namesrv::*;
pub use offset::*;
pub use pop::*;
pub use send::{SendMessageFields, SendMessageRequestHeader, SendMessageResponseHeader, SendMessageView};

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
