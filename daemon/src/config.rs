//! Configuration under RocketMQ's own names: `.properties` text bound to plain structs.
//!
//! A struct is declared once with [`crate::settings!`]; each field names its key, type, default
//! and range, and what it means. Always true: all wrong values end in one error that lists key,
//! value and what is allowed; a key that nobody knows is handed back by name, so that the caller
//! can warn. One flat file may feed several structs, as in RocketMQ. Called by `mqnamesrv`,
//! `mqbroker` and everything that starts or reconfigures them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use crate::error::{DaemonError, WrongValue};
use crate::properties::Properties;

/// What is special about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Printed by `-m`.
    Important,
    /// A change at run time takes effect without a restart.
    Live,
}

/// One key of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// RocketMQ's name of it.
    pub name: &'static str,
    /// What it means, with its unit.
    pub doc: &'static str,
    /// What values it takes, in words.
    pub allowed: String,
    /// Its flags.
    pub flags: &'static [Flag],
}

impl Key {
    /// Whether `-m` prints it.
    pub fn is_important(&self) -> bool {
        self.flags.contains(&Flag::Important)
    }

    /// Whether a change at run time takes effect at once.
    pub fn is_live(&self) -> bool {
        self.flags.contains(&Flag::Live)
    }
}

/// A struct whose fields are configuration keys. [`crate::settings!`] implements it.
pub trait Section {
    /// Every key in the order of declaration.
    fn keys(&self) -> Vec<Key>;
    /// Sets a key from text: `None` when the key is not one of these, else what is wrong.
    fn set(&mut self, key: &str, value: &str) -> Option<Result<(), WrongValue>>;
    /// The text of a key's present value; `None` when the key is not one of these.
    fn get(&self, key: &str) -> Option<String>;
}

/// A type that a configuration value can have.
pub trait Value: Sized {
    /// What its bounds are counted in; `()`-like types use `u8` and have no range.
    type Number: PartialOrd + fmt::Display;
    /// What it takes, in words.
    fn allowed() -> String;
    /// Reads it.
    fn parse(text: &str) -> Option<Self>;
    /// Writes it as RocketMQ writes it.
    fn print(&self) -> String;
    /// The number that a range bounds.
    fn number(&self) -> Option<Self::Number>;
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Value for $number {
            type Number = $number;
            fn allowed() -> String {
                "a whole number".to_owned()
            }
            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }
            fn print(&self) -> String {
                self.to_string()
            }
            fn number(&self) -> Option<$number> {
                Some(*self)
            }
        }
    )*};
}
numbers!(u16 u32 u64 usize i32 i64);

impl Value for f64 {
    type Number = f64;
    fn allowed() -> String {
        "a number".to_owned()
    }
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number: &f64| number.is_finite())
    }
    fn print(&self) -> String {
        self.to_string()
    }
    fn number(&self) -> Option<f64> {
        Some(*self)
    }
}

impl Value for bool {
    type Number = u8;
    fn allowed() -> String {
        "true or false".to_owned()
    }
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
    fn print(&self) -> String {
        self.to_string()
    }
    fn number(&self) -> Option<u8> {
        None
    }
}

impl Value for String {
    type Number = u8;
    fn allowed() -> String {
        "text".to_owned()
    }
    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
    fn print(&self) -> String {
        self.clone()
    }
    fn number(&self) -> Option<u8> {
        None
    }
}

macro_rules! units {
    ($($(#[doc = $doc:literal])+ $name:ident, $words:literal;)*) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl Value for $name {
            type Number = u64;
            fn allowed() -> String {
                concat!("a whole number of ", $words).to_owned()
            }
            fn parse(text: &str) -> Option<Self> {
                text.parse().ok().map(Self)
            }
            fn print(&self) -> String {
                self.0.to_string()
            }
            fn number(&self) -> Option<u64> {
                Some(self.0)
            }
        }
    )*};
}
units! {
    /// A duration that is written in milliseconds.
    Millis, "milliseconds";
    /// A duration that is written in seconds.
    Seconds, "seconds";
    /// A duration that is written in hours.
    Hours, "hours";
    /// A size that is written in bytes.
    ByteCount, "bytes";
}

