//! Rules 5 and 6: what must come before what.
//!
//! The length of a queue only grows. A send that stands at offset `o` found the length `o` at
//! some moment of its own; a tail read that answered `n` found exactly `n`; a read that saw
//! offset `o` found at least `o + 1`. So each operation carries a floor (the length was at least
//! this when it ended) and a ceiling (it was at most this when it began), and the history is
//! linearizable exactly if no operation ended with a floor above the ceiling of one that began
//! later. One sweep in time order with a running maximum finds every breach.

use std::collections::{BTreeMap, HashMap};

use super::input::{LogHistory, LogRules};
use super::places::Places;
use crate::check::Finding;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Send(u64),
    Read(u64),
}

#[derive(Clone, Copy, Debug)]
struct Floor {
    returned: u64,
    at_least: u64,
    who: Who,
}

#[derive(Clone, Copy, Debug)]
struct Ceiling {
    invoked: u64,
    at_most: u64,
    who: Who,
}

#[derive(Debug, Default)]
struct Bounds {
    floors: Vec<Floor>,
    ceilings: Vec<Ceiling>,
}

pub(super) fn check(history: &LogHistory, places: &Places, rules: LogRules, finding: &mut Finding) {
    let mut queues: BTreeMap<u32, Bounds> = BTreeMap::new();
    sends(history, places, &mut queues);
    reads(history, rules, &mut queues);
    for (queue, bounds) in &mut queues {
        sweep(*queue, bounds, finding);
    }
    sessions(history, finding);
}

/// Rule 7 is here: a send without an acknowledgement that stands in the log has a ceiling, because
/// it cannot have taken effect before it began, and no floor, because it never returned.
fn sends(history: &LogHistory, places: &Places, queues: &mut BTreeMap<u32, Bounds>) {
    for sent in &history.sent {
        let acked = sent.placed.map(|placed| (placed.queue, placed.offset));
        let Some((queue, offset)) = places.of_value.get(&sent.value).copied().or(acked) else { continue };
        let bounds = queues.entry(queue).or_default();
        let who = Who::Send(sent.value);
        bounds.ceilings.push(Ceiling { invoked: sent.invoked, at_most: offset, who });
        if let (Some(returned), Some(_)) = (sent.returned, acked) {
            bounds.floors.push(Floor { returned, at_least: offset + 1, who });
        }
    }
}

fn reads(history: &LogHistory, rules: LogRules, queues: &mut BTreeMap<u32, Bounds>) {
    for (index, seen) in (0_u64..).zip(&history.seen) {
        let bounds = queues.entry(seen.queue).or_default();
        let who = Who::Read(index);
        let last = seen.items.iter().map(|(offset, _)| offset + 1).max().unwrap_or(0);
        bounds.floors.push(Floor { returned: seen.returned, at_least: seen.end.max(last), who });
        if seen.exact && rules.exact_tails {
            bounds.ceilings.push(Ceiling { invoked: seen.invoked, at_most: seen.end, who });
        }
    }
}

fn sweep(queue: u32, bounds: &mut Bounds, finding: &mut Finding) {
    bounds.floors.sort_unstable_by_key(|floor| floor.returned);
    bounds.ceilings.sort_unstable_by_key(|ceiling| ceiling.invoked);
    let mut highest: Option<Floor> = None;
    let mut floors = bounds.floors.iter().peekable();
    for ceiling in &bounds.ceilings {
        while let Some(floor) = floors.next_if(|floor| floor.returned < ceiling.invoked) {
            if highest.is_none_or(|highest| floor.at_least > highest.at_least) {
                highest = Some(*floor);
            }
        }
        let Some(floor) = highest.filter(|floor| floor.at_least > ceiling.at_most) else { continue };
        let kind = match (floor.who, ceiling.who) {
            (Who::Send(_), Who::Send(_)) => "sends out of order",
            (Who::Send(_), Who::Read(_)) => "stale read",
            (Who::Read(_), Who::Read(_)) => "reads went back",
            (Who::Read(_), Who::Send(_)) => "seen before it was sent",
        };
        finding.anomaly(kind, || {
            format!(
                "queue {queue}: {:?} ended at {} us with a length of at least {}, {:?} began at {} us with at most {}",
                floor.who, floor.returned, floor.at_least, ceiling.who, ceiling.invoked, ceiling.at_most
            )
        });
    }
}

/// What a session was handed never lies beyond an end that it is told later, by whichever replica. Ends themselves may
/// differ: a follower answers what it has, and hands on to the leader what it has not.
fn sessions(history: &LogHistory, finding: &mut Finding) {
    let mut handed: HashMap<(u64, u32), (u64, u64)> = HashMap::new();
    for seen in &history.seen {
        let key = (seen.session, seen.queue);
        let (returned, end) = handed.get(&key).copied().unwrap_or((0, 0));
        if seen.end < end && returned <= seen.invoked {
            finding.anomaly("a session went back", || {
                let (queue, at, now) = (seen.queue, seen.returned, seen.end);
                format!("queue {queue}: read up to {end}, at {at} us the end is {now}")
            });
        }
        let last = seen.items.iter().map(|(offset, _)| offset + 1).max().unwrap_or(0);
        handed.insert(key, (seen.returned, last.max(end)));
    }
}
