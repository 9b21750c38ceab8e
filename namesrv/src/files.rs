//! The one thread that writes the name server's two small files, so that no socket waits for a disk.
//!
//! Jobs run in the order in which they were handed in; at most a few wait. Called by the processor
//! for KV and configuration changes.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use daemon::fatal;

/// Jobs that may wait.
const JOBS_MAX: usize = 256;

type Job = Box<dyn FnOnce() + Send>;

/// As many jobs wait as may, or the thread has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// The thread and its queue.
#[derive(Debug)]
pub(crate) struct Files {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Files {
    pub(crate) fn start() -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel(JOBS_MAX);
        let thread =
            std::thread::Builder::new().name("namesrv-files".to_owned()).spawn(move || work(&waiting))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Hands in a job.
    pub(crate) fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Busy> {
        let Some(jobs) = &self.jobs else { return Err(Busy) };
        jobs.try_send(Box::new(job)).map_err(|refused| match refused {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Busy,
        })
    }
}

impl Drop for Files {
    /// Lets the jobs that wait finish.
    fn drop(&mut self) {
        self.jobs = None;
        // A job may hold the last handle on its owner and then drop this on the thread itself.
        let thread = self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id());
        if thread.is_some_and(|thread| thread.join().is_err()) {
            fatal("the thread that writes the name server's files panicked");
        }
    }
}

fn work(jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        job();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};

    use super::*;

    #[test]
    fn jobs_run_in_order_and_a_drop_waits_for_them() {
        let files = Files::start().unwrap();
        let done = Arc::new(Mutex::new(Vec::new()));
        for number in 0..100 {
            let done = Arc::clone(&done);
            files.submit(move || done.lock().unwrap().push(number)).unwrap();
        }
        drop(files);
        assert_eq!(*done.lock().unwrap(), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn more_jobs_than_may_wait_are_refused() {
        let files = Files::start().unwrap();
        let (free, held) = mpsc::channel::<()>();
        let (entered, inside) = mpsc::channel();
        files
            .submit(move || {
                entered.send(()).unwrap();
                let _ = held.recv();
            })
            .unwrap();
        inside.recv().unwrap();
        for _ in 0..JOBS_MAX {
            files.submit(|| {}).unwrap();
        }
        assert_eq!(files.submit(|| {}), Err(Busy));
        free.send(()).unwrap();
    }
}
