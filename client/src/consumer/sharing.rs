//! Which queues of a group are ours: asked of the brokers, shared out by `rebalance`, taken and given up here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::body::{
    Body, ConsumeFromWhere, GetConsumerListByGroupResponseBody, LockBatchRequestBody, LockBatchResponseBody,
    MessageModel, MessageQueue, UnlockBatchRequestBody,
};
use protocol::header::GetConsumerListByGroupRequestHeader;
use protocol::{RemotingCommand, RequestCode, topic};

use super::assigned::Assigned;
use super::pull::pull_on;
use super::{Consumer, Kind};
use crate::error::ClientError;
use crate::queue_offsets::{self, Which};
use crate::rebalance::{allocate_averagely, difference};

/// What could not be shared out is tried again after this.
const SHARE_AGAIN: Duration = Duration::from_secs(1);

/// Granted locks are renewed so often. Source: RocketMQ 5.3.3 `rocketmq.client.rebalance.lockInterval`.
const LOCK_EVERY: Duration = Duration::from_secs(20);

/// Shares out until stopped: every 20 s, when the broker tells of a change, when a route changes.
pub(crate) async fn share_on(consumer: Arc<Consumer>) {
    let mut changes = consumer.core.routes.changes();
    loop {
        changes.mark_unchanged();
        let all_shared = share_all(&consumer).await;
        let pause =
            if all_shared { consumer.config.rebalance } else { SHARE_AGAIN.min(consumer.config.rebalance) };
        tokio::select! {
            () = consumer.share_soon.notified() => {}
            _ = changes.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Renews the locks of orderly queues until stopped.
pub(crate) async fn lock_on(consumer: Arc<Consumer>) {
    loop {
        tokio::time::sleep(LOCK_EVERY).await;
        let held: Vec<_> = consumer.held.lock().values().cloned().collect();
        let brokers: BTreeSet<_> = held.iter().map(|assigned| assigned.queue.broker_name.clone()).collect();
        for broker in brokers {
            let of_broker: Vec<_> =
                held.iter().filter(|assigned| assigned.queue.broker_name == broker).cloned().collect();
            let queues = of_broker.iter().map(|assigned| (*assigned.queue).clone()).collect();
            match lock(&consumer, &broker, queues).await {
                Ok(granted) => {
                    for assigned in of_broker {
                        let at = granted.contains(&*assigned.queue).then(Instant::now);
                        assigned.set_locked(at);
                    }
                }
                Err(error) => tracing::warn!(broker, %error, "locks not renewed"),
            }
        }
    }
}

async fn share_all(consumer: &Arc<Consumer>) -> bool {
    let topics: Vec<String> = consumer.subscriptions.read().keys().cloned().collect();
    let mut all_shared = true;
    for topic in topics {
        match share(consumer, &topic).await {
            Ok(shared) => all_shared &= shared,
            Err(error) => {
                tracing::debug!(group = consumer.group(), topic, %error, "queues not shared out");
                all_shared = false;
            }
        }
    }
    all_shared
}

/// Takes and gives up queues of one topic; `false` if some could not be taken yet.
async fn share(consumer: &Arc<Consumer>, topic: &str) -> Result<bool, ClientError> {
    let route = consumer.core.routes.route(topic).await?;
    let wanted = match consumer.config.model {
        MessageModel::Broadcasting => route.readable.clone(),
        MessageModel::Clustering => {
            let members = members(consumer, topic).await?;
            if !members.contains(&consumer.core.id) {
                // The broker does not know us yet: what we have stays ours until it does.
                consumer.core.heart.beat().await;
                return Ok(false);
            }
            allocate_averagely(&consumer.core.id, &members, &route.readable)
        }
    };
    let change = difference(topic, &consumer.held.lock(), &wanted);
    for queue in &change.lost {
        give_up(consumer, queue).await;
    }
    let mut all_taken = true;
    for queue in change.gained {
        match take(consumer, &queue, None).await {
            Ok(taken) => all_taken &= taken,
            Err(error) => {
                tracing::debug!(?queue, %error, "queue not taken");
                all_taken = false;
            }
        }
    }
    Ok(all_taken)
}

async fn members(consumer: &Consumer, topic: &str) -> Result<Vec<String>, ClientError> {
    let header = GetConsumerListByGroupRequestHeader { consumer_group: consumer.group().into() };
    let route = consumer.core.routes.route(topic).await?;
    let mut last = ClientError::NoQueue { topic: topic.to_owned(), what: "readable" };
    for broker in &route.data.broker_datas {
        let Ok(address) = consumer.core.replica(&broker.broker_name, topic).await else { continue };
        let request = RemotingCommand::request_with(RequestCode::GetConsumerListByGroup, &header);
        match consumer.core.ask(&address, request, consumer.core.call_timeout).await {
            Ok(answer) => {
                let body = GetConsumerListByGroupResponseBody::decode(&answer.body)
                    .map_err(|source| ClientError::Body { peer: address, source })?;
                return Ok(body.consumer_id_list);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Begins to consume a queue, at `from` or where the group is; `false` if it cannot be taken yet.
pub(crate) async fn take(
    consumer: &Arc<Consumer>,
    queue: &MessageQueue,
    from: Option<u64>,
) -> Result<bool, ClientError> {
    if consumer.is_at_work(queue) {
        // Two workers would break the order, and the one before is still to give its lock back.
        return Ok(false);
    }
    let locked_at = if consumer.needs_lock() {
        let granted = lock(consumer, &queue.broker_name, [queue.clone()].into()).await?;
        if !granted.contains(queue) {
            return Ok(false);
        }
        Some(Instant::now())
    } else {
        None
    };
    let offset = match from {
        Some(offset) => offset,
        None => start_offset(consumer, queue).await?,
    };
    let assigned = Arc::new(Assigned::new(queue.clone(), offset));
    assigned.set_locked(locked_at);
    {
        let mut held = consumer.held.lock();
        if consumer.is_stopping() || held.contains_key(queue) {
            return Ok(true);
        }
        held.insert(queue.clone(), assigned.clone());
    }
    consumer.begin(queue, offset);
    tracing::debug!(group = consumer.group(), ?queue, offset, "queue taken");
    start_pull(consumer, &assigned);
    if consumer.kind == Kind::Orderly {
        consumer.work_in_order(assigned);
    }
    Ok(true)
}

/// Starts to pull, or starts anew at another place.
pub(crate) fn start_pull(consumer: &Arc<Consumer>, assigned: &Arc<Assigned>) {
    assigned.set_pulling(consumer.run(pull_on(consumer.clone(), assigned.clone())));
}

/// Stops consuming a queue and tells how far we came.
pub(crate) async fn give_up(consumer: &Arc<Consumer>, queue: &MessageQueue) {
    let Some(assigned) = consumer.held.lock().remove(queue) else { return };
    assigned.drop_queue();
    consumer.leave(queue).await;
    tracing::debug!(group = consumer.group(), ?queue, "queue given up");
}

/// Where consumption of a queue begins.
async fn start_offset(consumer: &Consumer, queue: &MessageQueue) -> Result<u64, ClientError> {
    let (core, known) = (&consumer.core, consumer.offsets.lock().get(queue));
    let known = match (consumer.config.model, known) {
        (_, Some(offset)) => Some(offset),
        (MessageModel::Broadcasting, None) => None,
        (MessageModel::Clustering, None) => queue_offsets::consumed(core, consumer.group(), queue).await?,
    };
    if let Some(offset) = known {
        consumer.offsets.lock().learn(queue, offset);
        return Ok(offset);
    }
    // Messages of a retry topic are ours whenever they were sent.
    if topic::is_retry(&queue.topic) {
        return Ok(0);
    }
    let which = match consumer.config.from_where {
        ConsumeFromWhere::ConsumeFromFirstOffset | ConsumeFromWhere::ConsumeFromMinOffset => Which::First,
        ConsumeFromWhere::ConsumeFromTimestamp => Which::At(consumer.config.from_timestamp),
        ConsumeFromWhere::ConsumeFromLastOffset
        | ConsumeFromWhere::ConsumeFromLastOffsetAndFromMinWhenBootFirst
        | ConsumeFromWhere::ConsumeFromMaxOffset => Which::End,
    };
    queue_offsets::of(core, queue, which).await
}

async fn lock(
    consumer: &Consumer,
    broker: &str,
    queues: BTreeSet<MessageQueue>,
) -> Result<BTreeSet<MessageQueue>, ClientError> {
    let Some(topic) = queues.first().map(|queue| queue.topic.clone()) else { return Ok(queues) };
    let address = consumer.core.master(broker, &topic).await?;
    let body = LockBatchRequestBody {
        client_id: consumer.core.id.clone(),
        consumer_group: consumer.group().to_owned(),
        mq_set: queues,
        only_this_broker: false,
    };
    let request = RemotingCommand::request(RequestCode::LockBatchMq).with_body(body.encode());
    let answer = consumer.core.ask(&address, request, consumer.core.call_timeout).await?;
    let body = LockBatchResponseBody::decode(&answer.body)
        .map_err(|source| ClientError::Body { peer: address, source })?;
    Ok(body.lock_ok_mq_set)
}

/// Gives a lock back, so that another member need not wait until it runs out. Waits for the answer: then the lock can
/// be asked for again, and is not given back by what was on its way.
pub(crate) async fn unlock(consumer: &Consumer, queue: &MessageQueue) {
    let body = UnlockBatchRequestBody {
        client_id: consumer.core.id.clone(),
        consumer_group: consumer.group().to_owned(),
        mq_set: [queue.clone()].into(),
        only_this_broker: false,
    };
    let request = RemotingCommand::request(RequestCode::UnlockBatchMq).with_body(body.encode());
    if let Some(address) = consumer.core.routes.master(&queue.broker_name)
        && let Err(error) = consumer.core.ask(&address, request, consumer.core.call_timeout).await
    {
        tracing::debug!(?queue, %error, "lock not given back");
    }
}
