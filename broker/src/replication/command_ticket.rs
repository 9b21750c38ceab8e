//! Somebody who waits until a change of metadata is committed and applied.

use std::any::Any;

use raft_log::{Placed, ProposeError, Ticket};

/// Told once the command is applied here, or why it is not.
pub(crate) type OnApplied = Box<dyn FnOnce(Result<(), ProposeError>) + Send>;

/// Waits for one system command.
pub(crate) struct CommandTicket {
    done: OnApplied,
}

impl CommandTicket {
    pub(crate) fn new(done: impl FnOnce(Result<(), ProposeError>) + Send + 'static) -> Self {
        Self { done: Box::new(done) }
    }
}

impl Ticket for CommandTicket {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn done(self: Box<Self>, outcome: Result<Placed, ProposeError>) {
        (self.done)(outcome.map(drop));
    }
}
