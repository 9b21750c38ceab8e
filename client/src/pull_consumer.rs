//! A consumer that is asked for messages: of its share of subscribed topics, of queues assigned by hand, or of any
//! place by a single pull.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::body::MessageQueue;
use protocol::message::MessageExt;

use crate::client::Client;
use crate::config::ConsumerConfig;
use crate::consumer::assigned::Assigned;
use crate::consumer::concurrent::restore_topics;
use crate::consumer::pull::{PullQuestion, PullResult, ask};
use crate::consumer::{Consumer, Kind, sharing};
use crate::error::ClientError;
use crate::queue_offsets::{self, Which};
use crate::route::MASTER_ID;

/// A pull consumer. Dropping it without [`PullConsumer::stop`] ends it at once.
#[derive(Debug)]
pub struct PullConsumer {
    consumer: Arc<Consumer>,
}

impl PullConsumer {
    /// Starts a consumer. With subscriptions it shares their queues with its group; without, it has the queues that
    /// [`PullConsumer::assign`] names.
    pub async fn start(client: &Client, config: ConsumerConfig) -> Result<Self, ClientError> {
        Ok(Self { consumer: Consumer::start(client.core().clone(), config, Kind::Pull, None).await? })
    }

    /// The next messages; none if none came in time. With `auto_commit` they count as consumed.
    pub async fn poll(&self, timeout: Duration) -> Vec<MessageExt> {
        tokio::time::timeout(timeout, self.next_batch()).await.unwrap_or_default()
    }

    async fn next_batch(&self) -> Vec<MessageExt> {
        let consumer = &self.consumer;
        let count = usize::try_from(consumer.config.pull_batch).unwrap_or(1).max(1);
        while let Some(assigned) = consumer.ready.next().await {
            let (messages, is_more) = {
                let mut state = assigned.state.lock();
                let messages = state.process.take(count);
                (messages, state.process.waiting() > 0)
            };
            if is_more {
                consumer.ready.push(&assigned, 1);
            }
            if assigned.is_dropped() || messages.is_empty() {
                continue;
            }
            self.note_polled(&assigned, &messages);
            return restore_topics(messages);
        }
        Vec::new()
    }

    /// Polled messages leave the cache; whether they count as consumed is another question.
    fn note_polled(&self, assigned: &Assigned, messages: &[MessageExt]) {
        self.consumer.consumed.fetch_add(messages.len() as u64, Ordering::Relaxed);
        let mut state = assigned.state.lock();
        let next = state.process.done(messages.iter().map(|message| message.queue_offset));
        if let (Some(next), true) = (next, self.consumer.config.auto_commit) {
            self.consumer.offsets.lock().advance(&assigned.queue, next);
        }
        drop(state);
        assigned.room.notify_one();
    }

    /// Everything polled so far counts as consumed; tells the brokers.
    pub async fn commit(&self) {
        let held: Vec<_> = self.consumer.held.lock().values().cloned().collect();
        for assigned in held {
            // What waits in the cache was not polled.
            let state = assigned.state.lock();
            if let Some(offset) = state.process.commit_offset() {
                self.consumer.offsets.lock().advance(&assigned.queue, offset);
            }
        }
        self.consumer.persist(true).await;
    }

    /// Has exactly these queues, each from where the group is in it.
    pub async fn assign(&self, queues: impl IntoIterator<Item = MessageQueue>) -> Result<(), ClientError> {
        let wanted: BTreeSet<_> = queues.into_iter().collect();
        let held: BTreeSet<_> = self.consumer.held.lock().keys().cloned().collect();
        for queue in held.difference(&wanted) {
            sharing::give_up(&self.consumer, queue).await;
        }
        for queue in wanted.difference(&held) {
            // The brokers of the route must know before the first pull.
            self.consumer.core.routes.route(&queue.topic).await?;
            sharing::take(&self.consumer, queue, None).await?;
        }
        Ok(())
    }

    /// Goes on at `offset` of a queue that is ours.
    pub fn seek(&self, queue: &MessageQueue, offset: u64) -> Result<(), ClientError> {
        if !self.consumer.held.lock().contains_key(queue) {
            return Err(ClientError::NotAssigned {
                topic: queue.topic.clone(),
                broker: queue.broker_name.clone(),
                queue_id: queue.queue_id,
            });
        }
        self.consumer.reset(&[(queue.clone(), offset)].into());
        Ok(())
    }

    /// The queues that are ours now.
    pub fn assignment(&self) -> Vec<MessageQueue> {
        self.consumer.held.lock().keys().cloned().collect()
    }

    /// All queues of a topic.
    pub async fn queues(&self, topic: &str) -> Result<Vec<MessageQueue>, ClientError> {
        Ok(self.consumer.core.routes.route(topic).await?.readable.iter().cloned().collect())
    }

    /// An offset of a queue.
    pub async fn offset(&self, queue: &MessageQueue, which: Which) -> Result<u64, ClientError> {
        queue_offsets::of(&self.consumer.core, queue, which).await
    }

    /// How far the group is in a queue, if the broker knows.
    pub async fn consumed(&self, queue: &MessageQueue) -> Result<Option<u64>, ClientError> {
        queue_offsets::consumed(&self.consumer.core, self.consumer.group(), queue).await
    }

    /// Tells the broker how far the group is in a queue.
    pub async fn set_consumed(&self, queue: &MessageQueue, offset: u64) -> Result<(), ClientError> {
        queue_offsets::tell_consumed(&self.consumer.core, self.consumer.group(), queue, offset, true).await
    }

    /// Asks once for up to `count` messages at a place. With `hold` the broker may wait so long for new ones.
    pub async fn pull(
        &self,
        queue: &MessageQueue,
        offset: u64,
        count: i32,
        hold: Option<Duration>,
    ) -> Result<PullResult, ClientError> {
        let core = &self.consumer.core;
        core.routes.route(&queue.topic).await?;
        let address = core
            .routes
            .address(&queue.broker_name, MASTER_ID)
            .ok_or_else(|| ClientError::BrokerUnknown { broker: queue.broker_name.clone() })?;
        let subscription = self.consumer.subscription(&queue.topic);
        let question = PullQuestion {
            group: self.consumer.group(),
            queue,
            offset,
            count,
            commit: None,
            hold,
            subscription: &subscription,
            is_lite: false,
        };
        let timeout = hold.unwrap_or_default() + core.call_timeout;
        ask(core, &address, &question, timeout).await
    }

    /// Tells how far we came and leaves the group.
    pub async fn stop(self) {
        self.consumer.stop().await;
    }
}

impl Drop for PullConsumer {
    fn drop(&mut self) {
        if !self.consumer.is_stopping() {
            self.consumer.abandon();
        }
    }
}
