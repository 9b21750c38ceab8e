//! A consumer whose messages come to a listener.

use std::sync::Arc;

use protocol::body::MessageQueue;

use crate::client::Client;
use crate::config::ConsumerConfig;
use crate::consumer::listener::{ConsumeOutcome, Delivery, Listener};
use crate::consumer::{Consumer, Kind};
use crate::error::ClientError;

/// A push consumer. Dropping it without [`PushConsumer::stop`] ends it at once; messages in hand come again.
#[derive(Debug)]
pub struct PushConsumer {
    consumer: Arc<Consumer>,
}

impl PushConsumer {
    /// Starts a consumer that hands many batches to the listener at once, in no order. What fails comes again through
    /// the group's retry topic.
    pub async fn start_concurrent<F, L>(
        client: &Client,
        config: ConsumerConfig,
        listen: L,
    ) -> Result<Self, ClientError>
    where
        L: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = ConsumeOutcome> + Send + 'static,
    {
        Self::start(client, config, Kind::Concurrent, Listener::new(listen)).await
    }

    /// Starts a consumer that hands the batches of each queue to the listener one after the other. What fails comes
    /// again before anything behind it.
    pub async fn start_orderly<F, L>(
        client: &Client,
        config: ConsumerConfig,
        listen: L,
    ) -> Result<Self, ClientError>
    where
        L: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = ConsumeOutcome> + Send + 'static,
    {
        Self::start(client, config, Kind::Orderly, Listener::new(listen)).await
    }

    async fn start(
        client: &Client,
        config: ConsumerConfig,
        kind: Kind,
        listener: Listener,
    ) -> Result<Self, ClientError> {
        Ok(Self { consumer: Consumer::start(client.core().clone(), config, kind, Some(listener)).await? })
    }

    /// The queues that are ours now, the retry topic's included.
    pub fn queues(&self) -> Vec<MessageQueue> {
        self.consumer.held.lock().keys().cloned().collect()
    }

    /// How far we are in a queue, as far as we know.
    pub fn offset(&self, queue: &MessageQueue) -> Option<u64> {
        self.consumer.offsets.lock().get(queue)
    }

    /// Tells the brokers how far we are now instead of at the next turn.
    pub async fn persist(&self) {
        self.consumer.persist(true).await;
    }

    /// Lets the listener finish what it has, tells how far it came, leaves the group.
    pub async fn stop(self) {
        self.consumer.stop().await;
    }
}

impl Drop for PushConsumer {
    fn drop(&mut self) {
        if !self.consumer.is_stopping() {
            self.consumer.abandon();
        }
    }
}
