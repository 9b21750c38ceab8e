//! A consume queue.
use std::sync::Arc;
/// One consume queue.
#[derive(Debug)]
pub struct ConsumeQueue { pub(crate) topic: Arc<str>, pub(crate) queue_id: u32 }
impl ConsumeQueue {
    /// The topic.
    pub fn topic(&self) -> &Arc<str> { &self.topic }
    /// The queue's number in its topic.
    pub fn queue_id(&self) -> u32 { self.queue_id }
    /// The first kept offset.
    pub fn min_offset(&self) -> u64 { 0 }
    /// The offset that the next visible message will have.
    pub fn max_offset(&self) -> u64 { 0 }
}
