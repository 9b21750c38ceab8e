//! When each lane does its next operation.
//!
//! A lane is closed: it has one operation open. It asks for its next moment, and a lane that was
//! held up by a fault goes on at its pace from there; the operations it missed are not made up
//! for, because a burst after every fault would hide how the cluster behaves at the asked rate.

use std::time::Duration;

use super::dice::Dice;

/// The moments of one lane.
#[derive(Clone, Debug)]
pub struct Pace {
    gap_micros: f64,
    next_micros: f64,
    dice: Dice,
}

impl Pace {
    /// One of `lanes` lanes that together do `rate` operations a second.
    pub fn new(rate: u32, lanes: u32, lane: u32, mut dice: Dice) -> Self {
        let gap_micros = 1e6 * f64::from(lanes.max(1)) / f64::from(rate.max(1));
        let _ = dice.roll();
        let next_micros = gap_micros * f64::from(lane) / f64::from(lanes.max(1));
        Self { gap_micros, next_micros, dice }
    }

    /// How long to wait from `now`, both counted from the start of the run.
    pub fn wait(&mut self, now: Duration) -> Duration {
        let now_micros = now.as_secs_f64() * 1e6;
        let due = self.next_micros;
        let jitter = 0.75 + f64::from(u32::try_from(self.dice.below(1_000)).unwrap_or(0)) / 2_000.0;
        self.next_micros = due.max(now_micros) + self.gap_micros * jitter;
        Duration::from_secs_f64((due - now_micros).max(0.0) / 1e6)
    }

    /// How many lanes a rate wants: enough that a round trip of a few milliseconds fits.
    pub fn lanes(rate: u32) -> u32 {
        (rate / 100).clamp(6, 160)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_together_keep_the_rate() {
        for rate in [10, 500, 10_000] {
            let lanes = Pace::lanes(rate);
            let mut done = 0_u32;
            for lane in 0..lanes {
                let mut pace = Pace::new(rate, lanes, lane, Dice::new(u64::from(lane)));
                let mut now = Duration::ZERO;
                loop {
                    now += pace.wait(now);
                    if now >= Duration::from_secs(60) {
                        break;
                    }
                    done += 1;
                }
            }
            let wanted = rate * 60;
            assert!(done.abs_diff(wanted) <= wanted / 20 + lanes, "{done} operations instead of {wanted}");
        }
    }

    #[test]
    fn a_lane_that_was_held_up_does_not_burst() {
        let mut pace = Pace::new(100, 1, 0, Dice::new(1));
        pace.wait(Duration::ZERO);
        let held_up = Duration::from_secs(30);
        assert_eq!(pace.wait(held_up), Duration::ZERO);
        assert!(pace.wait(held_up) >= Duration::from_millis(7));
    }
}
