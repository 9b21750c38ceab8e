//! The door of a replica: what the leader serves, what it makes sure of first, and what others hand on.
//!
//! Always true: an answer that must not be older than the question is given only after a majority has confirmed that
//! this replica still leads; a request that arrives while nobody leads waits for a leader, not for ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use disk::{Bug, planted};
use protocol::header::{PullMessageRequestHeader, UpdateConsumerOffsetRequestHeader};
use protocol::{RemotingCommand, RequestCode};
use remoting::{Connection, Handler};
use tokio::runtime::Handle;

use super::duty::{self, Duty};
use super::forward::{Forwarder, Waiting};
use super::group::Group;
use super::standing::Place;
use crate::caller::Caller;
use crate::dispatch::Dispatch;
use crate::error::BrokerError;
use crate::metadata::OffsetCommit;
use crate::node::Node;
use crate::processor::consumer_manage;
use crate::reply::success;

/// How long a read waits for a majority's word: clients give up after 3 s (reference 10.1).
const CONFIRMED_WITHIN: Duration = Duration::from_millis(2_500);

/// Serves the connections of a replica.
#[derive(Debug)]
pub(crate) struct ReplicaDispatch {
    node: Arc<Node>,
    group: Arc<Group>,
    dispatch: Arc<Dispatch>,
    forwarder: Forwarder,
    runtime: Handle,
}

/// Reads whose answer must be the newest: who asks may have been told of a newer one.
fn needs_barrier(code: RequestCode) -> bool {
    matches!(
        code,
        RequestCode::QueryConsumerOffset
            | RequestCode::GetMaxOffset
            | RequestCode::GetTopicConfig
            | RequestCode::GetAllTopicConfig
            | RequestCode::GetSubscriptionGroupConfig
            | RequestCode::GetAllSubscriptionGroupConfig
            | RequestCode::GetAllConsumerOffset
            | RequestCode::LockBatchMq
            | RequestCode::GetConsumeStats
            | RequestCode::GetTopicStatsInfo
    )
}

impl ReplicaDispatch {
    /// Must be made on the runtime that serves connections.
    pub(crate) fn new(node: &Arc<Node>, group: &Arc<Group>) -> Self {
        Self {
            node: Arc::clone(node),
            group: Arc::clone(group),
            dispatch: Arc::new(Dispatch::new(Arc::clone(node))),
            forwarder: group.forwarder.clone(),
            runtime: Handle::current(),
        }
    }

    /// What waits for a leader goes where it belongs now, or is refused when it has waited too long.
    pub(crate) fn reconsider_parked(&self, now: Instant) {
        self.forwarder.expire(now);
        if matches!(self.group.standing.place(), Place::Leaderless { .. }) {
            return;
        }
        for waiting in self.forwarder.take_parked() {
            let _inside = self.group.standing.enter();
            self.reconsider(waiting);
        }
    }

    /// Whether anything waits for a leader.
    pub(crate) fn has_parked(&self) -> bool {
        self.forwarder.has_parked()
    }

    fn reconsider(&self, waiting: Waiting) {
        match waiting.request.request_code() {
            Some(code) if self.group.standing.leads() => {
                self.lead(&waiting.caller.connection, code, waiting.request);
            }
            _ => self.forwarder.again(waiting),
        }
    }

    fn serve(&self, connection: &Arc<Connection>, request: RemotingCommand) {
        let Some(code) = request.request_code() else { return self.dispatch.serve(connection, request) };
        if self.group.standing.leads() {
            self.lead(connection, code, request)
        } else {
            self.follow(connection, code, request)
        }
    }

