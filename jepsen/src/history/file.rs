//! The history on disk: one JSON object a line, written by one thread behind a bounded channel.
//!
//! A lane that outruns the disk waits; no event is ever dropped, because a missing completion
//! would turn an acknowledged message into an unknown one.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use super::event::{Answer, Call, Event, FaultNote, Kind};
use crate::error::{Error, Result};

/// Events that may wait for the disk.
const WAITING_MAX: usize = 65_536;

/// Writes a history while it happens. Clones write to the same file.
#[derive(Clone, Debug)]
pub struct Recorder {
    began: Instant,
    next: Arc<AtomicU64>,
    sender: SyncSender<Event>,
}

/// The thread that owns the file.
#[derive(Debug)]
pub struct Writing {
    path: PathBuf,
    thread: JoinHandle<std::io::Result<u64>>,
}

impl Recorder {
    /// Begins a history; time 0 is now.
    pub fn create(path: &Path) -> Result<(Self, Writing)> {
        let failed = |source| Error::File { doing: "creating", path: path.to_owned(), source };
        let file = File::create(path).map_err(failed)?;
        let (sender, receiver) = sync_channel::<Event>(WAITING_MAX);
        let thread = std::thread::Builder::new().name("history".to_owned()).spawn(move || {
            let mut out = BufWriter::with_capacity(1 << 20, file);
            let mut written = 0;
            for event in receiver {
                serde_json::to_writer(&mut out, &event)?;
                out.write_all(b"\n")?;
                written += 1;
            }
            out.flush()?;
            Ok(written)
        });
        let thread = thread.map_err(failed)?;
        let recorder = Self { began: Instant::now(), next: Arc::new(AtomicU64::new(0)), sender };
        Ok((recorder, Writing { path: path.to_owned(), thread }))
    }

    /// Microseconds since the run began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// A new operation number.
    pub fn next_op(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Records that a client is about to ask. Call it before the first byte leaves.
    pub fn invoke(&self, process: u32, call: Call) -> u64 {
        let op = self.next_op();
        self.put(Event {
            at: self.now(),
            process,
            op,
            kind: Kind::Invoke,
            call: Some(call),
            answer: None,
            error: None,
            fault: None,
        });
        op
    }

    /// Records how an operation ended. Call it after the last byte has come.
    pub fn complete(&self, process: u32, op: u64, ended: &Ended) {
        let (kind, answer, error) = match ended {
            Ended::Ok(answer) => (Kind::Ok, Some(answer.clone()), None),
            Ended::Fail(why) => (Kind::Fail, None, Some(why.clone())),
            Ended::Unknown(why) => (Kind::Info, None, Some(why.clone())),
        };
        self.put(Event { at: self.now(), process, op, kind, call: None, answer, error, fault: None });
    }

    /// Records a phase of a fault.
    pub fn fault(&self, at: u64, note: FaultNote) {
        self.put(Event {
            at,
            process: Event::NEMESIS,
            op: self.next_op(),
            kind: Kind::Fault,
            call: None,
            answer: None,
            error: None,
            fault: Some(note),
        });
    }

    fn put(&self, event: Event) {
        // The thread ends early only when the disk refuses the history; `Writing::finish` says so.
        let _ = self.sender.send(event);
    }
}

/// How an operation ended, with what the client learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Acknowledged.
    Ok(Answer),
    /// Certainly without effect.
    Fail(String),
    /// Nobody knows.
    Unknown(String),
}

impl Writing {
    /// Waits until every event is in the file. All recorders must be gone by then.
    pub fn finish(self) -> Result<u64> {
        let written = self.thread.join().map_err(|_| std::io::Error::other("the history thread panicked"));
        written.and_then(|inner| inner).map_err(|source| Error::File {
            doing: "writing",
            path: self.path,
            source,
        })
    }
}

/// Reads a history back.
pub fn read(path: &Path) -> Result<Vec<Event>> {
    let failed = |source| Error::File { doing: "reading", path: path.to_owned(), source };
    let file = BufReader::new(File::open(path).map_err(failed)?);
    let mut events = Vec::new();
    for (index, line) in file.lines().enumerate() {
        let line = line.map_err(failed)?;
        events.push(
            serde_json::from_str(&line).map_err(|source| Error::HistoryLine { line: index + 1, source })?,
        );
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Outcome, pair};

    #[test]
    fn a_recorded_history_reads_back_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.jsonl");
        let (recorder, writing) = Recorder::create(&path).unwrap();
        let first = recorder.invoke(0, Call::Send { queue: 0, value: 1 });
        let second = recorder.invoke(1, Call::Tail { queue: 0, node: 0 });
        recorder.complete(1, second, &Ended::Ok(Answer::End(0)));
        recorder.complete(0, first, &Ended::Fail("refused".to_owned()));
        drop(recorder);
        assert_eq!(writing.finish().unwrap(), 4);
        let (operations, faults) = pair(read(&path).unwrap()).unwrap();
        assert!(faults.is_empty());
        assert_eq!(operations[0].outcome, Outcome::Fail);
        assert_eq!(operations[1].answer, Some(Answer::End(0)));
    }
}
