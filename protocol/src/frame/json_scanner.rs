//! One pass over a JSON header: gives out where texts begin and end, unescaped in place.
//!
//! The bytes are valid UTF-8 before and after. Values nobody asked for are skipped, nested ones too, without recursion.

use crate::error::FrameError;

/// Where a text is: start and length.
pub(super) type Range = (usize, usize);

/// One scalar value, or the fact that there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scanned {
    /// A string, without its quotes and unescaped.
    Text(Range),
    /// A number, `true` or `false`, as written.
    Bare(Range),
    /// `null`.
    Null,
    /// An object or array, skipped.
    Nested,
}

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
const QUOTES: u64 = LOW_BITS * b'"' as u64;
const BACKSLASHES: u64 = LOW_BITS * b'\\' as u64;

/// The high bit of every byte that is zero; the lowest bit set is right, those above it may not be.
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(LOW_BITS) & !word & HIGH_BITS
}

/// The cursor.
pub(super) struct Scanner<'a> {
    bytes: &'a mut [u8],
    at: usize,
    /// Whether a member has been read in the object that is open.
    first: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, at: 0, first: true }
    }

    /// The position, for errors.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The bytes of a range.
    pub(super) fn slice(&self, (start, len): Range) -> &[u8] {
        &self.bytes[start..start + len]
    }

    /// Enters an object.
    pub(super) fn open_object(&mut self) -> Result<(), FrameError> {
        if self.try_open_object()? { Ok(()) } else { Err(self.error()) }
    }

    /// Enters an object if there is one.
    pub(super) fn try_open_object(&mut self) -> Result<bool, FrameError> {
        let opens = self.peek()? == b'{';
        if opens {
            self.at += 1;
            self.first = true;
        }
        Ok(opens)
    }

    /// The next key of the open object, its colon passed; `None` leaves the object.
    #[inline]
    pub(super) fn key(&mut self) -> Result<Option<Range>, FrameError> {
        let mut next = self.peek()?;
        if next == b'}' {
            self.at += 1;
            // The object around has this one as a member.
            self.first = false;
            return Ok(None);
        }
        if !std::mem::take(&mut self.first) {
            if next != b',' {
                return Err(self.error());
            }
            self.at += 1;
            next = self.peek()?;
        }
        if next != b'"' {
            return Err(self.error());
        }
        let key = self.text()?;
        if self.peek()? != b':' {
            return Err(self.error());
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// The next value.
    #[inline]
    pub(super) fn value(&mut self) -> Result<Scanned, FrameError> {
        let value = match self.peek()? {
            b'"' => Scanned::Text(self.text()?),
            b'{' | b'[' => {
                self.skip_nested()?;
                Scanned::Nested
            }
            b'-' | b'+' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                let bare = self.bare();
                if self.slice(bare) == b"null" { Scanned::Null } else { Scanned::Bare(bare) }
            }
            _ => return Err(self.error()),
        };
        Ok(value)
    }

    /// Nothing but white space may follow the header object.
    pub(super) fn end(&mut self) -> Result<(), FrameError> {
        self.skip_white();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.error()) }
    }

    fn bare(&mut self) -> Range {
        let start = self.at;
        while let Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') = self.bytes.get(self.at)
        {
            self.at += 1;
        }
        (start, self.at - start)
    }

    /// Reads a string whose opening quote is next.
    #[inline]
    fn text(&mut self) -> Result<Range, FrameError> {
        let start = self.at + 1;
        let end = self.text_end(start)?;
        if self.bytes[end] == b'\\' {
            return self.text_with_escapes(start, end);
        }
        self.at = end + 1;
        Ok((start, end - start))
    }

    /// Goes on at the first backslash: `write` follows `read` and never overtakes it.
    fn text_with_escapes(&mut self, start: usize, first: usize) -> Result<Range, FrameError> {
        let (mut read, mut write) = (first, first);
        loop {
            if self.bytes[read] == b'"' {
                self.at = read + 1;
                return Ok((start, write - start));
            }
            let (character, len) = self.escape(read)?;
            write += character.encode_utf8(&mut self.bytes[write..read + len]).len();
            read += len;
            let end = self.text_end(read)?;
            self.bytes.copy_within(read..end, write);
            write += end - read;
            read = end;
        }
    }

    /// Where the next quote or backslash is, eight bytes at a time.
    #[inline]
    fn text_end(&self, from: usize) -> Result<usize, FrameError> {
        let mut left = self.bytes.get(from..).unwrap_or_default();
        while let Some((chunk, rest)) = left.split_first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            let found = zero_bytes(word ^ QUOTES) | zero_bytes(word ^ BACKSLASHES);
            if found != 0 {
                return Ok(self.bytes.len() - left.len() + found.trailing_zeros() as usize / 8);
            }
            left = rest;
        }
        let end = left.iter().position(|byte| matches!(byte, b'"' | b'\\'));
        end.map(|end| self.bytes.len() - left.len() + end).ok_or(FrameError::Json { at: self.bytes.len() })
    }

    /// The character of the escape at `at`, and how many bytes the escape has.
    fn escape(&self, at: usize) -> Result<(char, usize), FrameError> {
        let error = FrameError::Json { at };
        let simple = match self.bytes.get(at + 1).ok_or_else(|| error.clone())? {
            b'"' => '"',
            b'\'' => '\'',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(at).ok_or(error),
            _ => return Err(error),
        };
        Ok((simple, 2))
    }

    fn unicode_escape(&self, at: usize) -> Option<(char, usize)> {
        let unit = self.hex4(at + 2)?;
        if let Some(character) = char::from_u32(unit) {
            return Some((character, 6));
        }
        let is_pair = unit < 0xDC00 && self.bytes.get(at + 6..at + 8) == Some(b"\\u");
        if let Some(low) = is_pair.then(|| self.hex4(at + 8)).flatten()
            && (0xDC00..0xE000).contains(&low)
        {
            let pair = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
            return char::from_u32(pair).map(|character| (character, 12));
        }
        // Half a pair alone: Java keeps it in memory and cannot write it; we put the replacement character.
        Some((char::REPLACEMENT_CHARACTER, 6))
    }

    fn hex4(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 4)?;
        digits.iter().try_fold(0, |value, digit| Some(value << 4 | (*digit as char).to_digit(16)?))
    }

    /// Skips an object or array: counts brackets outside of strings.
    fn skip_nested(&mut self) -> Result<(), FrameError> {
        let mut depth = 0usize;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.text()?;
                    continue;
                }
                Some(b'{' | b'[') => depth += 1,
                Some(b'}' | b']') => depth -= 1,
                Some(_) => {}
                None => return Err(self.error()),
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }

    #[inline]
    fn peek(&mut self) -> Result<u8, FrameError> {
        // Most headers have no white space at all.
        match self.bytes.get(self.at) {
            Some(next) if *next > b' ' => Ok(*next),
            _ => self.peek_past_white(),
        }
    }

    #[cold]
    fn peek_past_white(&mut self) -> Result<u8, FrameError> {
        self.skip_white();
        self.bytes.get(self.at).copied().ok_or_else(|| self.error())
    }

    fn skip_white(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    #[cold]
    fn error(&self) -> FrameError {
        FrameError::Json { at: self.at }
    }
}
