//! The table of our own calls that wait for the peer's answers on one connection. Pure: time is an argument.
//!
//! A call's opaque is its place in the table plus a generation, so an answer finds its call without hashing, and an
//! answer that comes after its call gave up meets a newer generation and is dropped. Opaques of the two directions
//! of a connection are independent of each other.

use std::task::{Context, Poll, Waker};
use std::time::Instant;

use protocol::RemotingCommand;

use crate::error::RemotingError;

/// What a call ends with.
pub(crate) type Outcome = Result<RemotingCommand, RemotingError>;

/// Who is told, if not a future.
pub(crate) type Callback = Box<dyn FnOnce(Outcome) + Send>;

const INDEX_BITS: u32 = 16;
/// The largest table that an opaque can address.
pub(crate) const CALLS_LIMIT: usize = 1 << INDEX_BITS;

#[derive(Debug)]
struct Entry {
    generation: u16,
    state: State,
}

#[expect(clippy::large_enum_variant, reason = "an answer is moved once and never allocated for")]
enum State {
    /// Free; the next free place.
    Free(Option<u16>),
    /// A future waits, or will once it is polled.
    Waiting { deadline: Instant, waker: Option<Waker> },
    /// A callback waits.
    Callback { deadline: Instant, callback: Callback },
    /// Over; the future has not looked yet.
    Done(Outcome),
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Free(_) => "Free",
            Self::Waiting { .. } => "Waiting",
            Self::Callback { .. } => "Callback",
            Self::Done(_) => "Done",
        })
    }
}

/// Someone to tell, once the table's lock is released.
#[expect(clippy::large_enum_variant, reason = "an answer is moved once and never allocated for")]
pub(crate) enum Told {
    Waker(Waker),
    Callback(Callback, Outcome),
}

impl Told {
    pub(crate) fn tell(self) {
        match self {
            Self::Waker(waker) => waker.wake(),
            Self::Callback(callback, outcome) => callback(outcome),
        }
    }
}

/// Why a call was not entered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The table is full.
    Full,
    /// The connection is closed.
    Closed,
}

/// Calls that wait.
#[derive(Debug)]
pub(crate) struct Calls {
    entries: Vec<Entry>,
    free: Option<u16>,
    waiting: usize,
    limit: usize,
    /// No call is due before this; not moved back when that call is answered.
    due: Option<Instant>,
    closed: bool,
}

impl Calls {
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.min(CALLS_LIMIT);
        Self { entries: Vec::new(), free: None, waiting: 0, limit, due: None, closed: false }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Calls that have no answer yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// When `expire` has something to do at the earliest.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Enters a call and returns its opaque. A refused callback is handed back.
    pub(crate) fn enter(
        &mut self,
        deadline: Instant,
        callback: Option<Callback>,
    ) -> Result<i32, (Refused, Option<Callback>)> {
        if self.closed {
            return Err((Refused::Closed, callback));
        }
        if self.waiting >= self.limit {
            return Err((Refused::Full, callback));
        }
        let Some(index) = self.occupy() else { return Err((Refused::Full, callback)) };
        let entry = &mut self.entries[usize::from(index)];
        entry.state = match callback {
            Some(callback) => State::Callback { deadline, callback },
            None => State::Waiting { deadline, waker: None },
        };
        self.waiting += 1;
        self.due = Some(self.due.map_or(deadline, |due| due.min(deadline)));
        Ok(opaque(entry.generation, index))
    }

    /// Takes a free place, or makes one.
    fn occupy(&mut self) -> Option<u16> {
        if let Some(index) = self.free {
            let State::Free(next) = self.entries[usize::from(index)].state else {
                unreachable!("the free list names a place that is taken")
            };
            self.free = next;
            return Some(index);
        }
        // Places whose future never looked are not counted as waiting, but still need an opaque.
        let index = u16::try_from(self.entries.len()).ok()?;
        self.entries.push(Entry { generation: 0, state: State::Free(None) });
        Some(index)
    }

    /// The answer of a call has come; an unknown opaque is an answer that came too late.
    pub(crate) fn complete(&mut self, answer: RemotingCommand) -> Option<Told> {
        let index = self.find(answer.opaque)?;
        self.finish(index, Ok(answer))
    }

