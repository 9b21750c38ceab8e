//! Puts whose outcome is not known yet, and the end of their patience.
//!
//! A leader that is cut off from its group keeps what it has appended and learns its fate only when it is back. Always
//! true: whoever put a message is answered once, with its outcome, or with "nobody knows" when that takes too long.

use std::collections::VecDeque;
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

/// Numbers rise by one and puts end nearly in order, so a put's place follows from its number.
#[derive(Default)]
struct Waiting {
    /// The number of the first place.
    first: u64,
    /// Empty places are of puts that ended before an older one; the first place is never empty.
    puts: VecDeque<Option<(Instant, Done)>>,
}

impl Waiting {
    fn add(&mut self, deadline: Instant, done: Done) -> u64 {
        self.puts.push_back(Some((deadline, done)));
        self.first + self.puts.len() as u64 - 1
    }

    fn remove(&mut self, number: u64) -> Option<Done> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let (_, done) = self.puts.get_mut(place)?.take()?;
        while let Some(None) = self.puts.front() {
            self.puts.pop_front();
            self.first += 1;
        }
        Some(done)
    }

    /// Takes the oldest put when its patience is over.
    fn remove_expired(&mut self, now: Instant) -> Option<Done> {
        let is_expired = matches!(self.puts.front(), Some(Some((deadline, _))) if *deadline <= now);
        if is_expired { self.remove(self.first) } else { None }
    }
}

impl std::fmt::Debug for InFlight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InFlight").field("puts", &self.waiting.lock().puts.len()).finish()
    }
}

impl InFlight {
    /// Keeps who waits; the number is for `end`.
    pub(crate) fn begin(&self, done: Done, now: Instant) -> u64 {
        self.waiting.lock().add(now + PATIENCE, done)
    }

    /// Tells the outcome, unless patience has ended before.
    pub(crate) fn end(&self, number: u64, outcome: Result<PutResult, StoreError>) {
        let waiting = self.waiting.lock().remove(number);
        if let Some(done) = waiting {
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
            while let Some(done) = waiting.remove_expired(now) {
                expired.push(done);
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
    #[test]
    fn puts_that_end_out_of_order_leave_no_place_behind() {
        let in_flight = InFlight::default();
        let now = Instant::now();
        let (tell, told) = mpsc::channel();
        let numbers: Vec<u64> = (0..5_u64)
            .map(|put| {
                let tell = tell.clone();
                in_flight.begin(Box::new(move |_| tell.send(put).expect("the test listens")), now)
            })
            .collect();
        for put in [3, 1, 4] {
            in_flight.end(numbers[put], Err(StoreError::ShuttingDown));
        }
        in_flight.end(numbers[3], Err(StoreError::ShuttingDown));
        assert_eq!(in_flight.waiting.lock().puts.len(), 5);
        in_flight.end(numbers[0], Err(StoreError::ShuttingDown));
        assert_eq!(in_flight.waiting.lock().puts.len(), 3);
        in_flight.expire(now + PATIENCE);
        assert_eq!(in_flight.waiting.lock().puts.len(), 0);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [3, 1, 4, 0, 2]);
        assert_eq!(in_flight.begin(Box::new(|_| ()), now), 5, "numbers are not given twice");
    }
}
