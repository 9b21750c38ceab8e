//! Producer and consumer library: what tests, benches, tools and Rust applications use.
//!
//! A [`Client`] is this process as brokers see it; a [`Producer`], a [`PushConsumer`], a [`PullConsumer`] and an
//! [`Admin`] work through it. Unlike older clients it asks for the route at once when a send or pull fails, so that a
//! failover is over for it as soon as the name server knows.

mod admin;
mod client;
mod config;
mod consumer;
mod error;
mod inbound;
mod message;
mod offsets;
mod process_queue;
mod producer;
mod pull_consumer;
mod push_consumer;
mod queue_offsets;
mod rebalance;
mod retry;
mod route;
mod routes;
mod unique_key;

pub use admin::Admin;
pub use client::Client;
pub use config::{ClientConfig, ConsumerConfig, ProducerConfig};
pub use consumer::listener::{ConsumeOutcome, Delivery};
pub use consumer::pull::{PullResult, PullStatus};
pub use error::ClientError;
pub use message::Message;
pub use offsets::OffsetTable;
pub use process_queue::{CacheLimits, ProcessQueue};
pub use producer::{Producer, SendResult, SendStatus};
pub use protocol::body::{ConsumeFromWhere, MessageModel, MessageQueue};
pub use protocol::message::MessageExt;
pub use pull_consumer::PullConsumer;
pub use push_consumer::PushConsumer;
pub use queue_offsets::Which;
pub use rebalance::{Difference, allocate_averagely, difference};
pub use retry::{Failure, Faults, Next, RetryPolicy};
pub use route::{MASTER_ID, Route};
pub use routes::Routes;
