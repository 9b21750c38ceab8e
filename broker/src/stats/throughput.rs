//! Puts and gets per second over the last 10, 60 and 600 seconds, as the runtime information shows them.
//!
//! Always true: one sample a second, at most 601 of them; a rate is the difference of two samples over the
//! time between them. Time is an argument.

use parking_lot::Mutex;
use std::collections::VecDeque;

const SAMPLES_MAX: usize = 601;
const SPANS: [usize; 3] = [10, 60, 600];

/// Rates over 10, 60 and 600 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates(pub [f64; 3]);

impl std::fmt::Display for Rates {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?} {:?} {:?}", self.0[0], self.0[1], self.0[2])
    }
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at_ms: i64,
    counts: Counts,
}

/// What the store has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Messages put.
    pub put: u64,
    /// Pulls that found something.
    pub found: u64,
    /// Pulls that found nothing.
    pub missed: u64,
    /// Messages read.
    pub transferred: u64,
}

/// The recent rates of what the broker puts and reads.
#[derive(Debug, Default)]
pub struct Throughput {
    samples: Mutex<VecDeque<Sample>>,
}

impl Throughput {
    /// Takes the sample that is due every second.
    pub fn sample(&self, at_ms: i64, counts: Counts) {
        let mut samples = self.samples.lock();
        samples.push_back(Sample { at_ms, counts });
        while samples.len() > SAMPLES_MAX {
            samples.pop_front();
        }
    }

    /// Messages put per second.
    pub fn put_rates(&self) -> Rates {
        self.rates(|counts| counts.put)
    }

    /// Successful pulls per second.
    pub fn found_rates(&self) -> Rates {
        self.rates(|counts| counts.found)
    }

    /// Empty pulls per second.
    pub fn missed_rates(&self) -> Rates {
        self.rates(|counts| counts.missed)
    }

    /// Pulls per second.
    pub fn total_rates(&self) -> Rates {
        self.rates(|counts| counts.found + counts.missed)
    }

    /// Messages read per second.
    pub fn transferred_rates(&self) -> Rates {
        self.rates(|counts| counts.transferred)
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn rates(&self, of: impl Fn(&Counts) -> u64) -> Rates {
        let samples = self.samples.lock();
        let Some(last) = samples.back() else { return Rates::default() };
        Rates(SPANS.map(|span| {
            let first = &samples[samples.len().saturating_sub(span + 1)];
            let span_ms = last.at_ms - first.at_ms;
            if span_ms <= 0 {
                return 0.0;
            }
            of(&last.counts).saturating_sub(of(&first.counts)) as f64 * 1000.0 / span_ms as f64
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_counts_only_its_own_span() {
        let throughput = Throughput::default();
        let mut put = 0;
        for second in 0..=700_i64 {
            throughput.sample(second * 1000, Counts { put, ..Counts::default() });
            put += if second < 650 { 10 } else { 20 };
        }
        let Rates([ten, sixty, six_hundred]) = throughput.put_rates();
        assert!((ten - 20.0).abs() < 1e-9);
        assert!(sixty > 10.0 && sixty < 20.0);
        assert!(six_hundred > 10.0 && six_hundred < sixty);
    }

    #[test]
    fn before_the_second_sample_every_rate_is_zero() {
        let throughput = Throughput::default();
        assert_eq!(throughput.put_rates(), Rates::default());
        throughput.sample(5, Counts::default());
        assert_eq!(throughput.total_rates().to_string(), "0.0 0.0 0.0");
    }
}
