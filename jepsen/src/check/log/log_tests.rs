//! Hand-made histories with each anomaly, and the cross-check with the slow model.

use proptest::prelude::*;

use super::*;
use crate::check::Verdict;
use crate::check::wgl::{Step, Timed, linearizable};
use crate::history::{Answer, Placed};

const RULES: LogRules = LogRules { retention: false, exact_tails: true };

fn acked(value: u64, offset: u64, invoked: u64, returned: u64) -> Sent {
    let placed = Some(Placed { queue: 0, offset, physical: offset * 100 });
    Sent { value, queue: 0, invoked, returned: Some(returned), placed, refused: false }
}

fn unknown(value: u64, invoked: u64) -> Sent {
    Sent { value, queue: 0, invoked, returned: None, placed: None, refused: false }
}

fn refused(value: u64, invoked: u64, returned: u64) -> Sent {
    Sent { value, queue: 0, invoked, returned: Some(returned), placed: None, refused: true }
}

fn drain(source: &str, values: &[u64]) -> Drain {
    Drain {
        source: source.to_owned(),
        queue: 0,
        first: 0,
        values: values.iter().copied().map(Some).collect(),
    }
}

fn tail(end: u64, invoked: u64, returned: u64) -> Seen {
    Seen { session: invoked, queue: 0, invoked, returned, items: Vec::new(), end, exact: true }
}

fn pull(items: &[(u64, u64)], end: u64, invoked: u64, returned: u64) -> Seen {
    Seen { session: 0, queue: 0, invoked, returned, items: items.to_vec(), end, exact: false }
}

fn history(sent: Vec<Sent>, seen: Vec<Seen>, drains: Vec<Drain>) -> LogHistory {
    LogHistory { sent, seen, drains }
}

fn caught(history: &LogHistory, kind: &str) {
    let finding = check(history, RULES);
    assert_eq!(finding.verdict, Verdict::Invalid, "{kind} was not caught: {finding:?}");
    assert!(finding.of(kind) > 0, "expected {kind:?} in {finding:?}");
}

fn three() -> Vec<Sent> {
    vec![acked(10, 0, 1, 2), acked(11, 1, 3, 4), acked(12, 2, 5, 6)]
}

#[test]
fn a_history_in_which_nothing_is_wrong_is_valid() {
    let seen = vec![tail(2, 4, 5), pull(&[(0, 10), (1, 11)], 2, 4, 5), tail(3, 7, 8)];
    let mut sent = three();
    sent.push(unknown(13, 5));
    sent.push(unknown(14, 5));
    sent.push(refused(15, 5, 6));
    let drains = vec![drain("consumer", &[10, 11, 12, 13]), drain("n0", &[10, 11, 12, 13])];
    let finding = check(&history(sent, seen, drains), RULES);
    assert_eq!(finding.verdict, Verdict::Valid, "{finding:?}");
    assert_eq!(finding.of("acknowledged"), 3);
}

#[test]
fn a_run_that_wrote_nothing_is_unknown() {
    assert_eq!(check(&LogHistory::default(), RULES).verdict, Verdict::Unknown);
    let undrained = history(three(), Vec::new(), Vec::new());
    assert_eq!(check(&undrained, RULES).verdict, Verdict::Unknown);
}

#[test]
fn a_lost_end_middle_and_beginning_are_told_apart() {
    caught(&history(three(), vec![], vec![drain("n0", &[10, 11])]), "lost at the end");
    let mut sent = three();
    sent.push(unknown(99, 1));
    caught(&history(sent.clone(), vec![], vec![drain("n0", &[10, 99, 12])]), "lost in the middle");
    caught(&history(sent, vec![], vec![drain("n0", &[99, 11, 12])]), "lost at the beginning");
}

#[test]
fn a_lost_beginning_is_excused_by_retention_alone() {
    let kept = Drain { source: "n0".to_owned(), queue: 0, first: 1, values: vec![Some(11), Some(12)] };
    let run = history(three(), vec![], vec![kept]);
    assert_eq!(check(&run, LogRules { retention: true, exact_tails: true }).verdict, Verdict::Valid);
    caught(&run, "beginning is gone");
}

#[test]
fn replicas_that_differ_are_caught() {
    let sent = vec![acked(10, 0, 1, 2), unknown(11, 1), unknown(12, 1)];
    let differ = vec![drain("n0", &[10, 11]), drain("n1", &[10, 12])];
    caught(&history(sent.clone(), vec![], differ), "drains differ");
    let shorter = vec![drain("n0", &[10, 11]), drain("n1", &[10])];
    caught(&history(sent, vec![], shorter), "drains end differently");
}

#[test]
fn a_hole_is_caught() {
    let holed = Drain { source: "n0".to_owned(), queue: 0, first: 0, values: vec![Some(10), None, Some(12)] };
    caught(&history(vec![acked(10, 0, 1, 2), acked(12, 2, 3, 4)], vec![], vec![holed]), "hole");
}

#[test]
fn a_value_that_stands_twice_is_caught() {
    caught(&history(vec![acked(10, 0, 1, 2)], vec![], vec![drain("n0", &[10, 10])]), "duplicate");
}

