//! Tags: Java's string hash, the tags code of a consume-queue unit, and subscription expressions such as `TagA || TagB`.

use crate::error::NameError;

/// Every tag.
pub const SUBSCRIBE_ALL: &str = "*";

/// `String.hashCode()`: over UTF-16 units, wrapping.
pub fn java_hash(text: &str) -> i32 {
    if text.is_ascii() {
        return text.bytes().fold(0i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte)));
    }
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// What a consume-queue unit stores for the value of `TAGS`: the hash, sign-extended; 0 without tags.
pub fn tags_code(tags: &str) -> i64 {
    i64::from(java_hash(tags))
}

/// What a consumer subscribes to within one topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagExpression {
    /// The tags; empty means all.
    pub tags: Vec<String>,
    /// Their hashes.
    pub codes: Vec<i32>,
}

impl TagExpression {
    /// Reads `*`, an empty text (both: everything) or tags separated by `||` with any space around.
    pub fn parse(expression: &str) -> Result<Self, NameError> {
        let trimmed = expression.trim();
        if trimmed.is_empty() || trimmed == SUBSCRIBE_ALL {
            return Ok(Self::default());
        }
        let mut parsed = Self::default();
        for tag in expression.split("||").map(str::trim).filter(|tag| !tag.is_empty()) {
            if !parsed.tags.iter().any(|known| known == tag) {
                parsed.tags.push(tag.to_owned());
                parsed.codes.push(java_hash(tag));
            }
        }
        if parsed.tags.is_empty() { Err(NameError::Subscription(expression.to_owned())) } else { Ok(parsed) }
    }

    /// Whether everything is wanted.
    pub fn is_all(&self) -> bool {
        self.codes.is_empty()
    }

    /// Whether the broker lets a unit with this code through; the client compares the text again.
    pub fn matches_code(&self, tags_code: i64) -> bool {
        self.is_all() || self.codes.iter().any(|code| i64::from(*code) == tags_code)
    }

    /// Whether a message with this `TAGS` value is wanted.
    pub fn matches_tag(&self, tag: Option<&str>) -> bool {
        self.is_all() || tag.is_some_and(|tag| self.tags.iter().any(|wanted| wanted == tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        assert_eq!(java_hash("TagA"), 2_598_919);
        assert_eq!(java_hash("TagB"), 2_598_920);
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
        assert_eq!(java_hash("标签"), 857_175);
        assert!(tags_code("polygenelubricants") < 0);
    }

    #[test]
    fn an_expression_is_trimmed_around_its_bars() {
        let parsed = TagExpression::parse(" TagA||TagB  ||  TagA ").unwrap();
        assert_eq!(parsed.tags, ["TagA", "TagB"]);
        assert_eq!(parsed.codes, [2_598_919, 2_598_920]);
        assert!(parsed.matches_code(2_598_920) && !parsed.matches_code(0));
        assert!(parsed.matches_tag(Some("TagA")) && !parsed.matches_tag(None));
    }

    #[test]
    fn star_and_nothing_are_everything() {
        for text in ["*", "", " * "] {
            assert!(TagExpression::parse(text).unwrap().is_all());
        }
        assert!(TagExpression::parse("||").is_err());
    }
}
