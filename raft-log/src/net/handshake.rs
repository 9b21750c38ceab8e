//! The first words on every connection: who speaks to whom, about which group, in which format. A peer that could not share
//! our bytes, or is not the one that it was, is refused before anything else happens, with the reason.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec;
use crate::envelope::{EntryId, FORMAT_VERSION};
use crate::net::connection::Connection;
use crate::net::frame::FrameType;
use crate::shared::Shared;
use crate::types::Node;

/// The version of the frames.
const PROTOCOL_VERSION: u16 = 2;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Channel {
    /// Entries, or heartbeats.
    Append,
    /// Votes, transfers, snapshots, raw bytes.
    Control,
    /// Only these words.
    Greeting,
}

/// The caller's first words.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hello {
    protocol: u16,
    format: u8,
    segment_bytes: u64,
    group: String,
    from: u64,
    from_store: u128,
    to: u64,
    /// The store that the caller expects; 0 for any.
    to_store: u128,
    pub(crate) channel: Channel,
    /// The last index that the caller knows the called store to have acknowledged; says nothing when it expects any store.
    pub(crate) remembered: Option<u64>,
}

/// The answer of a peer that will talk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Welcome {
    pub(crate) store: u128,
    /// Whether it belongs to a group already.
    pub(crate) is_formed: bool,
    /// Whether it holds a classic store's records that no group has yet.
    pub(crate) has_records: bool,
    /// Its last entry.
    pub(crate) last: Option<EntryId>,
    /// The last index that it knows the caller's store to have acknowledged.
    pub(crate) remembered: Option<u64>,
    /// Whether its disk has room for more, and it may be elected.
    pub(crate) can_lead: bool,
}

/// The answer of a peer that will not.
#[derive(Debug, Clone, Serialize, Deserialize, Error)]
pub(crate) enum Refusal {
    #[error("it speaks protocol version {theirs}, the caller {ours}")]
    Protocol { ours: u16, theirs: u16 },
    #[error("its log has format version {theirs}, the caller's {ours}")]
    Format { ours: u8, theirs: u8 },
    #[error("its segments have {theirs} bytes, the caller's {ours}")]
    SegmentBytes { ours: u64, theirs: u64 },
    #[error("it belongs to group {theirs:?}, the caller to {ours:?}")]
    Group { ours: String, theirs: String },
    #[error("it is node {theirs}, the caller asked for node {ours}")]
    Node { ours: u64, theirs: u64 },
    #[error(
        "its store is a new one ({theirs:x}, not {ours:x}): it must be removed from the group and added again"
    )]
    StoreReplaced { ours: u128, theirs: u128 },
    #[error("the caller's store is a new one: it must be removed from the group and added again")]
    CallerReplaced,
    #[error("the group does not know the caller's store yet: it was absent when the group formed")]
    CallerUnknown,
}

/// Why a peer cannot be talked to.
#[derive(Debug, Error)]
pub(crate) enum CallError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the peer refused: {0}")]
    Refused(#[from] Refusal),
    #[error("the peer failed: {0}")]
    Failed(String),
    #[error("the peer answered with something else")]
    Unexpected,
    #[error("no answer in time")]
    TimedOut,
    #[error("the group does not know its store yet")]
    Unknown,
}

/// Who calls, and how.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) group: String,
    pub(crate) node: u64,
    pub(crate) store: u128,
    pub(crate) segment_bytes: u64,
    pub(crate) frame_bytes_max: usize,
    /// Where this node reaches others, when that differs from what the group knows.
    pub(crate) addresses: Arc<HashMap<u64, String>>,
}

