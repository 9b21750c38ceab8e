//! The custom header of every request and response, one struct each, named as in RocketMQ.
//!
//! A field of a plain type is mandatory (`!` in the reference), an `Option` may be missing, `or` gives the value of a missing one.

mod field;
mod send;

pub use field::BoundaryType;
pub use send::{SendMessageRequestHeader, SendMessageResponseHeader};
