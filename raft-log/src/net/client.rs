//! Our side of a connection to a peer: the requests that openraft makes.
//!
//! A socket is used by one request at a time or by one stream of appends. Whoever gives up in
//! the middle drops the socket, so that an answer that comes late can never meet another request.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{FutureExt, Stream, StreamExt};
use openraft::alias::VoteOf;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use crate::codec;
use crate::error::NetError;
use crate::net::frame::{self, Frame, FrameKind};
use crate::net::shared::Shared;
use crate::types::{LogId, Peer, Snapshot, SnapshotData, TypeConfig, Vote};
use crate::wire::{Appended, Ballot, Lane, SnapshotHead, Transfer, Voted, WireMembership};

/// Appends on their way to a follower; openraft's follower side is as deep.
const APPENDS_IN_FLIGHT_MAX: usize = 64;
/// A snapshot is control data of some MiB at most, but its installation waits for a disk.
const SNAPSHOT_MAX: Duration = Duration::from_secs(30);

type Rpc<T> = Result<T, RPCError<TypeConfig>>;

/// Makes clients, one a peer and lane.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    shared: Arc<Shared>,
}

impl Network {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn client(&self, target: u64, peer: &Peer, lane: Lane) -> PeerClient {
        PeerClient { shared: self.shared.clone(), target, peer: peer.clone(), lane, socket: None }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = PeerClient;

    async fn new_client(&mut self, target: u64, node: &Peer) -> PeerClient {
        self.client(target, node, Lane::Bulk)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &Peer) -> PeerClient {
        self.client(target, node, Lane::Control)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &Peer) -> PeerClient {
        self.client(target, node, Lane::Snapshot)
    }
}

/// One peer on one lane. The socket is made on first use and again after every failure.
#[derive(Debug)]
pub(crate) struct PeerClient {
    shared: Arc<Shared>,
    target: u64,
    peer: Peer,
    lane: Lane,
    socket: Option<TcpStream>,
}

impl PeerClient {
    async fn take_socket(&mut self) -> Result<TcpStream, NetError> {
        match self.socket.take() {
            Some(socket) => Ok(socket),
            None => self.shared.connect(self.target, &self.peer, self.lane).await,
        }
    }

