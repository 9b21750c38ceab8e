//! The limits of one connection: whatever a peer can make grow ends at a number of this page.

use std::time::Duration;

/// Limits of one connection, the same for both ends.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// A connection on which neither side wrote for so long is closed.
    /// Source: RocketMQ 5.3.3 `serverChannelMaxIdleTimeSeconds` and `clientChannelMaxIdleTimeSeconds`, 120 s.
    pub idle_max: Duration,
    /// A peer that leaves our bytes unread for so long is closed.
    pub stall_max: Duration,
    /// Above so many unread bytes, nothing more is read from that peer.
    pub pause_bytes: usize,
    /// Above so many unread bytes, replies have nowhere to go: the connection is closed.
    pub queued_bytes_max: usize,
    /// Above so many bytes of frames that are not whole, of all connections of the process together, the connection that
    /// brings more of them is closed.
    pub unfinished_bytes_max: usize,
    /// So many requests may wait for our reply; with more, nothing is read until some are answered.
    pub unanswered_max: usize,
    /// So many of our own calls may wait for the peer's answers.
    /// Source: RocketMQ 5.3.3 `clientAsyncSemaphoreValue`, 65535.
    pub calls_max: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            idle_max: Duration::from_secs(120),
            stall_max: Duration::from_secs(30),
            pause_bytes: 1 << 20,
            queued_bytes_max: 64 << 20,
            unfinished_bytes_max: 1 << 30,
            unanswered_max: 65_536,
            calls_max: 65_535,
        }
    }
}
