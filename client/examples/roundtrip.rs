//! Sends messages to a running cluster and consumes them: `cargo run -p client --example roundtrip -- 127.0.0.1:9876 1000`.
#![allow(clippy::print_stdout, reason = "a program that shows what it does")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use client::{
    Client, ClientConfig, ClientError, ConsumeFromWhere, ConsumeOutcome, ConsumerConfig, Message, Producer,
    ProducerConfig, PushConsumer,
};

#[tokio::main]
async fn main() -> Result<(), ClientError> {
    let mut arguments = std::env::args().skip(1);
    let name_servers = arguments.next().unwrap_or_else(|| "127.0.0.1:9876".to_owned());
    let count: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1000);
    let client = Client::start(ClientConfig::new(&name_servers))?;

    let consumed = Arc::new(AtomicUsize::new(0));
    let counted = consumed.clone();
    let config = ConsumerConfig {
        from_where: ConsumeFromWhere::ConsumeFromFirstOffset,
        consume_batch_max: 32,
        ..ConsumerConfig::new("roundtrip_consumer").subscribe("Roundtrip", "TagA || TagB")
    };
    let consumer = PushConsumer::start_concurrent(&client, config, move |delivery| {
        counted.fetch_add(delivery.len(), Ordering::Relaxed);
        async { ConsumeOutcome::Success }
    })
    .await?;

    let producer = Arc::new(Producer::start(&client, ProducerConfig::new("roundtrip_producer"))?);
    let first = producer.send(Message::new("Roundtrip", "the first").with_tag("TagA")).await?;
    println!("sent {} to {:?} at {}", first.message_id(), first.queue, first.queue_offset);

    let started = Instant::now();
    let senders: Vec<_> = (0..64)
        .map(|sender| {
            let producer = producer.clone();
            tokio::spawn(async move {
                for _ in (sender..count).step_by(64) {
                    producer.send(Message::new("Roundtrip", vec![b'x'; 1024]).with_tag("TagB")).await?;
                }
                Ok::<(), ClientError>(())
            })
        })
        .collect();
    for sender in senders {
        sender.await.expect("no sender panics")?;
    }
    println!("sent {count} in {:?}", started.elapsed());
    while consumed.load(Ordering::Relaxed) < count && started.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("consumed {} after {:?}", consumed.load(Ordering::Relaxed), started.elapsed());
    consumer.stop().await;
    client.stop().await;
    Ok(())
}