#[test]
fn one_offset_for_two_values_is_caught() {
    let sent = vec![acked(10, 0, 1, 2), acked(11, 0, 3, 4)];
    caught(&history(sent, vec![], vec![drain("n0", &[11])]), "one offset acknowledged twice");
}

#[test]
fn one_position_for_two_values_is_caught() {
    let mut sent = vec![acked(10, 0, 1, 2), acked(11, 1, 3, 4)];
    sent[1].placed = Some(Placed { queue: 0, offset: 1, physical: 0 });
    caught(&history(sent, vec![], vec![drain("n0", &[10, 11])]), "one position acknowledged twice");
}

#[test]
fn a_value_at_another_offset_than_acknowledged_is_caught() {
    let sent = vec![acked(10, 0, 1, 2), acked(11, 5, 3, 4)];
    caught(&history(sent, vec![], vec![drain("n0", &[10, 11])]), "moved");
}

#[test]
fn a_value_in_another_queue_is_caught() {
    let mut elsewhere = drain("n0", &[10]);
    elsewhere.queue = 1;
    let sent = vec![unknown(10, 1)];
    caught(&history(sent, vec![], vec![elsewhere]), "wrong queue");
}

#[test]
fn what_nobody_sent_is_caught() {
    caught(&history(vec![acked(10, 0, 1, 2)], vec![], vec![drain("n0", &[10, 77])]), "phantom");
    caught(&history(vec![acked(10, 0, 1, 2)], vec![], vec![drain("n0", &[10, Answer::GARBLED])]), "garbled");
}

#[test]
fn what_was_refused_and_is_there_is_caught() {
    let sent = vec![acked(10, 0, 1, 2), refused(11, 3, 4)];
    caught(&history(sent, vec![], vec![drain("n0", &[10, 11])]), "refused but kept");
}

#[test]
fn sends_whose_offsets_turn_real_time_round_are_caught() {
    let sent = vec![acked(10, 1, 1, 2), acked(11, 0, 3, 4)];
    caught(&history(sent, vec![], vec![drain("n0", &[11, 10])]), "sends out of order");
    let overlapping = vec![acked(10, 1, 1, 3), acked(11, 0, 2, 4)];
    let run = history(overlapping, vec![], vec![drain("n0", &[11, 10])]);
    assert_eq!(check(&run, RULES).verdict, Verdict::Valid);
}

#[test]
fn an_unknown_send_is_bounded_from_below_only() {
    let late = history(vec![unknown(10, 1), acked(11, 0, 2, 3)], vec![], vec![drain("n0", &[11, 10])]);
    assert_eq!(check(&late, RULES).verdict, Verdict::Valid);
    let too_early = history(vec![acked(11, 1, 1, 2), unknown(10, 3)], vec![], vec![drain("n0", &[10, 11])]);
    caught(&too_early, "sends out of order");
}

#[test]
fn a_stale_tail_is_caught() {
    caught(&history(three(), vec![tail(2, 7, 8)], vec![drain("n0", &[10, 11, 12])]), "stale read");
    let run = history(three(), vec![tail(2, 7, 8)], vec![drain("n0", &[10, 11, 12])]);
    assert_eq!(check(&run, LogRules { retention: false, exact_tails: false }).verdict, Verdict::Valid);
}

#[test]
fn reads_that_go_back_are_caught() {
    let sent = vec![acked(10, 0, 1, 2), acked(11, 1, 1, 20)];
    let back = vec![tail(2, 3, 4), tail(1, 5, 6)];
    caught(&history(sent.clone(), back, vec![drain("n0", &[10, 11])]), "reads went back");
    let session = vec![pull(&[(0, 10), (1, 11)], 2, 3, 4), pull(&[], 1, 5, 6)];
    caught(&history(sent.clone(), session, vec![drain("n0", &[10, 11])]), "a session went back");
    // The leader told of two, a follower that has one tells of one.
    let behind = vec![pull(&[(0, 10)], 2, 3, 4), pull(&[], 1, 5, 6)];
    let run = history(sent, behind, vec![drain("n0", &[10, 11])]);
    assert_eq!(check(&run, RULES).verdict, Verdict::Valid);
}

#[test]
fn what_is_seen_before_it_is_sent_is_caught() {
    let sent = vec![acked(10, 0, 5, 6)];
    caught(
        &history(sent, vec![pull(&[(0, 10)], 1, 1, 2)], vec![drain("n0", &[10])]),
        "seen before it was sent",
    );
}

#[test]
fn a_dirty_read_is_caught() {
    let sent = vec![acked(10, 0, 1, 2), unknown(11, 1), unknown(12, 1)];
    let dirty = vec![pull(&[(1, 11)], 2, 3, 4)];
    caught(&history(sent.clone(), dirty, vec![drain("n0", &[10, 12])]), "read what was not committed");
    let beyond = vec![pull(&[(1, 11)], 2, 3, 4)];
    caught(&history(sent, beyond, vec![drain("n0", &[10])]), "end was seen too far");
}

