//! The ROCKETMQ binary header: fixed numbers, then the remark and the ext fields with their lengths.
//! Codes are 16 bits wide here, so the POP family cannot travel this way.

use bytes::{BufMut, Bytes, BytesMut};

use crate::command::RemotingCommand;
use crate::error::FrameError;
use crate::ext_fields::{EXT_FIELDS_MAX, ExtFields, Field, Fields, Piece};
use crate::language::{LanguageCode, SerializeType};

/// Reads a header.
pub(super) fn decode(header: Bytes, body: Bytes) -> Result<RemotingCommand, FrameError> {
    let mut reader = Reader { bytes: &header, at: 0 };
    let code = i32::from(reader.i16()?);
    let language = LanguageCode::from_number(i64::from(reader.take(1)?[0]));
    let version = i32::from(reader.i16()?);
    let opaque = reader.i32()?;
    let flag = reader.i32()?;
    let remark_len = reader.len()?;
    let remark = reader.take(remark_len)?;
    let remark = (!remark.is_empty()).then(|| String::from_utf8_lossy(remark).into_owned());
    let fields_len = reader.len()?;
    let fields_start = reader.at;
    reader.take(fields_len)?;
    let ext_fields = decode_fields(&header, fields_start, fields_len)?;
    Ok(RemotingCommand {
        code,
        language,
        version,
        opaque,
        flag,
        remark,
        ext_fields,
        serialize_type: SerializeType::RocketMq,
        body,
    })
}

fn decode_fields(header: &Bytes, start: usize, len: usize) -> Result<ExtFields, FrameError> {
    let mut reader = Reader { bytes: &header[..start + len], at: start };
    let mut pieces = Fields::new();
    let mut is_text = true;
    while reader.at < reader.bytes.len() {
        let key_len = reader.i16()?;
        let key_len = usize::try_from(key_len).map_err(|_| FrameError::Binary { at: reader.at })?;
        let key = Piece::decoded(reader.at, key_len);
        is_text &= std::str::from_utf8(reader.take(key_len)?).is_ok();
        let value_len = reader.len()?;
        let value = Piece::decoded(reader.at, value_len);
        is_text &= std::str::from_utf8(reader.take(value_len)?).is_ok();
        if pieces.len() == EXT_FIELDS_MAX {
            return Err(FrameError::ExtFieldsTooMany { max: EXT_FIELDS_MAX });
        }
        // Java reads empty texts back as null, and a null key or value is no field.
        if key_len > 0 && value_len > 0 {
            pieces.push(Field { key, value });
        }
    }
    let fields = ExtFields::over(header.clone(), pieces);
    if is_text {
        return Ok(fields);
    }
    // Java replaces what is no UTF-8 instead of refusing the header, and so do we.
    let replaced: Vec<(String, String)> = fields
        .iter_bytes()
        .map(|(key, value)| {
            (String::from_utf8_lossy(key).into_owned(), String::from_utf8_lossy(value).into_owned())
        })
        .collect();
    Ok(replaced.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect())
}

/// Appends a header.
pub(super) fn encode(command: &RemotingCommand, out: &mut BytesMut) {
    // RocketMQ casts to 16 bits here as well; see the note on the POP family above.
    out.put_i16(command.code as i16);
    out.put_u8(command.language.number());
    out.put_i16(command.version as i16);
    out.put_i32(command.opaque);
    out.put_i32(command.flag);
    let remark = command.remark.as_deref().unwrap_or_default();
    out.put_i32(remark.len() as i32);
    out.put_slice(remark.as_bytes());
    let at = out.len();
    out.put_i32(0);
    for (key, value) in command.ext_fields.iter_bytes() {
        assert!(key.len() <= i16::MAX as usize, "names of ext fields are short");
        out.put_i16(key.len() as i16);
        out.put_slice(key);
        out.put_i32(value.len() as i32);
        out.put_slice(value);
    }
    let len = (out.len() - at - 4) as i32;
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

/// A cursor that never runs past the end.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], FrameError> {
        let error = FrameError::Binary { at: self.at };
        let end = self.at.checked_add(len).ok_or_else(|| error.clone())?;
        let taken = self.bytes.get(self.at..end).ok_or(error)?;
        self.at = end;
        Ok(taken)
    }

    fn i16(&mut self) -> Result<i16, FrameError> {
        self.take(2).map(|bytes| i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn i32(&mut self) -> Result<i32, FrameError> {
        self.take(4).map(|bytes| i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn len(&mut self) -> Result<usize, FrameError> {
        let at = self.at;
        usize::try_from(self.i32()?).map_err(|_| FrameError::Binary { at })
    }
}
