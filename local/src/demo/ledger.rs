//! The account of every message of a demo: when it was sent, acknowledged, consumed, and how often.
//!
//! Times are arguments: microseconds since the demo began, never 0, which stands for "did not happen". Written by many
//! tasks at once; summed up when they are done.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

#[derive(Debug, Default)]
struct Entry {
    sent: AtomicU64,
    acked: AtomicU64,
    consumed: AtomicU64,
    times: AtomicU32,
}

/// The account.
#[derive(Debug)]
pub(crate) struct Ledger {
    entries: Box<[Entry]>,
    acked: AtomicU64,
    unknown: AtomicU64,
    consumed: AtomicU64,
    damaged: AtomicU64,
}

impl Ledger {
    /// An account of so many messages.
    pub(crate) fn new(messages: u64) -> Self {
        let entries = (0..messages).map(|_| Entry::default()).collect();
        let zero = AtomicU64::default;
        Self { entries, acked: zero(), unknown: zero(), consumed: zero(), damaged: zero() }
    }

    /// The message leaves for the first time.
    pub(crate) fn note_sent(&self, number: u64, now: u64) {
        self.entry(number).sent.store(now, Relaxed);
    }

    /// The broker acknowledged it.
    pub(crate) fn note_acked(&self, number: u64, now: u64) {
        self.entry(number).acked.store(now, Relaxed);
        self.acked.fetch_add(1, Relaxed);
    }

    /// Its sender gave up without knowing whether it is stored.
    pub(crate) fn note_unknown(&self) {
        self.unknown.fetch_add(1, Relaxed);
    }

    /// A consumer has it.
    pub(crate) fn note_consumed(&self, number: u64, now: u64) {
        let entry = self.entry(number);
        if entry.times.fetch_add(1, Relaxed) == 0 {
            entry.consumed.store(now, Relaxed);
            self.consumed.fetch_add(1, Relaxed);
        }
    }

    /// A consumer has something that was not sent so.
    pub(crate) fn note_damaged(&self) {
        self.damaged.fetch_add(1, Relaxed);
    }

    /// Messages acknowledged so far.
    pub(crate) fn acked(&self) -> u64 {
        self.acked.load(Relaxed)
    }

    /// Different messages consumed so far.
    pub(crate) fn consumed(&self) -> u64 {
        self.consumed.load(Relaxed)
    }

    /// Whether every acknowledged message was consumed.
    pub(crate) fn is_settled(&self) -> bool {
        self.lost() == 0
    }

    fn lost(&self) -> u64 {
        let lost = |entry: &&Entry| entry.acked.load(Relaxed) != 0 && entry.times.load(Relaxed) == 0;
        self.entries.iter().filter(lost).count() as u64
    }

    fn entry(&self, number: u64) -> &Entry {
        &self.entries[usize::try_from(number).expect("an address fits")]
    }

    /// Sums up.
    pub(crate) fn summary(&self) -> Summary {
        let (mut sends, mut journeys) = (Vec::new(), Vec::new());
        let (mut first, mut last_ack, mut last_consumed) = (u64::MAX, 0, 0);
        let (mut duplicates, mut unknown_consumed) = (0, 0);
        for entry in &self.entries {
            let [sent, acked, consumed] =
                [&entry.sent, &entry.acked, &entry.consumed].map(|time| time.load(Relaxed));
            if sent != 0 {
                first = first.min(sent);
            }
            if acked != 0 {
                sends.push(acked.saturating_sub(sent));
                last_ack = last_ack.max(acked);
            }
            if consumed != 0 {
                journeys.push(consumed.saturating_sub(sent));
                last_consumed = last_consumed.max(consumed);
                unknown_consumed += u64::from(acked == 0);
            }
            duplicates += u64::from(entry.times.load(Relaxed).saturating_sub(1));
        }
        Summary {
            acked: self.acked(),
            unknown: self.unknown.load(Relaxed),
            unknown_consumed,
            consumed: self.consumed(),
            duplicates,
            damaged: self.damaged.load(Relaxed),
            lost: self.lost(),
            send_micros: last_ack.saturating_sub(first),
            consume_micros: last_consumed.saturating_sub(first),
            send: Spread::of(sends),
            journey: Spread::of(journeys),
        }
    }

