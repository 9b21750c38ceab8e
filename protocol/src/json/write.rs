//! The writer: appends, holds no tree.

use bytes::{BufMut, Bytes, BytesMut};

use super::escape::{escape_ascii_into, escape_into};
use super::types::Json;
use crate::decimal::Decimal;

/// Which of its two faces fastjson shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// As ever: keys that are no text stand without quotes.
    #[default]
    FastJson,
    /// What newer clients ask the name server for: every key is a text, everything beyond ASCII escaped.
    Standard,
}

/// Builds one JSON text.
#[derive(Debug, Default)]
pub struct Writer {
    out: BytesMut,
    dialect: Dialect,
    /// Whether the next member or item needs a comma before it.
    comma: bool,
}

impl Writer {
    /// A writer of this dialect.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, ..Self::default() }
    }

    /// The text.
    pub fn finish(self) -> Bytes {
        self.out.freeze()
    }

    /// The dialect.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Opens an object.
    pub fn begin_object(&mut self) {
        self.out.put_u8(b'{');
        self.comma = false;
    }

    /// Closes an object.
    pub fn end_object(&mut self) {
        self.out.put_u8(b'}');
        self.comma = true;
    }

    /// Opens an array.
    pub fn begin_array(&mut self) {
        self.out.put_u8(b'[');
        self.comma = false;
    }

    /// Closes an array.
    pub fn end_array(&mut self) {
        self.out.put_u8(b']');
        self.comma = true;
    }

    /// A member whose key is a text; nothing when the value is absent.
    pub fn member<T: Json>(&mut self, key: &str, value: &T) {
        if value.is_absent() {
            return;
        }
        self.next();
        self.string(key);
        self.colon();
        value.write(self);
        self.comma = true;
    }

    /// An item of an array.
    pub fn item<T: Json>(&mut self, value: &T) {
        self.next();
        value.write(self);
        self.comma = true;
    }

    /// The comma before a key or an item, when one is due.
    pub fn next(&mut self) {
        if std::mem::take(&mut self.comma) {
            self.out.put_u8(b',');
        }
    }

    /// The colon behind a key.
    pub fn colon(&mut self) {
        self.out.put_u8(b':');
        self.comma = false;
    }

    /// A text in quotes.
    pub fn string(&mut self, text: &str) {
        self.out.put_u8(b'"');
        match self.dialect {
            Dialect::FastJson => escape_into(text.as_bytes(), &mut self.out),
            Dialect::Standard => escape_ascii_into(text, &mut self.out),
        }
        self.out.put_u8(b'"');
    }

    /// An integer.
    pub fn integer(&mut self, value: i64) {
        self.out.put_slice(Decimal::new(value).as_bytes());
    }

    /// A number with decimals; `null` when it is none.
    pub fn float(&mut self, value: f64) {
        if value.is_finite() {
            self.out.put_slice(format!("{value:?}").as_bytes());
        } else {
            self.literal("null");
        }
    }

    /// `true`, `false` or `null`.
    pub fn literal(&mut self, literal: &'static str) {
        self.out.put_slice(literal.as_bytes());
    }

    /// JSON that is written already.
    pub fn raw(&mut self, json: &[u8]) {
        self.out.put_slice(json);
    }
}
