//! Which queue offset the next appended message gets.
//!
//! In the classic modes whoever appends assigns; in Raft mode the leader's stamper does, from this table, and resets it when it
//! becomes leader, once everything before its term is applied. One thread assigns at a time.

use std::sync::Arc;

use crate::consume_queue::ConsumeQueue;
use crate::core::Core;

/// The table; cheap to clone.
#[derive(Debug, Clone)]
pub struct QueueOffsets {
    core: Arc<Core>,
}

impl QueueOffsets {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Takes the next `count` offsets of a queue; tells the first. For a queue that was deleted since somebody looked it up,
    /// those of the one that took its place: two counters would give one offset out twice.
    pub fn assign(&self, queue: &ConsumeQueue, count: u64) -> u64 {
        let successor = if queue.is_deleted() {
            self.core.queues.get_or_make(queue.topic(), queue.queue_id()).ok()
        } else {
            None
        };
        let queue = successor.as_deref().unwrap_or(queue);
        let first = queue.next_offset();
        queue.set_next_offset(first + count);
        first
    }

    /// Forgets what was assigned and not applied: every queue goes on where its visible messages end.
    pub fn reset(&self) {
        for queue in self.core.queues.all(|_| true) {
            queue.set_next_offset(queue.max_offset());
        }
    }
}
