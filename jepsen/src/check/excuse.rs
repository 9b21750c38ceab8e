//! Modes that promise less: what their documentation says may be lost is measured, not condemned.
//!
//! A send that was acknowledged shortly before a fault and is gone is turned into one of unknown
//! outcome; the window is part of the promise, and a loss outside of it stays a loss.

use std::collections::HashMap;

use super::finding::Finding;
use super::log::LogHistory;

/// A fault is noted when its deed is done; acknowledgements may still have been under way.
const NOTED_LATE_US: u64 = 2_000_000;

/// What a mode says about loss at a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Nothing acknowledged is ever lost.
    KeepsAll,
    /// What was acknowledged within so many milliseconds before the fault may go.
    MayLoseLast {
        /// Length of the window.
        window_ms: u64,
    },
}

/// Takes the documented losses out of a history, and tells how many there were and how old.
pub fn excuse(mut history: LogHistory, promise: Promise, faults: &[u64]) -> (LogHistory, Finding) {
    let mut finding = Finding::new("documented loss");
    let Promise::MayLoseLast { window_ms } = promise else { return (history, finding) };
    let mut kept: HashMap<u64, ()> = HashMap::new();
    for drain in &history.drains {
        kept.extend(drain.values.iter().flatten().map(|value| (*value, ())));
    }
    let (mut lost, mut oldest) = (0_u64, 0_u64);
    for sent in &mut history.sent {
        let (Some(returned), Some(_)) = (sent.returned, sent.placed) else { continue };
        if kept.contains_key(&sent.value) {
            continue;
        }
        let age = faults
            .iter()
            .filter(|at| returned <= **at + NOTED_LATE_US)
            .map(|at| at.saturating_sub(returned))
            .min();
        if let Some(age) = age.filter(|age| *age <= window_ms * 1_000) {
            sent.placed = None;
            sent.returned = None;
            lost += 1;
            oldest = oldest.max(age);
        }
    }
    finding.figure("lost as documented", lost);
    finding.figure("oldest lost, ms before the fault", oldest / 1_000);
    finding.figure("window, ms", window_ms);
    if lost > 0 {
        // Readers may have seen what is now gone, and its offsets were given out again.
        let last = faults.iter().copied().max().unwrap_or(0);
        history.seen.retain(|seen| seen.invoked > last + NOTED_LATE_US);
    }
    (history, finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::check::log::{Drain, LogRules, Sent, check};
    use crate::history::Placed;

    fn run(returned: u64) -> LogHistory {
        let sent = |value, offset, returned| Sent {
            value,
            queue: 0,
            invoked: returned - 1,
            returned: Some(returned),
            placed: Some(Placed { queue: 0, offset, physical: offset }),
            refused: false,
        };
        LogHistory {
            sent: vec![sent(1, 0, 10), sent(2, 1, returned)],
            seen: vec![],
            drains: vec![Drain { source: "n0".to_owned(), queue: 0, first: 0, values: vec![Some(1)] }],
        }
    }

    #[test]
    fn a_loss_inside_the_window_is_measured_and_one_outside_stays_a_loss() {
        let promise = Promise::MayLoseLast { window_ms: 500 };
        let (excused, finding) = excuse(run(9_900_000), promise, &[10_000_000]);
        assert_eq!(finding.of("lost as documented"), 1);
        assert_eq!(finding.of("oldest lost, ms before the fault"), 100);
        assert_eq!(check(&excused, LogRules::default()).verdict, Verdict::Valid);
        let (kept, finding) = excuse(run(9_000_000), promise, &[10_000_000]);
        assert_eq!(finding.of("lost as documented"), 0);
        assert_eq!(check(&kept, LogRules::default()).verdict, Verdict::Invalid);
    }

    #[test]
    fn who_promises_all_is_excused_nothing() {
        let (kept, _) = excuse(run(9_999_999), Promise::KeepsAll, &[10_000_000]);
        assert_eq!(kept, run(9_999_999));
    }
}
