//! Bytes on their way to one socket: filled by any thread under the connection's lock, emptied by its task.
//!
//! A batch is one contiguous buffer of encoded bytes with foreign slices (message bodies, slices of mapped
//! segments) in between. A batch of small replies is therefore one plain buffer and leaves in one `send`; slices
//! are never copied and leave in one `sendmsg`. Two batches swap roles, so their memory is allocated once.

use std::io::IoSlice;

use bytes::{Bytes, BytesMut};
use protocol::{RemotingCommand, frame};

/// Bodies up to this length are copied behind their header: cheaper than a slice of their own.
const COPY_BYTES_MAX: usize = 2048;

/// Slices that go into one system call; Linux takes 1024, and the gain ends long before.
pub(crate) const SLICES_MAX: usize = 64;

/// Memory above this is given back once a batch has left.
const KEEP_BYTES_MAX: usize = 256 * 1024;

/// One piece in sending order.
#[derive(Debug)]
enum Piece {
    /// The next so many bytes of `encoded`.
    Encoded(usize),
    /// Bytes that live elsewhere.
    Slice(Bytes),
}

/// Replies and requests in sending order.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    encoded: BytesMut,
    /// Empty while everything is in `encoded`.
    pieces: Vec<Piece>,
    /// Bytes of `encoded` that belong to no piece yet start here.
    encoded_pieced: usize,
    /// Bytes of slices that were added.
    slice_bytes: usize,
    /// Bytes that left already.
    written: usize,
    /// The first piece that has not left entirely, what of it left, and where its encoded bytes begin.
    at: Position,
}

#[derive(Debug, Default, Clone, Copy)]
struct Position {
    piece: usize,
    within: usize,
    encoded: usize,
}

impl Batch {
    /// Bytes that are still to leave.
    pub(crate) fn len(&self) -> usize {
        self.encoded.len() + self.slice_bytes - self.written
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a command.
    pub(crate) fn push(&mut self, command: &RemotingCommand) {
        if command.body.len() <= COPY_BYTES_MAX {
            frame::encode(command, &mut self.encoded);
            return;
        }
        if frame::encode_head(command, command.body.len(), &mut self.encoded) {
            self.push_slice(command.body.clone());
        }
    }

    /// Appends what `encode` writes.
    pub(crate) fn push_encoded(&mut self, encode: impl FnOnce(&mut BytesMut)) {
        encode(&mut self.encoded);
    }

    /// Appends an encoded head and the slices of its body.
    pub(crate) fn push_slices(&mut self, head: &[u8], body: impl IntoIterator<Item = Bytes>) {
        self.encoded.extend_from_slice(head);
        for slice in body {
            self.push_slice(slice);
        }
    }

    fn push_slice(&mut self, slice: Bytes) {
        if slice.is_empty() {
            return;
        }
        self.close_encoded();
        self.slice_bytes += slice.len();
        self.pieces.push(Piece::Slice(slice));
    }

    fn close_encoded(&mut self) {
        let open = self.encoded.len() - self.encoded_pieced;
        if open > 0 {
            self.pieces.push(Piece::Encoded(open));
            self.encoded_pieced = self.encoded.len();
        }
    }

    /// The whole rest as one buffer, if it is one.
    pub(crate) fn contiguous(&self) -> Option<&[u8]> {
        self.pieces.is_empty().then(|| &self.encoded[self.written..])
    }

    /// Fills `slices` with what leaves next; returns how many were filled.
    pub(crate) fn slices<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize {
        self.close_encoded();
        let mut position = self.at;
        let mut filled = 0;
        for piece in &self.pieces[self.at.piece..] {
            let Some(slot) = slices.get_mut(filled) else { break };
            *slot = match piece {
                Piece::Encoded(len) => {
                    let start = position.encoded + position.within;
                    let end = position.encoded + len;
                    position.encoded = end;
                    IoSlice::new(&self.encoded[start..end])
                }
                Piece::Slice(bytes) => IoSlice::new(&bytes[position.within..]),
            };
            position.within = 0;
            filled += 1;
        }
        filled
    }

    /// Notes that `count` bytes left; foreign slices are let go as soon as they have left entirely.
    pub(crate) fn advance(&mut self, mut count: usize) {
        self.written += count;
        assert!(self.written <= self.encoded.len() + self.slice_bytes, "more bytes left than there were");
        while let Some(piece) = self.pieces.get_mut(self.at.piece) {
            let left = match piece {
                Piece::Encoded(len) => *len,
                Piece::Slice(bytes) => bytes.len(),
            } - self.at.within;
            if count < left {
                self.at.within += count;
                return;
            }
            count -= left;
            match piece {
                Piece::Encoded(len) => self.at.encoded += *len,
                // Its length is not needed any more, and the memory may be a whole read buffer.
                Piece::Slice(bytes) => *bytes = Bytes::new(),
            }
            self.at.piece += 1;
            self.at.within = 0;
        }
    }

    /// Empties the batch and keeps its memory, unless that grew far beyond the usual.
    pub(crate) fn clear(&mut self) {
        if self.encoded.capacity() > KEEP_BYTES_MAX {
            self.encoded = BytesMut::new();
        }
        self.encoded.clear();
        self.pieces.clear();
        self.encoded_pieced = 0;
        self.slice_bytes = 0;
        self.written = 0;
        self.at = Position::default();
    }

    /// Gives the memory back: the connection has been quiet.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }
}
