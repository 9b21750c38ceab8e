//! A thread for disk work that must not stop the thread of the consensus: the next segment, snapshots at boundaries, landmarks.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::log::Log;
use crate::snapshot::Snapshots;
use crate::types::Snapshot;

/// Chores that may wait. There is about one a segment; one more is dropped, and retention passes over that boundary.
const WAITING_MAX: usize = 64;

/// How often a full disk is tried again.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum Chore {
    PrepareSegment(u64),
    KeepBoundary(Box<Snapshot>),
    KeepLandmarks,
}

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Chores {
    queue: SyncSender<Chore>,
    has_room: Arc<AtomicBool>,
}

impl Chores {
    pub(crate) fn start(log: Arc<Log>, snapshots: Arc<Snapshots>) -> io::Result<Self> {
        let (queue, chores) = sync_channel(WAITING_MAX);
        let has_room = Arc::new(AtomicBool::new(true));
        let room = has_room.clone();
        std::thread::Builder::new()
            .name("raft-chores".to_owned())
            .spawn(move || run(&chores, &log, &snapshots, &room))?;
        Ok(Self { queue, has_room })
    }

    /// Makes the segment behind the one that holds `position`.
    pub(crate) fn prepare_segment(&self, position: u64) {
        let _ = self.queue.try_send(Chore::PrepareSegment(position));
    }

    /// Keeps a snapshot for retention.
    pub(crate) fn keep_boundary(&self, snapshot: Snapshot) {
        let _ = self.queue.try_send(Chore::KeepBoundary(Box::new(snapshot)));
    }

    /// Describes what became durable, for the next start.
    pub(crate) fn keep_landmarks(&self) {
        let _ = self.queue.try_send(Chore::KeepLandmarks);
    }

    /// Whether there was room for the next segment.
    pub(crate) fn has_room(&self) -> bool {
        self.has_room.load(Ordering::Relaxed)
    }
}

fn run(chores: &Receiver<Chore>, log: &Log, snapshots: &Snapshots, has_room: &AtomicBool) {
    let mut failed: Option<u64> = None;
    loop {
        let next = match failed {
            None => chores.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(_) => chores.recv_timeout(RETRY),
        };
        let position = match next {
            Ok(Chore::KeepBoundary(snapshot)) => {
                if let Err(error) = snapshots.save_boundary(&snapshot) {
                    tracing::warn!(%error, "no snapshot at this boundary, retention will pass over it");
                }
                continue;
            }
            Ok(Chore::KeepLandmarks) => {
                if let Err(error) = log.keep_landmarks() {
                    tracing::warn!(%error, "no landmark: the next start reads more of the log");
                }
                continue;
            }
            Ok(Chore::PrepareSegment(position)) => position,
            Err(RecvTimeoutError::Timeout) => failed.unwrap_or_default(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        failed = match log.segments().prepare_next(position) {
            Ok(()) => None,
            Err(error) => {
                if failed.is_none() {
                    tracing::error!(%error, "no room for the next segment, proposals are refused");
                }
                Some(position)
            }
        };
        has_room.store(failed.is_none(), Ordering::Relaxed);
    }
}
