//! Text as `java.util.Properties` reads and writes it: the form of every configuration file
//! and of the bodies that carry configuration over the wire.
//!
//! Always true: what [`Properties::to_text`] writes, [`Properties::parse`] reads back unchanged,
//! and plain values (paths, addresses, numbers) look exactly as RocketMQ prints them. Called by
//! configuration binding, by the name server and by the broker.

use std::collections::BTreeMap;

use crate::error::PropertiesError;

/// Longest text that is parsed. A peer may send one as a request body.
pub const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// Keys and values, in key order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    entries: BTreeMap<String, String>,
}

impl Properties {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a text; of a key that stands there twice, the last one counts.
    pub fn parse(text: &str) -> Result<Self, PropertiesError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(PropertiesError::TooLong { bytes: text.len(), bytes_max: TEXT_BYTES_MAX });
        }
        let mut entries = BTreeMap::new();
        for line in LogicalLines::new(text) {
            let (key, value) = split(&line.text);
            entries.insert(unescape(key, line.number)?, unescape(value, line.number)?);
        }
        Ok(Self { entries })
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(String::as_str)
    }

    /// Sets a key.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.entries.insert(key.into(), value.into());
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        self.entries.remove(key)
    }

    /// All entries in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// One `key=value` a line in key order, escaped no more than reading back needs.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (key, value) in self.iter() {
            push_line(&mut text, key, value);
        }
        text
    }

    /// The same file with these changes: comments, order and untouched lines stay, changed keys
    /// get their new value where they stood, new keys go to the end.
    pub fn edit(text: &str, changes: &Self) -> Result<String, PropertiesError> {
        let mut edited = String::with_capacity(text.len());
        let mut missing = changes.clone();
        let mut copied = 0;
        for line in LogicalLines::new(text) {
            let key = unescape(split(&line.text).0, line.number)?;
            let Some(value) = changes.get(&key) else { continue };
            edited.push_str(&text[copied..line.start]);
            if missing.remove(&key).is_some() {
                push_line(&mut edited, &key, value);
            }
            copied = line.end;
        }
        edited.push_str(&text[copied..]);
        if !edited.is_empty() && !edited.ends_with('\n') {
            edited.push('\n');
        }
        edited.push_str(&missing.to_text());
        Ok(edited)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect() }
    }
}

/// One line of meaning: continuations joined, comments and blank lines left out.
struct LogicalLine {
    /// Number of its first natural line, from 1.
    number: usize,
    /// Where it starts and ends (past the line break) in the whole text.
    start: usize,
    end: usize,
    text: String,
}

struct LogicalLines<'a> {
    whole: &'a str,
    at: usize,
    number: usize,
}

impl<'a> LogicalLines<'a> {
    fn new(whole: &'a str) -> Self {
        Self { whole, at: 0, number: 0 }
    }

    /// The next natural line without its break; `\n`, `\r` and `\r\n` all end one.
    fn natural(&mut self) -> Option<&'a str> {
        let rest = &self.whole[self.at..];
        if rest.is_empty() {
            return None;
        }
        self.number += 1;
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let gap = if rest[end..].starts_with("\r\n") { 2 } else { usize::from(end < rest.len()) };
        self.at += end + gap;
        Some(&rest[..end])
    }
}

impl Iterator for LogicalLines<'_> {
    type Item = LogicalLine;

    fn next(&mut self) -> Option<LogicalLine> {
        loop {
            let start = self.at;
            let first = self.natural()?.trim_start_matches(is_space);
            if first.is_empty() || first.starts_with(['#', '!']) {
                continue;
            }
            let number = self.number;
            let mut text = first.to_owned();
            while is_continued(&text) {
                text.pop();
                let Some(more) = self.natural() else { break };
                text.push_str(more.trim_start_matches(is_space));
            }
            return Some(LogicalLine { number, start, end: self.at, text });
        }
    }
}

/// A line goes on when an odd number of backslashes ends it.
fn is_continued(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// Splits at the first separator that no backslash guards; both halves still escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, c)| {
        let found = !escaped && (matches!(c, '=' | ':') || is_space(*c));
        escaped = *c == '\\' && !escaped;
        found
    });
    let Some((end, _)) = end else { return (line, "") };
    let rest = line[end..].trim_start_matches(is_space);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], value.trim_start_matches(is_space))
}

fn unescape(text: &str, line: usize) -> Result<String, PropertiesError> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let mut units = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let plain = match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some('u') => {
                    units.push(code_unit(&mut chars).ok_or(PropertiesError::BadEscape { line })?);
                    continue;
                }
                Some(other) => other,
                None => continue,
            },
            other => other,
        };
        units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
    }
    Ok(String::from_utf16_lossy(&units))
}

/// The four hexadecimal digits of a `\u` escape: one UTF-16 unit, maybe half a pair.
fn code_unit(chars: &mut std::str::Chars<'_>) -> Option<u16> {
    (0..4).try_fold(0_u16, |unit, _| {
        let digit = chars.next()?.to_digit(16)?;
        Some(unit << 4 | digit as u16)
    })
}

