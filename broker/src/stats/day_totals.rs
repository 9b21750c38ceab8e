//! Message totals at the last two midnights, so that `clusterList -m` can show today and yesterday.
//!
//! Always true: `yesterday_morning` ≤ `today_morning` ≤ the totals now. Time is an argument; RocketMQ cuts
//! days at local midnight, we cut at UTC midnight (servers run in UTC, and no time zone file is needed).

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Totals of messages put and read since the broker started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Messages put.
    pub put: u64,
    /// Messages read.
    pub got: u64,
}

/// The totals of the last two mornings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DayTotals {
    day: Option<i64>,
    /// The totals when yesterday began.
    pub yesterday_morning: Totals,
    /// The totals when today began.
    pub today_morning: Totals,
}

impl DayTotals {
    /// Looks at the clock; when a new day has begun, today's morning becomes yesterday's.
    pub fn tick(&mut self, now_ms: i64, now: Totals) {
        let today = now_ms.div_euclid(DAY_MS);
        match self.day.replace(today) {
            Some(day) if day < today => {
                self.yesterday_morning = self.today_morning;
                self.today_morning = now;
            }
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_day_moves_the_mornings_on() {
        let mut totals = DayTotals::default();
        totals.tick(1, Totals { put: 5, got: 1 });
        assert_eq!(totals.today_morning, Totals::default());
        totals.tick(DAY_MS, Totals { put: 9, got: 2 });
        assert_eq!(totals.today_morning, Totals { put: 9, got: 2 });
        totals.tick(DAY_MS + 1, Totals { put: 10, got: 3 });
        totals.tick(2 * DAY_MS, Totals { put: 20, got: 4 });
        assert_eq!(totals.yesterday_morning, Totals { put: 9, got: 2 });
        assert_eq!(totals.today_morning, Totals { put: 20, got: 4 });
    }
}