/// The same operations for the slow model.
#[derive(Clone, Debug)]
enum Slow {
    Append { value: u64, at: Option<u64> },
    Tail(u64),
    Get { offset: u64, value: u64 },
}

impl Step<Vec<u64>> for Slow {
    fn apply(&self, log: &Vec<u64>) -> Option<Vec<u64>> {
        match self {
            Self::Append { value, at } => {
                let mut next = log.clone();
                next.push(*value);
                at.is_none_or(|at| at == log.len() as u64).then_some(next)
            }
            Self::Tail(end) => (*end == log.len() as u64).then(|| log.clone()),
            Self::Get { offset, value } => {
                let index = usize::try_from(*offset).ok()?;
                (log.get(index) == Some(value)).then(|| log.clone())
            }
        }
    }
}

fn slow_verdict(history: &LogHistory) -> bool {
    let mut operations = Vec::new();
    for sent in history.sent.iter().filter(|sent| !sent.refused) {
        let step = Slow::Append { value: sent.value, at: sent.placed.map(|placed| placed.offset) };
        operations.push(Timed { invoked: sent.invoked, returned: sent.returned, step });
    }
    for seen in &history.seen {
        let timed = |step| Timed { invoked: seen.invoked, returned: Some(seen.returned), step };
        if seen.exact {
            operations.push(timed(Slow::Tail(seen.end)));
        }
        operations.extend(seen.items.iter().map(|&(offset, value)| timed(Slow::Get { offset, value })));
    }
    let log: Vec<u64> = history.drains[0].values.iter().copied().flatten().collect();
    linearizable(&operations, &Vec::new(), &|state: &Vec<u64>| *state == log)
}

/// A history that a right log would make: each operation takes effect at a moment in its interval.
fn honest(script: &[(u8, u8, u8)]) -> LogHistory {
    let mut run = LogHistory::default();
    let mut log = Vec::new();
    for (index, &(what, before, after)) in (0_u64..).zip(script) {
        let moment = 100 + 10 * index;
        // Ends are odd and beginnings even, so that no two moments of the two kinds are equal.
        let invoked = (moment - u64::from(before % 40)) & !1;
        let returned = (moment + u64::from(after % 40)) | 1;
        let end = log.len() as u64;
        match what % 6 {
            0 | 1 => {
                run.sent.push(acked(index, end, invoked, returned));
                log.push(index);
            }
            2 => {
                run.sent.push(unknown(index, invoked));
                if before % 2 == 0 {
                    log.push(index);
                }
            }
            3 => run.sent.push(refused(index, invoked, returned)),
            4 => run.seen.push(Seen { session: index, ..tail(end, invoked, returned) }),
            _ => {
                let items: Vec<_> = (0..).zip(log.iter().copied()).collect();
                let end = items.len() as u64;
                run.seen.push(Seen { session: index, ..pull(&items, end, invoked, returned) });
            }
        }
    }
    run.drains.push(drain("n0", &log));
    run
}

/// One small lie; many of them make the history illegal, some do not.
fn lie(run: &mut LogHistory, kind: u8, pick: u8) {
    let pick = usize::from(pick);
    match kind % 7 {
        0 => {
            let log = &mut run.drains[0].values;
            if !log.is_empty() {
                let index = pick % log.len();
                log.remove(index);
            }
        }
        1 => {
            let log = &mut run.drains[0].values;
            if log.len() > 1 {
                let index = pick % (log.len() - 1);
                log.swap(index, index + 1);
            }
        }
        2 => {
            if let Some(seen) = run.seen.iter_mut().find(|seen| seen.exact) {
                seen.end = pick as u64 % 4;
            }
        }
        3 => {
            if let Some(sent) = run.sent.iter_mut().filter(|sent| sent.placed.is_some()).nth(pick % 3) {
                sent.placed =
                    Some(Placed { queue: 0, offset: pick as u64 % 4, physical: pick as u64 % 4 * 100 });
            }
        }
        4 => {
            if let Some(sent) = run.sent.get_mut(pick % 3) {
                sent.invoked += 20;
                sent.returned = sent.returned.map(|returned| returned.max(sent.invoked + 1));
            }
        }
        5 => {
            if let Some(seen) = run.seen.get_mut(pick % 3) {
                seen.invoked += 20;
                seen.returned = seen.returned.max(seen.invoked + 1);
            }
        }
        _ => run.drains[0].values.push(Some(pick as u64 % 8)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn an_honest_log_is_always_valid(script in prop::collection::vec(any::<(u8, u8, u8)>(), 1..40)) {
        let run = honest(&script);
        prop_assert_ne!(check(&run, RULES).verdict, Verdict::Invalid, "{:?}", run);
    }

    #[test]
    fn the_fast_checker_and_the_slow_model_agree(
        script in prop::collection::vec(any::<(u8, u8, u8)>(), 1..8),
        lies in prop::collection::vec(any::<(u8, u8)>(), 0..3),
    ) {
        let mut run = honest(&script);
        for (kind, pick) in lies {
            lie(&mut run, kind, pick);
        }
        let fast = check(&run, RULES).verdict != Verdict::Invalid;
        prop_assert_eq!(fast, slow_verdict(&run), "{:?}", run);
    }
}