fn push_line(text: &mut String, key: &str, value: &str) {
    for c in key.chars() {
        if matches!(c, '=' | ':' | '#' | '!' | ' ') {
            text.push('\\');
        }
        push_char(text, c);
    }
    text.push('=');
    for (at, c) in value.chars().enumerate() {
        if at == 0 && c == ' ' {
            text.push('\\');
        }
        push_char(text, c);
    }
    text.push('\n');
}

fn push_char(text: &mut String, c: char) {
    match c {
        '\\' => text.push_str("\\\\"),
        '\t' => text.push_str("\\t"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\x0c' => text.push_str("\\f"),
        other => text.push(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value_of(text: &str, key: &str) -> String {
        Properties::parse(text).unwrap().get(key).unwrap_or("<none>").to_owned()
    }

    #[test]
    fn every_separator_that_java_knows_parts_key_and_value() {
        for text in
            ["a=b", "a:b", "a b", "a\tb", " a = b", "a  :  b", "\t a\x0c=\x0cb", "a=b\r\nc=d", "a=b\rc=d"]
        {
            assert_eq!(value_of(text, "a"), "b", "{text:?}");
        }
        assert_eq!(value_of("a", "a"), "");
        assert_eq!(value_of("a==b", "a"), "=b");
        assert_eq!(value_of("a=b ", "a"), "b ", "java keeps blanks at the end");
        assert_eq!(value_of("=b", ""), "b");
    }

    #[test]
    fn comments_and_blank_lines_mean_nothing() {
        let text = "# a=1\n  ! a=2\n\n   \n#a=3\\\na=4\n";
        let properties = Properties::parse(text).unwrap();
        assert_eq!(properties.iter().collect::<Vec<_>>(), [("a", "4")]);
    }

    #[test]
    fn a_backslash_at_the_end_joins_lines() {
        assert_eq!(value_of("fruits=apple, \\\n    pear, \\\r\n\tplum", "fruits"), "apple, pear, plum");
        assert_eq!(
            value_of("path=c\\\\\nb=1", "path"),
            "c\\",
            "two backslashes are one, and no continuation"
        );
        assert_eq!(value_of("a=b\\", "a"), "b");
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(value_of("a\\ b\\=c=d\\te\\u00e9\\uD83D\\uDE00\\q", "a b=c"), "d\teé😀q");
        assert_eq!(Properties::parse("\na=\\u12g4"), Err(PropertiesError::BadEscape { line: 2 }));
        assert_eq!(Properties::parse("a=\\u12"), Err(PropertiesError::BadEscape { line: 1 }));
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        assert_eq!(value_of("a=1\nb=2\na=3", "a"), "3");
    }

    #[test]
    fn plain_values_are_printed_as_rocketmq_prints_them() {
        let properties: Properties =
            [("namesrvAddr", "10.0.0.1:9876;10.0.0.2:9876"), ("deleteWhen", "04")].into_iter().collect();
        assert_eq!(properties.to_text(), "deleteWhen=04\nnamesrvAddr=10.0.0.1:9876;10.0.0.2:9876\n");
    }

    #[test]
    fn a_text_that_is_too_long_is_refused() {
        let text = "a".repeat(TEXT_BYTES_MAX + 1);
        assert!(matches!(Properties::parse(&text), Err(PropertiesError::TooLong { .. })));
    }

    #[test]
    fn an_edit_keeps_comments_order_and_other_lines() {
        let text = "# the broker\nbrokerId=0\n\nbrokerName = a\\\n  b\ndeleteWhen=04";
        let changes = [("brokerName", "c"), ("new", "1")].into_iter().collect();
        let edited = Properties::edit(text, &changes).unwrap();
        assert_eq!(edited, "# the broker\nbrokerId=0\n\nbrokerName=c\ndeleteWhen=04\nnew=1\n");
        assert_eq!(Properties::edit("", &changes).unwrap(), "brokerName=c\nnew=1\n");
        let twice = Properties::edit("new=0\nx=1\nnew=2\n", &[("new", "1")].into_iter().collect()).unwrap();
        assert_eq!(twice, "new=1\nx=1\n");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(entries in proptest::collection::btree_map(".{0,12}", ".{0,20}", 0..8)) {
            let properties = Properties { entries };
            prop_assert_eq!(Properties::parse(&properties.to_text()).unwrap(), properties);
        }

        #[test]
        fn no_text_breaks_the_parser(text in "[a-c=: #!\\\\\n\r\tu0]{0,60}") {
            if let Ok(properties) = Properties::parse(&text) {
                let again = Properties::parse(&properties.to_text()).unwrap();
                prop_assert_eq!(again, properties);
                prop_assert!(Properties::edit(&text, &Properties::new()).is_ok());
            }
        }
    }
}
