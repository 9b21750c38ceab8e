//! How far each delay level has been delivered: the queue offset of SCHEDULE_TOPIC_XXXX that comes next.
//!
//! Always true: a level never goes backwards, so that applying an old note again changes nothing.

use parking_lot::RwLock;
use std::collections::BTreeMap;

/// Level → next queue offset.
#[derive(Debug, Default)]
pub struct DelayProgress {
    levels: RwLock<BTreeMap<u32, i64>>,
}

impl DelayProgress {
    /// The offset that a level delivers next, if anything was ever noted.
    pub fn get(&self, level: u32) -> Option<i64> {
        self.levels.read().get(&level).copied()
    }

    /// Notes that everything before `offset` has been delivered.
    pub fn advance(&self, level: u32, offset: i64) {
        let mut levels = self.levels.write();
        let known = levels.entry(level).or_insert(offset);
        *known = offset.max(*known);
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.levels.write().clear();
    }

    /// All levels.
    pub fn all(&self) -> BTreeMap<u32, i64> {
        self.levels.read().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_never_goes_back() {
        let progress = DelayProgress::default();
        assert_eq!(progress.get(3), None);
        progress.advance(3, 10);
        progress.advance(3, 4);
        assert_eq!(progress.get(3), Some(10));
        progress.advance(1, 0);
        assert_eq!(progress.all(), BTreeMap::from([(1, 0), (3, 10)]));
    }
}
