//! The turns of a network thread: it looks for news of its sockets, runs every connection that has some, and looks again.
//!
//! Work that many connections of a turn have in common is cheaper done once, at the turn's end, than by a thread of its own
//! that has to be woken for it: their messages go into one write, and the answers leave from the same thread. A runtime whose builder
//! went through [`keep`] has turns; on other threads [`at_end`] says so, and the caller finds another way.
//!
//! Always true: what was noted runs before the thread sleeps, and sooner when much was noted; it runs when no connection's
//! lock is held.

use std::cell::RefCell;
use std::sync::Arc;

use smallvec::SmallVec;
use tokio::runtime::Builder;

/// A turn ends early after so many connections, so that the first of them does not wait for the last.
const CONNECTIONS_MAX: usize = 32;

/// And when so much was noted, on however few connections.
const NOTED_MAX: usize = 1024;

/// What is done at the end of a turn.
pub type Deed = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Turn {
    is_kept: bool,
    noted: usize,
    connections: usize,
    deeds: SmallVec<[Deed; 1]>,
}

thread_local! {
    static TURN: RefCell<Turn> = RefCell::default();
}

/// Gives the threads of a runtime their turns.
pub fn keep(runtime: &mut Builder) -> &mut Builder {
    runtime.on_thread_unpark(begin).on_thread_park(end)
}

/// Has `deed` run once at the end of this thread's turn; false when the thread has no turns.
pub fn at_end(deed: &Deed) -> bool {
    TURN.with_borrow_mut(|turn| {
        if turn.is_kept {
            turn.noted += 1;
            if !turn.deeds.iter().any(|noted| Arc::ptr_eq(noted, deed)) {
                turn.deeds.push(Arc::clone(deed));
            }
        }
        turn.is_kept
    })
}

/// Between two connections: ends a turn in which much was noted.
pub(crate) fn pause() {
    let is_long = TURN.with_borrow_mut(|turn| {
        // Those that have nothing to note count as well: what was noted must not wait for a long row of them.
        turn.connections += usize::from(!turn.deeds.is_empty());
        turn.connections >= CONNECTIONS_MAX || turn.noted >= NOTED_MAX
    });
    if is_long {
        end();
    }
}

fn begin() {
    TURN.with_borrow_mut(|turn| turn.is_kept = true);
}

fn end() {
    loop {
        let deeds = TURN.with_borrow_mut(|turn| {
            (turn.noted, turn.connections) = (0, 0);
            std::mem::take(&mut turn.deeds)
        });
        if deeds.is_empty() {
            return;
        }
        deeds.iter().for_each(|deed| deed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    fn counting() -> (Deed, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let there = Arc::clone(&count);
        (Arc::new(move || _ = there.fetch_add(1, Ordering::Relaxed)), count)
    }

    #[test]
    fn a_thread_without_turns_says_so() {
        let (deed, count) = counting();
        assert!(!at_end(&deed));
        end();
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_many_noted_is_done_once() {
        let ((one, once), (other, other_once)) = (counting(), counting());
        begin();
        for _ in 0..5 {
            assert!(at_end(&one) && at_end(&other));
        }
        end();
        end();
        assert_eq!((once.load(Ordering::Relaxed), other_once.load(Ordering::Relaxed)), (1, 1));
    }

    #[test]
    fn a_deed_that_notes_another_has_it_done_as_well() {
        let (late, count) = counting();
        let early: Deed = Arc::new(move || _ = at_end(&late));
        begin();
        assert!(at_end(&early));
        end();
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_long_turn_ends_early() {
        let (deed, count) = counting();
        begin();
        pause();
        assert!(at_end(&deed));
        for connections in 0..CONNECTIONS_MAX {
            assert_eq!(count.load(Ordering::Relaxed), 0, "{connections}");
            pause();
        }
        assert_eq!(count.load(Ordering::Relaxed), 1);
        pause();
        assert_eq!(count.load(Ordering::Relaxed), 1, "nothing is noted any more");
        for _ in 0..NOTED_MAX {
            assert!(at_end(&deed));
        }
        pause();
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_runtime_with_turns_does_what_was_noted_before_it_sleeps() {
        let runtime = keep(&mut Builder::new_multi_thread()).worker_threads(1).build().unwrap();
        let (told, tells) = mpsc::channel();
        let deed: Deed = Arc::new(move || _ = told.send(()));
        // A thread's first task may come before its first turn.
        while !runtime
            .block_on(runtime.spawn({
                let deed = Arc::clone(&deed);
                async move { at_end(&deed) }
            }))
            .unwrap()
        {}
        tells.recv_timeout(Duration::from_secs(30)).unwrap();
    }
}
