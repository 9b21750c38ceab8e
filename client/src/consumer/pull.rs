//! Asking a broker for messages of one queue: one question, and the endless loop of a queue that we have.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::body::{MessageQueue, SubscriptionData};
use protocol::header::{PullMessageRequestHeader, PullMessageResponseHeader};
use protocol::message::{MessageExt, decode_all};
use protocol::sys_flag::pull as pull_flag;
use protocol::{RemotingCommand, RequestCode, ResponseCode};

use super::assigned::{Assigned, signed};
use super::{Consumer, Kind};
use crate::client::{Core, refused};
use crate::error::ClientError;
use crate::unique_key::now_millis;

/// Pause after a broker asked for less. Source: RocketMQ 5.3.3 `PULL_TIME_DELAY_MILLS_WHEN_BROKER_FLOW_CONTROL`.
const FLOW_CONTROL_PAUSE: Duration = Duration::from_millis(20);

/// The first pause after a failure; it doubles up to the configured one, so that a failover is noticed early.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How often a pull that may not go on looks again, besides being woken.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// One question.
#[derive(Debug, Clone)]
pub(crate) struct PullQuestion<'a> {
    pub(crate) group: &'a str,
    pub(crate) queue: &'a MessageQueue,
    pub(crate) offset: u64,
    pub(crate) count: i32,
    /// The offset consumed so far, told on the way.
    pub(crate) commit: Option<u64>,
    /// How long the broker may hold the question; `None`: it answers at once.
    pub(crate) hold: Option<Duration>,
    pub(crate) subscription: &'a SubscriptionData,
    pub(crate) is_lite: bool,
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullStatus {
    /// There are messages.
    Found,
    /// There is nothing new.
    NoNewMessage,
    /// There is something, but nothing that the subscription wants.
    NoMatchedMessage,
    /// The offset is outside of what the broker has; go on at the next offset.
    OffsetIllegal,
}

/// An answer to a pull.
#[derive(Debug, Clone)]
pub struct PullResult {
    /// What it says.
    pub status: PullStatus,
    /// Where the next pull begins.
    pub next_offset: u64,
    /// The first offset of the queue.
    pub offset_min: u64,
    /// One past the last offset of the queue.
    pub offset_max: u64,
    /// The replica that the next pull should ask.
    pub(crate) replica: i64,
    /// The messages; those that the tag expression does not want are left out.
    pub messages: Vec<MessageExt>,
}

/// Asks the broker at `address`.
pub(crate) async fn ask(
    core: &Core,
    address: &str,
    question: &PullQuestion<'_>,
    timeout: Duration,
) -> Result<PullResult, ClientError> {
    let mut flags = pull_flag::build(question.commit.is_some(), question.hold.is_some(), true, false);
    if question.is_lite {
        flags |= pull_flag::LITE_PULL;
    }
    let header = PullMessageRequestHeader {
        consumer_group: question.group.into(),
        topic: question.queue.topic.as_str().into(),
        queue_id: question.queue.queue_id,
        queue_offset: signed(question.offset),
        max_msg_nums: question.count,
        sys_flag: flags,
        commit_offset: signed(question.commit.unwrap_or_default()),
        suspend_timeout_millis: i64::try_from(question.hold.unwrap_or_default().as_millis())
            .unwrap_or(i64::MAX),
        subscription: Some(question.subscription.sub_string.as_str().into()),
        sub_version: question.subscription.sub_version,
        expression_type: question.subscription.expression_type.as_deref().map(Into::into),
        ..PullMessageRequestHeader::default()
    };
    let code = if question.is_lite { RequestCode::LitePullMessage } else { RequestCode::PullMessage };
    let answer = core.remoting.call(address, RemotingCommand::request_with(code, &header), timeout).await?;
    read(answer, address, question.subscription)
}

fn read(
    answer: RemotingCommand,
    address: &str,
    subscription: &SubscriptionData,
) -> Result<PullResult, ClientError> {
    let status = match answer.response_code() {
        Some(ResponseCode::Success) => PullStatus::Found,
        Some(ResponseCode::PullNotFound) => PullStatus::NoNewMessage,
        Some(ResponseCode::PullRetryImmediately) => PullStatus::NoMatchedMessage,
        Some(ResponseCode::PullOffsetMoved) => PullStatus::OffsetIllegal,
        _ => return Err(refused(address, answer)),
    };
    let header: PullMessageResponseHeader =
        answer.header().map_err(|source| ClientError::Header { peer: address.to_owned(), source })?;
    let unsigned = |offset: i64| u64::try_from(offset).unwrap_or_default();
    let mut messages = if status == PullStatus::Found { decode_all(&answer.body)? } else { Vec::new() };
    // The broker compares hashes only.
    if subscription.is_tag() && !subscription.tags_set.is_empty() {
        messages.retain(|message| message.tags().is_some_and(|tag| subscription.tags_set.contains(tag)));
    }
    Ok(PullResult {
        status,
        next_offset: unsigned(header.next_begin_offset),
        offset_min: unsigned(header.min_offset),
        offset_max: unsigned(header.max_offset),
        replica: header.suggest_which_broker_id,
        messages,
    })
}

/// Pulls a queue until it is given up.
pub(crate) async fn pull_on(consumer: Arc<Consumer>, assigned: Arc<Assigned>) {
    let mut failures = 0;
    while !assigned.is_dropped() {
        if !may_pull(&consumer, &assigned) {
            // Woken when messages were consumed or the lock was granted; a lock may also run out unheard.
            let _ = tokio::time::timeout(LOOK_AGAIN, assigned.room.notified()).await;
            continue;
        }
        match pull_once(&consumer, &assigned).await {
            Ok(()) => failures = 0,
            Err(error) => {
                tracing::debug!(queue = ?assigned.queue, %error, "pull failed");
                let pause = pause_after(&error, failures, consumer.config.pull_pause);
                failures += 1;
                consumer.note_pull_failure(&assigned.queue, &error).await;
                tokio::time::sleep(pause).await;
            }
        }
    }
}

fn pause_after(error: &ClientError, failures: u32, longest: Duration) -> Duration {
    if error.response_code() == Some(ResponseCode::FlowControl) {
        FLOW_CONTROL_PAUSE
    } else {
        FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(longest)
    }
}

fn may_pull(consumer: &Consumer, assigned: &Assigned) -> bool {
    let is_allowed = consumer.kind != Kind::Orderly || consumer.owns(assigned, Instant::now());
    is_allowed && !assigned.state.lock().process.is_full(consumer.cache_limits())
}

async fn pull_once(consumer: &Arc<Consumer>, assigned: &Arc<Assigned>) -> Result<(), ClientError> {
    let queue = &*assigned.queue;
    let (offset, epoch, replica) = {
        let mut state = assigned.state.lock();
        state.last_pull_millis = now_millis();
        (state.next_pull, state.epoch, state.replica)
    };
    let address = match consumer.core.routes.address(&queue.broker_name, replica) {
        Some(address) => address,
        None => consumer.core.replica(&queue.broker_name, &queue.topic).await?,
    };
    let subscription = consumer.subscription(&queue.topic);
    let question = PullQuestion {
        group: &consumer.config.group,
        queue,
        offset,
        count: consumer.config.pull_batch,
        commit: consumer.offset_to_tell(queue),
        hold: Some(consumer.config.hold_max),
        subscription: &subscription,
        is_lite: consumer.kind == Kind::Pull,
    };
    let result = ask(&consumer.core, &address, &question, consumer.config.pull_timeout).await?;
    consumer.take_in(assigned, epoch, result);
    Ok(())
}
