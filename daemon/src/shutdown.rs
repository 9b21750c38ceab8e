//! The one wish to stop: raised by a signal, by a command, or by the code that started us.
//!
//! Always true: once raised it stays raised, and whoever waits later learns it too. Called by
//! every long-lived task, through [`crate::Tasks`] or directly.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::error::DaemonError;

/// Exit status when a second signal arrives before the first stop is done: 128 + SIGINT.
pub const EXIT_IMPATIENT: i32 = 130;

/// A wish to stop that many can wait for.
#[derive(Clone, Debug)]
pub struct Shutdown {
    raised: Arc<watch::Sender<bool>>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// Nobody wishes to stop yet.
    pub fn new() -> Self {
        Self { raised: Arc::new(watch::Sender::new(false)) }
    }

    /// Raised by SIGINT or SIGTERM; a second signal ends the process at once.
    ///
    /// Must be called inside a tokio runtime. The listening task lives as long as the runtime.
    pub fn on_signals() -> Result<Self, DaemonError> {
        let interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::Signals)?;
        let terminate = signal(SignalKind::terminate()).map_err(DaemonError::Signals)?;
        let shutdown = Self::new();
        let _ends_with_the_runtime = tokio::spawn(listen(shutdown.clone(), interrupt, terminate));
        Ok(shutdown)
    }

    /// Raises the wish.
    pub fn request(&self) {
        self.raised.send_replace(true);
    }

    /// Whether it was raised.
    pub fn is_requested(&self) -> bool {
        *self.raised.borrow()
    }

    /// Waits until it is raised.
    pub async fn requested(&self) {
        let mut raised = self.raised.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = raised.wait_for(|raised| *raised).await;
    }
}

async fn listen(shutdown: Shutdown, mut interrupt: Signal, mut terminate: Signal) {
    loop {
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        if shutdown.is_requested() {
            tracing::warn!("{name} while stopping: ending at once");
            std::process::exit(EXIT_IMPATIENT);
        }
        tracing::info!("{name}: stopping");
        shutdown.request();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_before_and_who_waits_after_both_learn_it() {
        let shutdown = Shutdown::new();
        let early = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.requested().await }
        });
        assert!(!shutdown.is_requested());
        shutdown.request();
        shutdown.requested().await;
        early.await.unwrap();
        assert!(shutdown.is_requested());
    }
}
