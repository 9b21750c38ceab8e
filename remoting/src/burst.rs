//! Replies for many connections at a time, written by the thread that makes them.
//!
//! A thread that completes a batch of work (a flushed group of messages, say) has replies for many connections at
//! once. Waking the task of each would cost more than the writes; so it opens a burst, sends as usual, and at the end
//! of the burst writes each connection's replies itself, as far as the socket takes them at once. Connections whose
//! task is awake anyway are left to it.
//!
//! Always true: what was sent in a burst leaves at its end, or as soon as the burst has too many connections.

use std::cell::RefCell;
use std::sync::Arc;

use crate::connection::Connection;

/// A burst that reaches so many connections writes at once, so that the first of them need not wait for the last.
const CONNECTIONS_MAX: usize = 256;

thread_local! {
    static OPEN: RefCell<Option<Vec<Arc<Connection>>>> = const { RefCell::new(None) };
}

/// Opens a burst on this thread; nothing changes if one is open.
pub fn begin() {
    OPEN.with_borrow_mut(|open| {
        open.get_or_insert_default();
    });
}

/// Writes what was sent since `begin` on this thread; nothing happens without a burst.
pub fn end() {
    if let Some(mut connections) = OPEN.take() {
        write(&mut connections);
    }
}

/// Runs `work` as one burst.
pub fn of<T>(work: impl FnOnce() -> T) -> T {
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            end();
        }
    }
    begin();
    let _end = End;
    work()
}

pub(crate) fn is_open() -> bool {
    OPEN.with_borrow(Option::is_some)
}

/// Notes a connection of the open burst.
pub(crate) fn add(connection: Arc<Connection>) {
    let full = OPEN.with_borrow_mut(|open| {
        let connections = open.get_or_insert_default();
        connections.push(connection);
        (connections.len() >= CONNECTIONS_MAX).then(|| std::mem::take(connections))
    });
    if let Some(mut connections) = full {
        write(&mut connections);
    }
}

fn write(connections: &mut Vec<Arc<Connection>>) {
    for connection in connections.drain(..) {
        connection.end_burst();
    }
}
