//! Putting messages whose delay is over where they belong: their own topic and queue, through the normal put path.
//! Called by the delay service.

use super::send_record::single;
use crate::error::BrokerError;
use crate::node::Node;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use protocol::message::{MessageFields, MessageView};
use protocol::properties::{self as names, Properties};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Put, StoreError};

/// How far a batch came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// The offset behind the last delivered message.
    pub next_offset: u64,
}

/// Waits for the puts of a batch.
#[derive(Debug)]
struct Pending {
    left: usize,
    failed: Option<StoreError>,
}

/// Stores copies of all these records, and returns when they are stored.
pub fn deliver(node: &Arc<Node>, records: &[Bytes], patience: Duration) -> Result<Delivered, BrokerError> {
    let pending = Arc::new((Mutex::new(Pending { left: 0, failed: None }), Condvar::new()));
    let mut next_offset = 0;
    for record in records.iter().flat_map(|slice| MessageView::iter(slice)) {
        let record = record?;
        next_offset = record.queue_offset + 1;
        pending.0.lock().left += 1;
        if let Err(error) = put(node, &record, &pending) {
            pending.0.lock().left -= 1;
            return Err(error);
        }
    }
    wait(&pending, patience)?;
    Ok(Delivered { next_offset })
}

fn put(
    node: &Node,
    record: &MessageView<'_>,
    pending: &Arc<(Mutex<Pending>, Condvar)>,
) -> Result<(), BrokerError> {
    let Some((topic, queue)) = destination(record) else {
        tracing::warn!(offset = record.queue_offset, "a delayed message says no destination and is dropped");
        done(pending, Ok(()));
        return Ok(());
    };
    if node.metadata.topic(topic).is_none() {
        tracing::warn!(topic, "a delayed message's topic was deleted; the message is dropped");
        done(pending, Ok(()));
        return Ok(());
    }
    let mut properties = Properties::parse(record.properties);
    properties.remove(names::DELAY);
    properties.set(names::WAIT, "false");
    let text = properties.to_text();
    let id = i32::try_from(queue).unwrap_or(i32::MAX);
    let fields = MessageFields {
        flag: record.flag,
        sys_flag: record.sys_flag,
        born_timestamp: record.born_timestamp,
        reconsume_times: record.reconsume_times,
        prepared_transaction_offset: record.prepared_transaction_offset,
        properties: &text,
        ..MessageFields::new(topic, id, record.body, record.born_host, node.identity.address)
    };
    let records = single(&fields)?;
    let queue = node.store.queue(topic, queue)?;
    let told = Arc::clone(pending);
    let done = Box::new(move |result: Result<store::PutResult, StoreError>| done(&told, result.map(|_| ())));
    Ok(node.log.put(Put { queue, records, wait: false, done })?)
}

/// Where the message shall go.
fn destination<'a>(record: &MessageView<'a>) -> Option<(&'a str, u32)> {
    let topic = record.property(names::REAL_TOPIC)?;
    let queue = record.property(names::REAL_QUEUE_ID)?.parse().ok()?;
    Some((topic, queue))
}

fn done(pending: &(Mutex<Pending>, Condvar), result: Result<(), StoreError>) {
    let mut state = pending.0.lock();
    state.left -= 1;
    if let Err(error) = result {
        state.failed = Some(error);
    }
    drop(state);
    pending.1.notify_all();
}

fn wait(pending: &(Mutex<Pending>, Condvar), patience: Duration) -> Result<(), BrokerError> {
    let deadline = Instant::now() + patience;
    let mut state = pending.0.lock();
    while state.left > 0 && state.failed.is_none() {
        if pending.1.wait_until(&mut state, deadline).timed_out() {
            return Err(BrokerError::Busy);
        }
    }
    match state.failed.take() {
        Some(error) => Err(BrokerError::Store(error)),
        None => Ok(()),
    }
}
