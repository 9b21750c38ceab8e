//! One thread that makes a log durable for many waiters at once: who comes while a sync runs shares the next one.
//!
//! Always true: the callback sees rising positions, each after a sync that covered it; the first error is the last callback.
//! `store` completes SYNC_FLUSH sends from the callback, `raft-log` its appends.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::error::DiskError;

/// Syncs `from..to` of a log.
type SyncRange = Box<dyn FnMut(u64, u64) -> Result<(), DiskError> + Send>;
/// Hears the position up to which the log is durable, or the error that ended it.
type Synced = Box<dyn FnMut(Result<u64, DiskError>) + Send>;

/// The thread; stopped and joined when dropped, after a last sync of everything marked.
#[derive(Debug)]
pub struct GroupFlush {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the thread.
    work: Condvar,
    /// Wakes who waits for the thread to be idle.
    idle: Condvar,
}

#[derive(Debug)]
struct State {
    /// Written up to here.
    marked: u64,
    /// Somebody waits for this.
    requested: u64,
    /// Durable up to here.
    synced: u64,
    is_syncing: bool,
    is_failed: bool,
    is_stopping: bool,
}

impl GroupFlush {
    /// Starts the thread `name` for a log that is durable up to `from`. What is only marked is synced every `interval`.
    pub fn start(
        name: &str,
        from: u64,
        interval: Option<Duration>,
        sync: impl FnMut(u64, u64) -> Result<(), DiskError> + Send + 'static,
        synced: impl FnMut(Result<u64, DiskError>) + Send + 'static,
    ) -> Result<Self, DiskError> {
        let state = State {
            marked: from,
            requested: from,
            synced: from,
            is_syncing: false,
            is_failed: false,
            is_stopping: false,
        };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), work: Condvar::new(), idle: Condvar::new() });
        let (on_thread, sync, synced): (_, SyncRange, Synced) =
            (shared.clone(), Box::new(sync), Box::new(synced));
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&on_thread, interval, sync, synced))
            .map_err(|error| DiskError::io("start the flush thread", name.as_ref(), error))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Asks for a sync up to `position`, now; the callback tells when it happened.
    pub fn request(&self, position: u64) {
        let mut state = self.shared.state.lock();
        state.marked = state.marked.max(position);
        if position > state.requested {
            state.requested = position;
            // While the thread syncs it looks again by itself.
            if !state.is_syncing {
                self.shared.work.notify_one();
            }
        }
    }

    /// Notes that the log was written up to `position`; it is synced with the next request or after the interval.
    pub fn mark(&self, position: u64) {
        let mut state = self.shared.state.lock();
        state.marked = state.marked.max(position);
    }

    /// The position up to which the log is durable.
    pub fn synced(&self) -> u64 {
        self.shared.state.lock().synced
    }

    /// Syncs everything marked and waits for it, the callback included.
    pub fn flush(&self) -> Result<u64, DiskError> {
        let mut state = self.shared.state.lock();
        let target = state.marked;
        if target > state.requested {
            state.requested = target;
        }
        self.shared.work.notify_one();
        while !state.is_failed && (state.synced < target || state.is_syncing) {
            self.shared.idle.wait(&mut state);
        }
        if state.is_failed { Err(DiskError::FlushFailed) } else { Ok(state.synced) }
    }

    /// Tells that the log was cut to `position` (after `flush`, by its only writer): what is written there next needs a new sync.
    pub fn rewind(&self, position: u64) {
        let mut state = self.shared.state.lock();
        while state.is_syncing {
            self.shared.idle.wait(&mut state);
        }
        state.marked = state.marked.min(position);
        state.requested = state.requested.min(position);
        state.synced = state.synced.min(position);
    }

    /// Tells that the log goes on at `position`, after it was replaced as a whole (by its only writer).
    pub fn restart_at(&self, position: u64) {
        let mut state = self.shared.state.lock();
        while state.is_syncing {
            self.shared.idle.wait(&mut state);
        }
        state.marked = position;
        state.requested = position;
        state.synced = position;
    }
}

impl Drop for GroupFlush {
    fn drop(&mut self) {
        self.shared.state.lock().is_stopping = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, interval: Option<Duration>, mut sync: SyncRange, mut synced: Synced) {
    while let Some((from, to)) = next_range(shared, interval) {
        let result = sync(from, to);
        let is_failed = result.is_err();
        if let Ok(()) = result {
            shared.state.lock().synced = to;
        }
        synced(result.map(|()| to));
        let mut state = shared.state.lock();
        state.is_syncing = false;
        state.is_failed = is_failed;
        shared.idle.notify_all();
        if is_failed {
            return;
        }
    }
}

/// Waits until there is something to sync; `None` when the thread shall end.
fn next_range(shared: &Shared, interval: Option<Duration>) -> Option<(u64, u64)> {
    let mut state = shared.state.lock();
    let mut deadline = interval.map(|interval| Instant::now() + interval);
    loop {
        let is_due = deadline.is_some_and(|deadline| deadline <= Instant::now());
        let is_wanted = state.requested > state.synced;
        if state.marked > state.synced && (is_wanted || is_due || state.is_stopping) {
            state.is_syncing = true;
            return Some((state.synced, state.marked));
        }
        if state.is_stopping {
            return None;
        }
        if is_due {
            deadline = interval.map(|interval| Instant::now() + interval);
        }
        match deadline {
            Some(deadline) => {
                shared.work.wait_until(&mut state, deadline);
            }
            None => shared.work.wait(&mut state),
        }
    }
}

#[cfg(test)]
#[path = "group_flush_tests.rs"]
mod tests;
