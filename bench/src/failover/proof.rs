//! Whether everything that was acknowledged is where its acknowledgement said.

use client::{ConsumerConfig, MessageQueue, PullConsumer, PullStatus};

use super::load::{Acked, TOPIC};
use crate::cluster::Cluster;

/// Messages asked for at a time.
const AT_A_TIME: i32 = 32;

/// Reads every queue from its beginning and counts what is not there; `acked` is in the order of queues and offsets.
pub(crate) async fn missing(cluster: &Cluster, acked: &[Acked]) -> anyhow::Result<u64> {
    let config = ConsumerConfig::new("FAILOVER_PROOF").subscribe(TOPIC, "*");
    let consumer = PullConsumer::start(cluster.client(), config).await?;
    let queues = consumer.queues(TOPIC).await?;
    let mut lost = 0;
    for of_queue in acked.chunk_by(|a, b| a.queue == b.queue) {
        let queue =
            queues.iter().find(|queue| of_queue.first().is_some_and(|one| one.queue == queue.queue_id));
        lost += match queue {
            Some(queue) => missing_in(&consumer, queue, of_queue).await?,
            None => of_queue.len() as u64,
        };
    }
    consumer.stop().await;
    Ok(lost)
}

/// Walks one queue beside what was acknowledged in it.
async fn missing_in(consumer: &PullConsumer, queue: &MessageQueue, acked: &[Acked]) -> anyhow::Result<u64> {
    let (mut offset, mut lost, mut wanted) = (0, 0, acked.iter().peekable());
    while wanted.peek().is_some() {
        let pulled = consumer.pull(queue, offset, AT_A_TIME, None).await?;
        if pulled.status != PullStatus::Found {
            break;
        }
        for message in &pulled.messages {
            while wanted.next_if(|one| one.offset < message.queue_offset).is_some() {
                lost += 1;
            }
            let Some(one) = wanted.next_if(|one| one.offset == message.queue_offset) else { continue };
            let (lane, number) = (one.lane.to_be_bytes(), one.number.to_be_bytes());
            lost += u64::from(!message.body.starts_with(&[lane, number].concat()));
        }
        offset = pulled.next_offset;
    }
    Ok(lost + wanted.count() as u64)
}
