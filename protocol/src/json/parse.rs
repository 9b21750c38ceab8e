//! The forgiving reader. Beyond JSON it takes what fastjson takes and what fastjson writes: keys without quotes, keys that are numbers or
//! objects, single quotes, commas before a closing bracket, `NaN`, numbers with a type letter. It never panics; depth and count are limited.

use super::reference;
use super::value::Value;
use crate::error::BodyError;

/// Deeper nesting is refused. The deepest body of RocketMQ has six levels.
pub const DEPTH_MAX: usize = 32;
/// More values are refused: a registration of 100,000 topics has about two million.
pub const VALUES_MAX: usize = 3_000_000;

/// Reads one value and nothing after it but white space. Bytes that are no UTF-8 are replaced.
pub fn parse(text: &[u8]) -> Result<Value, BodyError> {
    let mut parser = Parser { text, at: 0, depth: 0, values: 0, has_reference: false };
    let value = parser.value()?;
    parser.skip_white();
    if parser.at != text.len() {
        return Err(parser.error());
    }
    if parser.has_reference { reference::resolve(value) } else { Ok(value) }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    values: usize,
    has_reference: bool,
}

impl Parser<'_> {
    fn value(&mut self) -> Result<Value, BodyError> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(BodyError::TooLarge { max: VALUES_MAX });
        }
        match self.peek()? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            quote @ (b'"' | b'\'') => self.string(quote).map(Value::String),
            _ => self.bare_value(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, BodyError>) -> Result<Value, BodyError> {
        if self.depth == DEPTH_MAX {
            return Err(BodyError::TooDeep { max: DEPTH_MAX });
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn array(&mut self) -> Result<Value, BodyError> {
        let mut items = Vec::new();
        loop {
            match self.peek()? {
                b']' => {
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                b',' => self.at += 1,
                _ => {
                    items.push(self.value()?);
                    if !matches!(self.peek()?, b',' | b']') {
                        return Err(self.error());
                    }
                }
            }
        }
    }

    fn object(&mut self) -> Result<Value, BodyError> {
        let mut members = Vec::new();
        loop {
            match self.peek()? {
                b'}' => {
                    self.at += 1;
                    return Ok(Value::Object(members));
                }
                b',' => self.at += 1,
                _ => {
                    let key = self.key()?;
                    if self.peek()? != b':' {
                        return Err(self.error());
                    }
                    self.at += 1;
                    self.has_reference |= key.as_str() == Some("$ref");
                    members.push((key, self.value()?));
                    if !matches!(self.peek()?, b',' | b'}') {
                        return Err(self.error());
                    }
                }
            }
        }
    }

    fn key(&mut self) -> Result<Value, BodyError> {
        match self.peek()? {
            b'{' | b'[' | b'"' | b'\'' => self.value(),
            _ => {
                let word = self.word();
                match crate::decimal::parse_i64(word) {
                    Some(number) => Ok(Value::Integer(number)),
                    None if word.is_empty() => Err(self.error()),
                    None => Ok(Value::String(String::from_utf8_lossy(word).into_owned())),
                }
            }
        }
    }

    fn bare_value(&mut self) -> Result<Value, BodyError> {
        let error = self.error();
        let word = self.word();
        match word {
            b"null" | b"NaN" | b"undefined" => return Ok(Value::Null),
            b"true" => return Ok(Value::Bool(true)),
            b"false" => return Ok(Value::Bool(false)),
            _ => {}
        }
        let number = match word {
            [digits @ .., b'L' | b'S' | b'B' | b'F' | b'D'] => digits,
            _ => word,
        };
        if let Some(integer) = crate::decimal::parse_i64(number) {
            return Ok(Value::Integer(integer));
        }
        let starts_as_number = matches!(number.first(), Some(b'-' | b'+' | b'.' | b'0'..=b'9'));
        let float = std::str::from_utf8(number)
            .ok()
            .filter(|_| starts_as_number)
            .and_then(|text| text.parse::<f64>().ok());
        float.filter(|value| value.is_finite()).map(Value::Float).ok_or(error)
    }

    /// The characters of a number, a name or a literal.
    fn word(&mut self) -> &[u8] {
        let start = self.at;
        while let Some(byte) = self.text.get(self.at) {
            let belongs = byte.is_ascii_alphanumeric()
                || matches!(byte, b'-' | b'+' | b'.' | b'_' | b'$' | b'@')
                || *byte >= 0x80;
            if !belongs {
                break;
            }
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn string(&mut self, quote: u8) -> Result<String, BodyError> {
        self.at += 1;
        let start = self.at;
        let plain = self.text[start..]
            .iter()
            .position(|byte| *byte == quote || *byte == b'\\')
            .ok_or_else(|| self.error())?;
        self.at += plain;
        let mut bytes = self.text[start..self.at].to_vec();
        loop {
            let byte = *self.text.get(self.at).ok_or_else(|| self.error())?;
            self.at += 1;
            if byte == quote {
                break;
            } else if byte == b'\\' {
                let character = self.escape()?;
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                bytes.push(byte);
            }
        }
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The character of an escape whose backslash is passed.
    fn escape(&mut self) -> Result<char, BodyError> {
        let byte = *self.text.get(self.at).ok_or_else(|| self.error())?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\'' | b'\\' | b'/' => byte as char,
            b'b' => '\u{8}',
            b'f' | b'F' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'v' => '\u{b}',
            b'0'..=b'7' => (byte - b'0') as char,
            b'x' => self.hex(2).and_then(char::from_u32).ok_or_else(|| self.error())?,
            b'u' => {
                let unit = self.hex(4).ok_or_else(|| self.error())?;
                self.character(unit)
            }
            _ => return Err(self.error()),
        })
    }

    /// The character of a UTF-16 unit, with its second half if that follows; half a pair alone is replaced.
    fn character(&mut self, unit: u32) -> char {
        if (0xD800..0xDC00).contains(&unit) && self.text.get(self.at..self.at + 2) == Some(b"\\u") {
            let back = self.at;
            self.at += 2;
            match self.hex(4) {
                Some(low) if (0xDC00..0xE000).contains(&low) => {
                    let pair = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                    return char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER);
                }
                _ => self.at = back,
            }
        }
        char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self, len: usize) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + len)?;
        let value =
            digits.iter().try_fold(0, |value, digit| Some(value << 4 | (*digit as char).to_digit(16)?))?;
        self.at += len;
        Some(value)
    }

    fn peek(&mut self) -> Result<u8, BodyError> {
        self.skip_white();
        self.text.get(self.at).copied().ok_or_else(|| self.error())
    }

    fn skip_white(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t' | 0x0B | 0x0C) = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn error(&self) -> BodyError {
        BodyError::Syntax { at: self.at }
    }
}
