//! What waits to be appended: bounded in count and bytes, taken all at once together with the pen.
//!
//! Always true: there is one pen, and who holds it appends; it comes back only when nothing waits, or somebody was woken who
//! will take it. So whoever finds it gone may leave its work and go on. `appender` is the pen.

use std::time::Instant;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};

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

/// Who fetches work that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// The append thread; it is woken.
    ByThread,
    /// Who pushed it, soon.
    ByPusher,
}

/// The queue before the pen.
pub(crate) struct Intake<P> {
    waiting: Mutex<Waiting<P>>,
    arrived: Condvar,
    count_max: usize,
    bytes_max: usize,
}

struct Waiting<P> {
    work: Vec<Work>,
    bytes: usize,
    is_closed: bool,
    is_taker_asleep: bool,
    /// Gone while somebody appends.
    pen: Option<Box<P>>,
    /// The memory of work that was done.
    spare: Vec<Work>,
}

impl<P> Waiting<P> {
    fn take(&mut self) -> Option<Taken<P>> {
        if self.work.is_empty() {
            return None;
        }
        let pen = self.pen.take()?;
        self.bytes = 0;
        Some(Taken { pen, work: std::mem::replace(&mut self.work, std::mem::take(&mut self.spare)) })
    }
}

/// Work, and the pen to do it with.
pub(crate) struct Taken<P> {
    pub(crate) pen: Box<P>,
    pub(crate) work: Vec<Work>,
}

impl<P> Intake<P> {
    pub(crate) fn new(pen: P, count_max: usize, bytes_max: usize) -> Self {
        let waiting = Waiting {
            work: Vec::new(),
            bytes: 0,
            is_closed: false,
            is_taker_asleep: false,
            pen: Some(Box::new(pen)),
            spare: Vec::new(),
        };
        Self { waiting: Mutex::new(waiting), arrived: Condvar::new(), count_max, bytes_max }
    }

    /// Queues work, or gives it back with the reason.
    pub(crate) fn push(&self, work: Work, fetched: Fetched) -> Result<(), (StoreError, Work)> {
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
        if fetched == Fetched::ByThread {
            self.wake(waiting);
        }
        Ok(())
    }

    /// Waits for work and takes all of it; nothing when there will be no more.
    pub(crate) fn take(&self) -> Option<Taken<P>> {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(taken) = waiting.take() {
                return Some(taken);
            }
            if waiting.is_closed && waiting.work.is_empty() && waiting.pen.is_some() {
                return None;
            }
            waiting.is_taker_asleep = true;
            self.arrived.wait(&mut waiting);
            waiting.is_taker_asleep = false;
        }
    }

    /// Takes all that waits, unless somebody has the pen: who has it looks again before it comes back.
    pub(crate) fn try_take(&self) -> Option<Taken<P>> {
        self.waiting.lock().take()
    }

    /// Gives the pen back after the work was done, or takes it again for what came meanwhile. Who does not go on leaves that to
    /// the append thread.
    pub(crate) fn give_back(&self, mut done: Taken<P>, goes_on: bool) -> Option<Taken<P>> {
        done.work.clear();
        let mut waiting = self.waiting.lock();
        waiting.pen = Some(done.pen);
        waiting.spare = done.work;
        if goes_on && let Some(more) = waiting.take() {
            return Some(more);
        }
        if !waiting.work.is_empty() || waiting.is_closed {
            self.wake(waiting);
        }
        None
    }

    /// Wakes the append thread for work that waits although nobody appends.
    pub(crate) fn rouse(&self) {
        let waiting = self.waiting.lock();
        if !waiting.work.is_empty() {
            self.wake(waiting);
        }
    }

    /// Refuses new work; what waits is still taken.
    pub(crate) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.is_closed = true;
        self.wake(waiting);
    }

    /// Refuses new work and gives back what waits.
    pub(crate) fn abandon(&self) -> Vec<Work> {
        let mut waiting = self.waiting.lock();
        waiting.is_closed = true;
        let work = std::mem::take(&mut waiting.work);
        self.wake(waiting);
        work
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.lock().work.len()
    }

    /// Wakes the append thread, if it sleeps and there is a pen for it.
    fn wake(&self, mut waiting: MutexGuard<'_, Waiting<P>>) {
        if waiting.pen.is_some() && std::mem::take(&mut waiting.is_taker_asleep) {
            drop(waiting);
            self.arrived.notify_one();
        }
    }
}

impl<P> std::fmt::Debug for Intake<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Intake")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn work(number: u64) -> Work {
        Work::Raw { position: number, parts: vec![Bytes::from_static(b"x")], done: Box::new(|_| {}) }
    }

    fn positions(taken: &Taken<()>) -> Vec<u64> {
        let position = |work: &Work| match work {
            Work::Raw { position, .. } => *position,
            Work::Put { .. } => unreachable!("the test puts nothing"),
        };
        taken.work.iter().map(position).collect()
    }

    fn intake() -> Intake<()> {
        Intake::new((), 100, 100)
    }

    #[test]
    fn who_holds_the_pen_finds_what_came_meanwhile() {
        let intake = intake();
        assert!(intake.try_take().is_none(), "nothing waits");
        assert!(intake.push(work(1), Fetched::ByPusher).is_ok());
        let first = intake.try_take().expect("work and the pen");
        assert!(intake.push(work(2), Fetched::ByPusher).is_ok());
        assert!(intake.push(work(3), Fetched::ByThread).is_ok());
        assert!(intake.try_take().is_none(), "the pen is gone");
        let second = intake.give_back(first, true).expect("what came meanwhile");
        assert_eq!(positions(&second), [2, 3]);
        assert!(intake.give_back(second, true).is_none());
        assert_eq!(intake.len(), 0);
    }

    #[test]
    fn the_append_thread_goes_on_where_another_stopped() {
        let intake = Arc::new(intake());
        assert!(intake.push(work(1), Fetched::ByPusher).is_ok());
        let first = intake.try_take().expect("work and the pen");
        let appender = std::thread::spawn({
            let intake = Arc::clone(&intake);
            move || {
                let taken = intake.take().expect("what was left");
                let left = positions(&taken);
                assert!(intake.give_back(taken, true).is_none());
                assert!(intake.take().is_none(), "closed and empty");
                left
            }
        });
        assert!(intake.push(work(2), Fetched::ByPusher).is_ok());
        assert!(intake.give_back(first, false).is_none());
        intake.close();
        assert_eq!(appender.join().unwrap(), [2]);
        assert!(matches!(intake.push(work(3), Fetched::ByPusher), Err((StoreError::ShuttingDown, _))));
    }

    #[test]
    fn a_close_waits_for_the_pen() {
        let intake = Arc::new(intake());
        assert!(intake.push(work(1), Fetched::ByPusher).is_ok());
        let held = intake.try_take().expect("work and the pen");
        intake.close();
        let appender = std::thread::spawn({
            let intake = Arc::clone(&intake);
            move || intake.take().is_none()
        });
        assert!(intake.give_back(held, true).is_none());
        assert!(appender.join().unwrap());
    }

    #[test]
    fn work_that_its_pusher_forgot_is_found() {
        let intake = Arc::new(intake());
        let appender = std::thread::spawn({
            let intake = Arc::clone(&intake);
            move || positions(&intake.take().expect("the work"))
        });
        assert!(intake.push(work(1), Fetched::ByPusher).is_ok());
        intake.rouse();
        assert_eq!(appender.join().unwrap(), [1]);
    }
}
