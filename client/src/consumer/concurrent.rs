//! Consumption of many batches at once, in no order. What fails goes back to the broker and comes again later.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::body::MessageModel;
use protocol::message::MessageExt;
use protocol::{properties, topic};

use super::Consumer;
use super::assigned::Assigned;
use super::listener::{ConsumeOutcome, Delivery, Listener};

/// What cannot even be given back is consumed again here after this.
/// Source: RocketMQ 5.3.3 `ConsumeMessageConcurrentlyService.submitConsumeRequestLater`.
const CONSUME_AGAIN: Duration = Duration::from_secs(5);

/// One of the workers.
pub(crate) async fn consume_on(consumer: Arc<Consumer>) {
    while let Some(assigned) = consumer.ready.next().await {
        let messages = assigned.state.lock().process.take(consumer.config.consume_batch_max.max(1));
        if messages.is_empty() || assigned.is_dropped() {
            continue;
        }
        consume(&consumer, &assigned, messages).await;
    }
}

async fn consume(consumer: &Arc<Consumer>, assigned: &Arc<Assigned>, messages: Vec<MessageExt>) {
    let listener = consumer.listener.as_ref().expect("a push consumer has a listener");
    let delivery = Delivery::new(restore_topics(messages), assigned.queue.clone());
    let outcome = listen(consumer, listener, delivery.clone()).await;
    if assigned.is_dropped() {
        // Whoever has the queue now consumes them again.
        return;
    }
    let offsets: Vec<u64> = delivery.iter().map(|message| message.queue_offset).collect();
    match outcome {
        ConsumeOutcome::Success => consumer.finish(assigned, offsets),
        ConsumeOutcome::Later { .. } if consumer.config.model == MessageModel::Broadcasting => {
            tracing::warn!(queue = ?assigned.queue, ?offsets, "broadcast messages failed to be consumed; they do not come again");
            consumer.finish(assigned, offsets);
        }
        ConsumeOutcome::Later { delay_level } => {
            give_back(consumer, assigned, delivery.into_messages(), delay_level).await;
        }
    }
}

/// Calls the application; too long a call counts as a failure.
pub(crate) async fn listen(consumer: &Consumer, listener: &Listener, delivery: Delivery) -> ConsumeOutcome {
    let count = delivery.len() as u64;
    let outcome = tokio::time::timeout(consumer.config.consume_timeout, listener.listen(delivery))
        .await
        .unwrap_or(ConsumeOutcome::LATER);
    let counter = if outcome == ConsumeOutcome::Success { &consumer.consumed } else { &consumer.failed };
    counter.fetch_add(count, Ordering::Relaxed);
    outcome
}

async fn give_back(
    consumer: &Arc<Consumer>,
    assigned: &Arc<Assigned>,
    messages: Vec<MessageExt>,
    delay_level: i32,
) {
    let (mut done, mut stuck) = (Vec::new(), Vec::new());
    for message in messages {
        match consumer.send_back(&message, &assigned.queue, delay_level).await {
            Ok(()) => done.push(message.queue_offset),
            Err(error) => {
                tracing::warn!(queue = ?assigned.queue, offset = message.queue_offset, %error, "message not given back");
                stuck.push(message);
            }
        }
    }
    consumer.finish(assigned, done);
    if !stuck.is_empty() {
        let (again, assigned) = (consumer.clone(), assigned.clone());
        consumer.run(async move {
            tokio::time::sleep(CONSUME_AGAIN).await;
            assigned.state.lock().process.give_back(stuck);
            again.ready.push(&assigned, 1);
        });
    }
}

/// A retried message bears the name of its group's retry topic; the application knows it by the topic it came from.
pub(crate) fn restore_topics(mut messages: Vec<MessageExt>) -> Vec<MessageExt> {
    for message in &mut messages {
        if topic::is_retry(&message.topic)
            && let Some(origin) = message.properties.get(properties::RETRY_TOPIC)
        {
            message.topic = origin.to_owned();
        }
    }
    messages
}