impl Millis {
    /// The duration itself.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl Seconds {
    /// The duration itself.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl Hours {
    /// The duration itself.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0.saturating_mul(3600))
    }
}

/// What a key of this type and range allows, in words.
pub fn allowed<V: Value>(range: Option<&RangeInclusive<V::Number>>) -> String {
    match range {
        Some(range) => format!("{} from {} to {}", V::allowed(), range.start(), range.end()),
        None => V::allowed(),
    }
}

/// Reads one value and holds it against its range. Blanks around it do not count.
pub fn read<V: Value>(
    key: &str,
    text: &str,
    range: Option<&RangeInclusive<V::Number>>,
) -> Result<V, WrongValue> {
    let fits = |value: &V| match (range, value.number()) {
        (Some(range), Some(number)) => range.contains(&number),
        _ => true,
    };
    V::parse(text.trim()).filter(fits).ok_or_else(|| WrongValue {
        key: key.to_owned(),
        value: text.to_owned(),
        allowed: allowed::<V>(range),
    })
}

/// What became of the keys that were not bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Keys that nobody knows: to be named in a warning.
    pub unknown: Vec<String>,
    /// Keys that RocketMQ knows and that have no meaning here: worth one line at most.
    pub inert: Vec<String>,
    /// Keys that were set.
    pub set: Vec<String>,
}

/// One pass of a properties text over all the structs that it feeds.
#[derive(Debug)]
pub struct Binding<'a> {
    properties: &'a Properties,
    set: BTreeSet<String>,
    inert: BTreeSet<String>,
    wrong: Vec<WrongValue>,
}

impl<'a> Binding<'a> {
    /// Starts a pass.
    pub fn new(properties: &'a Properties) -> Self {
        Self { properties, set: BTreeSet::new(), inert: BTreeSet::new(), wrong: Vec::new() }
    }

    /// Sets what this struct knows; wrong values are remembered for [`Binding::finish`].
    pub fn bind(mut self, section: &mut dyn Section) -> Self {
        for (key, value) in self.properties.iter() {
            match section.set(key, value) {
                None => continue,
                Some(Ok(())) => {}
                Some(Err(wrong)) => self.wrong.push(wrong),
            }
            self.set.insert(key.to_owned());
        }
        self
    }

    /// Names keys that RocketMQ knows and that have no meaning here.
    pub fn inert(mut self, keys: &[&str]) -> Self {
        let present = keys.iter().filter(|key| self.properties.get(key).is_some());
        self.inert.extend(present.map(|key| (*key).to_owned()));
        self
    }

    /// Holds several values against each other: unless `fits`, the key is wrong as well.
    pub fn check(mut self, fits: bool, key: &str, value: impl fmt::Display, allowed: &str) -> Self {
        let named_already = self.wrong.iter().any(|wrong| wrong.key == key);
        if !fits && !named_already {
            self.wrong.push(WrongValue {
                key: key.to_owned(),
                value: value.to_string(),
                allowed: allowed.to_owned(),
            });
        }
        self
    }

    /// Ends the pass: one error with all that is wrong, or what was left over.
    pub fn finish(self) -> Result<Bound, DaemonError> {
        if !self.wrong.is_empty() {
            return Err(DaemonError::ConfigWrong(self.wrong));
        }
        let taken = |key: &str| self.set.contains(key) || self.inert.contains(key);
        let unknown = self.properties.iter().map(|(key, _)| key).filter(|key| !taken(key));
        let unknown = unknown.map(str::to_owned).collect();
        let inert = self.inert.difference(&self.set).cloned().collect();
        Ok(Bound { unknown, inert, set: self.set.into_iter().collect() })
    }
}

