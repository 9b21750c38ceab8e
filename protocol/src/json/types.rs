//! How Rust's own types look in JSON, as values and as keys of maps.

use std::collections::{BTreeMap, BTreeSet};

use super::parse::parse;
use super::value::Value;
use super::write::{Dialect, Writer};
use crate::error::BodyError;
use crate::language::LanguageCode;

/// A type with a JSON form.
pub trait Json: Sized {
    /// Appends the value.
    fn write(&self, writer: &mut Writer);

    /// Reads the value; `null` never comes here from a struct's member.
    fn read(value: Value) -> Result<Self, BodyError>;

    /// Whether the member that holds this value is left out.
    fn is_absent(&self) -> bool {
        false
    }

    /// The whole text, as fastjson writes it.
    fn to_json(&self) -> bytes::Bytes {
        self.to_json_as(Dialect::FastJson)
    }

    /// The whole text in one of the dialects.
    fn to_json_as(&self, dialect: Dialect) -> bytes::Bytes {
        let mut writer = Writer::new(dialect);
        self.write(&mut writer);
        writer.finish()
    }

    /// Reads a whole text.
    fn from_json(text: &[u8]) -> Result<Self, BodyError> {
        Self::read(parse(text)?)
    }
}

/// A type that can be the key of a map.
pub trait JsonKey: Sized + Ord {
    /// Appends the key.
    fn write_key(&self, writer: &mut Writer);
    /// Reads the key.
    fn read_key(key: Value) -> Result<Self, BodyError>;
}

impl BodyError {
    /// A value of the wrong type whose member is not known yet.
    pub(crate) fn expected(expected: &'static str) -> Self {
        Self::Member { member: "", expected }
    }

    /// The same error, of this member unless it belongs to an inner one already.
    pub(crate) fn of_member(self, name: &'static str) -> Self {
        match self {
            Self::Member { member: "", expected } => Self::Member { member: name, expected },
            other => other,
        }
    }
}

impl Json for String {
    fn write(&self, writer: &mut Writer) {
        writer.string(self);
    }

    /// Numbers and booleans are taken as their text: several clients forget the quotes.
    fn read(value: Value) -> Result<Self, BodyError> {
        match value {
            Value::String(text) => Ok(text),
            Value::Integer(value) => Ok(value.to_string()),
            Value::Float(value) => Ok(format!("{value:?}")),
            Value::Bool(value) => Ok(value.to_string()),
            _ => Err(BodyError::expected("a text")),
        }
    }
}

impl Json for bool {
    fn write(&self, writer: &mut Writer) {
        writer.literal(if *self { "true" } else { "false" });
    }

    fn read(value: Value) -> Result<Self, BodyError> {
        match &value {
            Value::Bool(value) => Ok(*value),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Value::String(text) if text.is_empty() || text.eq_ignore_ascii_case("false") => Ok(false),
            other => {
                other.as_i64().map(|number| number != 0).ok_or_else(|| BodyError::expected("true or false"))
            }
        }
    }
}

impl Json for i64 {
    fn write(&self, writer: &mut Writer) {
        writer.integer(*self);
    }

    fn read(value: Value) -> Result<Self, BodyError> {
        value.as_i64().ok_or_else(|| BodyError::expected("a 64-bit integer"))
    }
}

impl Json for i32 {
    fn write(&self, writer: &mut Writer) {
        writer.integer(i64::from(*self));
    }

    fn read(value: Value) -> Result<Self, BodyError> {
        value
            .as_i64()
            .and_then(|value| Self::try_from(value).ok())
            .ok_or_else(|| BodyError::expected("a 32-bit integer"))
    }
}

impl Json for f64 {
    fn write(&self, writer: &mut Writer) {
        writer.float(*self);
    }

    fn read(value: Value) -> Result<Self, BodyError> {
        value.as_f64().ok_or_else(|| BodyError::expected("a number"))
    }
}

impl Json for LanguageCode {
    fn write(&self, writer: &mut Writer) {
        writer.string(self.name());
    }

    fn read(value: Value) -> Result<Self, BodyError> {
        Ok(match &value {
            Value::String(name) => Self::from_name(name.as_bytes()),
            other => other.as_i64().map_or(Self::Unknown, Self::from_number),
        })
    }
}

