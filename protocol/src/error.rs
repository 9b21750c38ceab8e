//! What can be wrong with bytes that came from a peer or a file. Nothing here describes our own mistakes: those are assertions.
//! Callers choose the wire's answer by the variant, never by the text.

use thiserror::Error;

/// A frame that cannot be understood: the connection that sent it is closed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The first word is below four or makes the frame larger than the limit.
    #[error("frame claims {claimed} bytes, between 4 and {max} are allowed")]
    Length {
        /// The length word as sent.
        claimed: i64,
        /// The largest length word that is accepted.
        max: usize,
    },
    /// The header does not fit into its frame.
    #[error("header claims {claimed} bytes, the frame has {left} left")]
    HeaderLength {
        /// The header length as sent.
        claimed: usize,
        /// What the frame holds after its two words.
        left: usize,
    },
    /// The top byte of the second word names no serialize type.
    #[error("serialize type {0} is unknown")]
    SerializeType(u8),
    /// The JSON header is not a JSON object of the expected shape.
    #[error("JSON header is malformed at byte {at}")]
    Json {
        /// Position in the header.
        at: usize,
    },
    /// The binary header ends early or contradicts its own lengths.
    #[error("binary header is malformed at byte {at}")]
    Binary {
        /// Position in the header.
        at: usize,
    },
    /// More ext fields than any client sends.
    #[error("header has more than {max} ext fields")]
    ExtFieldsTooMany {
        /// The limit.
        max: usize,
    },
}

/// A custom header whose ext fields are missing or have the wrong form.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// A mandatory field is absent.
    #[error("the custom header field <{field}> is null")]
    Missing {
        /// The field's name on the wire.
        field: &'static str,
    },
    /// A field is there but is no value of its type.
    #[error("the custom header field <{field}> has the value {value:?}, expected {expected}")]
    Invalid {
        /// The field's name on the wire.
        field: &'static str,
        /// The value as sent, cut to a readable length.
        value: String,
        /// What the field's type is.
        expected: &'static str,
    },
}

/// A stored message, a batch or an id that is not what it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MessageError {
    /// The record ends before the bytes that it claims.
    #[error("record claims {claimed} bytes, {left} are there")]
    Torn {
        /// The record's own length.
        claimed: u32,
        /// What the caller handed over.
        left: usize,
    },
    /// The magic is neither V1 nor V2.
    #[error("record magic {magic:#010x} is neither V1 nor V2")]
    Magic {
        /// The word found.
        magic: u32,
    },
    /// An inner length does not add up with the record's length.
    #[error("record of {len} bytes: {part} claims {claimed} bytes")]
    Part {
        /// The record's length.
        len: usize,
        /// Which field.
        part: &'static str,
        /// The field's length as stored.
        claimed: i64,
    },
    /// The parts of the record add up to something other than its length.
    #[error("record of {len} bytes has parts of {parts} bytes")]
    Sum {
        /// The record's length.
        len: usize,
        /// Where its parts end.
        parts: usize,
    },
    /// The body's checksum differs from the stored one.
    #[error("body crc is {actual:#010x}, the record says {stored:#010x}")]
    Crc {
        /// The checksum in the record.
        stored: u32,
        /// The checksum of the body.
        actual: u32,
    },
    /// Topic or properties are no UTF-8.
    #[error("{part} is not UTF-8")]
    Text {
        /// Which field.
        part: &'static str,
    },
    /// The topic does not fit its length field.
    #[error("topic has {len} bytes, at most {max} fit")]
    TopicLength {
        /// The topic's length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The properties do not fit their 16-bit length.
    #[error("properties have {len} bytes, at most {max} fit")]
    PropertiesLength {
        /// The length of the properties.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The body is larger than any frame.
    #[error("body has {len} bytes, at most {max} fit")]
    BodyLength {
        /// The body's length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// An id has the wrong length or is no hex.
    #[error("message id {0:?} is malformed")]
    Id(String),
    /// The compression type in the system flag is one that we do not have.
    #[error("compression type {0} is not supported")]
    Compression(u8),
    /// The compressed body cannot be expanded, or grows past the limit.
    #[error("compressed body of {len} bytes cannot be expanded to at most {max} bytes")]
    Inflate {
        /// Compressed length.
        len: usize,
        /// The limit of the expanded body.
        max: usize,
    },
}

/// A body that is no JSON, not even of fastjson's kind, or that has the wrong shape.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BodyError {
    /// The text cannot be read as JSON.
    #[error("malformed JSON at byte {at}")]
    Syntax {
        /// Position in the text.
        at: usize,
    },
    /// Nested deeper than anything a client sends.
    #[error("JSON is nested deeper than {max}")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// More values than anything a client sends.
    #[error("JSON holds more than {max} values")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// A value has a type or text that the member cannot take.
    #[error("JSON member {member} is not {expected}")]
    Member {
        /// The member's name.
        member: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The compressed register body breaks off or contradicts itself.
    #[error("compressed register body is malformed: {part}")]
    Register {
        /// Which part.
        part: &'static str,
    },
    /// A compressed body expands past the limit or is no zlib stream.
    #[error("compressed body cannot be expanded to at most {max} bytes")]
    Inflate {
        /// The limit.
        max: usize,
    },
}

/// An integer that is no code of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("code {0} is unknown")]
pub struct UnknownCode(pub i32);

/// A topic, group or subscription text that RocketMQ's rules refuse.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// The name is empty or blank.
    #[error("the specified {what} is blank")]
    Blank {
        /// "topic" or "group".
        what: &'static str,
    },
    /// The name is too long.
    #[error("The specified {what} is longer than {what} max length {max}: it has {len}")]
    Length {
        /// "topic" or "group".
        what: &'static str,
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The name has a character outside `^[%|a-zA-Z0-9_-]+$`.
    #[error("The specified {what} contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$")]
    Characters {
        /// "topic" or "group".
        what: &'static str,
    },
    /// A subscription expression without any tag.
    #[error("the subscription expression {0:?} has no tag")]
    Subscription(String),
}
