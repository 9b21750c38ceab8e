//! The body of a test message: a value, and padding that follows from it, so that a body in which
//! anything changed is not understood.

use crate::schedule::Dice;

/// Tells a test body from anything else.
const MARK: &[u8; 8] = b"trireme\x01";

/// Bytes of the smallest body: the mark, the value, and eight that must follow from it.
pub const BYTES_MIN: usize = 24;

/// The body of a value.
pub fn encode(value: u64, bytes: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(bytes.max(BYTES_MIN));
    body.extend_from_slice(MARK);
    body.extend_from_slice(&value.to_be_bytes());
    let mut dice = Dice::new(value);
    while body.len() < bytes {
        let piece = dice.roll().to_be_bytes();
        let room = (bytes - body.len()).min(piece.len());
        body.extend_from_slice(&piece[..room]);
    }
    body
}

/// The value of a body, if every byte of it is as it was sent.
pub fn value(body: &[u8]) -> Option<u64> {
    let value = u64::from_be_bytes(body.get(8..16)?.try_into().ok()?);
    (body.len() >= BYTES_MIN && encode(value, body.len()) == body).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_understood_only_whole() {
        for bytes in [BYTES_MIN, 25, 100, 1_024] {
            let body = encode(7, bytes);
            assert_eq!(body.len(), bytes);
            assert_eq!(value(&body), Some(7));
            for at in [0, 10, bytes - 1] {
                let mut changed = body.clone();
                changed[at] ^= 1;
                assert_eq!(value(&changed), None, "byte {at} of {bytes}");
            }
        }
        assert_eq!(value(b""), None);
        assert_eq!(value(b"hello"), None);
    }
}
