//! The JSON header, read in one pass over its bytes and written by appending: no tree, no allocation per field.
//!
//! Texts stay in the frame's memory. An escaped text is unescaped where it stands, because unescaping only ever shortens.

use bytes::{BufMut, Bytes, BytesMut};

use super::json_scanner::{Scanned, Scanner};
use crate::command::RemotingCommand;
use crate::decimal::{Decimal, parse_i64};
use crate::error::FrameError;
use crate::ext_fields::{EXT_FIELDS_MAX, ExtFields, Field, Fields, Piece};
use crate::json::escape_into;
use crate::language::{LanguageCode, SerializeType};

/// Reads a header.
pub(super) fn decode(mut header: BytesMut, body: Bytes) -> Result<RemotingCommand, FrameError> {
    if std::str::from_utf8(&header).is_err() {
        // Java replaces what is no UTF-8 instead of refusing the header, and so do we.
        header = BytesMut::from(String::from_utf8_lossy(&header).as_bytes());
    }
    let mut head = Head { language: LanguageCode::Java, ..Head::default() };
    let mut scanner = Scanner::new(&mut header);
    scanner.open_object()?;
    while let Some(key) = scanner.key()? {
        if scanner.slice(key) == b"extFields" {
            head.ext_fields(&mut scanner)?;
        } else {
            let at = scanner.at();
            let value = scanner.value()?;
            head.member(scanner.slice(key), Value { at, value, scanner: &scanner })?;
        }
    }
    scanner.end()?;
    let header = header.freeze();
    let remark =
        head.remark.map(|(start, len)| String::from_utf8_lossy(&header[start..start + len]).into_owned());
    Ok(RemotingCommand {
        code: head.code,
        language: head.language,
        version: head.version,
        opaque: head.opaque,
        flag: head.flag,
        remark,
        ext_fields: ExtFields::over(header, head.fields),
        serialize_type: SerializeType::Json,
        body,
    })
}

/// The members of the header object that mean something.
#[derive(Default)]
struct Head {
    code: i32,
    language: LanguageCode,
    version: i32,
    opaque: i32,
    flag: i32,
    remark: Option<(usize, usize)>,
    fields: Fields,
}

impl Head {
    fn member(&mut self, key: &[u8], value: Value<'_, '_>) -> Result<(), FrameError> {
        match key {
            b"code" => self.code = value.integer()?,
            b"version" => self.version = value.integer()?,
            b"opaque" => self.opaque = value.integer()?,
            b"flag" => self.flag = value.integer()?,
            b"language" => {
                self.language = match value.value {
                    Scanned::Text(range) => LanguageCode::from_name(value.scanner.slice(range)),
                    Scanned::Bare(range) => parse_i64(value.scanner.slice(range))
                        .map_or(LanguageCode::Unknown, LanguageCode::from_number),
                    Scanned::Null | Scanned::Nested => LanguageCode::Unknown,
                }
            }
            b"remark" => {
                self.remark = match value.value {
                    Scanned::Text(range) | Scanned::Bare(range) => Some(range),
                    Scanned::Null | Scanned::Nested => None,
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn ext_fields(&mut self, scanner: &mut Scanner<'_>) -> Result<(), FrameError> {
        if !scanner.try_open_object()? {
            // null, or something that no client sends: no fields.
            scanner.value()?;
            return Ok(());
        }
        while let Some(key) = scanner.key()? {
            if let Scanned::Text(value) | Scanned::Bare(value) = scanner.value()? {
                if self.fields.len() == EXT_FIELDS_MAX {
                    return Err(FrameError::ExtFieldsTooMany { max: EXT_FIELDS_MAX });
                }
                self.fields.push(Field {
                    key: Piece::decoded(key.0, key.1),
                    value: Piece::decoded(value.0, value.1),
                });
            }
        }
        Ok(())
    }
}

/// The value of a member, and where it began.
struct Value<'s, 'b> {
    at: usize,
    value: Scanned,
    scanner: &'s Scanner<'b>,
}

impl Value<'_, '_> {
    /// A number, bare or as text; null and a missing member are 0 as in Java.
    fn integer(&self) -> Result<i32, FrameError> {
        match self.value {
            Scanned::Text(range) | Scanned::Bare(range) => parse_i64(self.scanner.slice(range))
                .and_then(|value| i32::try_from(value).ok())
                .ok_or(FrameError::Json { at: self.at }),
            Scanned::Null => Ok(0),
            Scanned::Nested => Err(FrameError::Json { at: self.at }),
        }
    }
}

/// Roughly how long the header will be, so that the buffer grows at most once.
pub(super) fn len_hint(command: &RemotingCommand) -> usize {
    let fields: usize = command.ext_fields.iter_bytes().map(|(key, value)| key.len() + value.len() + 8).sum();
    160 + fields + command.remark.as_ref().map_or(0, String::len)
}

/// Appends a header, members in fastjson's order.
pub(super) fn encode(command: &RemotingCommand, out: &mut BytesMut) {
    out.put_slice(b"{\"code\":");
    out.put_slice(Decimal::new(i64::from(command.code)).as_bytes());
    if !command.ext_fields.is_empty() {
        let mut before: &[u8] = b",\"extFields\":{\"";
        for (key, value) in command.ext_fields.iter_bytes() {
            out.put_slice(before);
            escape_into(key, out);
            out.put_slice(b"\":\"");
            escape_into(value, out);
            before = b"\",\"";
        }
        out.put_slice(b"\"}");
    }
    out.put_slice(b",\"flag\":");
    out.put_slice(Decimal::new(i64::from(command.flag)).as_bytes());
    out.put_slice(b",\"language\":\"");
    out.put_slice(command.language.name().as_bytes());
    out.put_slice(b"\",\"opaque\":");
    out.put_slice(Decimal::new(i64::from(command.opaque)).as_bytes());
    if let Some(remark) = &command.remark {
        out.put_slice(b",\"remark\":\"");
        escape_into(remark.as_bytes(), out);
        out.put_slice(b"\"");
    }
    out.put_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    out.put_slice(Decimal::new(i64::from(command.version)).as_bytes());
    out.put_slice(b"}");
}
