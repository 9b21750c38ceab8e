//! Frames between replicas: `u32 bytes that follow | u8 kind | control struct or raw bytes`.
//!
//! An append's entries are slices of the mapped log and leave in one vectored write; at the
//! other end they arrive in one buffer, are checked once, and become slices of it.

use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::raft::AppendEntriesRequest;
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::codec;
use crate::envelope::{self, ENVELOPE_BYTES, Envelope, Kind};
use crate::error::{EnvelopeError, NetError};
use crate::types::{LogEntry, LogId, Payload, StoredRecord, TypeConfig};
use crate::wire::{AppendHead, WireLogId, WireMembership};

/// The largest frame: a batch may reach its limit plus one entry of the largest message.
pub(crate) const FRAME_BYTES_MAX: u32 = 64 << 20;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FrameKind {
    Hello = 1,
    Welcome = 2,
    Refused = 3,
    Append = 10,
    Appended = 11,
    Vote = 12,
    PreVote = 13,
    Voted = 14,
    Transfer = 15,
    Transferred = 16,
    Snapshot = 17,
    Installed = 18,
    Fetch = 19,
    Fetched = 20,
}

impl TryFrom<u8> for FrameKind {
    type Error = NetError;

    fn try_from(kind: u8) -> Result<Self, NetError> {
        use FrameKind as K;
        let all = [
            K::Hello,
            K::Welcome,
            K::Refused,
            K::Append,
            K::Appended,
            K::Vote,
            K::PreVote,
            K::Voted,
            K::Transfer,
            K::Transferred,
            K::Snapshot,
            K::Installed,
            K::Fetch,
            K::Fetched,
        ];
        all.into_iter().find(|known| *known as u8 == kind).ok_or(NetError::FrameUnexpected { kind })
    }
}

/// A frame as it arrived.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: FrameKind,
    pub(crate) payload: Bytes,
}

impl Frame {
    /// The payload as a control struct, when the frame is of this kind.
    pub(crate) fn control<T: DeserializeOwned>(&self, kind: FrameKind) -> Result<T, NetError> {
        self.expect(kind)?;
        Ok(codec::decode(&self.payload)?)
    }

    /// Fails unless the frame is of this kind; a refusal carries the peer's reason.
    pub(crate) fn expect(&self, kind: FrameKind) -> Result<(), NetError> {
        if self.kind == kind {
            return Ok(());
        }
        if self.kind == FrameKind::Refused {
            return Err(NetError::Refused { reason: codec::decode(&self.payload)? });
        }
        Err(NetError::FrameUnexpected { kind: self.kind as u8 })
    }
}

