//! Owned background tasks: each has a name, an owner and a way to stop.
//!
//! Always true: a task ends by itself soon after [`Tasks::stop`] raised its [`Shutdown`], or is
//! cancelled when its time is up; a task that panics ends the process, because nobody knows what
//! it left half done. Called by every server; the only place that spawns tasks.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::fatal::fatal;
use crate::shutdown::Shutdown;

type OnPanic = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// The tasks of one owner. Clones share them.
#[derive(Clone)]
pub struct Tasks {
    shutdown: Shutdown,
    running: Arc<Mutex<Running>>,
    on_panic: OnPanic,
}

#[derive(Default)]
struct Running {
    tasks: Vec<(String, JoinHandle<()>)>,
    /// Length at which ended tasks are swept out next.
    sweep_at: usize,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("names", &self.names()).finish_non_exhaustive()
    }
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::with_panic(|name, reason| fatal(format_args!("task {name} panicked: {reason}")))
    }

    /// The same with another end for a panic: it gets the task's name and the reason.
    pub fn with_panic(on_panic: impl Fn(&str, &str) + Send + Sync + 'static) -> Self {
        let running = Arc::new(Mutex::new(Running { tasks: Vec::new(), sweep_at: 32 }));
        Self { shutdown: Shutdown::new(), running, on_panic: Arc::new(on_panic) }
    }

    /// The wish that the tasks wait for.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Starts a task. It should end soon after the [`Shutdown`] it gets was raised.
    pub fn spawn<F>(&self, name: impl Into<String>, task: impl FnOnce(Shutdown) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let name = name.into();
        let future = guarded(name.clone(), task(self.shutdown.clone()), Arc::clone(&self.on_panic));
        let mut running = self.running.lock();
        if running.tasks.len() >= running.sweep_at {
            running.tasks.retain(|(_, handle)| !handle.is_finished());
            running.sweep_at = 32.max(running.tasks.len() * 2);
        }
        running.tasks.push((name, tokio::spawn(future)));
    }

    /// Runs `deed` every `period`, first after one period, until stopped.
    pub fn every(&self, name: impl Into<String>, period: Duration, mut deed: impl FnMut() + Send + 'static) {
        self.spawn(name, |shutdown| async move {
            let mut ticks = tokio::time::interval_at(Instant::now() + period, period);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = shutdown.requested() => return,
                    _ = ticks.tick() => deed(),
                }
            }
        });
    }

    /// The names of the tasks that still run.
    pub fn names(&self) -> Vec<String> {
        let running = self.running.lock();
        let alive = running.tasks.iter().filter(|(_, handle)| !handle.is_finished());
        alive.map(|(name, _)| name.clone()).collect()
    }

    /// Raises the wish to stop, waits up to `grace` for all tasks together, cancels the rest and
    /// waits for those too. Returns the names of the cancelled.
    pub async fn stop(&self, grace: Duration) -> Vec<String> {
        self.shutdown.request();
        let deadline = Instant::now() + grace;
        let mut cancelled = Vec::new();
        loop {
            let tasks = std::mem::take(&mut self.running.lock().tasks);
            if tasks.is_empty() {
                return cancelled;
            }
            for (name, mut handle) in tasks {
                if tokio::time::timeout_at(deadline, &mut handle).await.is_err() {
                    tracing::warn!("task {name} did not stop in time and is cancelled");
                    handle.abort();
                    let _ = handle.await;
                    cancelled.push(name);
                }
            }
        }
    }
}

/// The task, with its panics caught where they leave it.
async fn guarded(name: String, task: impl Future<Output = ()>, on_panic: OnPanic) {
    let mut task = Box::pin(task);
    let end = std::future::poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(None),
            Err(panic) => Poll::Ready(Some(reason_of(panic.as_ref()))),
        }
    });
    if let Some(reason) = end.await {
        on_panic(&name, &reason);
    }
}

fn reason_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text").to_owned()
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_stop_lets_tasks_end_by_themselves_and_joins_them() {
        let tasks = Tasks::new();
        let (done, mut ended) = mpsc::channel(1);
        tasks.spawn("polite", |shutdown| async move {
            shutdown.requested().await;
            done.send(()).await.unwrap();
        });
        assert_eq!(tasks.names(), ["polite"]);
        assert!(tasks.stop(Duration::from_secs(60)).await.is_empty());
        assert!(ended.try_recv().is_ok());
        assert!(tasks.names().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_listen_is_cancelled_when_its_time_is_up() {
        let tasks = Tasks::new();
        let (held, mut dropped) = mpsc::channel::<()>(1);
        tasks.spawn("deaf", |_| async move {
            let _held = held;
            std::future::pending().await
        });
        assert_eq!(tasks.stop(Duration::from_secs(5)).await, ["deaf"]);
        assert_eq!(dropped.recv().await, None, "its future was dropped");
    }

    #[tokio::test]
    async fn a_panic_reaches_the_owner_with_name_and_reason() {
        let (said, mut heard) = mpsc::unbounded_channel();
        let tasks = Tasks::with_panic(move |name, reason| {
            said.send(format!("{name}: {reason}")).unwrap();
        });
        tasks.spawn("clumsy", |_| async { panic!("slipped on {}", 1) });
        assert_eq!(heard.recv().await.unwrap(), "clumsy: slipped on 1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_periodic_task_runs_until_it_is_stopped() {
        let tasks = Tasks::new();
        let (tick, mut ticked) = mpsc::unbounded_channel();
        tasks.every("clock", Duration::from_secs(5), move || tick.send(()).unwrap());
        ticked.recv().await.unwrap();
        ticked.recv().await.unwrap();
        assert!(tasks.stop(Duration::from_secs(1)).await.is_empty());
        while ticked.try_recv().is_ok() {}
        assert_eq!(ticked.recv().await, None);
    }

    #[tokio::test]
    async fn ended_tasks_do_not_pile_up() {
        let tasks = Tasks::new();
        for _ in 0..1000 {
            tasks.spawn("short", |_| async {});
            tokio::task::yield_now().await;
        }
        assert!(tasks.running.lock().tasks.len() <= 64);
    }
}
