//! Where each entry begins: dense for the tail, which is what followers and the sink read, sparse for the rest.
//!
//! Pure. At low load an entry holds one message, so a dense index of everything could outgrow memory; a sparse point per
//! `POINT_BYTES` of log and a walk from it over envelopes finds any entry in microseconds.

use std::collections::VecDeque;

/// Entries of which the exact position is kept.
const DENSE_MAX: usize = 64 * 1024;

/// A sparse point stands for at least this many bytes of log.
const POINT_BYTES: u64 = 128 * 1024;

/// Indexes and positions, rising.
pub(crate) type Points = Vec<(u64, u64)>;

/// Positions by index.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Index and position, rising; the first entry always has a point.
    points: Vec<(u64, u64)>,
    /// Positions of the last entries.
    dense: VecDeque<u64>,
    /// The index of the first of them.
    dense_from: u64,
    /// Index and position of every membership entry, rising: there are few.
    memberships: Vec<(u64, u64)>,
}

impl Index {
    /// Notes that entry `index` begins at `position`.
    pub(crate) fn push(&mut self, index: u64, position: u64, is_membership: bool) {
        if self.points.last().is_none_or(|(_, last)| position >= last + POINT_BYTES) {
            self.points.push((index, position));
        }
        if self.dense.is_empty() {
            self.dense_from = index;
        }
        self.dense.push_back(position);
        if self.dense.len() > DENSE_MAX {
            self.dense.pop_front();
            self.dense_from += 1;
        }
        if is_membership {
            self.memberships.push((index, position));
        }
    }

    /// Takes on entries that are known from elsewhere, behind all that are here: only sparse points, and all memberships.
    pub(crate) fn restore(
        &mut self,
        points: impl Iterator<Item = (u64, u64)>,
        memberships: impl Iterator<Item = (u64, u64)>,
    ) {
        self.points.extend(points);
        self.memberships.extend(memberships);
        self.dense.clear();
    }

    /// The last point at or before `position`, from which a walk finds what lies there.
    pub(crate) fn point_at(&self, position: u64) -> Option<(u64, u64)> {
        let after = self.points.partition_point(|(_, point)| *point <= position);
        after.checked_sub(1).map(|at| self.points[at])
    }

    /// The points and the memberships between two positions.
    pub(crate) fn between(&self, from: u64, to: u64) -> (Points, Points) {
        let pick = |all: &[(u64, u64)]| {
            let start = all.partition_point(|(_, position)| *position < from);
            let end = all.partition_point(|(_, position)| *position < to);
            all[start..end.max(start)].to_vec()
        };
        (pick(&self.points), pick(&self.memberships))
    }

    /// An entry at or before `index`, from which a walk finds it: its index and position.
    pub(crate) fn floor(&self, index: u64) -> Option<(u64, u64)> {
        if index >= self.dense_from
            && let Some(position) = self.dense.get((index - self.dense_from) as usize)
        {
            return Some((index, *position));
        }
        let after = self.points.partition_point(|(point, _)| *point <= index);
        after.checked_sub(1).map(|at| self.points[at])
    }

    /// The last membership entry at or before `index`: its position.
    pub(crate) fn membership_at(&self, index: u64) -> Option<u64> {
        let after = self.memberships.partition_point(|(point, _)| *point <= index);
        after.checked_sub(1).map(|at| self.memberships[at].1)
    }

    /// Forgets everything behind `last`.
    pub(crate) fn truncate_after(&mut self, last: Option<u64>) {
        let from = last.map_or(0, |last| last + 1);
        self.points.truncate(self.points.partition_point(|(index, _)| *index < from));
        self.memberships.truncate(self.memberships.partition_point(|(index, _)| *index < from));
        let keep = from.saturating_sub(self.dense_from) as usize;
        self.dense.truncate(keep);
    }

    /// Forgets points below `first`, which begins at `position`.
    pub(crate) fn purge_before(&mut self, first: u64, position: u64, is_empty: bool) {
        let drop = self.points.partition_point(|(index, _)| *index <= first);
        self.points.drain(..drop);
        if !is_empty {
            self.points.insert(0, (first, position));
        }
        let drop = (first.saturating_sub(self.dense_from) as usize).min(self.dense.len());
        self.dense.drain(..drop);
        self.dense_from += drop as u64;
        // The membership in force at a purged entry is part of the snapshot that stands for it.
        let drop = self.memberships.partition_point(|(index, _)| *index < first);
        self.memberships.drain(..drop);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Entries of 1000 bytes from index 10 at position 500.
    fn filled(count: u64) -> Index {
        let mut index = Index::default();
        for number in 0..count {
            index.push(10 + number, 500 + number * 1000, number % 1000 == 7);
        }
        index
    }

    #[test]
    fn the_tail_is_exact_and_the_rest_is_near() {
        let index = filled(200_000);
        assert_eq!(index.floor(10), Some((10, 500)));
        assert_eq!(index.floor(200_009), Some((200_009, 500 + 199_999 * 1000)));
        let (near, position) = index.floor(5_000).unwrap();
        assert!(near <= 5_000 && 5_000 - near < 200 && position == 500 + (near - 10) * 1000);
        assert_eq!(index.floor(9), None);
        assert_eq!(index.membership_at(16), None);
        assert_eq!(index.membership_at(1016), Some(7500));
        assert!(index.points.len() < 2000);
    }

    proptest! {
        #[test]
        fn cutting_and_purging_leave_what_is_between(cut in 0..300_u64, purge in 0..300_u64) {
            let mut index = filled(300);
            let (cut, purge) = (10 + cut.max(purge), 10 + purge);
            index.truncate_after(Some(cut));
            index.purge_before(purge, 500 + (purge - 10) * 1000, false);
            for wanted in purge..=cut {
                prop_assert_eq!(index.floor(wanted), Some((wanted, 500 + (wanted - 10) * 1000)));
            }
            prop_assert_eq!(index.floor(purge - 1), None);
            let (found, _) = index.floor(cut + 1).unwrap();
            prop_assert!(found <= cut);
        }
    }
}
