//! Words for whoever watches: one line that changes, and lines that stay.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::nemesis::Report;
use crate::workload::Tally;

/// Says a line that stays.
pub fn say(line: &str) {
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "\r\x1b[K{line}");
}

/// The line that changes.
#[derive(Debug)]
pub struct Progress {
    tally: Arc<Tally>,
    report: Report,
    began: Instant,
    time: Duration,
    last_ok: u64,
    last_at: Instant,
}

impl Progress {
    /// A line for a run of this length.
    pub fn new(tally: Arc<Tally>, report: Report, time: Duration) -> Self {
        let now = Instant::now();
        Self { tally, report, began: now, time, last_ok: 0, last_at: now }
    }

    /// Draws the line anew.
    pub fn tick(&mut self) {
        let ok = self.tally.ok.load(Ordering::Relaxed);
        let rate = (ok - self.last_ok) as f64 / self.last_at.elapsed().as_secs_f64().max(0.001);
        (self.last_ok, self.last_at) = (ok, Instant::now());
        let (fail, unknown) =
            (self.tally.fail.load(Ordering::Relaxed), self.tally.unknown.load(Ordering::Relaxed));
        let faults = self.report.now();
        let faults = if faults.is_empty() { "none" } else { &faults };
        let mut out = std::io::stderr().lock();
        let _ = write!(
            out,
            "\r\x1b[K{:>4}/{} s  ok {ok} ({rate:.0}/s)  refused {fail}  unknown {unknown}  faults: {faults}",
            self.began.elapsed().as_secs(),
            self.time.as_secs(),
        );
        let _ = out.flush();
    }
}
