//! Whether the node serves: the one place that sends and long polls ask.
//!
//! Always true: once stopping, always stopping. Requests that were read before are still answered; the server waits
//! for them (`remoting::Server::stop`), so nothing is counted here.

use crate::error::BrokerError;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Open, or stopping.
#[derive(Debug, Default)]
pub struct Gate {
    is_stopping: AtomicBool,
}

impl Gate {
    /// Lets a request pass, or says why not.
    pub fn check(&self) -> Result<(), BrokerError> {
        if self.is_stopping() { Err(BrokerError::Stopping) } else { Ok(()) }
    }

    /// Whether nothing new is taken on.
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Relaxed)
    }

    /// Takes nothing new on from now.
    pub fn close(&self) {
        self.is_stopping.store(true, Relaxed);
    }
}
