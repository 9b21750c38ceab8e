//! Bodies that say which run they belong to and which message of it they are, and show when they are damaged. Pure.

use bytes::{BufMut, Bytes, BytesMut};

/// Run and number.
pub(crate) const BYTES_MIN: usize = 16;

/// Which message a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// This message of our run.
    Ours(u64),
    /// Of another run on the same store.
    Foreign,
    /// Of our run, but not as it was sent.
    Damaged,
}

/// The body of one message.
pub(crate) fn make(run: u64, number: u64, size: usize) -> Bytes {
    let size = size.max(BYTES_MIN);
    let mut body = BytesMut::with_capacity(size);
    body.put_u64(run);
    body.put_u64(number);
    body.resize(size, filler(number));
    body.freeze()
}

/// Reads a body of a run with `count` messages of this size.
pub(crate) fn read(body: &[u8], run: u64, count: u64, size: usize) -> Known {
    let word = |at: usize| body.get(at..at + 8).and_then(|word| word.try_into().ok()).map(u64::from_be_bytes);
    let (Some(its_run), Some(number)) = (word(0), word(8)) else { return Known::Foreign };
    if its_run != run {
        return Known::Foreign;
    }
    let is_whole = body.len() == size.max(BYTES_MIN)
        && number < count
        && body[BYTES_MIN..].iter().all(|byte| *byte == filler(number));
    if is_whole { Known::Ours(number) } else { Known::Damaged }
}

fn filler(number: u64) -> u8 {
    number.to_be_bytes()[7] | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_known_and_every_damage_is_seen() {
        for size in [0, 16, 17, 1024] {
            let body = make(7, 300, size);
            assert_eq!(read(&body, 7, 301, size), Known::Ours(300));
            assert_eq!(read(&body, 8, 301, size), Known::Foreign);
            assert_eq!(read(&body, 7, 300, size), Known::Damaged, "no such number");
            assert_eq!(read(&[&body[..], b"x"].concat(), 7, 301, size), Known::Damaged);
        }
        let mut body = make(7, 300, 1024).to_vec();
        body[1023] ^= 1;
        assert_eq!(read(&body, 7, 301, 1024), Known::Damaged);
        assert_eq!(read(b"short", 7, 1, 1024), Known::Foreign);
    }
}
