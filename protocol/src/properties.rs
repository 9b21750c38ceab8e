//! Message properties: `name \u0001 value \u0002` repeated, at most 32,767 bytes.
//!
//! Newer writers end with `\u0002`, older ones omit the last: both are read. A pair without `\u0001` or with an empty name or value is
//! skipped. The free functions work on the text itself, for the broker; `Properties` is the owned list for clients and tools.

/// Between a name and its value.
pub const NAME_VALUE_SEPARATOR: char = '\u{1}';
/// After a value.
pub const PROPERTY_SEPARATOR: char = '\u{2}';
/// The longest stored text: the length field has 16 bits.
pub const PROPERTIES_BYTES_MAX: usize = i16::MAX as usize;
/// Between the keys of `KEYS`.
pub const KEY_SEPARATOR: char = ' ';
/// Properties whose names begin so are not stored.
pub const TRANSIENT_PREFIX: &str = "__RMQ.TRANSIENT.";

macro_rules! names {
    ($($constant:ident $name:literal,)*) => {
        $(#[doc = concat!("The system property `", $name, "`.")] pub const $constant: &str = $name;)*
        /// The names of all system properties: applications may not set them.
        pub const SYSTEM_NAMES: &[&str] = &[$($name,)*];
    };
}

names! {
    KEYS "KEYS",
    TAGS "TAGS",
    WAIT "WAIT",
    DELAY "DELAY",
    RETRY_TOPIC "RETRY_TOPIC",
    REAL_TOPIC "REAL_TOPIC",
    REAL_QUEUE_ID "REAL_QID",
    TRANSACTION_PREPARED "TRAN_MSG",
    PRODUCER_GROUP "PGROUP",
    MIN_OFFSET "MIN_OFFSET",
    MAX_OFFSET "MAX_OFFSET",
    BUYER_ID "BUYER_ID",
    ORIGIN_MESSAGE_ID "ORIGIN_MESSAGE_ID",
    TRANSFER_FLAG "TRANSFER_FLAG",
    CORRECTION_FLAG "CORRECTION_FLAG",
    MQ2_FLAG "MQ2_FLAG",
    RECONSUME_TIME "RECONSUME_TIME",
    MSG_REGION "MSG_REGION",
    TRACE_ON "TRACE_ON",
    UNIQ_KEY "UNIQ_KEY",
    EXTEND_UNIQ_INFO "EXTEND_UNIQ_INFO",
    MAX_RECONSUME_TIMES "MAX_RECONSUME_TIMES",
    CONSUME_START_TIME "CONSUME_START_TIME",
    INNER_NUM "INNER_NUM",
    INNER_BASE "INNER_BASE",
    DUP_INFO "DUP_INFO",
    CHECK_IMMUNITY_TIME_IN_SECONDS "CHECK_IMMUNITY_TIME_IN_SECONDS",
    TRANSACTION_PREPARED_QUEUE_OFFSET "TRAN_PREPARED_QUEUE_OFFSET",
    TRANSACTION_ID "__transactionId__",
    TRANSACTION_CHECK_TIMES "TRANSACTION_CHECK_TIMES",
    INSTANCE_ID "INSTANCE_ID",
    CORRELATION_ID "CORRELATION_ID",
    REPLY_TO_CLIENT "REPLY_TO_CLIENT",
    TTL "TTL",
    ARRIVE_TIME "ARRIVE_TIME",
    PUSH_REPLY_TIME "PUSH_REPLY_TIME",
    CLUSTER "CLUSTER",
    MSG_TYPE "MSG_TYPE",
    POP_CK "POP_CK",
    POP_CK_OFFSET "POP_CK_OFFSET",
    FIRST_POP_TIME "1ST_POP_TIME",
    SHARDING_KEY "__SHARDINGKEY",
    FORWARD_QUEUE_ID "PROPERTY_FORWARD_QUEUE_ID",
    REDIRECT "REDIRECT",
    INNER_MULTI_DISPATCH "INNER_MULTI_DISPATCH",
    INNER_MULTI_QUEUE_OFFSET "INNER_MULTI_QUEUE_OFFSET",
    TRACE_CONTEXT "TRACE_CONTEXT",
    TIMER_DELAY_SEC "TIMER_DELAY_SEC",
    TIMER_DELAY_MS "TIMER_DELAY_MS",
    TIMER_DELIVER_MS "TIMER_DELIVER_MS",
    TIMER_ENQUEUE_MS "TIMER_ENQUEUE_MS",
    TIMER_DEQUEUE_MS "TIMER_DEQUEUE_MS",
    TIMER_ROLL_TIMES "TIMER_ROLL_TIMES",
    TIMER_OUT_MS "TIMER_OUT_MS",
    TIMER_DEL_UNIQKEY "TIMER_DEL_UNIQKEY",
    TIMER_DELAY_LEVEL "TIMER_DELAY_LEVEL",
    BORN_HOST "__BORNHOST",
    BORN_TIMESTAMP "BORN_TIMESTAMP",
    CRC32 "__CRC32#",
    DLQ_ORIGIN_TOPIC "DLQ_ORIGIN_TOPIC",
    DLQ_ORIGIN_MESSAGE_ID "DLQ_ORIGIN_MESSAGE_ID",
}

/// Names and values of a properties text, in its order.
pub fn iter(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(PROPERTY_SEPARATOR)
        .filter_map(|pair| pair.split_once(NAME_VALUE_SEPARATOR))
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
}

/// The value of a property; of a repeated one the last, as in Java's map.
pub fn get<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    iter(text).filter(|(found, _)| *found == name).map(|(_, value)| value).last()
}

