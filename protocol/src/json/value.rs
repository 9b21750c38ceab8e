//! A parsed JSON value. Keys of objects are values too: fastjson writes integers and whole objects there.

use crate::error::BodyError;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, and `NaN`, which fastjson cannot tell from it.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// An integer that fits.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object, its members in the order of the text.
    Object(Vec<(Value, Value)>),
}

impl Value {
    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The integer: also written as text or with zero decimals.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            Self::Float(value) if value.fract() == 0.0 && value.abs() < 9e18 => Some(*value as i64),
            Self::String(text) => crate::decimal::parse_i64(text.trim().as_bytes()),
            Self::Bool(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// The number, also written as text.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The member of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => {
                members.iter().rev().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The members of an object.
    pub(crate) fn into_members(self) -> Result<Vec<(Self, Self)>, BodyError> {
        match self {
            Self::Object(members) => Ok(members),
            _ => Err(BodyError::expected("an object")),
        }
    }
}
