//! The called side: greets, judges, and hands requests to the consensus.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use openraft::raft::{
    AppendEntriesRequest, TransferLeaderError, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::codec::{self, PlainVote};
use crate::envelope::{ENVELOPE_BYTES, EntryId, Envelope};
use crate::net::connection::{Connection, Reader, Writer};
use crate::net::frame::{
    Control, Controlled, FrameType, PlainTransfer, PlainVoteRequest, decode_append, encode_appended,
};
use crate::net::handshake::{CallError, Channel, Hello, judge};
use crate::net::snapshot::{RAW_BYTES_MAX, receive_raw, write_raw_frame};
use crate::raft_log::RaftHandle;
use crate::shared::Shared;
use crate::snapshot::PlainSnapshot;
use crate::types::{LogId, Payload, Types, VoteOf};

/// Connections at the same time: a few for each member, and room for those that reconnect.
const CONNECTIONS_MAX: usize = 256;

/// How long a caller may take for its first words.
const GREETING_PATIENCE: Duration = Duration::from_secs(5);

/// Requests of one connection that are decoded and not yet taken by the consensus.
const REQUESTS_WAITING_MAX: usize = 4;

/// Serves peers until dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    raft: RaftHandle,
    frame_bytes_max: usize,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                    connections.spawn(serve_one(stream, shared.clone(), raft.clone(), frame_bytes_max));
                }
                Ok(_) => tracing::warn!("too many connections from peers"),
                // For instance no file descriptor left: waiting a moment keeps the loop from spinning.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a peer");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_one(stream: TcpStream, shared: Arc<Shared>, raft: RaftHandle, frame_bytes_max: usize) {
    let peer = stream.peer_addr().ok();
    let served = async {
        let mut connection = Connection::over(stream, frame_bytes_max)?;
        let greeted = tokio::time::timeout(GREETING_PATIENCE, greet(&mut connection, &shared)).await;
        match greeted.map_err(|_| CallError::TimedOut)?? {
            Channel::Append => serve_append(connection, &shared, &raft).await,
            Channel::Control => serve_control(connection, &shared, &raft).await,
            Channel::Greeting => Ok(()),
        }
    };
    if let Err(error) = served.await {
        tracing::debug!(?peer, %error, "connection of a peer ended");
    }
}

async fn greet(connection: &mut Connection, shared: &Shared) -> Result<Channel, CallError> {
    let (FrameType::Hello, payload) = connection.reader.read().await? else {
        return Err(CallError::Unexpected);
    };
    let hello: Hello = codec::decode("greeting", &payload).map_err(|_| CallError::Unexpected)?;
    match judge(&hello, shared) {
        Ok(welcome) => {
            let bytes = codec::encode("greeting", &welcome).map_err(|_| CallError::Unexpected)?;
            connection.writer.write(FrameType::Welcome, &bytes).await?;
            Ok(hello.channel)
        }
        Err(refusal) => {
            let bytes = codec::encode("refusal", &refusal).map_err(|_| CallError::Unexpected)?;
            connection.writer.write(FrameType::Refused, &bytes).await?;
            Err(refusal.into())
        }
    }
}

/// Serves one stream of requests to append: reads ahead while earlier ones are written to disk, answers in order.
async fn serve_append(connection: Connection, shared: &Shared, raft: &RaftHandle) -> Result<(), CallError> {
    let Connection { reader, mut writer } = connection;
    let (requests, waiting) = mpsc::channel(REQUESTS_WAITING_MAX);
    let waiting =
        stream::unfold(waiting, |mut waiting| async { waiting.recv().await.map(|next| (next, waiting)) });
    let reading = read_requests(reader, shared, requests);
    let mut answers = Box::pin(raft.stream_append(waiting));
    let answering = async {
        while let Some(answer) = answers.next().await {
            let answer = answer.map_err(|error| CallError::Failed(error.to_string()))?;
            writer.write(FrameType::Appended, &encode_appended(&answer)).await?;
        }
        Ok(())
    };
    let ended = tokio::select! {
        ended = reading => ended,
        ended = answering => return ended,
    };
    tell(&mut writer, &ended).await;
    ended
}

/// Tells the peer why its connection ends, if there is something to tell.
async fn tell(writer: &mut Writer, ended: &Result<(), CallError>) {
    if let Err(CallError::Failed(text)) = ended {
        let _ = writer.write(FrameType::Failed, text.as_bytes()).await;
    }
}

async fn read_requests(
    mut reader: Reader,
    shared: &Shared,
    requests: mpsc::Sender<AppendEntriesRequest<Types>>,
) -> Result<(), CallError> {
    loop {
        let (FrameType::Append, payload) = reader.read().await? else { return Err(CallError::Unexpected) };
        let frame = decode_append(payload).map_err(|error| CallError::Failed(error.to_string()))?;
        shared.heard_leader(frame.request.vote, frame.sender_last);
        if begins_elsewhere(&frame.request, shared) {
            return Err(CallError::Failed("an empty log must begin with this group's snapshot".to_owned()));
        }
        if requests.send(frame.request).await.is_err() {
            return Ok(());
        }
    }
}

