//! When messages are deleted, and when the disk is too full to take more: a pure decision.
//!
//! Always true: the last segment stays, and nothing between two kept bytes goes.
//! The keeper calls this on every look at the disk and does the deed.

use crate::config::ConfigFault;

/// Retention keys of the broker's configuration. Source: reference 6.19 and 7.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionConfig {
    /// `deleteWhen`, 4: the hours of the local day in which expired segments go.
    pub delete_when: Vec<u8>,
    /// `fileReservedTime`, 72: hours that a segment is kept after its last write.
    pub reserved_hours: u64,
    /// `diskMaxUsedSpaceRatio`, 75 %: above, expired segments go at any hour.
    pub used_percent_max: u8,
    /// `diskSpaceCleanForciblyRatio`, 85 %: above, the oldest segments go although they have not expired.
    pub used_percent_forced: u8,
    /// `diskSpaceWarningLevelRatio`, 90 %: above, messages are refused.
    pub used_percent_refused: u8,
    /// `cleanFileForciblyEnable`, true.
    pub forced_enabled: bool,
    /// `deleteFileBatchMax`, 10: segments deleted at one look.
    pub segments_per_pass: usize,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            delete_when: vec![4],
            reserved_hours: 72,
            used_percent_max: 75,
            used_percent_forced: 85,
            used_percent_refused: 90,
            forced_enabled: true,
            segments_per_pass: 10,
        }
    }
}

impl RetentionConfig {
    /// Everything that cannot be used.
    pub fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        for hour in self.delete_when.iter().filter(|hour| **hour > 23) {
            faults.push(ConfigFault {
                key: "deleteWhen",
                value: u64::from(*hour),
                wanted: "hours from 0 to 23",
            });
        }
        for (key, percent) in [
            ("diskMaxUsedSpaceRatio", self.used_percent_max),
            ("diskSpaceCleanForciblyRatio", self.used_percent_forced),
            ("diskSpaceWarningLevelRatio", self.used_percent_refused),
        ] {
            if !(1..=100).contains(&percent) {
                faults.push(ConfigFault { key, value: u64::from(percent), wanted: "from 1 to 100" });
            }
        }
        if self.segments_per_pass == 0 {
            faults.push(ConfigFault { key: "deleteFileBatchMax", value: 0, wanted: "at least 1" });
        }
        faults
    }
}

/// What the decision looks at.
#[derive(Debug, Clone, Copy)]
pub struct RetentionView<'a> {
    /// Now, in ms.
    pub now: i64,
    /// The hour of the local day.
    pub hour: u8,
    /// The used part of the disk, 0.0 to 1.0.
    pub used_ratio: f64,
    /// Bytes that must go until the used part is no more than `used_percent_forced`.
    pub excess_bytes: u64,
    /// An operator asked for a deletion now (`DELETE_EXPIRED_COMMITLOG`).
    pub asked: bool,
    /// Segments in order: where each begins, and when it was last written, in ms.
    pub segments: &'a [(u64, i64)],
    /// Bytes from here on must stay, whatever happens: they are not confirmed, or a reader needs them.
    pub keep_from: u64,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionDecision {
    /// Delete the segments before this position.
    pub delete_before: Option<u64>,
    /// Take messages.
    pub writable: bool,
}

