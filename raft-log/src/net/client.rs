//! The calling side, as openraft wants it.
//!
//! A pipelined stream of requests to append polls its first request before it connects: openraft waits out its backoff inside
//! the stream of requests, and a client that connects first turns a dead follower into a busy loop.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use openraft::error::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use tokio::sync::Mutex;

use crate::codec::{self, PlainVote};
use crate::envelope::EntryId;
use crate::net::connection::Connection;
use crate::net::exchange::{AppendResult, Exchange};
use crate::net::frame::{Control, Controlled, FrameType, PlainTransfer, PlainVoteRequest};
use crate::net::handshake::{CallError, Caller, Channel};
use crate::net::snapshot::send_snapshot;
use crate::shared::Shared;
use crate::snapshot::SnapshotData;
use crate::types::{LogId, Node, Snapshot, Types, VoteOf};

/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);
/// How long a follower may take for a request to append; its disk may stall.
const APPEND_PATIENCE: Duration = Duration::from_secs(5);
/// How long a voter may take: it syncs its vote.
const VOTE_PATIENCE: Duration = Duration::from_millis(1500);

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type BoxStream<'a, T> = Pin<Box<dyn Stream<Item = T> + Send + 'a>>;

/// Makes clients; control connections are shared by all clients of a peer.
pub(crate) struct Network {
    pub(crate) shared: Arc<Shared>,
    pub(crate) caller: Caller,
    pub(crate) controls: HashMap<u64, Arc<Mutex<Option<Connection>>>>,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, node: &Node) -> Client {
        Client {
            shared: self.shared.clone(),
            caller: self.caller.clone(),
            target,
            node: node.clone(),
            append: None,
            control: self.controls.entry(target).or_default().clone(),
        }
    }
}

/// Calls one peer.
pub(crate) struct Client {
    pub(super) shared: Arc<Shared>,
    caller: Caller,
    target: u64,
    node: Node,
    /// The connection for entries or heartbeats, while no stream uses it.
    pub(super) append: Option<Connection>,
    control: Arc<Mutex<Option<Connection>>>,
}

impl Client {
    async fn append_connection(&mut self) -> Result<Connection, RPCError<Types>> {
        match self.append.take() {
            Some(connection) => Ok(connection),
            None => self.connect(Channel::Append).await.map_err(|error| self.unreachable(&error)),
        }
    }

    async fn connect(&self, channel: Channel) -> Result<Connection, CallError> {
        let node = self.known()?;
        let remembered = self.shared.memory.acknowledged(node.store);
        let connected = self.caller.connect(self.target, &node, channel, remembered, CONNECT_PATIENCE).await;
        if let Err(CallError::Refused(refusal)) = &connected {
            tracing::warn!(node = self.target, address = %node.address, %refusal, "peer refused");
        }
        let (connection, welcome) = connected?;
        self.shared.told(self.target, welcome.remembered);
        Ok(connection)
    }

    /// The peer, once the group knows its store: what a store without a name acknowledges is worth nothing. A member that was
    /// absent when the group formed got its name after this client was made.
    pub(super) fn known(&self) -> Result<Node, CallError> {
        if self.node.store != 0 {
            return Ok(self.node.clone());
        }
        let known = self.shared.nodes.read().get(&self.target).filter(|node| node.store != 0).cloned();
        known.ok_or(CallError::Unknown)
    }

    fn unreachable(&self, error: &CallError) -> RPCError<Types> {
        tracing::debug!(node = self.target, %error, "peer unreachable");
        RPCError::Unreachable(Unreachable::from_string(error.to_string()))
    }

    /// Calls over the shared control connection. A connection that went stale since it was last used is replaced once.
    async fn control(&self, request: &Control, patience: Duration) -> Result<Controlled, RPCError<Types>> {
        let bytes = codec::encode("request", request).map_err(|error| network_error(error.to_string()))?;
        let call = async {
            let mut kept = self.control.lock().await;
            if let Some(mut connection) = kept.take()
                && let Ok(answer) = call(&mut connection, &bytes).await
            {
                *kept = Some(connection);
                return Ok(answer);
            }
            let mut connection = self.connect(Channel::Control).await?;
            let answer = call(&mut connection, &bytes).await?;
            *kept = Some(connection);
            Ok(answer)
        };
        let outcome = tokio::time::timeout(patience, call).await.unwrap_or(Err(CallError::TimedOut));
        outcome.map_err(|error| self.unreachable(&error))
    }

