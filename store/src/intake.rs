//! What waits for the append thread: bounded in count and bytes, taken all at once.

use std::time::Instant;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use crate::error::StoreError;
use crate::put::Put;

/// Learns where the log ends after raw bytes were stored.
pub(crate) type RawDone = Box<dyn FnOnce(Result<u64, StoreError>) + Send>;

/// Something to append.
pub(crate) enum Work {
    /// Messages that get their places here.
    Put { put: Put, began: Instant },
    /// Bytes that have their place already.
    Raw { position: u64, parts: Vec<Bytes>, done: RawDone },
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Self::Put { put, .. } => put.records.len(),
            Self::Raw { parts, .. } => parts.iter().map(Bytes::len).sum(),
        }
    }

    /// Answers it with an error.
    pub(crate) fn refuse(self, error: StoreError) {
        match self {
            Self::Put { put, .. } => (put.done)(Err(error)),
            Self::Raw { done, .. } => done(Err(error)),
        }
    }
}

/// The queue before the append thread.
pub(crate) struct Intake {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    count_max: usize,
    bytes_max: usize,
}

#[derive(Default)]
struct Waiting {
    work: Vec<Work>,
    bytes: usize,
    is_closed: bool,
    is_taker_asleep: bool,
}

impl Intake {
    pub(crate) fn new(count_max: usize, bytes_max: usize) -> Self {
        Self { waiting: Mutex::default(), arrived: Condvar::new(), count_max, bytes_max }
    }

    /// Queues work, or gives it back with the reason.
    pub(crate) fn push(&self, work: Work) -> Result<(), (StoreError, Work)> {
        let mut waiting = self.waiting.lock();
        if waiting.is_closed {
            return Err((StoreError::ShuttingDown, work));
        }
        let (count, bytes) = (waiting.work.len(), waiting.bytes);
        // Whatever its size, work that finds the queue empty is taken.
        if count >= self.count_max || (count > 0 && bytes + work.bytes() > self.bytes_max) {
            return Err((StoreError::Busy { puts: count, bytes }, work));
        }
        waiting.bytes += work.bytes();
        waiting.work.push(work);
        let wake = std::mem::take(&mut waiting.is_taker_asleep);
        drop(waiting);
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits for work and takes all of it into `work`, which is empty; false when there will be no more.
    pub(crate) fn take(&self, work: &mut Vec<Work>) -> bool {
        let mut waiting = self.waiting.lock();
        while waiting.work.is_empty() {
            if waiting.is_closed {
                return false;
            }
            waiting.is_taker_asleep = true;
            self.arrived.wait(&mut waiting);
        }
        waiting.bytes = 0;
        std::mem::swap(work, &mut waiting.work);
        true
    }

    /// Refuses new work; what waits is still taken.
    pub(crate) fn close(&self) {
        self.waiting.lock().is_closed = true;
        self.arrived.notify_one();
    }

    /// Refuses new work and gives back what waits.
    pub(crate) fn abandon(&self) -> Vec<Work> {
        let mut waiting = self.waiting.lock();
        waiting.is_closed = true;
        let work = std::mem::take(&mut waiting.work);
        drop(waiting);
        self.arrived.notify_one();
        work
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.lock().work.len()
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Intake")
    }
}
