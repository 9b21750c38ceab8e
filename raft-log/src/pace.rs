//! How fast a follower that is far behind is served while others write.
//!
//! Reading the log back, sending it, and a follower that takes it in as fast as it comes would otherwise have the thread of
//! the consensus, the cores and the disk for themselves, and whoever sends a message would wait for them. Pure: time is an
//! argument. Always true: the distance shrinks, however fast the log grows; nobody waits while nobody writes.

use std::time::{Duration, Instant};

use crate::log_store::REQUEST_BYTES_MAX;

/// So far behind the end of the log a follower is fed in bulk; what is nearer is the traffic of every day.
const FAR_BYTES: u64 = 4 * 1024 * 1024;
/// By so much a second the distance shrinks while somebody writes.
const BYTES_PER_SECOND: u64 = 375_000_000;
/// What one request carries then: the thread of the consensus is busy with it for some tenths of a millisecond.
const BULK_BYTES_MAX: usize = 256 * 1024;
/// Time that was not used may be made up for, so that a timer's coarse ticks cost no speed.
const SLACK: Duration = Duration::from_millis(4);
/// A log that has not grown for so long has nobody who writes.
const QUIET: Duration = Duration::from_millis(100);

/// The pace of one follower.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace {
    /// The end of the log when it was last seen.
    end: Option<u64>,
    /// When it was last seen to have grown.
    grew: Option<Instant>,
    /// Until when what was sent has used the time.
    used_until: Option<Instant>,
}

/// When the next request may go, and what it may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// At once.
    Now { bytes_max: usize },
    /// After everybody else had a turn, and not before the time given.
    InBulk { from: Instant, bytes_max: usize },
}

impl Pace {
    /// The next turn of a follower that is `behind` the `end` of the log.
    pub(crate) fn next(&mut self, end: u64, behind: u64, now: Instant) -> Turn {
        let growth = end.saturating_sub(self.end.replace(end).unwrap_or(end));
        if growth > 0 {
            self.grew = Some(now);
        }
        let is_quiet = self.grew.is_none_or(|grew| now.duration_since(grew) > QUIET);
        if behind < FAR_BYTES || is_quiet {
            self.used_until = None;
            return Turn::Now { bytes_max: REQUEST_BYTES_MAX };
        }
        // What the log grows by comes on top.
        let used_until = self.used_until.and_then(|until| until.checked_sub(time_for(growth))).unwrap_or(now);
        let from = used_until.max(now.checked_sub(SLACK).unwrap_or(now));
        self.used_until = Some(from);
        Turn::InBulk { from, bytes_max: BULK_BYTES_MAX }
    }

    /// Notes what a request carries.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.used_until = self.used_until.map(|until| until + time_for(bytes));
    }
}

fn time_for(bytes: u64) -> Duration {
    Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / BYTES_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(1);

    /// Serves a follower for a second on a clock with coarse ticks, while the log grows by `growth` a tick; what was sent.
    fn sent_in_a_second(growth: u64) -> u64 {
        let (start, mut pace) = (Instant::now(), Pace::default());
        let (mut end, mut sent) = (u64::MAX / 2, 0);
        pace.next(end - growth, FAR_BYTES, start);
        for tick in 0..1000 {
            let now = start + TICK * tick;
            while let Turn::InBulk { from, bytes_max } = pace.next(end, FAR_BYTES, now) {
                if from > now {
                    break;
                }
                pace.sent(bytes_max as u64);
                sent += bytes_max as u64;
            }
            end += growth;
        }
        sent
    }

    #[test]
    fn the_distance_shrinks_at_the_same_pace_however_fast_the_log_grows() {
        for growth in [1, 100_000, 1_000_000] {
            let shrunk = sent_in_a_second(growth) - growth * 1000;
            let slack = BYTES_PER_SECOND.div_ceil(100);
            assert!(shrunk.abs_diff(BYTES_PER_SECOND) < slack, "{shrunk} bytes beside a growth of {growth}");
        }
    }

    #[test]
    fn who_is_near_the_end_and_who_catches_up_while_nobody_writes_does_not_wait() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        let at_once = Turn::Now { bytes_max: REQUEST_BYTES_MAX };
        assert_eq!(pace.next(1 << 40, 1 << 30, start), at_once, "nothing grew yet");
        assert_eq!(pace.next(1 << 40, 1 << 30, start + TICK), at_once);
        let bulk = pace.next((1 << 40) + 1, 1 << 30, start + TICK);
        assert_eq!(bulk, Turn::InBulk { from: start + TICK, bytes_max: BULK_BYTES_MAX });
        assert_eq!(pace.next((1 << 40) + 2, 1000, start + TICK), at_once, "the rest is everyday traffic");
        assert_eq!(pace.next((1 << 40) + 2, 1 << 30, start + TICK * 2 + QUIET), at_once);
    }
}
