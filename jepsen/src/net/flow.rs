//! What a directed link does to what it carries, as a value that can be added up.

use std::time::Duration;

/// The state of one direction between two servers. The default carries everything at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flow {
    /// Nothing passes; bytes wait, as they do in a TCP connection without a network.
    pub cut: bool,
    /// Each piece arrives this much later.
    pub delay: Duration,
    /// Up to this much more, by chance.
    pub jitter: Duration,
    /// Connections are reset after about this long.
    pub reset_after: Option<Duration>,
    /// Bytes a second, at most.
    pub bytes_per_second: Option<u64>,
}

/// What a fault adds to a flow.
pub type Weathering = Flow;

impl Flow {
    /// A flow that carries nothing.
    pub const CUT: Self = Self {
        cut: true,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        reset_after: None,
        bytes_per_second: None,
    };

    /// Both troubles at once: the worse of each.
    pub fn and(self, other: Self) -> Self {
        let least = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, None) | (None, one) => one,
        };
        let soonest = |a: Option<Duration>, b: Option<Duration>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, None) | (None, one) => one,
        };
        Self {
            cut: self.cut || other.cut,
            delay: self.delay.max(other.delay),
            jitter: self.jitter.max(other.jitter),
            reset_after: soonest(self.reset_after, other.reset_after),
            bytes_per_second: least(self.bytes_per_second, other.bytes_per_second),
        }
    }

    /// How long a piece of `bytes` is held up, given a number of chance.
    pub fn holds(self, bytes: usize, chance: u64) -> Duration {
        let jitter = if self.jitter.is_zero() {
            Duration::ZERO
        } else {
            Duration::from_micros(
                chance % (u64::try_from(self.jitter.as_micros()).unwrap_or(u64::MAX)).max(1),
            )
        };
        let pacing = self
            .bytes_per_second
            .map_or(Duration::ZERO, |rate| Duration::from_micros(bytes as u64 * 1_000_000 / rate.max(1)));
        self.delay + jitter + pacing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_add_up_to_the_worse_of_each() {
        let slow = Flow { delay: Duration::from_millis(50), ..Flow::default() };
        let thin = Flow { bytes_per_second: Some(1_000), ..Flow::default() };
        let both = slow.and(thin).and(Flow { bytes_per_second: Some(2_000), ..Flow::default() });
        assert_eq!(both.delay, Duration::from_millis(50));
        assert_eq!(both.bytes_per_second, Some(1_000));
        assert!(both.and(Flow::CUT).cut);
        assert_eq!(Flow::default().and(Flow::default()), Flow::default());
    }

    #[test]
    fn a_thin_link_holds_bytes_in_proportion() {
        let thin = Flow { bytes_per_second: Some(1_000), ..Flow::default() };
        assert_eq!(thin.holds(500, 0), Duration::from_millis(500));
        let jittery = Flow { jitter: Duration::from_millis(10), ..Flow::default() };
        assert!(jittery.holds(1, 123_456_789) < Duration::from_millis(10));
        assert_eq!(Flow::default().holds(1 << 20, 7), Duration::ZERO);
    }
}