    /// The longest time without an acknowledgement that began before or shortly after `killed`, and ended after it.
    pub(crate) fn silence(&self, killed: u64) -> Option<Silence> {
        let mut acks: Vec<u64> = self.entries.iter().map(|entry| entry.acked.load(Relaxed)).collect();
        acks.retain(|time| *time != 0);
        acks.sort_unstable();
        longest_silence(&acks, killed)
    }
}

/// Acknowledgements that the dead leader sent may be read so long after its death, in microseconds.
const STRAGGLING: u64 = 250_000;

fn longest_silence(acks: &[u64], killed: u64) -> Option<Silence> {
    let pairs = acks.windows(2).map(|pair| Silence { before: pair[0], after: pair[1] });
    let near = pairs.filter(|silence| silence.after > killed && silence.before < killed + STRAGGLING);
    near.max_by_key(|silence| silence.length())
}

/// A time without acknowledgements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Silence {
    /// The last acknowledgement before it.
    pub(crate) before: u64,
    /// The first after it.
    pub(crate) after: u64,
}

impl Silence {
    /// How long it was.
    pub(crate) fn length(self) -> u64 {
        self.after - self.before
    }
}

/// How values lie: half of them, 99 of 100, all of them are at most so large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

impl Spread {
    fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        // The smallest value that is not exceeded by so many of a hundred.
        let at =
            |percent: usize| values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        let [p50, p99, max] = [50, 99, 100].map(|percent| at(percent).unwrap_or(0));
        Self { p50, p99, max }
    }
}

/// What came of a demo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) acked: u64,
    /// Sends without an answer that says what became of them.
    pub(crate) unknown: u64,
    /// Of those, the ones that were stored after all.
    pub(crate) unknown_consumed: u64,
    /// Different messages.
    pub(crate) consumed: u64,
    /// Times that a message came again.
    pub(crate) duplicates: u64,
    pub(crate) damaged: u64,
    /// Acknowledged, and never consumed.
    pub(crate) lost: u64,
    /// From the first send to the last acknowledgement.
    pub(crate) send_micros: u64,
    /// From the first send to the last message consumed.
    pub(crate) consume_micros: u64,
    /// From the first attempt to the acknowledgement.
    pub(crate) send: Spread,
    /// From the first attempt to the listener.
    pub(crate) journey: Spread,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_accounted_for() {
        let ledger = Ledger::new(4);
        for number in 0..4 {
            ledger.note_sent(number, 10 + number);
        }
        ledger.note_acked(0, 20);
        ledger.note_acked(1, 31);
        ledger.note_acked(2, 42);
        ledger.note_unknown();
        ledger.note_consumed(0, 25);
        ledger.note_consumed(0, 60);
        ledger.note_consumed(3, 50);
        assert!(!ledger.is_settled());
        ledger.note_consumed(1, 40);
        let summary = ledger.summary();
        assert_eq!((summary.acked, summary.unknown, summary.unknown_consumed), (3, 1, 1));
        assert_eq!((summary.consumed, summary.duplicates, summary.lost), (3, 1, 1));
        assert_eq!((summary.send_micros, summary.consume_micros), (32, 40));
        assert_eq!(summary.send, Spread { p50: 20, p99: 30, max: 30 });
        ledger.note_consumed(2, 70);
        assert!(ledger.is_settled());
    }

    #[test]
    fn the_gap_of_a_failover_is_the_longest_silence_around_the_kill() {
        let acks = [100, 200, 5_000, 605_000, 606_000, 3_000_000];
        let gap = Some(Silence { before: 5_000, after: 605_000 });
        assert_eq!(longest_silence(&acks, 5_500), gap);
        assert_eq!(longest_silence(&acks, 4_000), gap, "an answer of the dead leader came late");
        assert_eq!(longest_silence(&[1, 2, 3], 10), None, "no send was waiting for its answer");
    }

    #[test]
    fn spreads_of_few_values_are_their_own_values() {
        assert_eq!(Spread::of(vec![]), Spread::default());
        assert_eq!(Spread::of(vec![7]), Spread { p50: 7, p99: 7, max: 7 });
        assert_eq!(Spread::of((1..=200).collect()), Spread { p50: 100, p99: 198, max: 200 });
    }
}