    /// One request, one answer; the socket survives only when both went well in time.
    async fn call(&mut self, kind: FrameKind, parts: Vec<Bytes>, limit: Duration) -> Result<Frame, NetError> {
        let exchange = async {
            let mut socket = self.take_socket().await?;
            frame::write_parts(&mut socket, kind, parts).await?;
            let answer = frame::read(&mut socket).await?;
            Ok::<_, NetError>((socket, answer))
        };
        let timed_out = NetError::TimedOut { millis: limit.as_millis() as u64 };
        let (socket, answer) = tokio::time::timeout(limit, exchange).await.map_err(|_| timed_out)??;
        self.socket = Some(socket);
        Ok(answer)
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &mut self,
        kind: FrameKind,
        question: &impl Serialize,
        answer: FrameKind,
        option: &RPCOption,
    ) -> Rpc<T> {
        let parts = vec![Bytes::from(codec::encode(question))];
        let frame = self.call(kind, parts, option.soft_ttl()).await.map_err(unreachable_peer)?;
        frame.control(answer).map_err(unreachable_peer)
    }
}

/// Every failure of a peer is a reason to wait before the next try.
fn unreachable_peer(error: NetError) -> RPCError<TypeConfig> {
    RPCError::Unreachable(Unreachable::new(&error))
}

impl RaftNetworkV2<TypeConfig> for PeerClient {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<AppendEntriesResponse<TypeConfig>> {
        let last = last_of(&request);
        let exchange = async {
            let mut socket = self.take_socket().await?;
            frame::write_append(&mut socket, &request).await?;
            let answer: Appended = frame::read(&mut socket).await?.control(FrameKind::Appended)?;
            Ok::<_, NetError>((socket, answer))
        };
        let limit = option.soft_ttl();
        let timed_out = NetError::TimedOut { millis: limit.as_millis() as u64 };
        let done = tokio::time::timeout(limit, exchange).await.map_err(|_| timed_out).and_then(|done| done);
        let (socket, answer) = done.map_err(unreachable_peer)?;
        self.socket = Some(socket);
        Ok(answer.into_response(last))
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> openraft::base::BoxFuture<'s, Rpc<openraft::base::BoxStream<'s, Rpc<StreamAppendResult<TypeConfig>>>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
    {
        let answers = futures_util::stream::once(answers(self, input, option)).flatten();
        let answers: openraft::base::BoxStream<'s, _> = answers.boxed();
        std::future::ready(Ok(answers)).boxed()
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<VoteResponse<TypeConfig>> {
        let voted: Voted =
            self.ask(FrameKind::Vote, &Ballot::from(&request), FrameKind::Voted, &option).await?;
        Ok(voted.into())
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<VoteResponse<TypeConfig>> {
        let voted: Voted =
            self.ask(FrameKind::PreVote, &Ballot::from(&request), FrameKind::Voted, &option).await?;
        Ok(voted.into())
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<TypeConfig>,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let head = codec::encode(&SnapshotHead {
            vote: (&vote).into(),
            last: snapshot.meta.last_log_id.as_ref().map(Into::into),
            membership_id: snapshot.meta.last_membership.log_id().as_ref().map(Into::into),
            membership: WireMembership::from(snapshot.meta.last_membership.membership()),
        });
        let mut lead = BytesMut::with_capacity(4 + head.len());
        lead.put_u32(head.len() as u32);
        lead.put_slice(&head);
        let parts = vec![lead.freeze(), Bytes::from(snapshot.snapshot.into_inner())];
        let sent = self.call(FrameKind::Snapshot, parts, SNAPSHOT_MAX);
        let frame = tokio::select! {
            closed = cancel => return Err(StreamingError::Closed(closed)),
            frame = sent => frame,
        };
        let installed = frame.and_then(|frame| frame.control::<crate::wire::WireVote>(FrameKind::Installed));
        match installed {
            Ok(vote) => Ok(SnapshotResponse::new(Vote::from(vote))),
            Err(error) => Err(StreamingError::Unreachable(Unreachable::new(&error))),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<TransferLeaderResponse<TypeConfig>> {
        let transfer = Transfer {
            from: request.from_leader().into(),
            to: *request.to_node_id(),
            last: request.last_log_id().map(Into::into),
        };
        let refused: Option<String> =
            self.ask(FrameKind::Transfer, &transfer, FrameKind::Transferred, &option).await?;
        match refused {
            None => Ok(Ok(())),
            Some(reason) => Err(RPCError::Network(NetworkError::from_string(reason))),
        }
    }
}

type Answers<'s> = openraft::base::BoxStream<'s, Rpc<StreamAppendResult<TypeConfig>>>;

/// The answers to a stream of appends.
///
/// The first request is awaited before anything is connected: openraft sleeps its back-off inside
/// the request stream, and connecting first would burn a core on a peer that is dead.
async fn answers<'s, S>(client: &'s mut PeerClient, mut input: S, option: RPCOption) -> Answers<'s>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
{
    let Some(first) = input.next().await else {
        return futures_util::stream::empty().boxed();
    };
    let socket = match client.take_socket().await {
        Ok(socket) => socket,
        Err(error) => {
            let error = unreachable_peer(error);
            return futures_util::stream::once(std::future::ready(Err(error))).boxed();
        }
    };
    let (reading, writing) = socket.into_split();
    let (sent, expected) = mpsc::channel(APPENDS_IN_FLIGHT_MAX);
    let writer = AbortOnDrop(tokio::spawn(write_all(first, input, writing, sent)));
    let state = Some(Reading { reading, expected, limit: option.soft_ttl(), _writer: writer });
    futures_util::stream::unfold(state, |state| async move {
        let mut state = state?;
        let previous = state.expected.recv().await?;
        let answer = state.next().await;
        match answer {
            Ok(answer) => {
                let result = answer.into_stream_result(previous);
                let go_on = result.is_ok().then_some(state);
                Some((Ok(result), go_on))
            }
            Err(error) => Some((Err(unreachable_peer(error)), None)),
        }
    })
    .boxed()
}

struct Reading {
    reading: OwnedReadHalf,
    expected: mpsc::Receiver<Option<LogId>>,
    limit: Duration,
    _writer: AbortOnDrop,
}

impl Reading {
    async fn next(&mut self) -> Result<Appended, NetError> {
        // A follower that installs a big batch may take long, but not for ever.
        let limit = self.limit.max(Duration::from_secs(2));
        let timed_out = NetError::TimedOut { millis: limit.as_millis() as u64 };
        let frame =
            tokio::time::timeout(limit, frame::read(&mut self.reading)).await.map_err(|_| timed_out)??;
        frame.control(FrameKind::Appended)
    }
}

async fn write_all<S>(
    first: AppendEntriesRequest<TypeConfig>,
    mut input: S,
    mut writing: OwnedWriteHalf,
    sent: mpsc::Sender<Option<LogId>>,
) where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
{
    let mut request = first;
    loop {
        if sent.send(request.prev_log_id.clone()).await.is_err() {
            return;
        }
        if let Err(error) = frame::write_append(&mut writing, &request).await {
            tracing::debug!(%error, "append could not be written");
            return;
        }
        match input.next().await {
            Some(next) => request = next,
            None => return,
        }
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn last_of(request: &AppendEntriesRequest<TypeConfig>) -> Option<LogId> {
    request.entries.last().map(|entry| entry.id.clone()).or_else(|| request.prev_log_id.clone())
}