    fn lead(&self, connection: &Arc<Connection>, code: RequestCode, request: RemotingCommand) {
        if code == RequestCode::UpdateConsumerOffset && !request.is_oneway() {
            return self.commit_offset(connection, &request);
        }
        if !needs_barrier(code) || planted(Bug::UncheckedRead) {
            return self.dispatch.serve(connection, request);
        }
        let (group, dispatch) = (Arc::clone(&self.group), Arc::clone(&self.dispatch));
        let (connection, forwarder) = (Arc::clone(connection), self.forwarder.clone());
        self.runtime.spawn(async move {
            match tokio::time::timeout(CONFIRMED_WITHIN, confirm(&group)).await {
                Ok(Ok(())) => dispatch.serve(&connection, request),
                // Nothing was read yet: whoever leads now is asked.
                Ok(Err(_)) => forwarder.forward(&connection, request),
                Err(_) => Caller::of(&connection, &request).answer(Err(BrokerError::NotLeader)),
            }
        });
    }

    /// An offset whose committer waits: answered when the log has it.
    fn commit_offset(&self, connection: &Arc<Connection>, request: &RemotingCommand) {
        let caller = Caller::of(connection, request);
        let checked = request
            .header::<UpdateConsumerOffsetRequestHeader>()
            .map_err(BrokerError::from)
            .and_then(|header| Ok((consumer_manage::check_update(&self.node, &header)?, header)));
        let (queue, header) = match checked {
            Ok(checked) => checked,
            Err(error) => return caller.answer(Err(error)),
        };
        let commit = OffsetCommit {
            group: header.consumer_group.as_str().to_owned(),
            topic: header.topic.as_str().to_owned(),
            queue,
            offset: header.commit_offset,
        };
        self.group
            .journal
            .commit_offset(commit, Box::new(move |outcome| caller.answer(outcome.map(|()| success()))));
    }

    fn follow(&self, connection: &Arc<Connection>, code: RequestCode, request: RemotingCommand) {
        match duty::of(code) {
            Duty::Serve => self.dispatch.serve(connection, request),
            Duty::ServeIfHere if self.is_here(&request) => self.dispatch.serve(connection, request),
            Duty::ServeIfHere | Duty::Forward => {
                self.group.note_stranger();
                self.forwarder.forward(connection, request);
            }
        }
    }

    /// Whether a pull finds a committed message on this replica, and nothing has to be made for it first.
    fn is_here(&self, request: &RemotingCommand) -> bool {
        let Ok(header) = request.header::<PullMessageRequestHeader>() else { return false };
        let (Ok(queue), Ok(offset)) = (u32::try_from(header.queue_id), u64::try_from(header.queue_offset))
        else {
            return false;
        };
        if self.node.metadata.group(&header.consumer_group).is_none() {
            return false;
        }
        let queue = self.node.store.find_queue(&header.topic, queue);
        queue.is_some_and(|queue| (queue.min_offset()..queue.max_offset()).contains(&offset))
    }
}

/// Makes sure that this replica leads and that what was promised before is applied: an entry of its own goes through the
/// log, and offsets that wait travel in it. Why not a read index: docs/adr/0003-reads-go-through-the-log.md.
async fn confirm(group: &Group) -> Result<(), BrokerError> {
    let (tell, told) = tokio::sync::oneshot::channel();
    group.journal.barrier(Box::new(move |outcome| drop(tell.send(outcome))));
    told.await.unwrap_or(Err(BrokerError::NotLeader)).map_err(|_| BrokerError::NotLeader)
}

/// The same, for a client who cannot wait for ever.
pub(crate) async fn confirm_in_time(group: &Group) -> Result<(), BrokerError> {
    tokio::time::timeout(CONFIRMED_WITHIN, confirm(group)).await.unwrap_or(Err(BrokerError::NotLeader))
}

impl Handler for ReplicaDispatch {
    fn handle(&self, connection: &Arc<Connection>, requests: &mut Vec<RemotingCommand>) {
        let _inside = self.group.standing.enter();
        for request in requests.drain(..) {
            self.serve(connection, request);
        }
    }

    fn closed(&self, connection: &Arc<Connection>) {
        self.dispatch.closed(connection);
    }
}
