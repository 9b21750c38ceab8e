//! Counts for operators: what came, what went, how long it took. Relaxed: nobody decides by them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Upper bounds of the put time classes in ms. Source: RocketMQ `StoreStatsService`.
const CLASSES: [u64; 12] = [1, 10, 50, 100, 200, 500, 1000, 2000, 3000, 4000, 5000, 10_000];

/// The counts of one store since it was opened.
#[derive(Debug)]
pub(crate) struct Counters {
    opened: Instant,
    put_messages: AtomicU64,
    put_bytes: AtomicU64,
    put_failed: AtomicU64,
    put_nanos_max: AtomicU64,
    put_classes: [AtomicU64; 13],
    get_messages: AtomicU64,
    get_found: AtomicU64,
    get_missed: AtomicU64,
    get_bytes: AtomicU64,
    get_nanos_max: AtomicU64,
    /// When the append under way began, in ns since `opened`, plus one; 0 when there is none.
    append_began: AtomicU64,
}

/// Numbers for `GET_BROKER_RUNTIME_INFO` and the metrics.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    /// Messages stored since the start.
    pub put_messages: u64,
    /// Their bytes.
    pub put_bytes: u64,
    /// Puts that were refused or failed.
    pub put_failed: u64,
    /// The longest time from `put` to its completion.
    pub put_time_max: Duration,
    /// Puts by time to completion: <1, <10, <50, <100, <200, <500 ms, <1, <2, <3, <4, <5, <10 s, longer.
    pub put_times: [u64; 13],
    /// Messages read since the start.
    pub get_messages: u64,
    /// Reads that found something.
    pub get_found: u64,
    /// Reads that found nothing.
    pub get_missed: u64,
    /// Bytes of the messages read.
    pub get_bytes: u64,
    /// The longest read.
    pub get_time_max: Duration,
    /// Bytes written and not yet visible.
    pub dispatch_behind: u64,
    /// Bytes written and not yet on the disk.
    pub flush_behind: u64,
    /// The first kept byte of the commit log.
    pub commit_log_min: u64,
    /// The end of the commit log.
    pub commit_log_max: u64,
    /// The used part of the commit log's disk, 0.0 to 1.0.
    pub commit_log_disk_ratio: f64,
    /// The used part of the consume queues' disk.
    pub consume_queue_disk_ratio: f64,
    /// Size of the commit log's disk.
    pub disk_total: u64,
    /// Free bytes of it.
    pub disk_available: u64,
    /// Puts that wait to be appended.
    pub puts_waiting: usize,
    /// How long the append now under way has been under way (the page cache is busy).
    pub append_stalled: Duration,
}

impl Counters {
    pub(crate) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            opened: Instant::now(),
            put_messages: zero(),
            put_bytes: zero(),
            put_failed: zero(),
            put_nanos_max: zero(),
            put_classes: std::array::from_fn(|_| zero()),
            get_messages: zero(),
            get_found: zero(),
            get_missed: zero(),
            get_bytes: zero(),
            get_nanos_max: zero(),
            append_began: zero(),
        }
    }

    pub(crate) fn stored(&self, messages: u64, bytes: u64) {
        self.put_messages.fetch_add(messages, Ordering::Relaxed);
        self.put_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.put_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn completed(&self, took: Duration) {
        let class = CLASSES.partition_point(|bound| *bound as u128 <= took.as_millis());
        self.put_classes[class].fetch_add(1, Ordering::Relaxed);
        raise(&self.put_nanos_max, took);
    }

    pub(crate) fn read(&self, messages: usize, bytes: usize, took: Duration) {
        if messages > 0 {
            self.get_found.fetch_add(1, Ordering::Relaxed);
            self.get_messages.fetch_add(messages as u64, Ordering::Relaxed);
            self.get_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        } else {
            self.get_missed.fetch_add(1, Ordering::Relaxed);
        }
        raise(&self.get_nanos_max, took);
    }

    pub(crate) fn append_begins(&self) {
        let since = u64::try_from(self.opened.elapsed().as_nanos()).unwrap_or(u64::MAX - 1);
        self.append_began.store(since + 1, Ordering::Relaxed);
    }

    pub(crate) fn append_ended(&self) {
        self.append_began.store(0, Ordering::Relaxed);
    }

    /// How long the append under way has been under way.
    pub(crate) fn append_stalled(&self) -> Duration {
        match self.append_began.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            began => self.opened.elapsed().saturating_sub(Duration::from_nanos(began - 1)),
        }
    }

    /// The counts; what the rest of the store knows is left at its default.
    pub(crate) fn figures(&self) -> Figures {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            put_messages: value(&self.put_messages),
            put_bytes: value(&self.put_bytes),
            put_failed: value(&self.put_failed),
            put_time_max: Duration::from_nanos(value(&self.put_nanos_max)),
            put_times: std::array::from_fn(|class| value(&self.put_classes[class])),
            get_messages: value(&self.get_messages),
            get_found: value(&self.get_found),
            get_missed: value(&self.get_missed),
            get_bytes: value(&self.get_bytes),
            get_time_max: Duration::from_nanos(value(&self.get_nanos_max)),
            append_stalled: self.append_stalled(),
            ..Figures::default()
        }
    }
}

fn raise(max: &AtomicU64, took: Duration) {
    let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    // Most are not the longest: a look is cheaper than a write that others must wait for.
    if max.load(Ordering::Relaxed) < nanos {
        max.fetch_max(nanos, Ordering::Relaxed);
    }
}
