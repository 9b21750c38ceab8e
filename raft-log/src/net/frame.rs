//! The frames: length, type, payload. Requests to append are laid out by hand, since they carry the log's own bytes; the
//! small ones go through `codec`.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::raft::{AppendEntriesRequest, StreamAppendError, StreamAppendResult};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec::PlainVote;
use crate::envelope::{ENVELOPE_BYTES, EntryId, Envelope};
use crate::error::LogError;
use crate::log::stored_entry;
use crate::snapshot::PlainSnapshot;
use crate::types::{LogEntry, LogId, Payload, Types, VoteOf};

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameType {
    Hello,
    Welcome,
    Refused,
    Append,
    Appended,
    Control,
    Controlled,
    Raw,
    Failed,
}

impl FrameType {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Hello => 1,
            Self::Welcome => 2,
            Self::Refused => 3,
            Self::Append => 4,
            Self::Appended => 5,
            Self::Control => 6,
            Self::Controlled => 7,
            Self::Raw => 8,
            Self::Failed => 9,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        let all = [
            Self::Hello,
            Self::Welcome,
            Self::Refused,
            Self::Append,
            Self::Appended,
            Self::Control,
            Self::Controlled,
            Self::Raw,
            Self::Failed,
        ];
        all.into_iter().find(|frame| frame.number() == number)
    }
}

/// What a peer sent wrong.
#[derive(Debug, Error)]
pub(crate) enum FrameError {
    #[error("the frame ends too early")]
    Short,
    #[error("the frame has a value that does not exist")]
    Value,
    #[error(transparent)]
    Entry(#[from] LogError),
}

/// A small request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Control {
    Vote(PlainVoteRequest),
    PreVote(PlainVoteRequest),
    Transfer {
        from_leader: PlainVote,
        to: u64,
        last: Option<EntryId>,
    },
    /// A snapshot follows: raw frames from `first_position` on, then `Install`.
    Snapshot {
        vote: PlainVote,
        snapshot: Box<PlainSnapshot>,
        first_position: u64,
    },
    Install,
    /// Asks for raw bytes of the applied log.
    Fetch {
        position: u64,
        len: u32,
    },
}

/// A request for a vote.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlainVoteRequest {
    pub(crate) vote: PlainVote,
    pub(crate) last: Option<EntryId>,
    pub(crate) is_transfer: bool,
}

/// The answer to a small request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Controlled {
    Vote { vote: PlainVote, last: Option<EntryId>, is_granted: bool },
    Transferred(PlainTransfer),
    Installed(PlainVote),
}

/// What became of a transfer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum PlainTransfer {
    Accepted,
    VoteChanged { expected: PlainVote, actual: PlainVote },
    NotFlushed { expected: Option<EntryId>, actual: Option<EntryId> },
}

/// A request to append, and the last index that its sender holds.
#[derive(Debug)]
pub(crate) struct AppendFrame {
    pub(crate) request: AppendEntriesRequest<Types>,
    pub(crate) sender_last: u64,
}

/// Encodes a request: the head, and the entries as the slices of the log that they are.
pub(crate) fn encode_append(
    request: AppendEntriesRequest<Types>,
    sender_last: u64,
) -> (BytesMut, Vec<Bytes>) {
    let mut head = BytesMut::with_capacity(128);
    put_vote(&mut head, &request.vote);
    put_id(&mut head, request.prev_log_id);
    put_id(&mut head, request.leader_commit);
    head.put_u64(sender_last);
    head.put_u32(request.entries.len() as u32);
    let mut slices = Vec::with_capacity(request.entries.len());
    for entry in request.entries {
        match entry.payload {
            Payload::Stored(stored) => slices.push(stored.bytes),
            Payload::Blank | Payload::Proposed(_) | Payload::Membership(_) => {
                unreachable!("replication reads entries back from the log")
            }
        }
    }
    (head, slices)
}

