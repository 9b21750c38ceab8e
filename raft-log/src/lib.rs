//! A replicated log of bytes; the only crate that names openraft and bincode.
//!
//! NOTE to the engineer of this room (remove when joined): the founding engineer wrote `types.rs`,
//! `wire.rs`, `codec.rs`, `envelope.rs`, `error.rs` and `net/`; they are yours now. Everything else
//! (storage, hard state, index, state machine, batcher, facade) is to be written around them.
#![allow(dead_code)]

pub mod envelope;
pub mod error;

mod codec;
mod net;
mod types;
mod wire;
