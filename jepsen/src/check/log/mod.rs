//! The log checker: seven rules, linear but for sorting, exact because every value is unique and
//! every position is read at the end.
//!
//! 1. one value per (queue, offset), one offset per value;
//! 2. all replicas and all readers agree at every offset, and there are no holes;
//! 3. every acknowledged value is where its acknowledgement said, in every final drain;
//! 4. nothing is read that was never sent, or that was definitely refused;
//! 5. a send acknowledged before another began has the smaller offset;
//! 6. a tail read that began after an acknowledgement includes it, what a session was handed stays,
//!    and nobody ever saw what the final log does not have;
//! 7. a send of unknown outcome that appears is bounded only from below, else it is ignored.
//!
//! Rules 1 to 4 are in `places`, 5 and 6 in `moments`; rule 7 is how both treat the unknown.

mod input;
mod moments;
mod places;

pub use input::{Drain, LogHistory, LogRules, Seen, Sent};

use crate::check::Finding;

/// Judges a history.
pub fn check(history: &LogHistory, rules: LogRules) -> Finding {
    let mut finding = Finding::new("log");
    let acked = history.sent.iter().filter(|sent| sent.placed.is_some()).count();
    finding.figure("sends", history.sent.len() as u64);
    finding.figure("acknowledged", acked as u64);
    finding.figure("reads", history.seen.len() as u64);
    if acked == 0 {
        finding.doubt("nothing acknowledged", || "a run that wrote nothing proves nothing".to_owned());
    }
    let places = places::check(history, rules, &mut finding);
    moments::check(history, &places, rules, &mut finding);
    finding
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
