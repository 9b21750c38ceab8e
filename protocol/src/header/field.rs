//! How one header field is read and written, and the macro that makes a header struct of its fields.

use crate::decimal::parse_i64;
use crate::error::HeaderError;
use crate::ext_fields::{ExtFields, Piece};
use crate::text::Text;

/// Longest value that an error repeats.
const SHOWN_CHARS_MAX: usize = 64;

/// A type that a field can have.
pub(crate) trait FieldValue: Sized {
    /// What an error says was expected.
    const EXPECTED: &'static str;

    /// Reads a value.
    fn read(fields: &ExtFields, piece: Piece) -> Option<Self>;
    /// Writes a value.
    fn write(&self, key: &'static str, fields: &mut ExtFields);
}

/// A field: of a plain type mandatory, as an `Option` not.
pub(crate) trait Field: Sized {
    /// Reads the field.
    fn load(key: &'static str, fields: &ExtFields) -> Result<Self, HeaderError>;
    /// Writes the field.
    fn store(&self, key: &'static str, fields: &mut ExtFields);
}

impl<T: FieldValue> Field for T {
    fn load(key: &'static str, fields: &ExtFields) -> Result<Self, HeaderError> {
        load_optional(key, fields)?.ok_or(HeaderError::Missing { field: key })
    }

    fn store(&self, key: &'static str, fields: &mut ExtFields) {
        self.write(key, fields);
    }
}

impl<T: FieldValue> Field for Option<T> {
    fn load(key: &'static str, fields: &ExtFields) -> Result<Self, HeaderError> {
        load_optional(key, fields)
    }

    fn store(&self, key: &'static str, fields: &mut ExtFields) {
        if let Some(value) = self {
            value.write(key, fields);
        }
    }
}

fn load_optional<T: FieldValue>(key: &'static str, fields: &ExtFields) -> Result<Option<T>, HeaderError> {
    fields.piece(key).map(|piece| read_piece(key, fields, piece)).transpose()
}

/// Reads a value at a known place.
pub(crate) fn read_piece<T: FieldValue>(
    key: &'static str,
    fields: &ExtFields,
    piece: Piece,
) -> Result<T, HeaderError> {
    T::read(fields, piece).ok_or_else(|| HeaderError::Invalid {
        field: key,
        value: String::from_utf8_lossy(fields.bytes(piece)).chars().take(SHOWN_CHARS_MAX).collect(),
        expected: T::EXPECTED,
    })
}

impl FieldValue for Text {
    const EXPECTED: &'static str = "text";

    fn read(fields: &ExtFields, piece: Piece) -> Option<Self> {
        Some(fields.text(piece))
    }

    fn write(&self, key: &'static str, fields: &mut ExtFields) {
        fields.insert(key, self);
    }
}

impl FieldValue for i32 {
    const EXPECTED: &'static str = "a 32-bit integer";

    fn read(fields: &ExtFields, piece: Piece) -> Option<Self> {
        parse_i64(fields.bytes(piece)).and_then(|value| Self::try_from(value).ok())
    }

    fn write(&self, key: &'static str, fields: &mut ExtFields) {
        fields.insert_i64(key, i64::from(*self));
    }
}

impl FieldValue for i64 {
    const EXPECTED: &'static str = "a 64-bit integer";

    fn read(fields: &ExtFields, piece: Piece) -> Option<Self> {
        parse_i64(fields.bytes(piece))
    }

    fn write(&self, key: &'static str, fields: &mut ExtFields) {
        fields.insert_i64(key, *self);
    }
}

/// As `Boolean.parseBoolean`: `true` in any case is true, everything else (C++ sends `0` and `1`) is false.
impl FieldValue for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(fields: &ExtFields, piece: Piece) -> Option<Self> {
        Some(fields.bytes(piece).eq_ignore_ascii_case(b"true"))
    }

    fn write(&self, key: &'static str, fields: &mut ExtFields) {
        fields.insert_bool(key, *self);
    }
}

/// Which message of several with the same store time a search by time means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BoundaryType {
    /// The first.
    #[default]
    Lower,
    /// The last.
    Upper,
}

impl FieldValue for BoundaryType {
    const EXPECTED: &'static str = "LOWER or UPPER";

    /// Source: RocketMQ `BoundaryType.getType`: anything but `upper` is `lower`.
    fn read(fields: &ExtFields, piece: Piece) -> Option<Self> {
        let is_upper = fields.bytes(piece).eq_ignore_ascii_case(b"upper");
        Some(if is_upper { Self::Upper } else { Self::Lower })
    }

    fn write(&self, key: &'static str, fields: &mut ExtFields) {
        fields.insert(key, if *self == Self::Upper { "UPPER" } else { "LOWER" });
    }
}

/// Makes header structs with their codec: `name: Type => "wireName"`, or `name: Type => "wireName" or default`.
macro_rules! headers {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty => $key:literal $(or $default:expr)?,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Default)]
            pub struct $name {
                $(
                    #[doc = concat!("`", $key, "`")]
                    $(#[$field_doc])*
                    pub $field: $kind,
                )*
            }

            impl $crate::command::Header for $name {
                fn decode(fields: &$crate::ext_fields::ExtFields) -> Result<Self, $crate::error::HeaderError> {
                    let _ = fields;
                    Ok(Self { $($field: $crate::header::field::headers!(@load fields $key $kind, $($default)?),)* })
                }

                fn encode(&self, fields: &mut $crate::ext_fields::ExtFields) {
                    let _ = &fields;
                    $($crate::header::field::Field::store(&self.$field, $key, fields);)*
                }
            }
        )*
    };
    (@load $fields:ident $key:literal $kind:ty,) => {
        <$kind as $crate::header::field::Field>::load($key, $fields)?
    };
    (@load $fields:ident $key:literal $kind:ty, $default:expr) => {
        <Option<$kind> as $crate::header::field::Field>::load($key, $fields)?.unwrap_or($default)
    };
}

pub(crate) use headers;
