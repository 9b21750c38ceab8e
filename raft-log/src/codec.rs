//! The only user of bincode: small control structures in files and between peers, always behind a version byte and a limit.
//!
//! Nothing of openraft is serialised; its votes and memberships are copied into plain structures of ours, so that a new
//! version of openraft cannot change what lies on a disk. The exit from bincode is `postcard`, and this file alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::envelope::EntryId;
use crate::error::LogError;
use crate::types::{LeaderId, LogId, Membership, Node, StoredMembership, VoteOf};

/// The version of every structure in this file; another one is refused.
const VERSION: u8 = 1;

/// The most bytes that any control structure may claim. System state in snapshots is the largest by far.
const BYTES_MAX: usize = 256 * 1024 * 1024;

const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<BYTES_MAX>,
> = bincode::config::standard().with_limit::<BYTES_MAX>();

/// Encodes a control structure behind the version byte.
pub(crate) fn encode<T: Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>, LogError> {
    let mut bytes = vec![VERSION];
    let body = bincode::serde::encode_to_vec(value, CONFIG).map_err(|error| LogError::Codec {
        action: "encode",
        what,
        reason: error.to_string(),
    })?;
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Decodes a control structure; trailing bytes are an error.
pub(crate) fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, LogError> {
    let fail = |reason: String| LogError::Codec { action: "decode", what, reason };
    let Some((&version, body)) = bytes.split_first() else { return Err(fail("it is empty".to_owned())) };
    if version != VERSION {
        return Err(fail(format!("it has version {version}, this program knows {VERSION}")));
    }
    let (value, read) =
        bincode::serde::decode_from_slice(body, CONFIG).map_err(|error| fail(error.to_string()))?;
    if read != body.len() {
        return Err(fail(format!("{} bytes too many", body.len() - read)));
    }
    Ok(value)
}

/// A vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlainVote {
    pub(crate) term: u64,
    pub(crate) node: u64,
    pub(crate) is_committed: bool,
}

impl From<&VoteOf> for PlainVote {
    fn from(vote: &VoteOf) -> Self {
        Self { term: vote.leader_id.term, node: vote.leader_id.node_id, is_committed: vote.committed }
    }
}

impl From<PlainVote> for VoteOf {
    fn from(vote: PlainVote) -> Self {
        Self { leader_id: LeaderId { term: vote.term, node_id: vote.node }, committed: vote.is_committed }
    }
}

/// A membership: one set of voters, or two while it changes, and where everybody is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlainMembership {
    voters: Vec<BTreeSet<u64>>,
    nodes: BTreeMap<u64, Node>,
}

impl From<&Membership> for PlainMembership {
    fn from(membership: &Membership) -> Self {
        Self {
            voters: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(id, node)| (*id, node.clone())).collect(),
        }
    }
}

impl PlainMembership {
    pub(crate) fn into_membership(self) -> Result<Membership, LogError> {
        if self.voters.is_empty() && self.nodes.is_empty() {
            return Ok(Membership::default());
        }
        Membership::new(self.voters, self.nodes).map_err(|error| LogError::Codec {
            action: "decode",
            what: "membership",
            reason: error.to_string(),
        })
    }
}

/// A membership and the entry that brought it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlainStoredMembership {
    id: Option<EntryId>,
    membership: PlainMembership,
}

impl From<&StoredMembership> for PlainStoredMembership {
    fn from(stored: &StoredMembership) -> Self {
        Self { id: stored.log_id().map(EntryId::from), membership: stored.membership().into() }
    }
}

impl PlainStoredMembership {
    pub(crate) fn into_stored(self) -> Result<StoredMembership, LogError> {
        Ok(StoredMembership::new(self.id.map(LogId::from), self.membership.into_membership()?))
    }
}

/// Encodes the body of a membership entry; done once, by the leader.
pub(crate) fn encode_membership(membership: &Membership) -> Result<Vec<u8>, LogError> {
    encode("membership", &PlainMembership::from(membership))
}

/// Decodes the body of a membership entry.
pub(crate) fn decode_membership(bytes: &[u8]) -> Result<Membership, LogError> {
    decode::<PlainMembership>("membership", bytes)?.into_membership()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_membership_survives_the_round_trip_and_damage_is_an_error() {
        let node = |address: &str, store| Node { address: address.to_owned(), store };
        let nodes = BTreeMap::from([(1, node("a:1", 7)), (2, node("b:2", u128::MAX)), (3, node("c:3", 0))]);
        let membership =
            Membership::new(vec![BTreeSet::from([1, 2]), BTreeSet::from([2, 3])], nodes).unwrap();
        let bytes = encode_membership(&membership).unwrap();
        assert_eq!(decode_membership(&bytes).unwrap(), membership);
        for len in 0..bytes.len() {
            assert!(decode_membership(&bytes[..len]).is_err());
        }
        assert!(decode_membership(&[bytes.as_slice(), &[0]].concat()).is_err());
        assert!(decode_membership(&[&[9], &bytes[1..]].concat()).is_err());
    }

    #[test]
    fn hostile_lengths_do_not_allocate() {
        assert!(decode::<Vec<u64>>("list", &[VERSION, 253, 255, 255, 255, 255, 255, 255, 255, 127]).is_err());
    }
}
