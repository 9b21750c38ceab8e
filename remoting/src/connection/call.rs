//! Our own call to the peer, as a future.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Connection;
use crate::calls::Outcome;
use crate::error::RemotingError;

/// The answer of a call, once it is there. Dropping it gives the call up.
#[derive(Debug)]
#[must_use = "a call that nobody awaits is given up"]
pub struct Call {
    pub(super) connection: Arc<Connection>,
    pub(super) state: CallState,
}

#[derive(Debug)]
pub(super) enum CallState {
    Waiting(i32),
    Failed(RemotingError),
    Over,
}

impl Future for Call {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = match std::mem::replace(&mut self.state, CallState::Over) {
            CallState::Waiting(opaque) => {
                let polled = self.connection.calls.lock().poll(opaque, cx);
                match polled {
                    Poll::Ready(outcome) => outcome,
                    Poll::Pending => {
                        self.state = CallState::Waiting(opaque);
                        return Poll::Pending;
                    }
                }
            }
            CallState::Failed(error) => Err(error),
            CallState::Over => unreachable!("a call is polled again after its end"),
        };
        Poll::Ready(outcome)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let CallState::Waiting(opaque) = self.state {
            self.connection.calls.lock().cancel(opaque);
        }
    }
}
