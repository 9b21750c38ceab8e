//! The version that a table bears: RocketMQ's `DataVersion`, moved on by each change.

use protocol::body::DataVersion;

/// When and under which term a change was made; part of the command, so that replicas agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// The term of the leader that made the change; 0 in the classic modes.
    pub state_version: i64,
}

impl Stamp {
    /// The stamp that led to a version.
    pub fn of(version: &DataVersion) -> Self {
        Self { at_ms: version.timestamp, state_version: version.state_version }
    }
}

/// The version after one more change.
pub(super) fn next(version: &DataVersion, stamp: Stamp) -> DataVersion {
    DataVersion { state_version: stamp.state_version, timestamp: stamp.at_ms, counter: version.counter + 1 }
}
