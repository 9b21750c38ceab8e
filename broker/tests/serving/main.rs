//! What a broker promises to whoever speaks the protocol, over real sockets.

mod admin;
mod bad_input;
mod consumers;
mod delays;
mod group;
mod names;
mod offsets;
mod pulls;
mod replication;
mod restarts;
mod sends;
mod support;
