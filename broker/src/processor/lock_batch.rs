//! Locks of orderly consumers (41, 42).

use crate::node::Node;
use crate::order_locks::LockQueue;
use crate::reply::{Answer, success};
use protocol::RemotingCommand;
use protocol::body::{
    Body, LockBatchRequestBody, LockBatchResponseBody, MessageQueue, UnlockBatchRequestBody,
};
use remoting::Connection;
use std::sync::Arc;
use std::time::Instant;

/// LOCK_BATCH_MQ: answers with the queues that the client now owns.
pub fn lock(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let body = LockBatchRequestBody::decode(&request.body)?;
    let now = Instant::now();
    let mut locks = node.locks.lock();
    let mut owned =
        |queue: &MessageQueue| locks.lock(&body.consumer_group, &lock_queue(queue), &body.client_id, now);
    let mut queues = body.mq_set.clone();
    queues.retain(|queue| owned(queue));
    Ok(success().with_body(LockBatchResponseBody { lock_ok_mq_set: queues }.encode()))
}

/// UNLOCK_BATCH_MQ: gives back what the client owns.
pub fn unlock(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let body = UnlockBatchRequestBody::decode(&request.body)?;
    let mut locks = node.locks.lock();
    for queue in &body.mq_set {
        locks.unlock(&body.consumer_group, &lock_queue(queue), &body.client_id);
    }
    Ok(success())
}

fn lock_queue(queue: &MessageQueue) -> LockQueue {
    LockQueue {
        topic: queue.topic.as_str().into(),
        broker: queue.broker_name.as_str().into(),
        queue: queue.queue_id,
    }
}
