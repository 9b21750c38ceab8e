//! Owned threads for work that may wait for a disk: reads far from the tail, admin requests that look through
//! queues. Network threads hand it over and go on.
//!
//! Always true: at most `waiting_max` jobs wait; the one beyond comes back to its owner, who answers "busy".
//! `stop` lets the jobs that wait be done, then joins the threads.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Something to be done by a worker.
pub type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    is_stopping: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    some: Condvar,
}

/// A few threads with one bounded queue.
pub struct Workers {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    waiting_max: usize,
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Workers").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl Workers {
    /// Starts `count` threads named after `name`.
    pub fn start(name: &str, count: usize, waiting_max: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { queue: Mutex::default(), some: Condvar::new() });
        let workers = Self { shared, threads: Mutex::default(), waiting_max };
        for number in 0..count {
            let shared = Arc::clone(&workers.shared);
            let builder = std::thread::Builder::new().name(format!("{name}-{number}"));
            let thread = builder.spawn(move || work(&shared))?;
            workers.threads.lock().push(thread);
        }
        Ok(workers)
    }

    /// Hands a job over; at the limit, or while stopping, it comes back.
    pub fn try_do(&self, job: Job) -> Result<(), Job> {
        let mut queue = self.shared.queue.lock();
        if queue.is_stopping || queue.jobs.len() >= self.waiting_max {
            return Err(job);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.shared.some.notify_one();
        Ok(())
    }

    /// How many jobs wait.
    pub fn waiting(&self) -> usize {
        self.shared.queue.lock().jobs.len()
    }

    /// The most that may wait.
    pub fn waiting_max(&self) -> usize {
        self.waiting_max
    }

    /// Takes nothing new, does what waits, and joins the threads.
    pub fn stop(&self) {
        self.shared.queue.lock().is_stopping = true;
        self.shared.some.notify_all();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}

fn work(shared: &Shared) {
    loop {
        let mut queue = shared.queue.lock();
        let job = loop {
            if let Some(job) = queue.jobs.pop_front() {
                break job;
            }
            if queue.is_stopping {
                return;
            }
            shared.some.wait(&mut queue);
        };
        drop(queue);
        job();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_stop_does_what_waits_and_takes_nothing_new() {
        let workers = Workers::start("test", 2, 100).expect("threads");
        let (done, ends) = mpsc::channel();
        for number in 0..50 {
            let done = done.clone();
            let job = Box::new(move || done.send(number).expect("the test listens"));
            assert!(workers.try_do(job).is_ok());
        }
        workers.stop();
        assert!(workers.try_do(Box::new(|| ())).is_err());
        drop(done);
        assert_eq!(ends.into_iter().count(), 50);
    }

    #[test]
    fn a_full_queue_gives_the_job_back() {
        let workers = Workers::start("test", 1, 1).expect("threads");
        let (entered, enters) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let first = Box::new(move || {
            entered.send(()).expect("the test listens");
            let _ = released.recv();
        });
        assert!(workers.try_do(first).is_ok());
        enters.recv().expect("the first job runs");
        assert!(workers.try_do(Box::new(|| ())).is_ok());
        assert!(workers.try_do(Box::new(|| ())).is_err());
        drop(release);
        workers.stop();
    }
}
