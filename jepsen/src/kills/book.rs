//! What was sent, what was acknowledged, what was ever shown to a reader: and every contradiction between them.

use std::collections::HashMap;

use crate::history::{Answer, Placed};

/// Contradictions that are told word by word; the others are counted.
const TOLD_MAX: usize = 20;

/// A queue of one of the topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Queue {
    /// Number of the topic.
    pub(super) topic: usize,
    /// Number of the queue.
    pub(super) queue: u32,
}

/// What became of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It was acknowledged with this place.
    Acknowledged(Placed),
    /// It was refused: it must never appear.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// The book of a whole run.
#[derive(Debug, Default)]
pub(super) struct Book {
    fates: HashMap<u64, (usize, Fate)>,
    /// Where a value was shown.
    places: HashMap<u64, (Queue, u64)>,
    /// What every offset showed.
    shown: HashMap<Queue, HashMap<u64, u64>>,
    /// Acknowledged and not yet looked for.
    fresh: Vec<u64>,
    told: Vec<String>,
    faults: usize,
}

impl Book {
    /// A send was acknowledged.
    pub(super) fn acknowledged(&mut self, topic: usize, value: u64, placed: Placed) {
        self.fates.insert(value, (topic, Fate::Acknowledged(placed)));
        self.fresh.push(value);
        self.shows(Queue { topic, queue: placed.queue }, placed.offset, value);
    }

    /// A send was refused.
    pub(super) fn refused(&mut self, topic: usize, value: u64) {
        self.fates.insert(value, (topic, Fate::Refused));
    }

    /// A send was not answered.
    pub(super) fn unknown(&mut self, topic: usize, value: u64) {
        self.fates.insert(value, (topic, Fate::Unknown));
    }

    /// An acknowledgement or a reader showed a value at an offset.
    pub(super) fn shows(&mut self, queue: Queue, offset: u64, value: u64) {
        if value == Answer::GARBLED {
            return self.fault(format!("{queue:?} shows a garbled message at {offset}"));
        }
        let before = self.shown.entry(queue).or_default().insert(offset, value);
        if let Some(before) = before.filter(|before| *before != value) {
            self.fault(format!("{queue:?} showed {before:#x} at {offset} and now shows {value:#x}"));
        }
        if let Some(place) =
            self.places.insert(value, (queue, offset)).filter(|place| *place != (queue, offset))
        {
            self.fault(format!("{value:#x} was at {place:?} and now is at {queue:?} {offset} too"));
        }
    }

    /// Judges a queue that was read from `from` to its end: no hole, nothing that nobody sent, nothing that was refused.
    pub(super) fn check_range(&mut self, queue: Queue, from: u64, end: u64) {
        for offset in from..end {
            let shown = self.shown.get(&queue).and_then(|shown| shown.get(&offset)).copied();
            let Some(value) = shown else {
                self.fault(format!("{queue:?} has no message at {offset}, and ends at {end}"));
                continue;
            };
            match self.fates.get(&value) {
                Some((topic, Fate::Acknowledged(_) | Fate::Unknown)) if *topic == queue.topic => {}
                fate => self.fault(format!("{queue:?} shows {value:#x} at {offset}, whose fate is {fate:?}")),
            }
        }
        let beyond = self.shown.get(&queue).and_then(|shown| shown.keys().copied().max());
        if let Some(last) = beyond.filter(|last| *last >= end) {
            self.fault(format!("{queue:?} ends at {end}, but once showed {last}"));
        }
    }

    /// Hands out what was acknowledged since the last call, with where it must be.
    pub(super) fn take_fresh(&mut self) -> Vec<(usize, u64, Placed)> {
        let fresh = std::mem::take(&mut self.fresh);
        fresh.into_iter().filter_map(|value| self.placed(value)).collect()
    }

    /// Topic and place of an acknowledged value.
    fn placed(&self, value: u64) -> Option<(usize, u64, Placed)> {
        match self.fates.get(&value)? {
            (topic, Fate::Acknowledged(placed)) => Some((*topic, value, *placed)),
            (_, Fate::Refused | Fate::Unknown) => None,
        }
    }

    /// Notes a contradiction.
    pub(super) fn fault(&mut self, words: String) {
        self.faults += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(words);
        }
    }

    /// Contradictions so far.
    pub(super) fn faults(&self) -> usize {
        self.faults
    }

    /// The first of them in words.
    pub(super) fn told(&self) -> &[String] {
        &self.told
    }

    /// How many sends were acknowledged, refused, and neither.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let count = |wanted: fn(&Fate) -> bool| self.fates.values().filter(|(_, fate)| wanted(fate)).count();
        (
            count(|fate| matches!(fate, Fate::Acknowledged(_))),
            count(|fate| matches!(fate, Fate::Refused)),
            count(|fate| matches!(fate, Fate::Unknown)),
        )
    }

    /// How many sends that nobody answered were kept all the same.
    pub(super) fn unknown_kept(&self) -> usize {
        let kept = |(value, (_, fate)): (&u64, &(usize, Fate))| {
            *fate == Fate::Unknown && self.places.contains_key(value)
        };
        self.fates.iter().filter(|entry| kept(*entry)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: Queue = Queue { topic: 0, queue: 1 };

    fn placed(offset: u64) -> Placed {
        Placed { queue: 1, offset, physical: offset * 100 }
    }

    fn faults(write: impl FnOnce(&mut Book)) -> usize {
        let mut book = Book::default();
        for offset in 0..3 {
            book.acknowledged(0, 10 + offset, placed(offset));
        }
        book.unknown(0, 50);
        book.refused(0, 60);
        write(&mut book);
        book.faults()
    }

    #[test]
    fn an_honest_queue_has_no_faults() {
        assert_eq!(
            faults(|book| {
                book.shows(QUEUE, 3, 50);
                book.check_range(QUEUE, 0, 4);
                assert_eq!((book.counts(), book.unknown_kept()), ((3, 1, 1), 1));
            }),
            0
        );
    }

    #[test]
    fn every_lie_is_a_fault() {
        assert_eq!(
            faults(|book| book.shows(QUEUE, 1, 12)),
            2,
            "another message at an offset, and in two places"
        );
        assert_eq!(faults(|book| book.shows(QUEUE, 7, 12)), 1, "served twice at different offsets");
        assert_eq!(faults(|book| book.shows(QUEUE, 0, Answer::GARBLED)), 1, "garbled");
        assert_eq!(faults(|book| book.check_range(QUEUE, 0, 2)), 1, "an acknowledged message is missing");
        assert_eq!(
            faults(|book| {
                book.shows(QUEUE, 3, 60);
                book.check_range(QUEUE, 0, 4);
            }),
            1,
            "refused, and there"
        );
        assert_eq!(
            faults(|book| {
                book.shows(QUEUE, 4, 50);
                book.check_range(QUEUE, 0, 5);
            }),
            1,
            "a hole"
        );
        assert_eq!(
            faults(|book| {
                book.shows(QUEUE, 3, 99);
                book.check_range(QUEUE, 0, 4);
            }),
            1,
            "never sent"
        );
    }
}
