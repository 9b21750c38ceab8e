//! The other side: what peers ask of us.
//!
//! Each connection says in its first frame what it is for and who sends it; a peer with another
//! layout, group or segment size is refused there with one clear line and never heard again.

use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use openraft::Raft;
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};
use openraft::storage::RaftStateMachine;
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::codec;
use crate::error::{EnvelopeError, NetError};
use crate::net::frame::{self, Frame, FrameKind};
use crate::net::shared::Shared;
use crate::types::{LogId, Snapshot, SnapshotData, TypeConfig, Vote};
use crate::wire::{Appended, Ballot, Lane, Range, SnapshotHead, Transfer, Voted, WireVote};

/// Peers are few and hold three connections each; whatever comes beyond is not a peer.
const CONNECTIONS_MAX: usize = 64;
/// The longest raw range that one fetch hands out.
const FETCH_BYTES_MAX: u32 = 1 << 20;

/// Raw bytes of the log, for a replica that lacks what came before the first entry.
pub(crate) trait RawLog: Send + Sync + 'static {
    /// Bytes from `from`, at most `bytes` and at most to the end of their segment.
    fn raw(&self, from: u64, bytes: u32) -> Option<Bytes>;
}

/// Answers peers until the listener's task is dropped.
pub(crate) async fn serve<M>(
    listener: TcpListener,
    shared: Arc<Shared>,
    raft: Raft<TypeConfig, M>,
    log: Arc<dyn RawLog>,
) where
    M: RaftStateMachine<TypeConfig, SnapshotData = SnapshotData>,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "peer could not be accepted");
                // Out of descriptors: taking a breath is all that can help.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!(%from, "too many peer connections");
            continue;
        };
        let (shared, raft, log) = (shared.clone(), raft.clone(), log.clone());
        connections.spawn(async move {
            let _place = place;
            if let Err(error) = connection(stream, from, shared, raft, log).await {
                tracing::debug!(%from, %error, "peer connection ended");
            }
        });
    }
}

async fn connection<M>(
    mut stream: TcpStream,
    from: SocketAddr,
    shared: Arc<Shared>,
    raft: Raft<TypeConfig, M>,
    log: Arc<dyn RawLog>,
) -> Result<(), NetError>
where
    M: RaftStateMachine<TypeConfig, SnapshotData = SnapshotData>,
{
    let hello = shared.accept(&mut stream, from).await?;
    match hello.lane {
        Lane::Bulk => bulk(stream, &shared, &raft).await,
        Lane::Control | Lane::Snapshot => answer_each(stream, &shared, &raft, &*log).await,
    }
}

/// A stream of appends and the stream of their answers.
async fn bulk<M>(stream: TcpStream, shared: &Arc<Shared>, raft: &Raft<TypeConfig, M>) -> Result<(), NetError>
where
    M: RaftStateMachine<TypeConfig, SnapshotData = SnapshotData>,
{
    let (reading, mut writing) = stream.into_split();
    let requests = requests(reading, shared.segment_bytes);
    let mut answers = std::pin::pin!(raft.stream_append(requests));
    while let Some(answer) = answers.next().await {
        let Ok(answer) = answer else { return Ok(()) };
        frame::write_control(&mut writing, FrameKind::Appended, &Appended::from(answer)).await?;
    }
    Ok(())
}

/// The appends of a connection; a broken one ends the stream, and the peer connects anew.
fn requests(
    reading: OwnedReadHalf,
    segment_bytes: u64,
) -> impl Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + 'static {
    futures_util::stream::unfold(reading, move |mut reading| async move {
        let frame = frame::read(&mut reading).await.ok()?;
        let parsed =
            frame.expect(FrameKind::Append).and_then(|()| frame::parse_append(&frame.payload, segment_bytes));
        match parsed {
            Ok(request) => Some((request, reading)),
            Err(error) => {
                tracing::error!(%error, "append from a peer is broken");
                None
            }
        }
    })
}

