//! From the line to the socket: by the connection's task, or by the thread that ends a burst.
//!
//! Whoever holds `Writing` writes; the line is locked only for the moment in which its bytes are taken.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use tokio::net::tcp::OwnedWriteHalf;

use super::{Connection, Phase, Standing};
use crate::outbound::{Batch, SLICES_MAX};

/// Bytes that left the line and are offered to the socket. Whoever holds this writes.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) batch: Batch,
    /// Gone once the connection has ended, so that handles that somebody keeps hold no socket open.
    pub(super) socket: Option<OwnedWriteHalf>,
    /// Whether the socket took anything since the task asked last.
    pub(super) wrote: bool,
}

/// How an attempt to write ended.
#[derive(Debug)]
pub(crate) enum Flush {
    /// Nothing is queued.
    Empty(Standing),
    /// The socket takes nothing more for now.
    Full(Standing),
    /// The socket is broken.
    Failed(io::Error),
}

impl Connection {
    /// Writes until nothing is queued or the socket is full. The task's own way.
    pub(crate) fn flush(&self) -> Flush {
        let line = self.line.lock();
        // The task asks at every turn, and mostly a burst has written already.
        if line.batch.is_empty() && line.writing == 0 {
            return Flush::Empty(Standing { phase: line.phase, queued: 0, unanswered: line.unanswered });
        }
        drop(line);
        self.flush_held(&mut self.writing.lock())
    }

    /// The end of a burst: writes what it queued, unless the task is about to, or has to know.
    pub(crate) fn end_burst(&self) {
        let mut line = self.line.lock();
        line.in_burst = false;
        if !line.wake_wanted {
            return;
        }
        if line.phase == Phase::Open && !line.paused {
            drop(line);
            if let Some(mut writing) = self.writing.try_lock()
                && matches!(self.flush_held(&mut writing), Flush::Empty(_))
            {
                return;
            }
            line = self.line.lock();
        }
        line.wake_wanted = false;
        let waker = line.waker.clone();
        drop(line);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn flush_held(&self, writing: &mut Writing) -> Flush {
        let Some(socket) = &writing.socket else { return Flush::Failed(io::ErrorKind::NotConnected.into()) };
        loop {
            if writing.batch.is_empty() {
                writing.batch.clear();
                let (some, standing) = self.take(&mut writing.batch);
                if !some {
                    return Flush::Empty(standing);
                }
            }
            match write_once(socket, &mut writing.batch) {
                Ok(0) => return Flush::Failed(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    writing.batch.advance(count);
                    writing.wrote = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Flush::Full(self.note_unwritten(writing.batch.len()));
                }
                Err(error) => return Flush::Failed(error),
            }
        }
    }

    /// Ready when the socket takes bytes again.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.writing.lock().socket {
            Some(socket) => socket.as_ref().poll_write_ready(cx),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Whether the socket took anything since this was asked last.
    pub(crate) fn take_wrote(&self) -> bool {
        std::mem::take(&mut self.writing.lock().wrote)
    }

    /// Moves all that is queued into `writing`, which must be empty; `false` if nothing is queued.
    fn take(&self, writing: &mut Batch) -> (bool, Standing) {
        let mut line = self.line.lock();
        std::mem::swap(&mut line.batch, writing);
        line.writing = writing.len();
        let standing = Standing { phase: line.phase, queued: line.writing, unanswered: line.unanswered };
        (standing.queued > 0, standing)
    }

    /// Notes what the socket left of the bytes taken.
    fn note_unwritten(&self, writing: usize) -> Standing {
        let mut line = self.line.lock();
        line.writing = writing;
        Standing { phase: line.phase, queued: line.batch.len() + writing, unanswered: line.unanswered }
    }
}

/// Offers the socket what leaves next.
fn write_once(socket: &OwnedWriteHalf, batch: &mut Batch) -> io::Result<usize> {
    if let Some(bytes) = batch.contiguous() {
        return socket.try_write(bytes);
    }
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let filled = batch.slices(&mut slices);
    socket.try_write_vectored(&slices[..filled])
}
