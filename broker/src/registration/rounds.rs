//! Which registrations a change is part of: many changes share one, and whoever made a change can wait for it.
//!
//! Always true: a ticket is done when every name server that answers at all has answered a registration that began
//! after the ticket was drawn. A name server that does not answer is waited for by nobody.

use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A wish to be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

#[derive(Debug, Clone, Copy)]
struct Server {
    done: u64,
    is_answering: bool,
}

/// The registrations of one broker at all its name servers.
#[derive(Debug)]
pub struct Rounds {
    drawn: watch::Sender<u64>,
    servers: Mutex<Vec<Server>>,
    ended: Condvar,
}

impl Rounds {
    /// Registrations at so many name servers.
    pub fn new(servers: usize) -> Self {
        let server = Server { done: 0, is_answering: true };
        Self {
            drawn: watch::Sender::new(0),
            servers: Mutex::new(vec![server; servers]),
            ended: Condvar::new(),
        }
    }

    /// Asks to be registered.
    pub fn ask(&self) -> Ticket {
        let mut ticket = Ticket(0);
        self.drawn.send_modify(|drawn| {
            *drawn += 1;
            ticket = Ticket(*drawn);
        });
        ticket
    }

    /// Waits until the ticket is done; false when that takes too long. Blocks: for worker threads.
    pub fn wait(&self, ticket: Ticket, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut servers = self.servers.lock();
        loop {
            if servers.iter().all(|server| !server.is_answering || server.done >= ticket.0) {
                return true;
            }
            if self.ended.wait_until(&mut servers, deadline).timed_out() {
                return false;
            }
        }
    }

    /// Hears of wishes.
    pub fn wishes(&self) -> watch::Receiver<u64> {
        self.drawn.subscribe()
    }

    /// A registration begins: it serves all tickets that were drawn so far.
    pub fn begin(&self) -> Ticket {
        Ticket(*self.drawn.borrow())
    }

    /// The registration at one server that began with this ticket has ended.
    pub fn end(&self, server: usize, begun: Ticket, is_answering: bool) {
        let mut servers = self.servers.lock();
        let state = &mut servers[server];
        state.done = state.done.max(begun.0);
        state.is_answering = is_answering;
        drop(servers);
        self.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_serves_the_tickets_drawn_before_it_began_and_no_others() {
        let rounds = Rounds::new(1);
        let early = rounds.ask();
        let begun = rounds.begin();
        let late = rounds.ask();
        rounds.end(0, begun, true);
        assert!(rounds.wait(early, Duration::ZERO));
        assert!(!rounds.wait(late, Duration::ZERO));
        rounds.end(0, rounds.begin(), true);
        assert!(rounds.wait(late, Duration::ZERO));
    }

    #[test]
    fn every_answering_server_is_waited_for_and_no_other() {
        let rounds = Rounds::new(2);
        let ticket = rounds.ask();
        rounds.end(0, rounds.begin(), true);
        assert!(!rounds.wait(ticket, Duration::ZERO));
        rounds.end(1, rounds.begin(), false);
        assert!(rounds.wait(ticket, Duration::ZERO));
        let next = rounds.ask();
        rounds.end(0, rounds.begin(), true);
        assert!(rounds.wait(next, Duration::ZERO));
    }

    #[test]
    fn without_name_servers_nobody_waits() {
        let rounds = Rounds::new(0);
        assert!(rounds.wait(rounds.ask(), Duration::ZERO));
    }
}
