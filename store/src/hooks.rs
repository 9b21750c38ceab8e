//! What the store calls outside: arrivals, the end, the time.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::consume_queue::ConsumeQueue;
use crate::error::StoreError;

/// One message that consumers can see from now on.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Its queue.
    pub queue: &'a Arc<ConsumeQueue>,
    /// Its queue offset; the queue's end is one more.
    pub queue_offset: u64,
    /// Its tags code.
    pub tags_code: i64,
    /// When it was stored, in ms.
    pub store_timestamp: i64,
    /// Where its record is.
    pub physical_offset: u64,
    /// The record's size.
    pub bytes: u32,
}

/// Hears of messages when they become visible, in the order of the log. Called on threads of the store, which wait for it:
/// it notes and returns. It may put and read, but not wait for either.
pub trait ArrivalListener: Send + Sync + 'static {
    /// A message is visible. Not called for what a recovery finds.
    fn arrived(&self, arrival: &Arrival<'_>);
    /// All that arrived together was told: the moment to wake whoever waits for it.
    fn settled(&self) {}
}

/// A listener that does not care.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoListener;

impl ArrivalListener for NoListener {
    fn arrived(&self, _arrival: &Arrival<'_>) {}
}

/// Called when the disk failed so that nobody knows what was kept; it ends the process.
pub type Fatal = Arc<dyn Fn(&StoreError) + Send + Sync>;

/// The time, so that tests can turn it.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970.
    fn now(&self) -> i64;
    /// The hour of the local day.
    fn hour(&self) -> u8;
}

/// The machine's time.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn hour(&self) -> u8 {
        jiff::Zoned::now().hour().unsigned_abs()
    }
}

/// Everything that the store calls outside.
#[derive(Clone)]
pub struct Hooks {
    /// Hears of visible messages.
    pub listener: Arc<dyn ArrivalListener>,
    /// Ends the process.
    pub fatal: Fatal,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Hooks {
    /// Hooks with the machine's clock.
    pub fn new(listener: Arc<dyn ArrivalListener>, fatal: Fatal) -> Self {
        Self { listener, fatal, clock: Arc::new(SystemClock) }
    }

    /// The same with another clock.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooks")
    }
}
