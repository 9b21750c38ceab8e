//! Wall-clock time in milliseconds since 1970: what messages and answers carry. Deadlines use `Instant` instead.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
