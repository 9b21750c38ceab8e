//! Puts whose outcome is not known yet, and the end of their patience.
//!
//! A leader that is cut off from its group keeps what it has appended and learns its fate only when it is back. Always
//! true: whoever put a message is answered once, with its outcome, or with "nobody knows" when that takes too long.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use store::{Done, PutResult, StoreError};

/// How long a put waits for its majority. Source: DLedger's `maxWaitAckMs`, 2,500; clients give up after 3 s.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// Who waits, oldest first.
#[derive(Default)]
pub(crate) struct InFlight {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    puts: BTreeMap<u64, (Instant, Done)>,
}

impl std::fmt::Debug for InFlight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InFlight").field("puts", &self.waiting.lock().puts.len()).finish()
    }
}

impl InFlight {
    /// Keeps who waits; the number is for `end`.
    pub(crate) fn begin(&self, done: Done, now: Instant) -> u64 {
        let mut waiting = self.waiting.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.puts.insert(number, (now + PATIENCE, done));
        number
    }

    /// Tells the outcome, unless patience has ended before.
    pub(crate) fn end(&self, number: u64, outcome: Result<PutResult, StoreError>) {
        let waiting = self.waiting.lock().puts.remove(&number);
        if let Some((_, done)) = waiting {
            done(outcome);
        }
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.lock().puts.is_empty()
    }

    /// Answers those who have waited too long.
    pub(crate) fn expire(&self, now: Instant) {
        let mut expired = Vec::new();
        {
            let mut waiting = self.waiting.lock();
            while let Some(entry) = waiting.puts.first_entry() {
                if entry.get().0 > now {
                    break;
                }
                expired.push(entry.remove().1);
            }
        }
        for done in expired {
            done(Err(StoreError::Unconfirmed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn whoever_waits_is_answered_once_and_in_time() {
        let in_flight = InFlight::default();
        let (tell, told) = mpsc::channel();
        let now = Instant::now();
        let wait = |name: &'static str| {
            let tell = tell.clone();
            let done = Box::new(move |outcome: Result<PutResult, StoreError>| {
                let _ = tell.send((name, outcome.is_err()));
            });
            in_flight.begin(done, now)
        };
        let (late, quick) = (wait("late"), wait("quick"));
        in_flight.end(quick, Err(StoreError::Busy { puts: 0, bytes: 0 }));
        assert_eq!(told.try_recv(), Ok(("quick", true)));
        in_flight.expire(now + PATIENCE - Duration::from_millis(1));
        assert!(told.try_recv().is_err());
        in_flight.expire(now + PATIENCE);
        assert_eq!(told.try_recv(), Ok(("late", true)));
        in_flight.end(late, Err(StoreError::Unconfirmed));
        assert!(told.try_recv().is_err(), "answered once");
    }
}