impl Caller {
    /// Connects and greets.
    pub(crate) async fn connect(
        &self,
        to: u64,
        node: &Node,
        channel: Channel,
        remembered: Option<u64>,
        patience: Duration,
    ) -> Result<(Connection, Welcome), CallError> {
        let greet = async {
            let address = self.addresses.get(&to).unwrap_or(&node.address);
            let mut connection = Connection::connect(address, self.frame_bytes_max, patience).await?;
            let hello = Hello {
                protocol: PROTOCOL_VERSION,
                format: FORMAT_VERSION,
                segment_bytes: self.segment_bytes,
                group: self.group.clone(),
                from: self.node,
                from_store: self.store,
                to,
                to_store: node.store,
                channel,
                remembered,
            };
            let hello = codec::encode("greeting", &hello).map_err(|_| CallError::Unexpected)?;
            let (frame, payload) = connection.call(FrameType::Hello, &hello).await?;
            match frame {
                FrameType::Welcome => {
                    let welcome = codec::decode("greeting", &payload).map_err(|_| CallError::Unexpected)?;
                    Ok((connection, welcome))
                }
                FrameType::Refused => {
                    let refusal: Refusal =
                        codec::decode("refusal", &payload).map_err(|_| CallError::Unexpected)?;
                    Err(refusal.into())
                }
                _ => Err(CallError::Unexpected),
            }
        };
        tokio::time::timeout(patience, greet).await.unwrap_or(Err(CallError::TimedOut))
    }
}

/// Judges a caller's first words.
pub(crate) fn judge(hello: &Hello, shared: &Shared) -> Result<Welcome, Refusal> {
    let manifest = shared.log.manifest();
    let known_store = shared.nodes.read().get(&hello.from).map(|node| node.store);
    if hello.protocol != PROTOCOL_VERSION {
        return Err(Refusal::Protocol { ours: hello.protocol, theirs: PROTOCOL_VERSION });
    }
    if hello.format != FORMAT_VERSION {
        return Err(Refusal::Format { ours: hello.format, theirs: FORMAT_VERSION });
    }
    if hello.group != manifest.group {
        return Err(Refusal::Group { ours: hello.group.clone(), theirs: manifest.group });
    }
    if hello.segment_bytes != manifest.segment_bytes {
        return Err(Refusal::SegmentBytes { ours: hello.segment_bytes, theirs: manifest.segment_bytes });
    }
    if hello.to != manifest.node {
        return Err(Refusal::Node { ours: hello.to, theirs: manifest.node });
    }
    if hello.to_store != 0 && hello.to_store != manifest.store {
        return Err(Refusal::StoreReplaced { ours: hello.to_store, theirs: manifest.store });
    }
    if hello.channel != Channel::Greeting {
        match known_store {
            // Whoever claims a member's place before the group knows its store may have been in another group. A node that
            // holds its own founding entry and no more may have founded in vain, and listens to everybody.
            Some(0) if shared.log.last().is_some_and(|last| last.index > 0) => {
                return Err(Refusal::CallerUnknown);
            }
            Some(store) if store != 0 && store != hello.from_store => return Err(Refusal::CallerReplaced),
            Some(_) | None => {}
        }
    }
    let is_formed = shared.is_formed.load(Ordering::Relaxed);
    let has_records = shared.log.has_records_of_its_own();
    let last = shared.log.last();
    let remembered = shared.memory.acknowledged(hello.from_store);
    // A store that is not this member's proves nothing by knowing nothing; nor does who does not know whose store this is, and
    // so cannot have looked it up in its memory.
    if known_store == Some(hello.from_store) && hello.to_store != 0 {
        shared.told(hello.from, hello.remembered);
    }
    let can_lead = shared.has_room() && shared.probation.may_vote();
    Ok(Welcome { store: manifest.store, is_formed, has_records, last, remembered, can_lead })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lone::Lone;
    use crate::probation::Beginning;

    fn hello(shared: &Shared, to_store: u128) -> Hello {
        let manifest = shared.log.manifest();
        Hello {
            protocol: PROTOCOL_VERSION,
            format: FORMAT_VERSION,
            segment_bytes: manifest.segment_bytes,
            group: manifest.group,
            from: 1,
            from_store: 7,
            to: manifest.node,
            to_store,
            channel: Channel::Greeting,
            remembered: None,
        }
    }

    #[test]
    fn who_does_not_say_whose_store_it_speaks_of_is_no_witness_that_nothing_is_missing() {
        let shared = Lone::new(2).shared(Beginning::Member);
        shared.nodes.write().insert(1, Node { address: String::new(), store: 7 });
        shared.witnesses_needed.store(1, Ordering::Relaxed);
        judge(&hello(&shared, 0), &shared).unwrap();
        assert!(shared.probation.is_asking());
        judge(&hello(&shared, shared.log.manifest().store), &shared).unwrap();
        assert!(shared.probation.may_vote());
    }
}
