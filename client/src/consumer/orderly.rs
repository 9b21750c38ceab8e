//! Consumption of a queue in order: one batch after the other, and only while the broker grants us the lock. What
//! fails is consumed again before anything behind it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::message::MessageExt;

use super::Consumer;
use super::assigned::Assigned;
use super::concurrent::{listen, restore_topics};
use super::listener::{ConsumeOutcome, Delivery};
use super::sharing::unlock;

/// A lock may run out unheard; so often we look.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Consumes a queue until it is given up, then gives its lock back.
pub(crate) async fn consume_on(consumer: Arc<Consumer>, assigned: Arc<Assigned>) {
    while !assigned.is_dropped() && !consumer.is_stopping() {
        let messages = if consumer.owns(&assigned, Instant::now()) {
            assigned.state.lock().process.take(consumer.config.consume_batch_max.max(1))
        } else {
            Vec::new()
        };
        if messages.is_empty() {
            let _ = tokio::time::timeout(LOOK_AGAIN, assigned.work.notified()).await;
            continue;
        }
        consume(&consumer, &assigned, restore_topics(messages)).await;
    }
    if consumer.needs_lock() {
        unlock(&consumer, &assigned.queue).await;
    }
}

async fn consume(consumer: &Arc<Consumer>, assigned: &Arc<Assigned>, messages: Vec<MessageExt>) {
    let listener = consumer.listener.as_ref().expect("a push consumer has a listener");
    let delivery = Delivery::new(messages, assigned.queue.clone());
    let outcome = listen(consumer, listener, delivery.clone()).await;
    match outcome {
        ConsumeOutcome::Success => {
            let offsets: Vec<u64> = delivery.iter().map(|message| message.queue_offset).collect();
            consumer.finish(assigned, offsets);
        }
        ConsumeOutcome::Later { .. } => {
            let left = let_go(consumer, assigned, delivery.into_messages()).await;
            if !left.is_empty() {
                assigned.state.lock().process.give_back(left);
                tokio::time::sleep(consumer.config.suspend).await;
            }
        }
    }
}

/// Counts the failure; what failed too often goes to the dead letters, so that the rest can go on.
async fn let_go(consumer: &Consumer, assigned: &Assigned, messages: Vec<MessageExt>) -> Vec<MessageExt> {
    let max = consumer.config.reconsume_times_max;
    let mut left = Vec::new();
    for mut message in messages {
        let is_spent = max >= 0 && message.reconsume_times >= max;
        if is_spent {
            match consumer.send_retry(&message).await {
                Ok(()) => {
                    consumer.finish(assigned, [message.queue_offset]);
                    continue;
                }
                Err(error) => {
                    tracing::warn!(queue = ?assigned.queue, offset = message.queue_offset, %error, "dead letter not sent");
                }
            }
        }
        message.reconsume_times += 1;
        left.push(message);
    }
    left
}
