//! Walks a stretch of the log that is known to be committed, entry by entry, and applies its messages to the store.
//!
//! Needed where entries are not applied one by one: behind a snapshot, for the classic prefix of a log, and when the
//! consume queues have to be made again.

use disk::Segments;
use protocol::message::{RecordHead, record_head};
use raft_log::{ENVELOPE_BYTES, ENVELOPE_MAGIC, EntryKind, Envelope};
use store::{MessageStore, StoreError};

/// Most bytes that are applied in one go.
const STRIDE: u64 = 1 << 20;

/// The log holds something at this place that is no part of a log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalkError {
    #[error("the log cannot be walked at {position}: magic {magic:#010x}, size {len}")]
    Foreign { position: u64, magic: u32, len: u32 },
    #[error("the log ends at {position}, before {to}")]
    Ends { position: u64, to: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Applies what lies between two positions.
pub(crate) fn apply_range(
    segments: &Segments,
    store: &MessageStore,
    from: u64,
    to: u64,
) -> Result<(), WalkError> {
    let mut walk = Walk { segments, store, run: from..from };
    let mut at = from;
    while at < to {
        at = walk.step(at, to)?;
    }
    walk.finish_run()?;
    store.skip_to(to);
    Ok(())
}

struct Walk<'a> {
    segments: &'a Segments,
    store: &'a MessageStore,
    /// Messages seen and not yet applied.
    run: std::ops::Range<u64>,
}

impl Walk<'_> {
    /// Looks at what begins at `at`; says where the next thing begins.
    fn step(&mut self, at: u64, to: u64) -> Result<u64, WalkError> {
        let left = self.segments.segment_start(at) + self.segments.segment_bytes() - at;
        if left < 8 {
            return Ok(at + left);
        }
        let head = self.segments.read(at, 8).map_err(StoreError::from)?;
        match record_head(&head) {
            RecordHead::Message { len } => {
                self.extend_run(at, u64::from(len))?;
                Ok(at + u64::from(len))
            }
            RecordHead::Filler { len } => {
                self.finish_run()?;
                Ok(at + u64::from(len).max(1))
            }
            RecordHead::Unknown { magic: ENVELOPE_MAGIC, len } if len as usize >= ENVELOPE_BYTES => {
                self.finish_run()?;
                self.enter(at, len)
            }
            RecordHead::Unknown { magic, len } => Err(WalkError::Foreign { position: at, magic, len }),
            RecordHead::End => Err(WalkError::Ends { position: at, to }),
        }
    }

    /// Goes into an entry that holds messages, and round one that holds none.
    fn enter(&self, at: u64, len: u32) -> Result<u64, WalkError> {
        let head = self.segments.read(at, ENVELOPE_BYTES).map_err(StoreError::from)?;
        match Envelope::decode(&head) {
            Some(envelope) if envelope.kind == EntryKind::Records => Ok(at + ENVELOPE_BYTES as u64),
            Some(_) => Ok(at + u64::from(len)),
            None => Err(WalkError::Foreign { position: at, magic: ENVELOPE_MAGIC, len }),
        }
    }

    fn extend_run(&mut self, at: u64, bytes: u64) -> Result<(), WalkError> {
        if self.run.end != at {
            self.finish_run()?;
            self.run = at..at;
        }
        self.run.end = at + bytes;
        if self.run.end - self.run.start >= STRIDE { self.finish_run() } else { Ok(()) }
    }

    fn finish_run(&mut self) -> Result<(), WalkError> {
        if !self.run.is_empty() {
            let bytes = (self.run.end - self.run.start) as usize;
            let records = self.segments.read(self.run.start, bytes).map_err(StoreError::from)?;
            self.store.apply_again(self.run.start, &records)?;
            self.run.start = self.run.end;
        }
        Ok(())
    }
}
