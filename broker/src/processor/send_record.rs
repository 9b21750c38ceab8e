//! Building the stored records of a send: into one buffer per network thread, so that the body is copied once and
//! nothing is allocated per message.

use super::send_properties::SendProperties;
use crate::config::Config;
use crate::error::BrokerError;
use crate::node::Node;
use bytes::BytesMut;
use protocol::message::{MessageFields, encode_record};
use protocol::{MessageError, properties};
use std::cell::RefCell;

/// The size of a buffer: many messages share one allocation, and one that waits for its flush pins no more than this.
const ARENA_BYTES: usize = 64 << 10;

thread_local! {
    static ARENA: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// Builds records in this thread's buffer and cuts them off.
pub fn build(
    records: impl FnOnce(&mut BytesMut) -> Result<(), MessageError>,
) -> Result<BytesMut, MessageError> {
    ARENA.with_borrow_mut(|arena| {
        if arena.capacity() == 0 {
            arena.reserve(ARENA_BYTES);
        }
        let built = records(arena);
        let cut = arena.split();
        built.map(|()| cut)
    })
}

/// Where a delayed message shall go when its time has come.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Queue id.
    pub queue: u32,
}

/// The properties that the broker adds to a message.
pub fn added_properties(
    node: &Node,
    config: &Config,
    scanned: &SendProperties<'_>,
    delayed: Option<Destination<'_>>,
) -> String {
    let mut added = String::with_capacity(192);
    let mut add = |name: &str, value: &str| {
        added.push_str(name);
        added.push(properties::NAME_VALUE_SEPARATOR);
        added.push_str(value);
        added.push(properties::PROPERTY_SEPARATOR);
    };
    if scanned.unique_key.is_none() {
        add(properties::UNIQ_KEY, &node.unique_key());
    }
    add(properties::MSG_REGION, &config.broker.region_id);
    add(properties::TRACE_ON, if config.broker.trace_on { "true" } else { "false" });
    add(properties::CLUSTER, &node.identity.cluster);
    if let Some(destination) = delayed {
        add(properties::REAL_TOPIC, destination.topic);
        add(properties::REAL_QUEUE_ID, &destination.queue.to_string());
    }
    added
}

/// One record, as a buffer of its own.
pub fn single(fields: &MessageFields<'_>) -> Result<BytesMut, BrokerError> {
    Ok(build(|out| encode_record(fields, out).map(|_| ()))?)
}
