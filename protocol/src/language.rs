//! The two small enums of every header: the sender's language and the header's serialize type.

use crate::error::FrameError;

/// How the header of one frame is written; the top byte of the frame's second word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SerializeType {
    /// A JSON object; every client understands it.
    #[default]
    Json,
    /// The binary form.
    RocketMq,
}

impl SerializeType {
    /// The byte on the wire.
    pub fn number(self) -> u8 {
        match self {
            Self::Json => 0,
            Self::RocketMq => 1,
        }
    }
}

impl TryFrom<u8> for SerializeType {
    type Error = FrameError;

    fn try_from(number: u8) -> Result<Self, FrameError> {
        match number {
            0 => Ok(Self::Json),
            1 => Ok(Self::RocketMq),
            other => Err(FrameError::SerializeType(other)),
        }
    }
}

macro_rules! languages {
    ($($variant:ident = $number:literal $name:literal,)*) => {
        /// The language that the sender of a frame is written in. Source: RocketMQ `LanguageCode`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[allow(missing_docs)]
        pub enum LanguageCode {
            $($variant,)*
            /// A name or number outside the table; Java reads it as null and goes on.
            #[default]
            Unknown,
        }

        impl LanguageCode {
            /// The name in a JSON header; `OTHER` when unknown.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Unknown => "OTHER",
                }
            }

            /// The number in a binary header.
            pub fn number(self) -> u8 {
                match self {
                    $(Self::$variant => $number,)*
                    Self::Unknown => 7,
                }
            }

            /// Reads a name.
            pub fn from_name(name: &[u8]) -> Self {
                $(if name == $name.as_bytes() { return Self::$variant; })*
                Self::Unknown
            }

            /// Reads an ordinal.
            pub fn from_number(number: i64) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    _ => Self::Unknown,
                }
            }
        }
    };
}

languages! {
    Java = 0 "JAVA",
    Cpp = 1 "CPP",
    Dotnet = 2 "DOTNET",
    Python = 3 "PYTHON",
    Delphi = 4 "DELPHI",
    Erlang = 5 "ERLANG",
    Ruby = 6 "RUBY",
    Other = 7 "OTHER",
    Http = 8 "HTTP",
    Go = 9 "GO",
    Php = 10 "PHP",
    Oms = 11 "OMS",
    Rust = 12 "RUST",
    NodeJs = 13 "NODE_JS",
}