/// Reads one whole frame.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Frame, NetError> {
    let bytes = stream.read_u32().await?;
    if bytes == 0 || bytes > FRAME_BYTES_MAX {
        return Err(NetError::FrameTooLarge { bytes });
    }
    let kind = FrameKind::try_from(stream.read_u8().await?)?;
    let want = bytes as usize - 1;
    // A hostile length costs only what really arrives.
    let mut payload = BytesMut::with_capacity(want.min(1 << 20));
    while payload.len() < want {
        payload.reserve((want - payload.len()).min(1 << 20));
        let left = want - payload.len();
        let mut limited = (&mut payload).limit(left);
        if stream.read_buf(&mut limited).await? == 0 {
            return Err(NetError::Socket(std::io::ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok(Frame { kind, payload: payload.freeze() })
}

/// Writes a frame that is one control struct.
pub(crate) async fn write_control(
    stream: &mut (impl AsyncWrite + Unpin),
    kind: FrameKind,
    control: &impl Serialize,
) -> Result<(), NetError> {
    write_parts(stream, kind, vec![codec::encode(control).into()]).await
}

/// Writes a frame whose payload lies in several places, without gathering it first.
pub(crate) async fn write_parts(
    stream: &mut (impl AsyncWrite + Unpin),
    kind: FrameKind,
    mut parts: Vec<Bytes>,
) -> Result<(), NetError> {
    let bytes = 1 + parts.iter().map(Bytes::len).sum::<usize>();
    if bytes as u64 > u64::from(FRAME_BYTES_MAX) {
        return Err(NetError::FrameTooLarge { bytes: u32::try_from(bytes).unwrap_or(u32::MAX) });
    }
    let mut head = BytesMut::with_capacity(5);
    head.put_u32(bytes as u32);
    head.put_u8(kind as u8);
    parts.insert(0, head.freeze());
    let mut first = 0;
    while first < parts.len() {
        let slices: Vec<IoSlice<'_>> =
            parts[first..].iter().take(64).map(|part| IoSlice::new(part)).collect();
        let mut written = stream.write_vectored(&slices).await?;
        if written == 0 {
            return Err(NetError::Socket(std::io::ErrorKind::WriteZero.into()));
        }
        while first < parts.len() && written >= parts[first].len() {
            written -= parts[first].len();
            first += 1;
        }
        if written > 0 {
            parts[first].advance(written);
        }
    }
    Ok(())
}

/// Writes an append: its control part, then the entries as the log holds them.
pub(crate) async fn write_append(
    stream: &mut (impl AsyncWrite + Unpin),
    request: &AppendEntriesRequest<TypeConfig>,
) -> Result<(), NetError> {
    let head = AppendHead {
        vote: (&request.vote).into(),
        previous: request.prev_log_id.as_ref().map(Into::into),
        commit: request.leader_commit.as_ref().map(Into::into),
        entries: request.entries.len() as u32,
    };
    let head = codec::encode(&head);
    let mut lead = BytesMut::with_capacity(4 + head.len());
    lead.put_u32(head.len() as u32);
    lead.put_slice(&head);
    let mut parts = Vec::with_capacity(request.entries.len() + 2);
    parts.push(lead.freeze());
    for entry in &request.entries {
        match &entry.payload {
            Payload::Stored(record) => parts.push(record.bytes.clone()),
            other => unreachable!("only stored entries leave the log, not {other}"),
        }
    }
    write_parts(stream, FrameKind::Append, parts).await
}

/// Reads an append out of its frame; every entry's checksum is verified here and only here.
pub(crate) fn parse_append(
    payload: &Bytes,
    segment_bytes: u64,
) -> Result<AppendEntriesRequest<TypeConfig>, NetError> {
    let short = EnvelopeError::TooShort { bytes: payload.len() };
    let mut at = payload.clone();
    if at.len() < 4 {
        return Err(short.into());
    }
    let head_bytes = at.get_u32() as usize;
    if at.len() < head_bytes {
        return Err(short.into());
    }
    let head: AppendHead = codec::decode(&at.split_to(head_bytes))?;
    let mut entries = Vec::with_capacity((head.entries as usize).min(at.len() / ENVELOPE_BYTES));
    for _ in 0..head.entries {
        let envelope = Envelope::decode(&at, segment_bytes)?;
        if at.len() < envelope.total_bytes as usize {
            return Err(EnvelopeError::SizeImpossible { total_bytes: envelope.total_bytes }.into());
        }
        let bytes = at.split_to(envelope.total_bytes as usize);
        envelope::verify(&bytes)?;
        entries.push(entry(&envelope, bytes)?);
    }
    Ok(AppendEntriesRequest {
        vote: head.vote.into(),
        prev_log_id: head.previous.map(Into::into),
        entries,
        leader_commit: head.commit.map(Into::into),
    })
}

/// An entry over bytes whose checksum was verified.
pub(crate) fn entry(envelope: &Envelope, bytes: Bytes) -> Result<LogEntry, NetError> {
    let membership = match envelope.kind {
        Kind::Membership => Some(codec::decode::<WireMembership>(&bytes[ENVELOPE_BYTES..])?.try_into()?),
        Kind::Blank | Kind::Messages | Kind::System => None,
    };
    let id = WireLogId { term: envelope.term, node: envelope.node, index: envelope.index };
    Ok(LogEntry {
        id: LogId::from(id),
        payload: Payload::Stored(StoredRecord {
            kind: envelope.kind,
            membership,
            position: envelope.position,
            bytes,
        }),
    })
}