impl<T: Json> Json for Option<T> {
    fn write(&self, writer: &mut Writer) {
        match self {
            Some(value) => value.write(writer),
            None => writer.literal("null"),
        }
    }

    fn read(value: Value) -> Result<Self, BodyError> {
        if value.is_null() { Ok(None) } else { T::read(value).map(Some) }
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

fn read_items<T: Json, C: FromIterator<T>>(value: Value) -> Result<C, BodyError> {
    match value {
        Value::Array(items) => items.into_iter().filter(|item| !item.is_null()).map(T::read).collect(),
        Value::Null => Ok(std::iter::empty().collect()),
        _ => Err(BodyError::expected("an array")),
    }
}

impl<T: Json> Json for Vec<T> {
    fn write(&self, writer: &mut Writer) {
        writer.begin_array();
        self.iter().for_each(|item| writer.item(item));
        writer.end_array();
    }

    fn read(value: Value) -> Result<Self, BodyError> {
        read_items(value)
    }
}

impl<T: Json + Ord> Json for BTreeSet<T> {
    fn write(&self, writer: &mut Writer) {
        writer.begin_array();
        self.iter().for_each(|item| writer.item(item));
        writer.end_array();
    }

    fn read(value: Value) -> Result<Self, BodyError> {
        read_items(value)
    }
}

impl<K: JsonKey, V: Json> Json for BTreeMap<K, V> {
    fn write(&self, writer: &mut Writer) {
        writer.begin_object();
        for (key, value) in self.iter().filter(|(_, value)| !value.is_absent()) {
            writer.next();
            key.write_key(writer);
            writer.colon();
            writer.item(value);
        }
        writer.end_object();
    }

    fn read(value: Value) -> Result<Self, BodyError> {
        let members = value.into_members()?.into_iter().filter(|(_, value)| !value.is_null());
        members.map(|(key, value)| Ok((K::read_key(key)?, V::read(value)?))).collect()
    }
}

impl JsonKey for String {
    fn write_key(&self, writer: &mut Writer) {
        writer.string(self);
    }

    fn read_key(key: Value) -> Result<Self, BodyError> {
        Self::read(key)
    }
}

/// Bare, unless the dialect wants texts.
fn write_integer_key(key: i64, writer: &mut Writer) {
    match writer.dialect() {
        Dialect::FastJson => writer.integer(key),
        Dialect::Standard => writer.string(&key.to_string()),
    }
}

impl JsonKey for i64 {
    fn write_key(&self, writer: &mut Writer) {
        write_integer_key(*self, writer);
    }

    fn read_key(key: Value) -> Result<Self, BodyError> {
        Self::read(key)
    }
}

impl JsonKey for i32 {
    fn write_key(&self, writer: &mut Writer) {
        write_integer_key(i64::from(*self), writer);
    }

    fn read_key(key: Value) -> Result<Self, BodyError> {
        Self::read(key)
    }
}

/// Writes a key that is an object: as it is, or its text in quotes.
pub(crate) fn write_object_key<T: Json>(key: &T, writer: &mut Writer) {
    match writer.dialect() {
        Dialect::FastJson => key.write(writer),
        Dialect::Standard => {
            let text = key.to_json();
            writer.string(&String::from_utf8_lossy(&text));
        }
    }
}

/// Reads a key that is an object, or the text of one.
pub(crate) fn read_object_key<T: Json>(key: Value) -> Result<T, BodyError> {
    match key {
        Value::String(text) => T::from_json(text.as_bytes()),
        other => T::read(other),
    }
}

impl Json for Value {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Null => writer.literal("null"),
            Self::Bool(value) => value.write(writer),
            Self::Integer(value) => writer.integer(*value),
            Self::Float(value) => writer.float(*value),
            Self::String(text) => writer.string(text),
            Self::Array(items) => items.write(writer),
            Self::Object(members) => {
                writer.begin_object();
                for (key, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                    writer.next();
                    match key {
                        Self::String(text) => writer.string(text),
                        Self::Integer(number) => write_integer_key(*number, writer),
                        other => write_object_key(other, writer),
                    }
                    writer.colon();
                    writer.item(value);
                }
                writer.end_object();
            }
        }
    }

    fn read(value: Value) -> Result<Self, BodyError> {
        Ok(value)
    }

    fn is_absent(&self) -> bool {
        self.is_null()
    }
}
