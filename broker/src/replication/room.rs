//! A leader whose disk is full hands over to a follower whose disk is not.
//!
//! What would be refused for want of room is parked until it is known whether another replica has some. Leadership cannot
//! swing back and forth: it goes only to who has room, and who has room keeps it; a group without room anywhere stays as it
//! is, and refuses messages at once.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use raft_log::GroupError;
use tokio::sync::Notify;

use super::group::Group;
use super::standing::{Place, Standing};
use crate::node::Node;

/// How often a replica looks at its disk's gate; a send that meets it is noticed at once.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a transfer may take; it takes about ten milliseconds.
const TRANSFER_WITHIN: Duration = Duration::from_secs(3);

/// What a full leader knows of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Search {
    /// Nothing.
    #[default]
    None,
    /// They are being asked, and the leader serves nobody until they have answered.
    UnderWay,
    /// Nobody has room, or nobody took the lead.
    InVain,
}

/// The search for a replica with room.
#[derive(Debug, Default)]
pub(crate) struct Room {
    search: Mutex<Search>,
    wanted: Notify,
}

impl Room {
    /// A send met a full disk: holds the leader and has the others asked, unless they were asked in vain.
    pub(crate) fn look_for_some(&self, standing: &Standing) -> bool {
        let mut search = self.search.lock();
        if *search == Search::None {
            *search = Search::UnderWay;
            standing.hold();
            self.wanted.notify_one();
        }
        *search == Search::UnderWay
    }

    fn end(&self, how: Search, standing: &Standing) {
        let mut search = self.search.lock();
        if std::mem::replace(&mut *search, how) == Search::UnderWay {
            standing.release();
        }
    }
}

/// Runs until it is dropped.
pub(crate) async fn keep_leading_where_there_is_room(node: Arc<Node>, group: Arc<Group>) {
    let mut was_nowhere = false;
    loop {
        let _ = tokio::time::timeout(PERIOD, group.room.wanted.notified()).await;
        group.log.set_room(!node.store.is_disk_full());
        if group.log.has_room() || !matches!(group.standing.place(), Place::Leads { .. }) {
            was_nowhere = false;
            group.room.end(Search::None, &group.standing);
            continue;
        }
        let moved = move_away(&group).await;
        let how = if let Ok(Some(_)) = &moved { Search::None } else { Search::InVain };
        group.room.end(how, &group.standing);
        match moved {
            Ok(Some(heir)) => tracing::warn!(heir, "this disk is full: a replica with room leads now"),
            Ok(None) if was_nowhere => {}
            Ok(None) => {
                tracing::error!("this disk is full, and so are the other replicas': messages are refused");
                was_nowhere = true;
            }
            Err(error) => tracing::warn!(%error, "this disk is full, and nobody has taken the lead yet"),
        }
    }
}

/// Hands over to the first of the voters with room that takes it; tells which one did, nothing when none has room.
async fn move_away(group: &Group) -> Result<Option<u64>, GroupError> {
    let mut outcome = Ok(None);
    for heir in group.log.able_to_lead().await? {
        match group.hand_over(Some(heir), TRANSFER_WITHIN).await {
            Ok(()) => return Ok(Some(heir)),
            Err(error) => outcome = Err(error),
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_full_leader_is_held_while_others_are_asked_and_not_after_that_was_in_vain() {
        let (standing, room) = (Standing::new(), Room::default());
        standing.take(Place::Leads { term: 1 }, Instant::now());
        assert!(room.look_for_some(&standing) && room.look_for_some(&standing));
        assert!(!standing.leads());
        room.end(Search::InVain, &standing);
        assert!(standing.leads());
        assert!(!room.look_for_some(&standing));
        assert!(standing.leads(), "it refuses, and serves everything else");
        room.end(Search::None, &standing);
        assert!(room.look_for_some(&standing));
    }
}
