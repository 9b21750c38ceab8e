//! Snapshots between replicas, and the raw bytes that a new replica copies: what lies before the snapshot's end and is not
//! replicated entry by entry, a classic store's records above all.

use std::io;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::codec::{self, PlainVote};
use crate::envelope::crc32c;
use crate::log::{Log, write_raw};
use crate::net::connection::Connection;
use crate::net::frame::{Control, Controlled, FrameType};
use crate::net::handshake::CallError;
use crate::snapshot::PlainSnapshot;
use crate::types::{Snapshot, VoteOf};

/// Raw bytes in one frame.
pub(crate) const RAW_BYTES_MAX: usize = 1024 * 1024;

/// How long the peer may take to accept a frame.
const FRAME_PATIENCE: Duration = Duration::from_secs(10);

/// How long the peer may take to install what it received.
const INSTALL_PATIENCE: Duration = Duration::from_secs(60);

/// Sends a snapshot and the raw bytes before it; answers the peer's vote.
pub(crate) async fn send_snapshot(
    log: &Log,
    connection: &mut Connection,
    vote: &VoteOf,
    snapshot: &Snapshot,
) -> Result<PlainVote, CallError> {
    let Some(plain) = PlainSnapshot::of(snapshot) else { return Err(CallError::Unexpected) };
    let next_position = snapshot.snapshot.next_position;
    let first_position = snapshot.snapshot.first_position.max(log.segments().start()).min(next_position);
    let begin = Control::Snapshot { vote: PlainVote::from(vote), snapshot: Box::new(plain), first_position };
    write_control(connection, &begin).await?;
    let mut position = first_position;
    while position < next_position {
        let len = (next_position - position).min(RAW_BYTES_MAX as u64) as usize;
        let bytes = log.raw(position, len).map_err(|error| CallError::Failed(error.to_string()))?;
        if bytes.is_empty() {
            return Err(CallError::Failed("the log does not reach the snapshot's end".to_owned()));
        }
        position += bytes.len() as u64;
        write_raw_frame(connection, position - bytes.len() as u64, bytes).await?;
    }
    write_control(connection, &Control::Install).await?;
    let answer = tokio::time::timeout(INSTALL_PATIENCE, connection.reader.read()).await;
    let (frame, payload) = answer.map_err(|_| CallError::TimedOut)??;
    match (frame, codec::decode("answer", &payload)) {
        (FrameType::Controlled, Ok(Controlled::Installed(vote))) => Ok(vote),
        (FrameType::Failed, _) => Err(CallError::Failed(String::from_utf8_lossy(&payload).into_owned())),
        _ => Err(CallError::Unexpected),
    }
}

async fn write_control(connection: &mut Connection, control: &Control) -> Result<(), CallError> {
    let bytes = codec::encode("request", control).map_err(|_| CallError::Unexpected)?;
    within(FRAME_PATIENCE, connection.writer.write(FrameType::Control, &bytes)).await
}

/// Writes raw bytes behind their position and checksum.
pub(crate) async fn write_raw_frame(
    connection: &mut Connection,
    position: u64,
    bytes: Bytes,
) -> Result<(), CallError> {
    let mut head = BytesMut::with_capacity(12);
    head.put_u64(position);
    head.put_u32(crc32c(&bytes));
    within(FRAME_PATIENCE, connection.writer.write_slices(FrameType::Raw, &head, &[bytes])).await
}

/// Reads a raw frame's position and checked bytes.
pub(crate) fn decode_raw(mut payload: Bytes) -> io::Result<(u64, Bytes)> {
    if payload.len() < 12 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let (position, crc) = (payload.get_u64(), payload.get_u32());
    if crc32c(&payload) == crc { Ok((position, payload)) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Receives the raw bytes up to `next_position` into a log that has none; ends with the `Install` frame.
pub(crate) async fn receive_raw(
    log: &Log,
    connection: &mut Connection,
    first_position: u64,
    next_position: u64,
) -> Result<(), CallError> {
    if log.has_records_of_its_own() {
        let text =
            "this store holds records of its own: the group must be formed on it, or its directory emptied";
        return Err(CallError::Failed(text.to_owned()));
    }
    if first_position < next_position {
        if log.last().is_some() {
            return Err(CallError::Failed("raw bytes are only copied into an empty log".to_owned()));
        }
        log.begin_copy().map_err(|error| CallError::Failed(error.to_string()))?;
    }
    let mut position = first_position;
    while position < next_position {
        let (at, bytes) = match read_within(connection).await? {
            (FrameType::Raw, payload) => decode_raw(payload)?,
            _ => return Err(CallError::Unexpected),
        };
        if at != position || bytes.is_empty() || at + bytes.len() as u64 > next_position {
            return Err(CallError::Unexpected);
        }
        write_raw(log.segments(), at, &bytes).map_err(|error| CallError::Failed(error.to_string()))?;
        position += bytes.len() as u64;
    }
    let (frame, payload) = read_within(connection).await?;
    if frame != FrameType::Control || !matches!(codec::decode("request", &payload), Ok(Control::Install)) {
        return Err(CallError::Unexpected);
    }
    log.segments().sync(first_position, next_position).map_err(|error| CallError::Failed(error.to_string()))
}

async fn read_within(connection: &mut Connection) -> Result<(FrameType, Bytes), CallError> {
    within(FRAME_PATIENCE, connection.reader.read()).await
}

async fn within<T>(patience: Duration, deed: impl Future<Output = io::Result<T>>) -> Result<T, CallError> {
    Ok(tokio::time::timeout(patience, deed).await.map_err(|_| CallError::TimedOut)??)
}
