//! What the send path must know of a message's properties, found in one pass over their text.

use protocol::properties as names;

/// Properties that the broker sets itself; a producer that sends them (a message that is sent on) gets them replaced.
const REPLACED: &[&str] = &[names::MSG_REGION, names::TRACE_ON, names::CLUSTER];

/// The properties of one message, looked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendProperties<'a> {
    text: &'a str,
    /// UNIQ_KEY.
    pub unique_key: Option<&'a str>,
    /// DELAY; 0 when absent or not a number.
    pub delay_level: i32,
    /// WAIT is not `false`.
    pub wait: bool,
    /// TRAN_MSG is `true`.
    pub is_transaction: bool,
    /// One of the timer properties is there.
    pub is_timer: bool,
    /// Something must be left out before the text is stored.
    needs_rewrite: bool,
}

impl<'a> SendProperties<'a> {
    /// Looks at a properties text.
    pub fn scan(text: &'a str) -> Self {
        let mut found = Self {
            text,
            unique_key: None,
            delay_level: 0,
            wait: true,
            is_transaction: false,
            is_timer: false,
            needs_rewrite: false,
        };
        for (name, value) in names::iter(text) {
            match name {
                names::UNIQ_KEY => found.unique_key = Some(value),
                names::DELAY => found.delay_level = value.parse().unwrap_or(0),
                names::WAIT => found.wait = !value.eq_ignore_ascii_case("false"),
                names::TRANSACTION_PREPARED => found.is_transaction = value.eq_ignore_ascii_case("true"),
                names::TIMER_DELAY_SEC | names::TIMER_DELAY_MS | names::TIMER_DELIVER_MS => {
                    found.is_timer = true
                }
                _ => found.needs_rewrite |= is_left_out(name),
            }
        }
        found
    }

    /// The text to store, when it is not the one that came.
    pub fn rewritten(&self) -> Option<String> {
        if !self.needs_rewrite {
            return None;
        }
        let mut kept = String::with_capacity(self.text.len());
        for (name, value) in names::iter(self.text).filter(|(name, _)| !is_left_out(name)) {
            names::append(&mut kept, name, value);
        }
        Some(kept)
    }
}

fn is_left_out(name: &str) -> bool {
    REPLACED.contains(&name) || name.starts_with(names::TRANSIENT_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pass_finds_all_that_matters() {
        let text = "UNIQ_KEY\u{1}ABC\u{2}DELAY\u{1}3\u{2}WAIT\u{1}false\u{2}TAGS\u{1}TagA";
        let found = SendProperties::scan(text);
        assert_eq!((found.unique_key, found.delay_level, found.wait), (Some("ABC"), 3, false));
        assert!(!found.is_transaction && !found.is_timer);
        assert_eq!(found.rewritten(), None);
        assert!(SendProperties::scan("TRAN_MSG\u{1}true\u{2}").is_transaction);
        assert!(SendProperties::scan("TIMER_DELAY_SEC\u{1}5\u{2}").is_timer);
        assert_eq!(SendProperties::scan("DELAY\u{1}soon\u{2}").delay_level, 0);
        assert!(SendProperties::scan("").wait);
    }

    #[test]
    fn what_the_broker_sets_itself_and_transient_properties_are_left_out() {
        let text = "KEYS\u{1}k\u{2}MSG_REGION\u{1}old\u{2}__RMQ.TRANSIENT.x\u{1}1\u{2}CLUSTER\u{1}c\u{2}";
        assert_eq!(SendProperties::scan(text).rewritten().as_deref(), Some("KEYS\u{1}k\u{2}"));
    }
}