async fn answer_each<M>(
    mut stream: TcpStream,
    shared: &Shared,
    raft: &Raft<TypeConfig, M>,
    log: &dyn RawLog,
) -> Result<(), NetError>
where
    M: RaftStateMachine<TypeConfig, SnapshotData = SnapshotData>,
{
    loop {
        let frame = frame::read(&mut stream).await?;
        match frame.kind {
            FrameKind::Append => {
                let answer = append(&frame, shared, raft).await?;
                frame::write_control(&mut stream, FrameKind::Appended, &answer).await?;
            }
            FrameKind::Vote | FrameKind::PreVote => {
                let voted = vote(&frame, shared, raft).await;
                match voted {
                    Ok(voted) => frame::write_control(&mut stream, FrameKind::Voted, &voted).await?,
                    Err(reason) => frame::write_control(&mut stream, FrameKind::Refused, &reason).await?,
                }
            }
            FrameKind::Transfer => {
                let refused = transfer(&frame, shared, raft).await?;
                frame::write_control(&mut stream, FrameKind::Transferred, &refused).await?;
            }
            FrameKind::Snapshot => {
                let vote = snapshot(&frame, raft).await?;
                frame::write_control(&mut stream, FrameKind::Installed, &vote).await?;
            }
            FrameKind::Fetch => {
                let range: Range = frame.control(FrameKind::Fetch)?;
                match log.raw(range.from, range.bytes.min(FETCH_BYTES_MAX)) {
                    Some(bytes) => frame::write_parts(&mut stream, FrameKind::Fetched, vec![bytes]).await?,
                    None => {
                        let reason = format!("no bytes at {}", range.from);
                        frame::write_control(&mut stream, FrameKind::Refused, &reason).await?;
                    }
                }
            }
            other => return Err(NetError::FrameUnexpected { kind: other as u8 }),
        }
    }
}

async fn append<M>(frame: &Frame, shared: &Shared, raft: &Raft<TypeConfig, M>) -> Result<Appended, NetError>
where
    M: RaftStateMachine<TypeConfig, SnapshotData = SnapshotData>,
{
    let request = frame::parse_append(&frame.payload, shared.segment_bytes)?;
    let previous = request.prev_log_id.clone();
    let last = request.entries.last().map(|entry| entry.id.clone()).or_else(|| previous.clone());
    let response = raft.append_entries(request).await.map_err(stopped)?;
    Ok(Appended::from_response(response, previous.as_ref(), last.as_ref()))
}

/// A granted or refused vote, or the reason why this replica takes no part.
async fn vote<M>(frame: &Frame, shared: &Shared, raft: &Raft<TypeConfig, M>) -> Result<Voted, String>
where
    M: RaftStateMachine<TypeConfig, SnapshotData = SnapshotData>,
{
    let ballot: Ballot = frame.control(frame.kind).map_err(|error| error.to_string())?;
    if !shared.may_vote() {
        return Err("this replica is catching up after a power loss and does not vote yet".to_owned());
    }
    let request = VoteRequest::<TypeConfig>::from(ballot);
    let response = match frame.kind {
        FrameKind::PreVote => raft.pre_vote(request).await,
        _ => raft.vote(request).await,
    };
    response.map(|response| Voted::from(&response)).map_err(|error| error.to_string())
}

/// `None` when this replica takes over, else why not.
async fn transfer<M>(
    frame: &Frame,
    shared: &Shared,
    raft: &Raft<TypeConfig, M>,
) -> Result<Option<String>, NetError>
where
    M: RaftStateMachine<TypeConfig, SnapshotData = SnapshotData>,
{
    let transfer: Transfer = frame.control(FrameKind::Transfer)?;
    if !shared.may_vote() {
        return Ok(Some("this replica is catching up after a power loss".to_owned()));
    }
    let request =
        TransferLeaderRequest::new(Vote::from(transfer.from), transfer.to, transfer.last.map(LogId::from));
    let outcome = raft.handle_transfer_leader(request).await.map_err(stopped)?;
    Ok(outcome.err().map(|error| error.to_string()))
}

async fn snapshot<M>(frame: &Frame, raft: &Raft<TypeConfig, M>) -> Result<WireVote, NetError>
where
    M: RaftStateMachine<TypeConfig, SnapshotData = SnapshotData>,
{
    let mut at = frame.payload.clone();
    let short = EnvelopeError::TooShort { bytes: at.len() };
    if at.len() < 4 {
        return Err(short.into());
    }
    let head_bytes = at.get_u32() as usize;
    if at.len() < head_bytes {
        return Err(short.into());
    }
    let head: SnapshotHead = codec::decode(&at.split_to(head_bytes))?;
    let meta = openraft::storage::SnapshotMeta {
        last_log_id: head.last.map(LogId::from),
        last_membership: openraft::StoredMembership::new(
            head.membership_id.map(LogId::from),
            head.membership.try_into()?,
        ),
    };
    let snapshot = Snapshot { meta, snapshot: Cursor::new(at.to_vec()) };
    let response = raft.install_full_snapshot(Vote::from(head.vote), snapshot).await.map_err(stopped)?;
    Ok((&response.vote).into())
}

/// Raft has stopped: the connection ends, and the peer will see it as down.
fn stopped(error: impl std::fmt::Display) -> NetError {
    NetError::Refused { reason: error.to_string() }
}