/// Whether a flag property says `true`.
pub fn is_true(text: &str, name: &str) -> bool {
    get(text, name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Appends one property; a text whose last separator is missing gets it first.
pub fn append(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() && !text.ends_with(PROPERTY_SEPARATOR) {
        text.push(PROPERTY_SEPARATOR);
    }
    text.push_str(name);
    text.push(NAME_VALUE_SEPARATOR);
    text.push_str(value);
    text.push(PROPERTY_SEPARATOR);
}

/// The text without the named properties.
pub fn without(text: &str, names: &[&str]) -> String {
    let mut kept = String::with_capacity(text.len());
    for (name, value) in iter(text).filter(|(name, _)| !names.contains(name)) {
        append(&mut kept, name, value);
    }
    kept
}

/// The keys of a `KEYS` value.
pub fn keys(value: &str) -> impl Iterator<Item = &str> {
    value.split(KEY_SEPARATOR).filter(|key| !key.is_empty())
}

/// An owned list of properties, in the order of insertion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties(Vec<(String, String)>);

impl Properties {
    /// No property.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a properties text.
    pub fn parse(text: &str) -> Self {
        let mut properties = Self::new();
        for (name, value) in iter(text) {
            properties.set(name, value);
        }
        properties
    }

    /// The value of a property.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Sets a property.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(found, _)| *found == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes a property out.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(found, _)| found == name)?;
        Some(self.0.remove(at).1)
    }

    /// Whether a property is there.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names and values in the order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text for the wire and the log.
    pub fn to_text(&self) -> String {
        let mut text =
            String::with_capacity(self.0.iter().map(|(name, value)| name.len() + value.len() + 2).sum());
        for (name, value) in &self.0 {
            append(&mut text, name, value);
        }
        text
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut properties = Self::new();
        for (name, value) in pairs {
            properties.set(name, value);
        }
        properties
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_separator_may_be_missing() {
        let with = "KEYS\u{1}k1 k2\u{2}TAGS\u{1}TagA\u{2}";
        let without = with.trim_end_matches('\u{2}');
        assert_eq!(Properties::parse(with), Properties::parse(without));
        assert_eq!(get(without, TAGS), Some("TagA"));
        assert_eq!(keys(get(with, KEYS).unwrap()).collect::<Vec<_>>(), ["k1", "k2"]);
    }

    #[test]
    fn broken_pairs_are_skipped() {
        let text = "\u{2}nonsense\u{2}a\u{1}\u{2}\u{1}b\u{2}c\u{1}d\u{1}e\u{2}";
        assert_eq!(iter(text).collect::<Vec<_>>(), [("c", "d\u{1}e")]);
    }

    #[test]
    fn appending_to_a_text_without_last_separator_keeps_both_properties() {
        let mut text = "a\u{1}1".to_owned();
        append(&mut text, "b", "2");
        assert_eq!(iter(&text).collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert_eq!(without(&text, &["a"]), "b\u{1}2\u{2}");
    }

    #[test]
    fn a_repeated_property_has_its_last_value() {
        assert_eq!(get("a\u{1}1\u{2}a\u{1}2\u{2}", "a"), Some("2"));
        assert!(is_true("TRAN_MSG\u{1}True\u{2}", TRANSACTION_PREPARED));
        assert!(!is_true("TRAN_MSG\u{1}1\u{2}", TRANSACTION_PREPARED));
    }
}