    async fn ask_for_vote(
        &self,
        request: Control,
        option: &RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        match self.control(&request, option.soft_ttl().max(VOTE_PATIENCE)).await? {
            Controlled::Vote { vote, last, is_granted } => {
                Ok(VoteResponse::new(VoteOf::from(vote), last.map(LogId::from), is_granted))
            }
            Controlled::Transferred(_) | Controlled::Installed(_) => {
                Err(network_error("wrong answer".to_owned()))
            }
        }
    }
}

async fn call(connection: &mut Connection, bytes: &[u8]) -> Result<Controlled, CallError> {
    let (frame, payload) = connection.call(FrameType::Control, bytes).await?;
    match frame {
        FrameType::Controlled => codec::decode("answer", &payload).map_err(|_| CallError::Unexpected),
        FrameType::Failed => Err(CallError::Failed(String::from_utf8_lossy(&payload).into_owned())),
        _ => Err(CallError::Unexpected),
    }
}

pub(super) fn network_error(text: String) -> RPCError<Types> {
    RPCError::Network(NetworkError::from_string(text))
}

fn plain_request(request: &VoteRequest<Types>) -> PlainVoteRequest {
    PlainVoteRequest {
        vote: PlainVote::from(&request.vote),
        last: request.last_log_id.map(EntryId::from),
        is_transfer: request.leadership_transfer,
    }
}

impl RaftNetworkV2<Types> for Client {
    type SnapshotData = Arc<SnapshotData>;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let mut answers = RaftNetworkV2::stream_append(self, stream::iter([request]), option).await?;
        match answers.next().await {
            Some(answer) => Ok(answer?.into()),
            None => Err(network_error("no answer".to_owned())),
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        mut input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, AppendResult>, RPCError<Types>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            let Some(first) = input.next().await else {
                let nothing: BoxStream<'s, AppendResult> = Box::pin(stream::empty());
                return Ok(nothing);
            };
            let connection = self.append_connection().await?;
            let patience = option.soft_ttl().max(APPEND_PATIENCE);
            let requests = stream::iter([first]).chain(input);
            let exchange = Exchange::begin(self, connection, requests, patience);
            let answers: BoxStream<'s, AppendResult> =
                Box::pin(stream::unfold(exchange, |mut exchange| async move {
                    Some((exchange.next().await?, exchange))
                }));
            Ok(answers)
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask_for_vote(Control::Vote(plain_request(&request)), &option).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask_for_vote(Control::PreVote(plain_request(&request)), &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let send = async {
            let mut connection = self.connect(Channel::Control).await?;
            send_snapshot(&self.shared.log, &mut connection, &vote, &snapshot).await
        };
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = send => match sent {
                Ok(vote) => Ok(SnapshotResponse::new(vote.into())),
                Err(error) => {
                    tracing::warn!(node = self.target, %error, "snapshot not sent");
                    Err(StreamingError::Unreachable(Unreachable::from_string(error.to_string())))
                }
            },
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let control = Control::Transfer {
            from_leader: PlainVote::from(request.from_leader()),
            to: *request.to_node_id(),
            last: request.last_log_id().map(|id| EntryId::from(*id)),
        };
        let Controlled::Transferred(outcome) =
            self.control(&control, option.soft_ttl().max(VOTE_PATIENCE)).await?
        else {
            return Err(network_error("wrong answer".to_owned()));
        };
        Ok(match outcome {
            PlainTransfer::Accepted => Ok(()),
            PlainTransfer::VoteChanged { expected, actual } => {
                Err(TransferLeaderError::VoteChanged { expected: expected.into(), actual: actual.into() })
            }
            PlainTransfer::NotFlushed { expected, actual } => Err(TransferLeaderError::LogNotFlushed {
                expected: expected.map(LogId::from),
                actual: actual.map(LogId::from),
            }),
        })
    }

    fn backoff(&self) -> Option<Backoff> {
        let steps = [50, 100, 200, 300, 500].map(Duration::from_millis);
        Some(Backoff::new(steps.into_iter().chain(std::iter::repeat(Duration::from_millis(500)))))
    }
}
