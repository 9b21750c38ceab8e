//! The ext fields of a command: RocketMQ's "custom header", a flat list of names and values.
//!
//! What was decoded stays where it is, in the frame's own bytes; what is added goes into one string. So neither decoding nor
//! building a header allocates per field. All texts are valid UTF-8: the frame decoder checks, `insert` takes strings.

use std::fmt;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::decimal::Decimal;
use crate::text::Text;

/// More fields than this are refused: real clients send fewer than forty.
pub const EXT_FIELDS_MAX: usize = 1024;

/// Bytes set aside for added fields at the first insertion: a send response with its region and trace fields fits.
const ADDED_BYTES: usize = 256;

/// A piece of text: where it begins and ends, in the decoded or (high bit of `start`) in the added bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Piece {
    start: u32,
    len: u32,
}

const ADDED: u32 = 1 << 31;

impl Piece {
    /// A piece of the decoded bytes.
    pub(crate) fn decoded(start: usize, len: usize) -> Self {
        debug_assert!(start < ADDED as usize);
        Self { start: start as u32, len: len as u32 }
    }
}

/// One field: where its name and its value are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Field {
    pub(crate) key: Piece,
    pub(crate) value: Piece,
}

/// A list of fields; as many as a send has fit without an allocation.
pub(crate) type Fields = SmallVec<[Field; 16]>;

/// Names and values in the order of the wire.
#[derive(Clone, Default)]
pub struct ExtFields {
    decoded: Bytes,
    added: String,
    fields: Fields,
}

impl ExtFields {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The value of a field; of a repeated one the last, as in Java.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.get_bytes(key).map(checked)
    }

    /// The value of a field as bytes, for numbers: without another look at its UTF-8.
    pub fn get_bytes(&self, key: &str) -> Option<&[u8]> {
        self.piece(key).map(|piece| self.bytes(piece))
    }

    /// The value of a field as a shared text: a decoded one is not copied.
    pub fn get_text(&self, key: &str) -> Option<Text> {
        self.piece(key).map(|piece| self.text(piece))
    }

    /// Whether the field is there.
    pub fn contains(&self, key: &str) -> bool {
        self.get_bytes(key).is_some()
    }

    /// Sets a field: a former value is replaced.
    pub fn insert(&mut self, key: &str, value: &str) {
        let value = self.add(value);
        match self.fields.iter().rposition(|field| self.bytes(field.key) == key.as_bytes()) {
            Some(at) => self.fields[at].value = value,
            None => {
                let key = self.add(key);
                self.fields.push(Field { key, value });
            }
        }
    }

    /// Sets a field to an integer.
    pub fn insert_i64(&mut self, key: &str, value: i64) {
        self.insert(key, Decimal::new(value).as_str());
    }

    /// Sets a field to `true` or `false`.
    pub fn insert_bool(&mut self, key: &str, value: bool) {
        self.insert(key, if value { "true" } else { "false" });
    }

    /// Takes a field out; tells whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        let before = self.fields.len();
        let (decoded, added) = (&self.decoded, &self.added);
        self.fields.retain(|field| piece_bytes(decoded, added, field.key) != key.as_bytes());
        self.fields.len() != before
    }

    /// Names and values in the order of the wire; a name that was sent twice comes twice.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|field| (checked(self.bytes(field.key)), checked(self.bytes(field.value))))
    }

    /// Names and values as bytes.
    pub fn iter_bytes(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (self.bytes(field.key), self.bytes(field.value)))
    }

    /// Names as bytes, values as pieces that `text` turns into shared texts: for headers that read all fields in one pass.
    pub(crate) fn iter_pieces(&self) -> impl Iterator<Item = (&[u8], Piece)> {
        self.fields.iter().map(|field| (self.bytes(field.key), field.value))
    }

    /// Where the value of a field is.
    pub(crate) fn piece(&self, key: &str) -> Option<Piece> {
        self.fields
            .iter()
            .rev()
            .find(|field| self.bytes(field.key) == key.as_bytes())
            .map(|field| field.value)
    }

    /// The bytes of a piece.
    pub(crate) fn bytes(&self, piece: Piece) -> &[u8] {
        piece_bytes(&self.decoded, &self.added, piece)
    }

    /// The shared text of a piece.
    pub(crate) fn text(&self, piece: Piece) -> Text {
        if piece.start & ADDED == 0 {
            let start = piece.start as usize;
            Text::from_checked(self.decoded.slice(start..start + piece.len as usize))
        } else {
            Text::from(checked(self.bytes(piece)))
        }
    }

    /// The text of a piece, borrowed.
    pub(crate) fn str(&self, piece: Piece) -> &str {
        checked(self.bytes(piece))
    }

    /// The fields that a decoder found in `decoded`, which is UTF-8.
    pub(crate) fn over(decoded: Bytes, fields: Fields) -> Self {
        Self { decoded, added: String::new(), fields }
    }

    fn add(&mut self, text: &str) -> Piece {
        if self.added.capacity() == 0 {
            self.added.reserve(ADDED_BYTES.max(text.len()));
        }
        let start = self.added.len();
        assert!(start + text.len() < ADDED as usize, "ext fields never reach the size of many frames");
        self.added.push_str(text);
        Piece { start: start as u32 | ADDED, len: text.len() as u32 }
    }
}

fn piece_bytes<'a>(decoded: &'a Bytes, added: &'a str, piece: Piece) -> &'a [u8] {
    let start = (piece.start & !ADDED) as usize;
    let bytes = if piece.start & ADDED == 0 { decoded } else { added.as_bytes() };
    &bytes[start..start + piece.len as usize]
}

fn checked(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the decoder checked its bytes, and pieces end between characters")
}

impl fmt::Debug for ExtFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The same names with the same values, in whatever order; of a repeated name the last value counts.
impl PartialEq for ExtFields {
    fn eq(&self, other: &Self) -> bool {
        let same = |(key, _): (&str, &str)| self.get(key) == other.get(key);
        self.iter().all(same) && other.iter().all(same)
    }
}

impl Eq for ExtFields {}

impl<'a> FromIterator<(&'a str, &'a str)> for ExtFields {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(fields: I) -> Self {
        let mut result = Self::new();
        for (key, value) in fields {
            result.insert(key, value);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_set_twice_keeps_the_last_value_and_its_place() {
        let mut fields: ExtFields = [("a", "1"), ("b", "2")].into_iter().collect();
        fields.insert("a", "3");
        assert_eq!(fields.iter().collect::<Vec<_>>(), [("a", "3"), ("b", "2")]);
        assert!(fields.remove("a"));
        assert!(!fields.remove("a"));
        assert_eq!(fields.get("a"), None);
        assert_eq!(fields.get_text("b").unwrap(), "2");
    }

    #[test]
    fn order_does_not_matter_for_equality() {
        let one: ExtFields = [("a", "1"), ("b", "2")].into_iter().collect();
        let other: ExtFields = [("b", "2"), ("a", "1")].into_iter().collect();
        assert_eq!(one, other);
    }
}
