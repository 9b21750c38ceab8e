//! Gives the lead to the replica that `preferredLeaderIds` names, once that one is fit for it.
//!
//! As in DLedger a leader looks once a second, keeps the lead when it is preferred itself, and gives it only to a replica
//! that has nearly caught up. Always true: it goes to nobody who has not been near for a while, whose disk is full or who
//! has no vote; and after each try this leader waits, longer each time, so that a replica that is preferred and sick does
//! not take the lead and lose it all day.

use std::sync::Arc;
use std::time::{Duration, Instant};

use raft_log::{Role, Status};

use super::group::{Group, number_of};
use crate::node::Node;

/// How often a leader looks. Source: DLedger, whose leader looks every second.
const PERIOD: Duration = Duration::from_secs(1);
/// An heir that lacks more entries than this is not near; under load a healthy replica lacks a few. DLedger allows 1,000.
const BEHIND_MAX: u64 = 64;
/// How long an heir must have been near.
const NEAR_FOR: Duration = Duration::from_secs(5);
/// How long a leader waits after a try; twice as long after the next, up to the longest.
const REST_MIN: Duration = Duration::from_secs(60);
const REST_MAX: Duration = Duration::from_secs(3_600);
/// How long a transfer may take; it takes about ten milliseconds.
const TRANSFER_WITHIN: Duration = Duration::from_secs(1);

/// Who should lead, as one leader sees it.
#[derive(Debug)]
struct Preference {
    /// Most wanted first.
    wanted: Vec<u64>,
    /// Who is near, and since when.
    near: Option<(u64, Instant)>,
    /// When the last try was, and how long to wait after it.
    tried: Option<(Instant, Duration)>,
}

impl Preference {
    fn new(wanted: Vec<u64>) -> Self {
        Self { wanted, near: None, tried: None }
    }

    /// Who may take the lead now, if this node leads and should not.
    fn heir(&mut self, status: &Status, me: u64, now: Instant) -> Option<u64> {
        let leads = status.role == Role::Leader && status.ready;
        let near = if leads && !self.wanted.contains(&me) { self.nearest(status) } else { None };
        let since = |heir| match self.near {
            Some((known, since)) if known == heir => since,
            _ => now,
        };
        self.near = near.map(|heir| (heir, since(heir)));
        let is_resting = self.tried.is_some_and(|(tried, rest)| now < tried + rest);
        let (heir, since) = self.near?;
        (now >= since + NEAR_FOR && !is_resting).then_some(heir)
    }

    /// The most wanted of those that have nearly everything.
    fn nearest(&self, status: &Status) -> Option<u64> {
        let is_near = |wanted: &&u64| {
            let peer = status.peers.iter().find(|peer| peer.node == **wanted && peer.is_voter);
            let matched = peer.and_then(|peer| peer.matched);
            matched.is_some_and(|matched| matched + BEHIND_MAX >= status.last.unwrap_or(0))
        };
        self.wanted.iter().find(is_near).copied()
    }

    /// The lead was offered; when the last time is long ago, that one is forgotten.
    fn note_try(&mut self, now: Instant) {
        let rest = match self.tried {
            Some((tried, rest)) if now < tried + 2 * rest => (2 * rest).min(REST_MAX),
            _ => REST_MIN,
        };
        (self.tried, self.near) = (Some((now, rest)), None);
    }
}

/// Runs until it is dropped.
pub(crate) async fn keep_preferred_leading(node: Arc<Node>, group: Arc<Group>) {
    let wanted: Vec<u64> = node.config.get().raft.preferred().into_iter().filter_map(number_of).collect();
    if wanted.is_empty() {
        return;
    }
    let mut preference = Preference::new(wanted);
    loop {
        tokio::time::sleep(PERIOD).await;
        let status = group.log.status().borrow().clone();
        let Some(heir) = preference.heir(&status, group.number, Instant::now()) else { continue };
        // Near is also who died while nothing was sent; the heir itself must say that it could lead.
        if !group.log.able_to_lead().await.is_ok_and(|able| able.contains(&heir)) {
            tracing::debug!(heir, "the preferred leader cannot lead now");
            continue;
        }
        preference.note_try(Instant::now());
        match group.hand_over(Some(heir), TRANSFER_WITHIN).await {
            Ok(()) => tracing::info!(heir, "the preferred replica leads now"),
            Err(error) => tracing::warn!(heir, %error, "the preferred replica did not take the lead"),
        }
    }
}