/// Whether a request's first entry lies behind bytes that this log does not have.
fn begins_elsewhere(request: &AppendEntriesRequest<Types>, shared: &Shared) -> bool {
    let Some(first) = request.entries.first() else { return false };
    let Payload::Stored(stored) = &first.payload else { return false };
    request.prev_log_id.is_none()
        && shared.log.last().is_none()
        && Envelope::decode(&stored.bytes).is_some_and(|envelope| envelope.position != shared.log.end())
}

async fn serve_control(
    mut connection: Connection,
    shared: &Shared,
    raft: &RaftHandle,
) -> Result<(), CallError> {
    loop {
        let (FrameType::Control, payload) = connection.reader.read().await? else {
            return Err(CallError::Unexpected);
        };
        let request: Control = codec::decode("request", &payload).map_err(|_| CallError::Unexpected)?;
        let outcome = match request {
            Control::Vote(request) => vote(shared, raft, &request, true).await.map(Some),
            Control::PreVote(request) => vote(shared, raft, &request, false).await.map(Some),
            Control::Transfer { from_leader, to, last } => {
                transfer(raft, from_leader, to, last).await.map(Some)
            }
            Control::Snapshot { vote, snapshot, first_position } => {
                install(shared, raft, &mut connection, vote, *snapshot, first_position).await.map(Some)
            }
            Control::Fetch { position, len } => {
                fetch(shared, &mut connection, position, len).await.map(|()| None)
            }
            Control::Install => Err(CallError::Unexpected),
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(answer)) => {
                let bytes = codec::encode("answer", &answer).map_err(|_| CallError::Unexpected)?;
                connection.writer.write(FrameType::Controlled, &bytes).await?;
            }
            Err(error) => {
                let ended = Err(error);
                tell(&mut connection.writer, &ended).await;
                return ended;
            }
        }
    }
}

async fn vote(
    shared: &Shared,
    raft: &RaftHandle,
    request: &PlainVoteRequest,
    is_real: bool,
) -> Result<Controlled, CallError> {
    let asked = VoteRequest {
        vote: request.vote.into(),
        last_log_id: request.last.map(LogId::from),
        leadership_transfer: request.is_transfer,
    };
    let answer = if !shared.probation.may_vote_for(request.last) {
        let none = PlainVote { term: 0, node: shared.node, is_committed: false };
        let own = shared.log.vote().unwrap_or_else(|| none.into());
        Ok(VoteResponse::new(own, shared.log.last().map(LogId::from), false))
    } else if is_real {
        raft.vote(asked).await
    } else {
        raft.pre_vote(asked).await
    };
    let answer = answer.map_err(|error| CallError::Failed(error.to_string()))?;
    Ok(Controlled::Vote {
        vote: PlainVote::from(&answer.vote),
        last: answer.last_log_id.map(EntryId::from),
        is_granted: answer.vote_granted,
    })
}

async fn transfer(
    raft: &RaftHandle,
    from_leader: PlainVote,
    to: u64,
    last: Option<EntryId>,
) -> Result<Controlled, CallError> {
    let request = TransferLeaderRequest::new(from_leader.into(), to, last.map(LogId::from));
    let answer = raft.handle_transfer_leader(request).await;
    Ok(Controlled::Transferred(match answer.map_err(|error| CallError::Failed(error.to_string()))? {
        Ok(()) => PlainTransfer::Accepted,
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            PlainTransfer::VoteChanged { expected: (&expected).into(), actual: (&actual).into() }
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => PlainTransfer::NotFlushed {
            expected: expected.map(EntryId::from),
            actual: actual.map(EntryId::from),
        },
    }))
}

async fn install(
    shared: &Shared,
    raft: &RaftHandle,
    connection: &mut Connection,
    vote: PlainVote,
    snapshot: PlainSnapshot,
    first_position: u64,
) -> Result<Controlled, CallError> {
    let vote = VoteOf::from(vote);
    if let Some(own) = shared.log.vote()
        && own.leader_id > vote.leader_id
    {
        return Ok(Controlled::Installed(PlainVote::from(&own)));
    }
    let snapshot = snapshot.into_snapshot().map_err(|error| CallError::Failed(error.to_string()))?;
    receive_raw(&shared.log, connection, first_position, snapshot.snapshot.next_position).await?;
    let answer = raft.install_full_snapshot(vote, snapshot).await;
    let answer = answer.map_err(|error| CallError::Failed(error.to_string()))?;
    Ok(Controlled::Installed(PlainVote::from(&answer.vote)))
}

/// Sends raw bytes of the applied part of the log, for a peer that repairs its own.
async fn fetch(
    shared: &Shared,
    connection: &mut Connection,
    position: u64,
    len: u32,
) -> Result<(), CallError> {
    let end = shared.applied.position();
    let len = (len as usize).min(RAW_BYTES_MAX).min(end.saturating_sub(position) as usize);
    let bytes = if len < ENVELOPE_BYTES {
        Bytes::new()
    } else {
        shared.log.raw(position, len).map_err(|error| CallError::Failed(error.to_string()))?
    };
    write_raw_frame(connection, position, bytes).await
}

/// Whether the group was formed, as far as this node knows; for tests and the facade.
pub(crate) fn is_formed(shared: &Shared) -> bool {
    shared.is_formed.load(Ordering::Relaxed)
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