/// Decides what goes.
pub fn decide(config: &RetentionConfig, view: RetentionView<'_>) -> RetentionDecision {
    let used = view.used_ratio * 100.0;
    let forced = config.forced_enabled && used > f64::from(config.used_percent_forced);
    let due = view.asked
        || forced
        || used > f64::from(config.used_percent_max)
        || config.delete_when.contains(&view.hour);
    let writable = used <= f64::from(config.used_percent_refused);
    if !due {
        return RetentionDecision { delete_before: None, writable };
    }
    let reserved = i64::try_from(config.reserved_hours.saturating_mul(3_600_000)).unwrap_or(i64::MAX);
    let first = view.segments.first().map_or(0, |segment| segment.0);
    let gone = view
        .segments
        .windows(2)
        .take(config.segments_per_pass)
        .take_while(|pair| {
            let expired = view.now >= pair[0].1.saturating_add(reserved);
            // What has not expired goes only as far as the disk needs it; RocketMQ takes a whole batch.
            let needed = forced && pair[0].0 - first < view.excess_bytes;
            (needed || expired) && pair[1].0 <= view.keep_from
        })
        .last();
    RetentionDecision { delete_before: gone.map(|pair| pair[1].0), writable }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const NOW: i64 = 1_000 * HOUR;

    /// Segments of 100 bytes with these ages in hours.
    fn segments(ages: &[i64]) -> Vec<(u64, i64)> {
        ages.iter().enumerate().map(|(at, age)| (at as u64 * 100, NOW - age * HOUR)).collect()
    }

    fn decided(ages: &[i64], hour: u8, used_ratio: f64) -> (Option<u64>, bool) {
        let segments = segments(ages);
        let view = RetentionView {
            now: NOW,
            hour,
            used_ratio,
            excess_bytes: u64::MAX,
            asked: false,
            segments: &segments,
            keep_from: u64::MAX,
        };
        let decision = decide(&RetentionConfig::default(), view);
        (decision.delete_before, decision.writable)
    }

    #[test]
    fn retention_follows_the_table() {
        // ages in hours, hour of the day, used part of the disk => deleted before, writable
        type Case = (&'static [i64], u8, f64, Option<u64>, bool);
        let cases: &[Case] = &[
            (&[100, 90, 80, 10], 4, 0.10, Some(300), true),
            (&[100, 90, 80, 10], 5, 0.10, None, true),
            (&[100, 90, 80, 10], 5, 0.75, None, true),
            (&[100, 90, 80, 10], 5, 0.76, Some(300), true),
            (&[71, 60, 50], 4, 0.76, None, true),
            (&[72, 60, 50], 4, 0.76, Some(100), true),
            (&[3, 2, 1], 5, 0.85, None, true),
            (&[3, 2, 1], 5, 0.86, Some(200), true),
            (&[3, 2, 1], 5, 0.90, Some(200), true),
            (&[3, 2, 1], 5, 0.91, Some(200), false),
            (&[100], 4, 0.99, None, false),
            (&[], 4, 0.99, None, false),
            (&[100, 10, 100, 1], 4, 0.10, Some(100), true),
        ];
        for (ages, hour, used, before, writable) in cases {
            assert_eq!(decided(ages, *hour, *used), (*before, *writable), "{ages:?} at {hour} with {used}");
        }
    }

    #[test]
    fn one_pass_deletes_no_more_than_the_batch() {
        assert_eq!(decided(&[100; 30], 4, 0.1).0, Some(1000));
    }

    #[test]
    fn what_must_stay_stays_even_when_the_disk_is_full() {
        let segments = segments(&[100, 100, 100]);
        let mut view = RetentionView {
            now: NOW,
            hour: 4,
            used_ratio: 0.99,
            excess_bytes: u64::MAX,
            asked: true,
            segments: &segments,
            keep_from: 150,
        };
        assert_eq!(decide(&RetentionConfig::default(), view).delete_before, Some(100));
        view.keep_from = 0;
        assert_eq!(decide(&RetentionConfig::default(), view).delete_before, None);
    }

    #[test]
    fn no_more_goes_before_its_time_than_the_disk_needs() {
        let segments = segments(&[200, 3, 2, 1, 0]);
        for (excess_bytes, before) in [(1, 100), (100, 100), (101, 200), (250, 300), (10_000, 400)] {
            let view = RetentionView {
                now: NOW,
                hour: 9,
                used_ratio: 0.87,
                excess_bytes,
                asked: false,
                segments: &segments,
                keep_from: u64::MAX,
            };
            assert_eq!(
                decide(&RetentionConfig::default(), view).delete_before,
                Some(before),
                "{excess_bytes}"
            );
        }
    }

    #[test]
    fn an_operator_can_ask_for_expired_segments_at_any_hour() {
        let segments = segments(&[100, 1]);
        let view = RetentionView {
            now: NOW,
            hour: 9,
            used_ratio: 0.1,
            excess_bytes: 0,
            asked: true,
            segments: &segments,
            keep_from: u64::MAX,
        };
        assert_eq!(decide(&RetentionConfig::default(), view).delete_before, Some(100));
    }

    #[test]
    fn without_forced_cleaning_a_full_disk_keeps_what_has_not_expired() {
        let config = RetentionConfig { forced_enabled: false, ..RetentionConfig::default() };
        let segments = segments(&[3, 2, 1]);
        let view = RetentionView {
            now: NOW,
            hour: 9,
            used_ratio: 0.95,
            excess_bytes: u64::MAX,
            asked: false,
            segments: &segments,
            keep_from: u64::MAX,
        };
        assert_eq!(decide(&config, view), RetentionDecision { delete_before: None, writable: false });
    }
}
