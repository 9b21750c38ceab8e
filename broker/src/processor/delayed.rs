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

/// Stores copies of these records, and returns when they are stored. A record that cannot be stored now ends the batch before
/// it; one that can never be stored is left out, because everything behind it would wait for it for ever.
pub fn deliver(node: &Arc<Node>, records: &[Bytes], patience: Duration) -> Result<Delivered, BrokerError> {
    let pending = Arc::new((Mutex::new(Pending { left: 0, failed: None }), Condvar::new()));
    let mut next_offset = None;
    let mut stopped = None;
    for record in records.iter().flat_map(|slice| MessageView::iter(slice)) {
        let record = record?;
        pending.0.lock().left += 1;
        match put(node, &record, &pending) {
            Ok(()) => {}
            Err(error) if is_final(&error) => {
                leave_out(&record, &error);
                done(&pending, Ok(()));
            }
            Err(error) => {
                done(&pending, Ok(()));
                stopped = Some(error);
                break;
            }
        }
        next_offset = Some(record.queue_offset + 1);
    }
    wait(&pending, patience)?;
    match (next_offset, stopped) {
        (Some(next_offset), _) => Ok(Delivered { next_offset }),
        (None, Some(error)) => Err(error),
        (None, None) => Err(BrokerError::Busy),
    }
}

/// Whether a message that was refused so is refused at every later time too.
fn is_final(error: &BrokerError) -> bool {
    match error {
        BrokerError::Message(_) => true,
        BrokerError::Store(error) => is_final_in_store(error),
        _ => false,
    }
}

fn is_final_in_store(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::TooLarge { .. }
            | StoreError::NotRecords { .. }
            | StoreError::PropertiesHole { .. }
            | StoreError::TopicName { .. }
            | StoreError::QueueDeleted { .. }
    )
}

fn leave_out(record: &MessageView<'_>, error: &dyn std::fmt::Display) {
    tracing::error!(
        physical_offset = record.physical_offset,
        %error,
        "a delayed message can never be delivered and is left out"
    );
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
    let mut text = properties.to_text();
    properties.set(names::WAIT, "false");
    let unwaited = properties.to_text();
    // A message whose properties were as long as they may be has no room for one more; it is as good without.
    if unwaited.len() <= names::PROPERTIES_BYTES_MAX {
        text = unwaited;
    }
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
    let physical_offset = record.physical_offset;
    let done = Box::new(move |result: Result<store::PutResult, StoreError>| {
        let result = match result {
            Err(error) if is_final_in_store(&error) => {
                tracing::error!(physical_offset, %error, "a delayed message can never be delivered and is left out");
                Ok(())
            }
            other => other.map(|_| ()),
        };
        done(&told, result);
    });
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