/// Reads a configuration file.
pub fn read_file(path: &Path) -> Result<Properties, DaemonError> {
    let unreadable = |source| DaemonError::ConfigUnreadable { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Ok(Properties::parse(&text)?)
}

/// The present values of these structs, all (`-p`) or the important ones (`-m`).
pub fn effective(sections: &[&dyn Section], important_only: bool) -> Properties {
    let mut values = BTreeMap::new();
    for section in sections {
        for key in section.keys() {
            if (!important_only || key.is_important())
                && let Some(value) = section.get(key.name)
            {
                values.insert(key.name, value);
            }
        }
    }
    values.into_iter().collect()
}

/// The user's home directory, or the working directory where there is none: what RocketMQ's
/// default paths start from.
pub fn home() -> String {
    std::env::var("HOME").ok().filter(|home| !home.is_empty()).unwrap_or_else(|| ".".to_owned())
}

/// Declares a configuration struct: its fields, their keys, defaults, ranges and meaning.
///
/// ```
/// daemon::settings! {
///     /// What a ferry needs to know.
///     pub struct FerryConfig {
///         /// TCP port that it listens on.
///         listen_port: u16 = 9876, "listenPort" in 1..=65535, important;
///         /// Longest wait for a passenger.
///         wait_max: daemon::Millis = daemon::Millis(500), "waitMax", live;
///         /// Where it goes.
///         harbour: String = String::from("Piraeus"), "harbour";
///     }
/// }
/// let mut ferry = FerryConfig::default();
/// let properties = daemon::Properties::parse("listenPort=0\nwaitMax=soon").unwrap();
/// let error = daemon::Binding::new(&properties).bind(&mut ferry).finish().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "2 wrong configuration values: \
///      listenPort=0 (allowed: a whole number from 1 to 65535); \
///      waitMax=soon (allowed: a whole number of milliseconds)"
/// );
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[$outer:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident : $type:ty = $default:expr, $key:literal $(in $range:expr)? $(, $flag:ident)* ;
            )*
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)*
        }

        impl ::std::default::Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::Section for $name {
            fn keys(&self) -> ::std::vec::Vec<$crate::Key> {
                ::std::vec![$(
                    $crate::Key {
                        name: $key,
                        doc: concat!($($doc),+).trim_ascii(),
                        allowed: $crate::config::allowed::<$type>($crate::settings!(@range $($range)?)),
                        flags: &[$($crate::settings!(@flag $flag)),*],
                    },
                )*]
            }

            fn set(
                &mut self,
                key: &str,
                value: &str,
            ) -> ::std::option::Option<::std::result::Result<(), $crate::WrongValue>> {
                match key {
                    $($key => {
                        let value = $crate::config::read(key, value, $crate::settings!(@range $($range)?));
                        Some(value.map(|value| self.$field = value))
                    })*
                    _ => None,
                }
            }

            fn get(&self, key: &str) -> ::std::option::Option<::std::string::String> {
                match key {
                    $($key => Some($crate::Value::print(&self.$field)),)*
                    _ => None,
                }
            }
        }
    };
    (@range $range:expr) => { Some(&$range) };
    (@range) => { None };
    (@flag important) => { $crate::Flag::Important };
    (@flag live) => { $crate::Flag::Live };
}

/// Declares an enum whose values are configuration words.
///
/// ```
/// daemon::setting_words! {
///     /// How messages reach the disk.
///     pub enum FlushDiskType {
///         /// Before the acknowledgement.
///         SyncFlush = "SYNC_FLUSH",
///         /// Soon after it.
///         AsyncFlush = "ASYNC_FLUSH",
///     }
/// }
/// assert_eq!(<FlushDiskType as daemon::Value>::parse("SYNC_FLUSH"), Some(FlushDiskType::SyncFlush));
/// assert_eq!(<FlushDiskType as daemon::Value>::allowed(), "SYNC_FLUSH or ASYNC_FLUSH");
/// ```
#[macro_export]
macro_rules! setting_words {
    (
        $(#[$outer:meta])*
        $vis:vis enum $name:ident {
            $($(#[$inner:meta])* $variant:ident = $word:literal),+ $(,)?
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis enum $name {
            $($(#[$inner])* $variant,)+
        }

        impl $crate::Value for $name {
            type Number = u8;
            fn allowed() -> ::std::string::String {
                [$($word),+].join(" or ")
            }
            fn parse(text: &str) -> ::std::option::Option<Self> {
                match text {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
            fn print(&self) -> ::std::string::String {
                match self {
                    $(Self::$variant => $word,)+
                }
                .to_owned()
            }
            fn number(&self) -> ::std::option::Option<u8> {
                None
            }
        }
    };
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
