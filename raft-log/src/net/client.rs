//! The calling side, as openraft wants it.
//!
//! A pipelined stream of requests to append polls its first request before it connects: openraft waits out its backoff inside
//! the stream of requests, and a client that connects first turns a dead follower into a busy loop.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use openraft::error::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use tokio::sync::Mutex;

use crate::codec::{self, PlainVote};
use crate::envelope::EntryId;
use crate::memory::Acknowledged;
use crate::net::connection::{Connection, Reader, Writer};
use crate::net::frame::{
    Control, Controlled, FrameType, PlainTransfer, PlainVoteRequest, decode_appended, encode_append,
};
use crate::net::handshake::{CallError, Caller, Channel};
use crate::net::snapshot::send_snapshot;
use crate::shared::Shared;
use crate::snapshot::SnapshotData;
use crate::types::{LogId, Node, Snapshot, Types, VoteOf};

/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);
/// How long a follower may take for a request to append; its disk may stall.
const APPEND_PATIENCE: Duration = Duration::from_secs(5);
/// How long a follower may learn later than at once that an entry is committed; a heartbeat tells it in any case.
const COMMIT_PATIENCE: Duration = Duration::from_millis(5);
/// How long a voter may take: it syncs its vote.
const VOTE_PATIENCE: Duration = Duration::from_millis(1500);

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type BoxStream<'a, T> = Pin<Box<dyn Stream<Item = T> + Send + 'a>>;
type AppendResult = Result<StreamAppendResult<Types>, RPCError<Types>>;

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
    shared: Arc<Shared>,
    caller: Caller,
    target: u64,
    node: Node,
    /// The connection for entries or heartbeats, while no stream uses it.
    append: Option<Connection>,
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
    fn known(&self) -> Result<Node, CallError> {
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

fn network_error(text: String) -> RPCError<Types> {
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
            let Connection { reader, writer } = self.append_connection().await?;
            let patience = option.soft_ttl().max(APPEND_PATIENCE);
            let acknowledged = self.shared.memory.of(self.known().map_or(0, |node| node.store));
            let open = Arc::new(AtomicU64::new(0));
            let sending =
                send_all(self.shared.clone(), writer, stream::iter([first]).chain(input), open.clone());
            let exchange = Exchange {
                client: self,
                reader: Some(reader),
                sending: Some(Box::pin(sending)),
                writer: None,
                open,
                patience,
                is_late: false,
                acknowledged,
            };
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

/// The writing side of a stream: it ends with the writer when every request is sent.
type Sending = BoxFuture<'static, Result<Writer, std::io::Error>>;

/// Requests going out and answers coming in, side by side.
struct Exchange<'s> {
    client: &'s mut Client,
    reader: Option<Reader>,
    sending: Option<Sending>,
    /// The writer, once all requests went out.
    writer: Option<Writer>,
    /// Requests without an answer.
    open: Arc<AtomicU64>,
    patience: Duration,
    /// No answer came during the last `patience`, although one was due.
    is_late: bool,
    /// Where the peer's acknowledgements are noted.
    acknowledged: Acknowledged,
}

/// Sends every request as it comes.
async fn send_all(
    shared: Arc<Shared>,
    mut writer: Writer,
    mut requests: impl Stream<Item = AppendEntriesRequest<Types>> + Unpin,
    open: Arc<AtomicU64>,
) -> Result<Writer, std::io::Error> {
    // The first request is a probe or the beginning of a stream, and somebody waits for its answer.
    let mut next = requests.next().await;
    while let Some(request) = next {
        let last = shared.log.last().map_or(0, |last| last.index);
        let (head, slices): (_, Vec<Bytes>) = encode_append(request, last);
        open.fetch_add(1, Ordering::Relaxed);
        writer.write_slices(FrameType::Append, &head, &slices).await?;
        next = next_worth_sending(&mut requests).await;
    }
    Ok(writer)
}

/// The next request with entries. One without tells only how far the log is committed, which the next one with entries
/// tells as well: it is kept back for a moment, and given up when it is overtaken.
async fn next_worth_sending(
    requests: &mut (impl Stream<Item = AppendEntriesRequest<Types>> + Unpin),
) -> Option<AppendEntriesRequest<Types>> {
    let mut request = requests.next().await?;
    if !request.entries.is_empty() {
        return Some(request);
    }
    let patience = tokio::time::sleep(COMMIT_PATIENCE);
    tokio::pin!(patience);
    loop {
        tokio::select! {
            biased;
            next = requests.next() => match next {
                Some(next) if next.entries.is_empty() => request = next,
                Some(next) => return Some(next),
                None => return Some(request),
            },
            () = &mut patience => return Some(request),
        }
    }
}

impl Exchange<'_> {
    /// The next answer; `None` when every request was answered, and then the connection is kept for the next stream.
    async fn next(&mut self) -> Option<AppendResult> {
        let outcome = self.wait().await?;
        match outcome {
            Ok(Ok(matched)) => {
                self.open.fetch_sub(1, Ordering::Relaxed);
                self.is_late = false;
                if let Some(matched) = matched {
                    self.acknowledged.note(matched.index);
                }
                Some(Ok(Ok(matched)))
            }
            // After anything else the peer's side of the stream is over, and so is the connection.
            other => {
                self.reader = None;
                Some(other)
            }
        }
    }

    async fn wait(&mut self) -> Option<AppendResult> {
        loop {
            if self.open.load(Ordering::Relaxed) == 0 && self.writer.is_some() {
                let (reader, writer) = (self.reader.take()?, self.writer.take()?);
                self.client.append = Some(Connection { reader, writer });
                return None;
            }
            let reader = self.reader.as_mut()?;
            let sending = async {
                match self.sending.as_mut() {
                    Some(sending) => sending.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                answer = reader.read() => return Some(judge(answer)),
                sent = sending => {
                    self.sending = None;
                    match sent {
                        Ok(writer) => self.writer = Some(writer),
                        Err(error) => return Some(Err(network_error(error.to_string()))),
                    }
                }
                () = tokio::time::sleep(self.patience) => {
                    let is_due = self.open.load(Ordering::Relaxed) > 0;
                    if is_due && self.is_late {
                        return Some(Err(network_error("no answer in time".to_owned())));
                    }
                    self.is_late = is_due;
                }
            }
        }
    }
}

fn judge(answer: std::io::Result<(FrameType, Bytes)>) -> AppendResult {
    match answer {
        Ok((FrameType::Appended, payload)) => {
            decode_appended(payload).map_err(|error| network_error(error.to_string()))
        }
        Ok((FrameType::Failed, payload)) => {
            let text = String::from_utf8_lossy(&payload).into_owned();
            Err(RPCError::Unreachable(Unreachable::from_string(text)))
        }
        Ok(_) => Err(network_error("wrong answer".to_owned())),
        Err(error) => Err(network_error(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{LogEntry, Payload};

    fn id(index: u64) -> LogId {
        EntryId { term: 1, node: 1, index }.into()
    }

    fn request(commit: u64, entry: Option<u64>) -> AppendEntriesRequest<Types> {
        let entry = entry.map(|index| LogEntry { id: id(index), payload: Payload::Blank });
        AppendEntriesRequest {
            vote: PlainVote { term: 1, node: 1, is_committed: true }.into(),
            prev_log_id: None,
            entries: entry.into_iter().collect(),
            leader_commit: Some(id(commit)),
        }
    }

    #[tokio::test]
    async fn a_commit_travels_with_the_entries_that_follow_it() {
        let mut requests = stream::iter([request(1, None), request(2, None), request(2, Some(3))]);
        let next = next_worth_sending(&mut requests).await.unwrap();
        assert_eq!((next.leader_commit, next.entries.len()), (Some(id(2)), 1));
        assert!(next_worth_sending(&mut requests).await.is_none());
    }

    #[tokio::test]
    async fn a_commit_that_nothing_follows_travels_alone() {
        let mut ending = stream::iter([request(1, None), request(2, None)]);
        let last = next_worth_sending(&mut ending).await.unwrap();
        assert_eq!((last.leader_commit, last.entries.len()), (Some(id(2)), 0));
        let mut silent = stream::iter([request(1, None)]).chain(stream::pending());
        let first = next_worth_sending(&mut silent).await.unwrap();
        assert_eq!((first.leader_commit, first.entries.len()), (Some(id(1)), 0));
    }
}
