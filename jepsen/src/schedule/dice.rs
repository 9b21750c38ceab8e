//! The run's only source of chance. Splitmix64: tiny, good enough to pick targets, and the same
//! on every machine and in every version of every library.

/// A stream of numbers that depends on its seed alone.
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// Starts a stream.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A stream of its own for each part of the run, so that one part's appetite for numbers
    /// does not shift another's.
    pub fn fork(&self, label: &str) -> Self {
        let mut hash = self.state ^ 0xcbf2_9ce4_8422_2325;
        for byte in label.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let mut fork = Self { state: hash };
        fork.roll();
        fork
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.roll() % end }
    }

    /// A number in `from..=to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from) + 1)
    }

    /// True `percent` times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of the choices, or `None` of none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        let index = usize::try_from(self.below(choices.len() as u64)).unwrap_or(0);
        choices.get(index)
    }

    /// The same items in an order of chance.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or(0);
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_numbers_and_forks_do_not_disturb_each_other() {
        let (mut a, mut b) = (Dice::new(7), Dice::new(7));
        assert_eq!(
            (0..9).map(|_| a.roll()).collect::<Vec<_>>(),
            (0..9).map(|_| b.roll()).collect::<Vec<_>>()
        );
        let root = Dice::new(7);
        let mut writers = root.fork("writers");
        let before = root.fork("faults").roll();
        writers.roll();
        assert_eq!(root.fork("faults").roll(), before);
        assert_ne!(root.fork("writers").roll(), before);
    }

    #[test]
    fn numbers_keep_their_bounds() {
        let mut dice = Dice::new(1);
        for _ in 0..1_000 {
            assert!((5..=9).contains(&dice.between(5, 9)));
        }
        assert_eq!(dice.below(0), 0);
        assert_eq!(dice.between(3, 3), 3);
        let none: [u8; 0] = [];
        assert!(dice.pick(&none).is_none());
    }
}
