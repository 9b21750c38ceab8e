//! JSON as fastjson writes and reads it: bare integers and whole objects as map keys, members in alphabetical order, nulls left out, and
//! a reader that forgives what any client has been seen to send. `body` is built on this; `frame` has a scanner of its own.

mod escape;
mod parse;
mod reference;
mod types;
mod value;
mod write;

pub(crate) use escape::escape_into;
pub use parse::{DEPTH_MAX, VALUES_MAX, parse};
pub use types::{Json, JsonKey};
pub(crate) use types::{read_object_key, write_object_key};
pub use value::Value;
pub use write::{Dialect, Writer};

pub(crate) mod macros {
    //! The two macros that make body types of their wire names.

    /// An enum that travels by name; ordinals are read too, and what is unknown is the default.
    macro_rules! json_enums {
        ($($(#[$doc:meta])* $name:ident { $($variant:ident $text:literal,)* } default $default:ident)*) => {
            $(
                $(#[$doc])*
                #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
                pub enum $name {
                    $(#[doc = concat!("`", $text, "`")] $variant,)*
                }

                impl $name {
                    /// All of them, in RocketMQ's order.
                    pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

                    /// RocketMQ's name.
                    pub const fn name(self) -> &'static str {
                        match self {
                            $(Self::$variant => $text,)*
                        }
                    }

                    /// Reads a name, in any case.
                    pub fn from_name(name: &str) -> Option<Self> {
                        Self::ALL.iter().copied().find(|one| one.name().eq_ignore_ascii_case(name.trim()))
                    }
                }

                impl Default for $name {
                    fn default() -> Self {
                        Self::$default
                    }
                }

                impl $crate::json::Json for $name {
                    fn write(&self, writer: &mut $crate::json::Writer) {
                        writer.string(self.name());
                    }

                    fn read(value: $crate::json::Value) -> Result<Self, $crate::error::BodyError> {
                        Ok(match &value {
                            $crate::json::Value::String(name) => Self::from_name(name),
                            other => other.as_i64()
                                .and_then(|ordinal| usize::try_from(ordinal).ok())
                                .and_then(|ordinal| Self::ALL.get(ordinal).copied()),
                        }
                        .unwrap_or_default())
                    }
                }
            )*
        };
    }

    /// A struct that is a JSON object. Members are written in the order given; a missing one, and null, has its default.
    macro_rules! bodies {
        ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty => $key:literal $(or $default:expr)?,)* })*) => {
            $(
                $(#[$doc])*
                #[derive(Debug, Clone, PartialEq)]
                pub struct $name {
                    $(
                        #[doc = concat!("`", $key, "`")]
                        $(#[$field_doc])*
                        pub $field: $kind,
                    )*
                }

                impl Default for $name {
                    fn default() -> Self {
                        Self { $($field: $crate::json::macros::bodies!(@default $($default)?),)* }
                    }
                }

                impl $crate::json::Json for $name {
                    fn write(&self, writer: &mut $crate::json::Writer) {
                        writer.begin_object();
                        $(writer.member($key, &self.$field);)*
                        writer.end_object();
                    }

                    fn read(value: $crate::json::Value) -> Result<Self, $crate::error::BodyError> {
                        let mut this = Self::default();
                        for (key, value) in value.into_members()? {
                            match key.as_str() {
                                _ if value.is_null() => {}
                                $(Some($key) => this.$field = $crate::json::Json::read(value).map_err(|error| error.of_member($key))?,)*
                                _ => {}
                            }
                        }
                        Ok(this)
                    }
                }
            )*
        };
        (@default) => { Default::default() };
        (@default $default:expr) => { $default };
    }

    pub(crate) use {bodies, json_enums};
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
