//! One counted thing, and its value over the last minute, hour and day.
//!
//! Always true: `value` and `times` only grow; a window keeps snapshots of them, oldest first, so that a
//! figure is the difference of its two ends. Source of the spans: RocketMQ `StatsItem` (7 × 10 s, 7 × 10 min,
//! 25 × 1 h).

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many snapshots a window keeps, and how far apart they are in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Pace {
    snapshots: usize,
    apart_ms: i64,
}

const MINUTE: Pace = Pace { snapshots: 7, apart_ms: 10_000 };
const HOUR: Pace = Pace { snapshots: 7, apart_ms: 600_000 };
const DAY: Pace = Pace { snapshots: 25, apart_ms: 3_600_000 };

#[derive(Debug, Clone, Copy)]
struct Snapshot {
    at_ms: i64,
    value: u64,
    times: u64,
}

/// A figure over one window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StatSummary {
    /// What was added.
    pub sum: u64,
    /// Added per second.
    pub per_second: f64,
    /// Added per time.
    pub average: f64,
}

/// The three windows of an item.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StatWindows {
    /// The last minute.
    pub minute: StatSummary,
    /// The last hour.
    pub hour: StatSummary,
    /// The last day.
    pub day: StatSummary,
}

#[derive(Debug, Default)]
struct Windows {
    minute: VecDeque<Snapshot>,
    hour: VecDeque<Snapshot>,
    day: VecDeque<Snapshot>,
}

/// A counter with windows. Adding is two relaxed additions.
#[derive(Debug, Default)]
pub struct StatItem {
    value: AtomicU64,
    times: AtomicU64,
    windows: Mutex<Windows>,
}

impl StatItem {
    /// Adds `value`, which happened `times` times.
    pub fn add(&self, value: u64, times: u64) {
        self.value.fetch_add(value, Relaxed);
        self.times.fetch_add(times, Relaxed);
    }

    /// All that was ever added.
    pub fn total(&self) -> u64 {
        self.value.load(Relaxed)
    }

    /// Takes a snapshot for the minute window; due every 10 s.
    pub fn sample_minute(&self, now_ms: i64) {
        push(&mut self.windows.lock().minute, self.snapshot(now_ms), MINUTE);
    }

    /// Takes a snapshot for the hour window; due every 10 min.
    pub fn sample_hour(&self, now_ms: i64) {
        push(&mut self.windows.lock().hour, self.snapshot(now_ms), HOUR);
    }

    /// Takes a snapshot for the day window; due every hour.
    pub fn sample_day(&self, now_ms: i64) {
        push(&mut self.windows.lock().day, self.snapshot(now_ms), DAY);
    }

    /// The figures of the three windows.
    pub fn windows(&self) -> StatWindows {
        let windows = self.windows.lock();
        StatWindows {
            minute: summary(&windows.minute),
            hour: summary(&windows.hour),
            day: summary(&windows.day),
        }
    }

    fn snapshot(&self, at_ms: i64) -> Snapshot {
        Snapshot { at_ms, value: self.value.load(Relaxed), times: self.times.load(Relaxed) }
    }
}

fn push(window: &mut VecDeque<Snapshot>, snapshot: Snapshot, pace: Pace) {
    if window.is_empty() {
        // What was counted before the first snapshot belongs to the window too, and was counted since the one that would
        // have been before it: a rate over less would be any number.
        window.push_back(Snapshot { at_ms: snapshot.at_ms - pace.apart_ms, value: 0, times: 0 });
    }
    window.push_back(snapshot);
    while window.len() > pace.snapshots {
        window.pop_front();
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn summary(window: &VecDeque<Snapshot>) -> StatSummary {
    let (Some(first), Some(last)) = (window.front(), window.back()) else {
        return StatSummary::default();
    };
    let sum = last.value.saturating_sub(first.value);
    let times = last.times.saturating_sub(first.times);
    let span_ms = last.at_ms - first.at_ms;
    StatSummary {
        sum,
        per_second: if span_ms > 0 { sum as f64 * 1000.0 / span_ms as f64 } else { 0.0 },
        average: if times > 0 { sum as f64 / times as f64 } else { 0.0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_forgets_what_is_older_than_its_snapshots() {
        let item = StatItem::default();
        item.sample_minute(0);
        for tick in 1..=20_i64 {
            item.add(10, 5);
            item.sample_minute(tick * 10_000);
        }
        let minute = item.windows().minute;
        assert_eq!(minute, StatSummary { sum: 60, per_second: 1.0, average: 2.0 });
        assert_eq!(item.total(), 200);
        assert_eq!(item.windows().hour, StatSummary::default());
    }

    #[test]
    fn the_first_snapshot_already_shows_what_came_before_it() {
        let item = StatItem::default();
        item.add(7, 1);
        item.sample_hour(10_000);
        assert_eq!(item.windows().hour.sum, 7);
        item.sample_minute(10_000);
        let minute = StatSummary { sum: 7, per_second: 0.7, average: 7.0 };
        assert_eq!(item.windows().minute, minute, "per second of the ten that passed at most");
    }
}
