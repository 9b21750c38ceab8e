//! Who founds a group: a pure decision over what the members answered.
//!
//! Every member becomes a voter of the first configuration, so that two founders at the same time need overlapping
//! majorities, and Raft's own election settles it. Who did not answer has no store yet; the first leader takes its vote back
//! before it serves anybody, and gives it again when the member has come: see `roll_call` and docs/adr.

use std::collections::BTreeMap;

use crate::error::GroupError;
use crate::net::handshake::{CallError, Welcome};
use crate::types::Node;

/// Who must be there when a group is formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Founding {
    /// Every member.
    Everybody,
    /// More than half of the members, the caller included.
    Majority,
}

/// What became of asking one member: its number, its address, its answer; `None` stands for this node.
pub(crate) type Asked = (u64, String, Option<Result<Welcome, CallError>>);

/// The members that the group begins with, or why it cannot be formed.
pub(crate) fn founders(
    asked: Vec<Asked>,
    me: &Node,
    founding: Founding,
) -> Result<BTreeMap<u64, Node>, GroupError> {
    let members = asked.len();
    let mut nodes = BTreeMap::new();
    let mut absent = None;
    let mut present = 0;
    for (node, address, answer) in asked {
        let store = match answer {
            None => me.store,
            Some(Ok(welcome)) if welcome.is_formed => return Err(GroupError::AlreadyFormed),
            Some(Ok(welcome)) if welcome.has_records => return Err(GroupError::HasRecords { node }),
            Some(Ok(welcome)) => welcome.store,
            Some(Err(error)) => {
                absent.get_or_insert_with(|| unreachable(node, &address, &error));
                0
            }
        };
        present += usize::from(store != 0);
        let address = if store == me.store { me.address.clone() } else { address };
        nodes.insert(node, Node { address, store });
    }
    let needed = members / 2 + 1;
    match (founding, absent) {
        (Founding::Everybody, Some(absent)) => Err(absent),
        (Founding::Majority, _) if present < needed => {
            Err(GroupError::TooFewMembers { present, members, needed })
        }
        _ => Ok(nodes),
    }
}

pub(crate) fn unreachable(node: u64, address: &str, error: &CallError) -> GroupError {
    GroupError::PeerUnreachable { node, address: address.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn welcome(store: u128) -> Welcome {
        Welcome { store, is_formed: false, has_records: false, last: None, remembered: None, can_lead: true }
    }

    fn here(store: u128) -> Option<Result<Welcome, CallError>> {
        Some(Ok(welcome(store)))
    }

    fn gone() -> Option<Result<Welcome, CallError>> {
        Some(Err(CallError::TimedOut))
    }

    fn decide(
        answers: Vec<Option<Result<Welcome, CallError>>>,
        founding: Founding,
    ) -> Result<Vec<u128>, GroupError> {
        let me = Node { address: "me".to_owned(), store: 100 };
        let asked = answers.into_iter().zip(1..).map(|(answer, node)| (node, node.to_string(), answer));
        let nodes = founders(asked.collect(), &me, founding)?;
        Ok(nodes.into_values().map(|node| node.store).collect())
    }

    #[test]
    fn a_majority_founds_and_who_is_absent_has_no_store_yet() {
        assert_eq!(decide(vec![None, here(2), here(3)], Founding::Everybody).unwrap(), [100, 2, 3]);
        assert_eq!(decide(vec![gone(), here(2), None], Founding::Majority).unwrap(), [0, 2, 100]);
        let error = decide(vec![gone(), here(2), None], Founding::Everybody).unwrap_err();
        assert!(matches!(error, GroupError::PeerUnreachable { node: 1, .. }), "{error}");
        let error = decide(vec![None, gone(), gone()], Founding::Majority).unwrap_err();
        assert!(matches!(error, GroupError::TooFewMembers { present: 1, needed: 2, .. }), "{error}");
        // Half is no majority: the other half could do the same.
        let error = decide(vec![None, here(2), gone(), gone()], Founding::Majority).unwrap_err();
        assert!(matches!(error, GroupError::TooFewMembers { present: 2, needed: 3, .. }), "{error}");
    }

    #[test]
    fn one_member_of_a_group_forbids_a_second_one() {
        let formed = Some(Ok(Welcome { is_formed: true, ..welcome(3) }));
        let error = decide(vec![None, here(2), formed], Founding::Majority).unwrap_err();
        assert!(matches!(error, GroupError::AlreadyFormed), "{error}");
    }

    #[test]
    fn a_group_is_not_formed_past_a_member_with_records() {
        let classic = Some(Ok(Welcome { has_records: true, ..welcome(3) }));
        let error = decide(vec![None, here(2), classic], Founding::Majority).unwrap_err();
        assert!(matches!(error, GroupError::HasRecords { node: 3 }), "{error}");
    }
}
