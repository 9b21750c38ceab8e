//! Bytes of frames that are not whole yet, of all connections of the process together.
//!
//! One connection is bounded by the largest frame; ten thousand that each send all but the last byte of one would still be
//! more than any machine has. Small buffers are not counted: every connection may have one.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A connection's buffer up to here is its own affair.
const FREE_BYTES: usize = 1 << 20;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// What one connection holds; given back when it ends.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    bytes: usize,
}

impl Unfinished {
    /// Notes what the connection's buffer holds now; false when all of them together hold more than `held_max`.
    pub(crate) fn note(&mut self, buffered: usize, held_max: usize) -> bool {
        let bytes = if buffered > FREE_BYTES { buffered } else { 0 };
        if bytes == self.bytes {
            return true;
        }
        let is_more = bytes > self.bytes;
        let held = if is_more {
            HELD.fetch_add(bytes - self.bytes, Ordering::Relaxed) + bytes - self.bytes
        } else {
            HELD.fetch_sub(self.bytes - bytes, Ordering::Relaxed)
        };
        self.bytes = bytes;
        !is_more || held <= held_max
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        HELD.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted_together_and_given_back() {
        const MIB: usize = 1 << 20;
        let (mut one, mut two) = (Unfinished::default(), Unfinished::default());
        assert!(one.note(MIB, 0), "a small buffer is not counted");
        assert!(one.note(3 * MIB, 5 * MIB));
        assert!(!two.note(3 * MIB, 5 * MIB), "together they are too many");
        drop(two);
        let mut three = Unfinished::default();
        assert!(three.note(2 * MIB, 5 * MIB));
        assert!(one.note(10, 0), "less is never too much");
        assert!(three.note(5 * MIB, 5 * MIB));
    }
}
