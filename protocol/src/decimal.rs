//! Integers as decimal text and back, without a formatter: every header of the hot path has a handful of them.

/// The decimal text of one integer, on the stack.
pub(crate) struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    /// Writes the digits of `value`.
    pub(crate) fn new(value: i64) -> Self {
        let mut digits = [0u8; 20];
        let mut start = digits.len();
        let mut left = value.unsigned_abs();
        loop {
            start -= 1;
            digits[start] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        if value < 0 {
            start -= 1;
            digits[start] = b'-';
        }
        Self { digits, start }
    }

    /// The text as bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("digits are ASCII")
    }
}

/// Reads a decimal integer with an optional sign; `None` when there is anything else, or when it does not fit.
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Counted downwards, because the negative range is one larger.
        value = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_integer_survives_the_way_to_text_and_back() {
        for value in [0, 1, -1, 9, 10, 99, -100, 1_700_000_000_000, i64::MAX, i64::MIN, i64::MIN + 1] {
            let text = Decimal::new(value);
            assert_eq!(text.as_str(), value.to_string());
            assert_eq!(parse_i64(text.as_bytes()), Some(value));
        }
    }

    #[test]
    fn what_is_no_integer_is_none() {
        for text in ["", "-", "+", "1.0", " 1", "9223372036854775808", "-9223372036854775809", "abc", "0x1"] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_i64(b"+7"), Some(7));
        assert_eq!(parse_i64(b"007"), Some(7));
    }
}
