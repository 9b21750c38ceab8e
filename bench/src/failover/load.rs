//! The load: lanes that send one message after the other through our own client, and remember what was acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use client::{Client, ClientConfig, Message, Producer, ProducerConfig};
use tokio::task::JoinHandle;

/// Everything goes here.
pub(crate) const TOPIC: &str = "FAILOVER";

/// An acknowledged message: where its acknowledgement said that it is, and which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Acked {
    pub(crate) queue: i32,
    pub(crate) offset: u64,
    pub(crate) lane: u32,
    pub(crate) number: u32,
}

/// The clock of acknowledgements.
#[derive(Debug)]
struct Pulse {
    start: Instant,
    last_micros: AtomicU64,
    longest_micros: AtomicU64,
}

impl Pulse {
    fn beat(&self) {
        let now = self.start.elapsed().as_micros() as u64;
        let before = self.last_micros.swap(now, Ordering::Relaxed);
        self.longest_micros.fetch_max(now.saturating_sub(before), Ordering::Relaxed);
    }
}

/// Lanes under way.
pub(crate) struct Load {
    client: Client,
    is_over: Arc<AtomicBool>,
    pulse: Arc<Pulse>,
    lanes: Vec<JoinHandle<Vec<Acked>>>,
}

/// A message whose body says which it is.
pub(crate) fn message(topic: &str, lane: u32, number: u32, size: usize) -> Message {
    let mut body = vec![b'x'; size.max(8)];
    body[..4].copy_from_slice(&lane.to_be_bytes());
    body[4..8].copy_from_slice(&number.to_be_bytes());
    Message::new(topic, body)
}

impl Load {
    /// Starts so many lanes; they send until told to end, whatever happens to their sends.
    pub(crate) async fn start(namesrv: &str, lanes: usize, size: usize) -> anyhow::Result<Self> {
        let client = Client::start(ClientConfig::new(namesrv))?;
        // Bodies of one letter would shrink to nothing.
        let config =
            ProducerConfig { compress_bytes_min: usize::MAX, ..ProducerConfig::new("FAILOVER_LOAD") };
        let producer = Arc::new(Producer::start(&client, config)?);
        // Makes the topic before many ask for it at once; a message of no lane.
        producer.send(message(TOPIC, u32::MAX, 0, 16)).await?;
        let is_over = Arc::new(AtomicBool::new(false));
        let pulse = Pulse {
            start: Instant::now(),
            last_micros: AtomicU64::new(0),
            longest_micros: AtomicU64::new(0),
        };
        let pulse = Arc::new(pulse);
        let lane = |lane: u32| {
            let (producer, is_over, pulse) = (producer.clone(), is_over.clone(), pulse.clone());
            tokio::spawn(async move {
                let mut acked = Vec::new();
                for number in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    if let Ok(sent) = producer.send(message(TOPIC, lane, number, size)).await {
                        pulse.beat();
                        let queue = sent.queue.queue_id;
                        acked.push(Acked { queue, offset: sent.queue_offset, lane, number });
                    }
                }
                acked
            })
        };
        let lanes = (0..lanes as u32).map(lane).collect();
        Ok(Self { client, is_over, pulse, lanes })
    }

    /// From now on the longest time without an acknowledgement is taken.
    pub(crate) fn watch_silence(&self) {
        self.pulse.longest_micros.store(0, Ordering::Relaxed);
    }

    /// The longest time without an acknowledgement, the one that goes on included.
    pub(crate) fn longest_silence(&self) -> Duration {
        self.pulse.beat();
        Duration::from_micros(self.pulse.longest_micros.load(Ordering::Relaxed))
    }

    /// Ends the lanes; all that was acknowledged, in the order of queues and offsets.
    pub(crate) async fn end(self) -> anyhow::Result<Vec<Acked>> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for lane in self.lanes {
            all.append(&mut lane.await?);
        }
        self.client.stop().await;
        all.sort_unstable();
        Ok(all)
    }
}