/// Decodes a request and checks each entry's checksum: the only time that a follower does.
pub(crate) fn decode_append(mut payload: Bytes) -> Result<AppendFrame, FrameError> {
    let vote = get_vote(&mut payload)?;
    let prev_log_id = get_id(&mut payload)?;
    let leader_commit = get_id(&mut payload)?;
    let sender_last = payload.try_get_u64().map_err(|_| FrameError::Short)?;
    let count = payload.try_get_u32().map_err(|_| FrameError::Short)? as usize;
    if count > payload.len() / ENVELOPE_BYTES {
        return Err(FrameError::Short);
    }
    let mut entries: Vec<LogEntry> = Vec::with_capacity(count);
    for _ in 0..count {
        let envelope = Envelope::decode(&payload).ok_or(FrameError::Value)?;
        if envelope.total as usize > payload.len() {
            return Err(FrameError::Short);
        }
        let bytes = payload.split_to(envelope.total as usize);
        let envelope = Envelope::check(&bytes)?;
        let before = entries.last().map(|entry| entry.id).or(prev_log_id);
        if before.map_or(0, |id| id.index + 1) != envelope.id.index {
            return Err(FrameError::Value);
        }
        entries.push(stored_entry(&envelope, bytes)?);
    }
    if !payload.is_empty() {
        return Err(FrameError::Value);
    }
    Ok(AppendFrame {
        request: AppendEntriesRequest { vote, prev_log_id, entries, leader_commit },
        sender_last,
    })
}

/// Encodes the answer to a request to append.
pub(crate) fn encode_appended(result: &StreamAppendResult<Types>) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(32);
    match result {
        Ok(matched) => {
            bytes.put_u8(0);
            put_id(&mut bytes, *matched);
        }
        Err(StreamAppendError::Conflict(at)) => {
            bytes.put_u8(1);
            put_id(&mut bytes, Some(*at));
        }
        Err(StreamAppendError::HigherVote(vote)) => {
            bytes.put_u8(2);
            put_vote(&mut bytes, vote);
        }
    }
    bytes
}

/// Decodes the answer to a request to append.
pub(crate) fn decode_appended(mut payload: Bytes) -> Result<StreamAppendResult<Types>, FrameError> {
    match payload.try_get_u8().map_err(|_| FrameError::Short)? {
        0 => Ok(Ok(get_id(&mut payload)?)),
        1 => Ok(Err(StreamAppendError::Conflict(get_id(&mut payload)?.ok_or(FrameError::Value)?))),
        2 => Ok(Err(StreamAppendError::HigherVote(get_vote(&mut payload)?))),
        _ => Err(FrameError::Value),
    }
}

fn put_vote(bytes: &mut BytesMut, vote: &VoteOf) {
    let vote = PlainVote::from(vote);
    bytes.put_u64(vote.term);
    bytes.put_u64(vote.node);
    bytes.put_u8(vote.is_committed.into());
}

fn get_vote(payload: &mut Bytes) -> Result<VoteOf, FrameError> {
    let mut get = || payload.try_get_u64().map_err(|_| FrameError::Short);
    let (term, node) = (get()?, get()?);
    let is_committed = match payload.try_get_u8().map_err(|_| FrameError::Short)? {
        0 => false,
        1 => true,
        _ => return Err(FrameError::Value),
    };
    Ok(PlainVote { term, node, is_committed }.into())
}

fn put_id(bytes: &mut BytesMut, id: Option<LogId>) {
    match id.map(EntryId::from) {
        None => bytes.put_u8(0),
        Some(id) => {
            bytes.put_u8(1);
            bytes.put_u64(id.term);
            bytes.put_u64(id.node);
            bytes.put_u64(id.index);
        }
    }
}

fn get_id(payload: &mut Bytes) -> Result<Option<LogId>, FrameError> {
    match payload.try_get_u8().map_err(|_| FrameError::Short)? {
        0 => Ok(None),
        1 => {
            let mut get = || payload.try_get_u64().map_err(|_| FrameError::Short);
            let (term, node, index) = (get()?, get()?, get()?);
            Ok(Some(EntryId { term, node, index }.into()))
        }
        _ => Err(FrameError::Value),
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
