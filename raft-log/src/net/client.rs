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
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

use crate::codec::{self, PlainVote};
use crate::envelope::EntryId;
use crate::net::connection::Connection;
use crate::net::exchange::{AppendResult, Exchange, Kept};
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
        let way =
            Way { shared: self.shared.clone(), caller: self.caller.clone(), target, node: node.clone() };
        let control = self.controls.entry(target).or_default().clone();
        Client { way, append: None, connecting: None, control }
    }
}

/// Calls one peer.
pub(crate) struct Client {
    pub(super) way: Way,
    /// The connection for entries or heartbeats, while no stream uses it.
    pub(super) append: Option<Kept>,
    /// One that is being made. Who began it may have given up since: the next one goes on waiting.
    connecting: Option<JoinHandle<Result<Connection, CallError>>>,
    control: Arc<Mutex<Option<Connection>>>,
}

/// How a peer is reached.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) shared: Arc<Shared>,
    caller: Caller,
    target: u64,
    node: Node,
}

impl Way {
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
}

impl Client {
    /// A connection for requests to append. Only a heartbeat takes one on which answers are still to come.
    async fn append_connection(&mut self, is_heartbeat: bool) -> Result<Kept, RPCError<Types>> {
        if let Some(mut kept) = self.append.take()
            && kept.catch_up()
            && (is_heartbeat || kept.owed == 0)
        {
            return Ok(kept);
        }
        let connecting = self.connecting.get_or_insert_with(|| {
            let way = self.way.clone();
            tokio::spawn(async move { way.connect(Channel::Append).await })
        });
        let connected = connecting.await.unwrap_or(Err(CallError::TimedOut));
        self.connecting = None;
        connected.map(Kept::new).map_err(|error| self.way.unreachable(&error))
    }

    /// Calls over the shared control connection, in a task of its own: openraft gives a vote up after the shortest time until
    /// an election, and a connection that takes longer would be begun anew by every candidate, and never be there.
    async fn control(&self, request: &Control, patience: Duration) -> Result<Controlled, RPCError<Types>> {
        let bytes = codec::encode("request", request).map_err(|error| network_error(error.to_string()))?;
        let (way, kept) = (self.way.clone(), self.control.clone());
        let (tell, told) = oneshot::channel();
        tokio::spawn(async move {
            let connect = way.connect(Channel::Control);
            let call = call_over(&kept, connect, &bytes, || tell.is_closed());
            let outcome = tokio::time::timeout(patience, call).await.unwrap_or(Err(CallError::TimedOut));
            let _ = tell.send(outcome);
        });
        let outcome = told.await.unwrap_or(Err(CallError::TimedOut));
        outcome.map_err(|error| self.way.unreachable(&error))
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

/// Calls over a control connection. One that went stale since it was last used is replaced once, and one that was made is kept
/// whatever was asked; but never one on which an answer is still to come: it would be taken for the next one's.
async fn call_over(
    kept: &Mutex<Option<Connection>>,
    connect: impl Future<Output = Result<Connection, CallError>>,
    bytes: &[u8],
    is_given_up: impl Fn() -> bool,
) -> Result<Controlled, CallError> {
    let mut kept = kept.lock().await;
    if is_given_up() {
        return Err(CallError::TimedOut);
    }
    if let Some(mut connection) = kept.take()
        && let Ok(answer) = call(&mut connection, bytes).await
    {
        *kept = Some(connection);
        return Ok(answer);
    }
    let mut connection = connect.await?;
    if is_given_up() {
        *kept = Some(connection);
        return Err(CallError::TimedOut);
    }
    let answer = call(&mut connection, bytes).await?;
    *kept = Some(connection);
    Ok(answer)
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
            // openraft sends a heartbeat as a stream of one request without entries, and any other as a stream without an end.
            let is_heartbeat = first.entries.is_empty() && input.size_hint().1 == Some(0);
            let connection = self.append_connection(is_heartbeat).await?;
            let patience = option.soft_ttl().max(APPEND_PATIENCE);
            let requests = stream::iter([first]).chain(input);
            let exchange = Exchange::begin(self, connection, requests, is_heartbeat, patience);
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
            let mut connection = self.way.connect(Channel::Control).await?;
            send_snapshot(&self.way.shared.log, &mut connection, &vote, &snapshot).await
        };
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = send => match sent {
                Ok(vote) => Ok(SnapshotResponse::new(vote.into())),
                Err(error) => {
                    tracing::warn!(node = self.way.target, %error, "snapshot not sent");
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const FRAME_BYTES_MAX: usize = 1024;
    const PATIENCE: Duration = Duration::from_secs(30);

    fn words(term: u64) -> Vec<u8> {
        let vote = PlainVote { term, node: 1, is_committed: false };
        codec::encode("answer", &Controlled::Installed(vote)).unwrap()
    }

    /// A peer that answers with what it was asked, a request late: the first when the second came.
    async fn late_peer(listener: TcpListener) {
        let mut connections = Vec::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.push(tokio::spawn(async move {
                let mut connection = Connection::over(stream, FRAME_BYTES_MAX).unwrap();
                let (_, mut asked) = connection.reader.read().await.unwrap();
                while let Ok((_, next)) = connection.reader.read().await {
                    connection.writer.write(FrameType::Controlled, &asked).await.unwrap();
                    asked = next;
                }
            }));
        }
    }

    #[tokio::test]
    async fn an_answer_that_nobody_waited_for_is_not_taken_for_the_next_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(late_peer(listener));
        let kept = Mutex::new(None);
        for term in 1..=2 {
            let connect = async { Ok(Connection::connect(&address, FRAME_BYTES_MAX, PATIENCE).await?) };
            let request = words(term);
            let call = call_over(&kept, connect, &request, || false);
            let outcome = tokio::time::timeout(Duration::from_millis(100), call).await;
            assert!(outcome.is_err(), "{term}: the peer has not answered this, but {outcome:?} came");
        }
    }

    #[tokio::test]
    async fn who_gave_up_while_it_connected_leaves_the_connection_to_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let kept = Mutex::new(None);
        let looked = std::cell::Cell::new(false);
        let connect = async { Ok(Connection::connect(&address, FRAME_BYTES_MAX, PATIENCE).await?) };
        let outcome = call_over(&kept, connect, &words(1), || looked.replace(true)).await;
        assert!(matches!(outcome, Err(CallError::TimedOut)) && kept.lock().await.is_some());
    }
}
