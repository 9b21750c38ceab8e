//! Encoded route answers, so that a client's poll costs a look-up and not an encoding.
//!
//! Always true: an answer that is handed out was encoded from the table's present generation. At
//! most so many bytes are kept; past that, all are dropped and made again. Called by the processor.

use std::collections::HashMap;

use protocol::Bytes;
use protocol::json::Dialect;

/// Bytes of answers that are kept. A route with three brokers takes about 600.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;

/// Answers by topic, for one generation of the table.
#[derive(Debug, Default)]
pub struct RouteCache {
    generation: u64,
    answers: HashMap<String, [Option<Bytes>; 2]>,
    bytes: usize,
}

impl RouteCache {
    /// An answer, if it was kept and the table has not changed since.
    pub fn get(&self, generation: u64, topic: &str, dialect: Dialect) -> Option<Bytes> {
        if generation != self.generation {
            return None;
        }
        self.answers.get(topic)?[place(dialect)].clone()
    }

    /// Keeps an answer that was encoded from this generation.
    pub fn put(&mut self, generation: u64, topic: &str, dialect: Dialect, answer: Bytes) {
        if generation < self.generation {
            return;
        }
        if generation > self.generation || self.bytes + answer.len() > BYTES_MAX {
            self.answers.clear();
            self.bytes = 0;
            self.generation = generation;
        }
        self.bytes += answer.len() + topic.len();
        self.answers.entry(topic.to_owned()).or_default()[place(dialect)] = Some(answer);
    }
}

fn place(dialect: Dialect) -> usize {
    match dialect {
        Dialect::FastJson => 0,
        Dialect::Standard => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_lives_as_long_as_its_generation() {
        let mut cache = RouteCache::default();
        cache.put(1, "T", Dialect::Standard, Bytes::from_static(b"one"));
        assert_eq!(cache.get(1, "T", Dialect::Standard).unwrap(), "one");
        assert_eq!(cache.get(1, "T", Dialect::FastJson), None);
        assert_eq!(cache.get(2, "T", Dialect::Standard), None);
        cache.put(2, "U", Dialect::Standard, Bytes::from_static(b"two"));
        cache.put(1, "T", Dialect::Standard, Bytes::from_static(b"late"));
        assert_eq!(cache.get(2, "T", Dialect::Standard), None);
        assert_eq!(cache.get(1, "T", Dialect::Standard), None);
        assert_eq!(cache.get(2, "U", Dialect::Standard).unwrap(), "two");
    }

    #[test]
    fn it_keeps_a_limited_number_of_bytes() {
        let mut cache = RouteCache::default();
        let answer = Bytes::from(vec![0; BYTES_MAX / 4]);
        for topic in ["a", "b", "c", "d", "e"] {
            cache.put(1, topic, Dialect::FastJson, answer.clone());
            assert!(cache.bytes <= BYTES_MAX && cache.get(1, topic, Dialect::FastJson).is_some());
        }
        assert_eq!(cache.get(1, "a", Dialect::FastJson), None);
    }
}
