//! The delay levels: what `1s 5s 10s …` means, and when a message of a level is due.
//!
//! Always true: level 0 is "no delay", level 1 the first word of `messageDelayLevel`; a level beyond the
//! last means the last. Pure; sends, send-backs and the delay service ask it.

use std::time::Duration;

/// RocketMQ's default `messageDelayLevel`.
pub const DEFAULT_LEVELS: &str = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";

/// The table of delay levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayLevels {
    delays: Vec<Duration>,
}

/// A word of `messageDelayLevel` that says no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("delay level {level} is {word:?}; a level is a number followed by s, m, h or d")]
pub struct DelayLevelError {
    /// Which level, counted from one.
    pub level: usize,
    /// What stands there.
    pub word: String,
}

impl DelayLevels {
    /// Reads a `messageDelayLevel` value.
    pub fn parse(text: &str) -> Result<Self, DelayLevelError> {
        let delays = text
            .split_whitespace()
            .enumerate()
            .map(|(at, word)| {
                parse_delay(word).ok_or_else(|| DelayLevelError { level: at + 1, word: word.to_owned() })
            })
            .collect::<Result<Vec<_>, _>>()?;
        if delays.is_empty() {
            return Err(DelayLevelError { level: 1, word: String::new() });
        }
        Ok(Self { delays })
    }

    /// The highest level.
    pub fn max(&self) -> u32 {
        u32::try_from(self.delays.len()).unwrap_or(u32::MAX)
    }

    /// The level that a message asks for: none for zero and below, the last one for anything beyond it.
    pub fn clamp(&self, asked: i32) -> Option<u32> {
        let asked = u32::try_from(asked).ok().filter(|&level| level > 0)?;
        Some(asked.min(self.max()))
    }

    /// How long a level waits.
    pub fn delay(&self, level: u32) -> Duration {
        let at = level.clamp(1, self.max()) as usize - 1;
        self.delays[at]
    }

    /// When a message that was stored at `stored_ms` is due.
    pub fn due_ms(&self, level: u32, stored_ms: i64) -> i64 {
        let delay = i64::try_from(self.delay(level).as_millis()).unwrap_or(i64::MAX);
        stored_ms.saturating_add(delay)
    }

    /// All delays in milliseconds, level 1 first.
    pub fn millis(&self) -> Vec<i64> {
        (1..=self.max()).map(|level| self.due_ms(level, 0)).collect()
    }
}

impl Default for DelayLevels {
    fn default() -> Self {
        Self::parse(DEFAULT_LEVELS).unwrap_or_else(|_| Self { delays: vec![Duration::from_secs(1)] })
    }
}

fn parse_delay(word: &str) -> Option<Duration> {
    let unit = word.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return None,
    };
    let number: u64 = word[..word.len() - 1].parse().ok()?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

/// The queue of SCHEDULE_TOPIC_XXXX that holds a level. Source: RocketMQ `ScheduleMessageService.delayLevel2QueueId`.
pub fn queue_of_level(level: u32) -> u32 {
    level.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_has_the_eighteen_levels_of_rocketmq() {
        let levels = DelayLevels::default();
        let seconds: Vec<u64> = (1..=levels.max()).map(|level| levels.delay(level).as_secs()).collect();
        assert_eq!(
            seconds,
            [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200]
        );
        assert_eq!(levels.due_ms(1, 1_000), 2_000);
        assert_eq!(queue_of_level(18), 17);
    }

    #[test]
    fn a_level_beyond_the_last_means_the_last_and_below_one_means_none() {
        let levels = DelayLevels::default();
        let cases =
            [(-1, None), (0, None), (1, Some(1)), (18, Some(18)), (19, Some(18)), (i32::MAX, Some(18))];
        for (asked, level) in cases {
            assert_eq!(levels.clamp(asked), level, "asked for {asked}");
        }
    }

    #[test]
    fn a_word_that_is_no_duration_is_named() {
        for (text, level, word) in [("1s 5x", 2, "5x"), ("s", 1, "s"), ("", 1, ""), ("1s 1µ", 2, "1µ")] {
            let error = DelayLevels::parse(text).expect_err(text);
            assert_eq!(error, DelayLevelError { level, word: word.to_owned() });
        }
    }
}
