//! The load of a demo: a producer with so many sends under way, and a consumer beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Context;
use client::{
    Client, ClientConfig, ConsumeFromWhere, ConsumeOutcome, ConsumerConfig, Message, Producer,
    ProducerConfig, PushConsumer,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::body::{self, Known};
use super::ledger::Ledger;
use super::run::Plan;

/// Topic and group of all demos; bodies tell the runs apart.
pub(crate) const TOPIC: &str = "MqlocalDemo";
const GROUP: &str = "mqlocal-demo";
/// Time for one send with all its attempts: an election, and some more.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts that may store a message twice: a killed leader takes the answers with it.
const RETRIES: u32 = 100;
/// Calls of the listener at the same time, and the messages that each is given.
const LISTENERS: usize = 4;
const LISTENED: usize = 32;

/// The clock of a demo: microseconds since it began, never 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }
}

/// A running load.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) clock: Clock,
    client: Client,
    producer: Arc<Producer>,
    consumer: PushConsumer,
    lanes: JoinSet<()>,
    /// Why the first send that was given up failed.
    failure: watch::Receiver<Option<String>>,
}

/// What all lanes share.
#[derive(Debug)]
struct Lane {
    plan: Plan,
    next: AtomicU64,
    producer: Arc<Producer>,
    ledger: Arc<Ledger>,
    clock: Clock,
    failure: watch::Sender<Option<String>>,
}

impl Load {
    /// Starts to consume and to send.
    pub(crate) async fn start(name_server: &str, plan: Plan) -> anyhow::Result<Self> {
        let (ledger, clock) = (Arc::new(Ledger::new(plan.messages)), Clock::start());
        let client = Client::start(ClientConfig::new(name_server))?;
        let consumer = start_consumer(&client, plan, &ledger, clock).await?;
        // What is measured is the broker, not how well bodies compress.
        let config = ProducerConfig {
            send_timeout: SEND_TIMEOUT,
            retries: RETRIES,
            compress_bytes_min: usize::MAX,
            ..ProducerConfig::new(GROUP)
        };
        let producer = Arc::new(Producer::start(&client, config)?);
        let (failure, seen) = watch::channel(None);
        let lane = Arc::new(Lane {
            plan,
            next: AtomicU64::new(0),
            producer: producer.clone(),
            ledger: ledger.clone(),
            clock,
            failure,
        });
        let mut lanes = JoinSet::new();
        for _ in 0..plan.in_flight {
            lanes.spawn(send_on(lane.clone()));
        }
        Ok(Self { ledger, clock, client, producer, consumer, lanes, failure: seen })
    }

    /// Whether every send has an outcome.
    pub(crate) fn is_sent(&mut self) -> bool {
        while self.lanes.try_join_next().is_some() {}
        self.lanes.is_empty()
    }

    /// Why the first send that was given up failed, if one was.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Ends what still runs, and leaves the groups.
    pub(crate) async fn stop(mut self) {
        self.lanes.shutdown().await;
        self.consumer.stop().await;
        if let Some(producer) = Arc::into_inner(self.producer) {
            producer.stop().await;
        }
        self.client.stop().await;
    }
}

async fn start_consumer(
    client: &Client,
    plan: Plan,
    ledger: &Arc<Ledger>,
    clock: Clock,
) -> anyhow::Result<PushConsumer> {
    let config = ConsumerConfig {
        from_where: ConsumeFromWhere::ConsumeFromFirstOffset,
        consume_batch_max: LISTENED,
        concurrency: LISTENERS,
        ..ConsumerConfig::new(GROUP).subscribe(TOPIC, "*")
    };
    let ledger = ledger.clone();
    let listen = move |delivery: client::Delivery| {
        let now = clock.now();
        for message in delivery.iter() {
            match body::read(&message.body, plan.run, plan.messages, plan.size) {
                Known::Ours(number) => ledger.note_consumed(number, now),
                Known::Damaged => ledger.note_damaged(),
                Known::Foreign => {}
            }
        }
        std::future::ready(ConsumeOutcome::Success)
    };
    PushConsumer::start_concurrent(client, config, listen).await.context("starting the consumer")
}

/// Sends one message after the other until all are taken.
async fn send_on(lane: Arc<Lane>) {
    loop {
        let number = lane.next.fetch_add(1, Relaxed);
        if number >= lane.plan.messages {
            return;
        }
        let message = Message::new(TOPIC, body::make(lane.plan.run, number, lane.plan.size));
        lane.ledger.note_sent(number, lane.clock.now());
        match lane.producer.send(message).await {
            Ok(_) => lane.ledger.note_acked(number, lane.clock.now()),
            Err(error) => {
                lane.ledger.note_unknown();
                lane.failure.send_if_modified(|first| match first {
                    Some(_) => false,
                    None => {
                        *first = Some(error.to_string());
                        true
                    }
                });
            }
        }
    }
}
