//! From the log's status to this replica's place, and what has to be done on the way: a pure table.

use raft_log::{Role, Status};

use super::standing::Place;

/// What a change of place demands, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Stop what only a leader does: the delay service, held pulls, the gate.
    StepDown,
    /// Start what only a leader does, and tell the followers where clients find it.
    TakeOver {
        /// The term that was won.
        term: u64,
    },
    /// Tell the name servers.
    Register,
}

/// The place that a status means. `leader_address` is where the status' leader said that its clients go.
pub(crate) fn place(status: &Status, leader_address: Option<String>) -> Place {
    let term = status.term;
    match status.role {
        Role::Leader if status.ready => Place::Leads { term },
        Role::Leader | Role::Candidate | Role::Stopped => Place::Leaderless { term },
        Role::Follower | Role::Learner if status.leader.is_some() => {
            Place::Follows { term, leader: leader_address }
        }
        Role::Follower | Role::Learner => Place::Leaderless { term },
    }
}

/// What to do when the place changes.
pub(crate) fn acts(before: &Place, after: &Place) -> Vec<Act> {
    match (before, after) {
        (Place::Leads { term: old }, Place::Leads { term: new }) if old == new => Vec::new(),
        (Place::Leads { .. }, Place::Leads { term }) => {
            vec![Act::StepDown, Act::TakeOver { term: *term }, Act::Register]
        }
        (_, Place::Leads { term }) => vec![Act::TakeOver { term: *term }, Act::Register],
        (Place::Leads { .. }, _) => vec![Act::StepDown, Act::Register],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(role: Role, ready: bool, leader: Option<u64>) -> Status {
        Status {
            role,
            term: 3,
            leader,
            ready,
            on_probation: false,
            committed: None,
            applied: None,
            applied_position: 0,
            last: None,
            last_position: 0,
            first_position: 0,
            peers: Vec::new(),
        }
    }

    #[test]
    fn a_leader_serves_only_when_everything_before_its_term_is_applied() {
        assert_eq!(place(&status(Role::Leader, false, Some(1)), None), Place::Leaderless { term: 3 });
        assert_eq!(place(&status(Role::Leader, true, Some(1)), None), Place::Leads { term: 3 });
    }

    #[test]
    fn a_follower_knows_where_to_send_others_once_the_leader_has_said_so() {
        let follower = status(Role::Follower, false, Some(2));
        assert_eq!(place(&follower, None), Place::Follows { term: 3, leader: None });
        let address = Some("10.0.0.2:10911".to_owned());
        assert_eq!(place(&follower, address.clone()), Place::Follows { term: 3, leader: address });
        assert_eq!(place(&status(Role::Follower, false, None), None), Place::Leaderless { term: 3 });
        assert_eq!(place(&status(Role::Candidate, false, None), None), Place::Leaderless { term: 3 });
    }

    #[test]
    fn a_new_term_of_the_same_leader_is_a_new_beginning() {
        let (old, new) = (Place::Leads { term: 3 }, Place::Leads { term: 4 });
        assert_eq!(acts(&old, &new), [Act::StepDown, Act::TakeOver { term: 4 }, Act::Register]);
        assert_eq!(acts(&old, &old), []);
    }

    #[test]
    fn losing_the_lead_shuts_the_gate_before_anything_else() {
        let after = Place::Leaderless { term: 4 };
        assert_eq!(acts(&Place::Leads { term: 3 }, &after), [Act::StepDown, Act::Register]);
        assert_eq!(acts(&after, &Place::Leads { term: 5 }), [Act::TakeOver { term: 5 }, Act::Register]);
    }
}
