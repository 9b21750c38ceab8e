//! What an application does with messages, and what it says afterwards.

use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use protocol::body::MessageQueue;
use protocol::message::MessageExt;

/// Messages of one queue for a listener. Cheap to clone; reads as a slice of messages.
#[derive(Debug, Clone)]
pub struct Delivery {
    messages: Arc<Vec<MessageExt>>,
    queue: Arc<MessageQueue>,
}

impl Delivery {
    pub(crate) fn new(messages: Vec<MessageExt>, queue: Arc<MessageQueue>) -> Self {
        Self { messages: Arc::new(messages), queue }
    }

    /// The queue they were read from; of a retried message, a queue of the retry topic.
    pub fn queue(&self) -> &MessageQueue {
        &self.queue
    }

    /// The messages, copied only if the listener kept a clone.
    pub(crate) fn into_messages(self) -> Vec<MessageExt> {
        Arc::unwrap_or_clone(self.messages)
    }
}

impl Deref for Delivery {
    type Target = [MessageExt];

    fn deref(&self) -> &[MessageExt] {
        &self.messages
    }
}

/// What becomes of the messages of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsumeOutcome {
    /// They are done with.
    Success,
    /// They come again. Concurrent consumers get them back through the retry topic, after the delay of this level (0:
    /// the broker chooses, −1: to the dead letters at once); orderly ones get the same ones again after a pause.
    Later {
        /// The delay level.
        delay_level: i32,
    },
}

impl ConsumeOutcome {
    /// They come again when the broker thinks best.
    pub const LATER: Self = Self::Later { delay_level: 0 };
}

type Listening = Pin<Box<dyn Future<Output = ConsumeOutcome> + Send>>;

/// The application's function.
pub(crate) struct Listener(Box<dyn Fn(Delivery) -> Listening + Send + Sync>);

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

impl Listener {
    pub(crate) fn new<F, L>(listen: L) -> Self
    where
        L: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = ConsumeOutcome> + Send + 'static,
    {
        Self(Box::new(move |delivery| Box::pin(listen(delivery))))
    }

    pub(crate) async fn listen(&self, delivery: Delivery) -> ConsumeOutcome {
        (self.0)(delivery).await
    }
}
