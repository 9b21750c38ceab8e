//! Bytes on their way in: one buffer, read into its end, frames taken off its front without a copy.
//!
//! A frame that somebody keeps pins the chunk it lies in, so chunks are small while little comes (4 KiB) and grow
//! while reads fill them (to 128 KiB). When nobody kept a frame, the same chunk is used again from its start. A
//! large frame gets room as its bytes come, so that a claim alone costs nothing.

use bytes::BytesMut;
use protocol::error::FrameError;
use protocol::{RemotingCommand, frame};

const CHUNK_MIN: usize = 4 * 1024;
const CHUNK_MAX: usize = 128 * 1024;

/// The frame's own length word.
const LENGTH_BYTES: usize = 4;

#[derive(Debug)]
pub(crate) struct Inbound {
    buffer: BytesMut,
    chunk: usize,
    /// Room that the last `room` offered.
    offered: usize,
    /// The largest read since the last `calm`.
    read_max: usize,
}

impl Inbound {
    pub(crate) fn new() -> Self {
        Self { buffer: BytesMut::new(), chunk: CHUNK_MIN, offered: 0, read_max: 0 }
    }

    /// The buffer with room at its end.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        if self.buffer.is_empty() {
            // Nobody kept a frame: the chunk starts over. Otherwise its rest is used as long as it is worth a call.
            if !self.buffer.try_reclaim(self.chunk) && self.buffer.capacity() < self.chunk / 2 {
                self.buffer = BytesMut::with_capacity(self.chunk);
            }
        } else {
            let missing = self.missing();
            let spare = self.buffer.capacity() - self.buffer.len();
            if spare < missing {
                self.buffer.reserve(missing.min(self.buffer.len().max(self.chunk)));
            }
        }
        self.offered = self.buffer.capacity() - self.buffer.len();
        &mut self.buffer
    }

    /// Bytes that the frame at the front still lacks, at least one.
    fn missing(&self) -> usize {
        let Some(word) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return self.chunk };
        let claimed = usize::try_from(u32::from_be_bytes(*word)).unwrap_or(usize::MAX);
        claimed.saturating_add(LENGTH_BYTES).saturating_sub(self.buffer.len()).max(1)
    }

    /// Notes that a read brought `count` bytes.
    pub(crate) fn note_read(&mut self, count: usize) {
        self.read_max = self.read_max.max(count);
        if count >= self.offered {
            self.chunk = (self.chunk * 2).min(CHUNK_MAX);
        }
    }

    /// Bytes that wait for the rest of their frame.
    pub(crate) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The next whole frame.
    pub(crate) fn next(&mut self) -> Result<Option<RemotingCommand>, FrameError> {
        if self.buffer.len() < LENGTH_BYTES { Ok(None) } else { frame::decode(&mut self.buffer) }
    }

    /// Called now and then: shrinks what the last while did not need.
    pub(crate) fn calm(&mut self) {
        if self.read_max < self.chunk / 4 {
            self.chunk = (self.chunk / 2).max(CHUNK_MIN);
        }
        if self.buffer.is_empty() && (self.read_max == 0 || self.buffer.capacity() > CHUNK_MAX) {
            self.buffer = BytesMut::new();
        }
        self.read_max = 0;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protocol::RequestCode;

    use super::*;

    fn encoded(body_bytes: usize) -> Vec<u8> {
        let mut out = BytesMut::new();
        let body = Bytes::from(vec![7; body_bytes]);
        frame::encode(&RemotingCommand::request(RequestCode::SendMessageV2).with_body(body), &mut out);
        out.to_vec()
    }

    /// Feeds bytes as a socket would, as many as there is room for.
    fn feed(inbound: &mut Inbound, mut bytes: &[u8]) -> Vec<RemotingCommand> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let room = inbound.room();
            let count = (room.capacity() - room.len()).min(bytes.len());
            assert!(count > 0, "there is always room for something");
            room.extend_from_slice(&bytes[..count]);
            inbound.note_read(count);
            bytes = &bytes[count..];
            while let Some(frame) = inbound.next().unwrap() {
                frames.push(frame);
            }
        }
        frames
    }

    #[test]
    fn frames_come_out_whole_however_they_are_cut() {
        let mut bytes = Vec::new();
        for size in [0, 1, 300, 5_000, 200_000, 3] {
            bytes.extend(encoded(size));
        }
        for cut in [1, 3, 7, 64, 4096, 1 << 20] {
            let mut inbound = Inbound::new();
            let frames: Vec<_> = bytes.chunks(cut).flat_map(|part| feed(&mut inbound, part)).collect();
            let sizes: Vec<_> = frames.iter().map(|frame| frame.body.len()).collect();
            assert_eq!(sizes, [0, 1, 300, 5_000, 200_000, 3]);
        }
    }

    #[test]
    fn one_chunk_serves_all_frames_that_nobody_keeps() {
        let mut inbound = Inbound::new();
        feed(&mut inbound, &encoded(100));
        let start = inbound.room().as_ptr();
        for _ in 0..1000 {
            feed(&mut inbound, &encoded(1024));
            assert_eq!(inbound.room().as_ptr(), start);
        }
    }

    #[test]
    fn a_kept_small_frame_pins_no_more_than_a_small_chunk() {
        let mut inbound = Inbound::new();
        for _ in 0..100 {
            let kept = feed(&mut inbound, &encoded(10));
            assert!(inbound.room().capacity() <= CHUNK_MIN);
            drop(kept);
        }
    }

    #[test]
    fn a_claim_of_sixteen_mebibytes_takes_no_memory_before_its_bytes_come() {
        let mut inbound = Inbound::new();
        feed(&mut inbound, &[0, 0xFF, 0xFF, 0xF0]);
        assert!(inbound.room().capacity() <= 2 * CHUNK_MAX);
    }

    #[test]
    fn a_quiet_connection_holds_no_buffer() {
        let mut inbound = Inbound::new();
        feed(&mut inbound, &encoded(2_000_000));
        for _ in 0..8 {
            inbound.calm();
        }
        assert_eq!((inbound.buffer.capacity(), inbound.chunk), (0, CHUNK_MIN));
    }
}