#[cfg(test)]
mod tests {
    use raft_log::PeerStatus;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn status(leads: bool, matched: [Option<u64>; 3]) -> Status {
        let peer = |(node, matched): (usize, Option<u64>)| PeerStatus {
            node: node as u64,
            address: String::new(),
            is_voter: true,
            matched,
        };
        Status {
            role: if leads { Role::Leader } else { Role::Follower },
            term: 3,
            leader: Some(0),
            ready: leads,
            on_probation: false,
            committed: Some(1_000),
            applied: Some(1_000),
            applied_position: 0,
            last: Some(1_000),
            last_position: 0,
            first_position: 0,
            peers: matched.into_iter().enumerate().map(peer).collect(),
        }
    }

    fn all_near() -> Status {
        status(true, [Some(1_000), Some(1_000), Some(990)])
    }

    /// Looks once a second; after how many seconds there was an heir, and which.
    fn watch(
        preference: &mut Preference,
        from: Instant,
        seconds: u32,
        status: &Status,
    ) -> Option<(u32, u64)> {
        (0..seconds).find_map(|second| Some((second, preference.heir(status, 0, from + second * SECOND)?)))
    }

    #[test]
    fn the_most_wanted_that_has_been_near_for_a_while_is_to_lead() {
        let start = Instant::now();
        assert_eq!(watch(&mut Preference::new(vec![2, 1]), start, 60, &all_near()), Some((5, 2)));
        let second_is_near = status(true, [Some(1_000), Some(1_000), Some(900)]);
        assert_eq!(watch(&mut Preference::new(vec![2, 1]), start, 60, &second_is_near), Some((5, 1)));
        let nobody_is = status(true, [Some(1_000), Some(1_000), None]);
        assert_eq!(watch(&mut Preference::new(vec![2]), start, 60, &nobody_is), None);
    }

    #[test]
    fn who_fell_behind_once_begins_anew() {
        let (start, mut preference) = (Instant::now(), Preference::new(vec![2]));
        assert_eq!(watch(&mut preference, start, 4, &all_near()), None);
        let far = status(true, [Some(1_000), Some(1_000), Some(500)]);
        assert_eq!(preference.heir(&far, 0, start + 4 * SECOND), None);
        assert_eq!(watch(&mut preference, start + 5 * SECOND, 60, &all_near()), Some((5, 2)));
    }

    #[test]
    fn a_leader_that_is_preferred_itself_and_a_follower_do_nothing() {
        let start = Instant::now();
        assert_eq!(watch(&mut Preference::new(vec![2, 0]), start, 60, &all_near()), None);
        let follower = status(false, [None, None, None]);
        assert_eq!(watch(&mut Preference::new(vec![2]), start, 60, &follower), None);
    }

    #[test]
    fn a_lead_that_comes_back_again_and_again_is_offered_ever_more_seldom() {
        let (mut now, mut preference) = (Instant::now(), Preference::new(vec![2]));
        let mut waits = Vec::new();
        for _ in 0..8 {
            let (seconds, _) = watch(&mut preference, now, 10_000, &all_near()).expect("offered");
            waits.push(seconds);
            now += seconds * SECOND;
            preference.note_try(now);
        }
        assert_eq!(waits, [5, 60, 120, 240, 480, 960, 1_920, 3_600]);
        // A good day later it is as if nothing had been.
        now += 24 * 3_600 * SECOND;
        assert_eq!(watch(&mut preference, now, 60, &all_near()), Some((5, 2)));
        preference.note_try(now + 5 * SECOND);
        assert_eq!(watch(&mut preference, now + 5 * SECOND, 100, &all_near()), Some((60, 2)));
    }
}