    /// A future looks whether its call is over.
    pub(crate) fn poll(&mut self, opaque: i32, cx: &mut Context<'_>) -> Poll<Outcome> {
        let index = self.find(opaque).expect("a call keeps its place until its future is done or dropped");
        match &mut self.entries[usize::from(index)].state {
            State::Waiting { waker, .. } => {
                match waker {
                    Some(known) if known.will_wake(cx.waker()) => {}
                    _ => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            State::Done(_) => match self.vacate(index) {
                State::Done(outcome) => Poll::Ready(outcome),
                _ => unreachable!("the state was matched above"),
            },
            State::Free(_) | State::Callback { .. } => unreachable!("the place belongs to a future"),
        }
    }

    /// A future is dropped before it was done, or a command could not be sent. Hands back the callback that was
    /// not told anything yet.
    pub(crate) fn cancel(&mut self, opaque: i32) -> Option<Callback> {
        let index = self.find(opaque)?;
        if !matches!(self.entries[usize::from(index)].state, State::Done(_)) {
            self.waiting -= 1;
        }
        match self.vacate(index) {
            State::Callback { callback, .. } => Some(callback),
            State::Waiting { .. } | State::Done(_) | State::Free(_) => None,
        }
    }

    /// Ends every call that is due at `now`.
    pub(crate) fn expire(&mut self, now: Instant, error: impl Fn() -> RemotingError, told: &mut Vec<Told>) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        let mut next: Option<Instant> = None;
        for index in 0..self.entries.len() {
            let deadline = match &self.entries[index].state {
                State::Waiting { deadline, .. } | State::Callback { deadline, .. } => *deadline,
                State::Free(_) | State::Done(_) => continue,
            };
            if deadline <= now {
                let index = u16::try_from(index).expect("the table never outgrows its opaques");
                told.extend(self.finish(index, Err(error())));
            } else {
                next = Some(next.map_or(deadline, |next| next.min(deadline)));
            }
        }
        self.due = next;
    }

    /// Ends every call and refuses new ones.
    pub(crate) fn close(&mut self, error: impl Fn() -> RemotingError, told: &mut Vec<Told>) {
        self.closed = true;
        self.due = None;
        for index in 0..self.entries.len() {
            if matches!(self.entries[index].state, State::Waiting { .. } | State::Callback { .. }) {
                let index = u16::try_from(index).expect("the table never outgrows its opaques");
                told.extend(self.finish(index, Err(error())));
            }
        }
    }

    /// The place of a call that is not vacated.
    fn find(&self, opaque: i32) -> Option<u16> {
        let (generation, index) = place(opaque);
        let entry = self.entries.get(usize::from(index))?;
        (entry.generation == generation && !matches!(entry.state, State::Free(_))).then_some(index)
    }

    fn finish(&mut self, index: u16, outcome: Outcome) -> Option<Told> {
        let state = &mut self.entries[usize::from(index)].state;
        match state {
            // An answer given twice: the first one counts.
            State::Done(_) | State::Free(_) => None,
            State::Waiting { waker, .. } => {
                let waker = waker.take();
                *state = State::Done(outcome);
                self.waiting -= 1;
                waker.map(Told::Waker)
            }
            State::Callback { .. } => {
                self.waiting -= 1;
                match self.vacate(index) {
                    State::Callback { callback, .. } => Some(Told::Callback(callback, outcome)),
                    _ => unreachable!("the state was matched above"),
                }
            }
        }
    }

    fn vacate(&mut self, index: u16) -> State {
        let entry = &mut self.entries[usize::from(index)];
        entry.generation = entry.generation.wrapping_add(1) & GENERATION_MAX;
        let state = std::mem::replace(&mut entry.state, State::Free(self.free));
        self.free = Some(index);
        state
    }
}

/// Opaques stay positive: some peers print them, some sort by them.
const GENERATION_MAX: u16 = 0x7FFF;

fn opaque(generation: u16, index: u16) -> i32 {
    (i32::from(generation) << INDEX_BITS) | i32::from(index)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut into its two halves")]
fn place(opaque: i32) -> (u16, u16) {
    let bits = opaque as u32;
    ((bits >> INDEX_BITS) as u16, bits as u16)
}

#[cfg(test)]
#[path = "calls_tests.rs"]
mod tests;
