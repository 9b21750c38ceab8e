//! The plan of faults: which, when, for how long, and the dice that will pick their targets.
//!
//! Targets depend on who is master when the fault strikes, so the plan holds a number for each
//! step instead of a node: the same seed and the same roles give the same targets.

use super::dice::Dice;
use super::kind::FaultKind;

/// When faults come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// Length of the main phase.
    pub time_ms: u64,
    /// Middle distance between the beginnings of faults; each is off by up to half.
    pub interval_ms: u64,
    /// Nothing happens before.
    pub quiet_ms: u64,
}

impl Rhythm {
    /// A rhythm that fits some faults into a run of any length.
    pub fn fitting(time_ms: u64) -> Self {
        let interval_ms = (time_ms / 6).clamp(4_000, 20_000);
        Self { time_ms, interval_ms, quiet_ms: (time_ms / 8).min(5_000) }
    }
}

/// One planned fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Number of the fault.
    pub id: u32,
    /// Milliseconds after the start of the main phase.
    pub at_ms: u64,
    /// What to do.
    pub kind: FaultKind,
    /// How long until it is undone.
    pub lasts_ms: u64,
    /// Picks targets and strengths.
    pub dice: u64,
}

/// All faults of a run, in the order of their beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// The steps.
    pub steps: Vec<Step>,
}

impl FaultPlan {
    /// Faults of the given kinds one after the other, never two at once.
    pub fn in_turn(kinds: &[FaultKind], rhythm: Rhythm, dice: &Dice) -> Self {
        let mut dice = dice.fork("faults");
        let mut steps = Vec::new();
        let mut at_ms = rhythm.quiet_ms;
        for (id, kind) in (0_u32..).zip(kinds.iter().copied().cycle()) {
            let lasts_ms = jittered(&mut dice, kind.lasting(rhythm.interval_ms / 2));
            if kinds.is_empty() || at_ms + lasts_ms + rhythm.quiet_ms / 2 > rhythm.time_ms {
                break;
            }
            steps.push(Step { id, at_ms, kind, lasts_ms, dice: dice.roll() });
            at_ms += lasts_ms.max(1_000) + jittered(&mut dice, rhythm.interval_ms / 2);
        }
        Self { steps }
    }

    /// Faults of chance that overlap, with quiet times between the crowds.
    pub fn mixed(kinds: &[FaultKind], rhythm: Rhythm, dice: &Dice) -> Self {
        let mut dice = dice.fork("mix");
        let mut steps = Vec::new();
        let mut crowd_at_ms = rhythm.quiet_ms;
        let mut id = 0;
        while crowd_at_ms + rhythm.interval_ms < rhythm.time_ms {
            let crowd_ms = jittered(&mut dice, rhythm.interval_ms);
            for _ in 0..dice.between(1, 3) {
                let Some(kind) = dice.pick(kinds).copied() else { return Self { steps } };
                let at_ms = crowd_at_ms + dice.below(crowd_ms / 2 + 1);
                let lasts_ms = jittered(&mut dice, kind.lasting(crowd_ms / 2)).min(crowd_ms);
                steps.push(Step { id, at_ms, kind, lasts_ms, dice: dice.roll() });
                id += 1;
            }
            crowd_at_ms += 2 * crowd_ms;
        }
        steps.sort_by_key(|step| (step.at_ms, step.id));
        Self { steps }
    }
}

/// Half to one and a half of the middle.
fn jittered(dice: &mut Dice, middle: u64) -> u64 {
    middle / 2 + dice.below(middle + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::kind::{Split, Whom};

    const KINDS: &[FaultKind] =
        &[FaultKind::Kill(Whom::Leader), FaultKind::Partition(Split::Leader), FaultKind::Transfer];

    #[test]
    fn a_seed_repeats_its_plan() {
        let rhythm = Rhythm::fitting(300_000);
        for plan in [FaultPlan::in_turn, FaultPlan::mixed] {
            assert_eq!(plan(KINDS, rhythm, &Dice::new(5)), plan(KINDS, rhythm, &Dice::new(5)));
            assert_ne!(plan(KINDS, rhythm, &Dice::new(5)), plan(KINDS, rhythm, &Dice::new(6)));
        }
    }

    #[test]
    fn faults_in_turn_never_overlap_and_end_before_the_run_does() {
        for seed in 0..50 {
            for time_ms in [20_000, 60_000, 300_000] {
                let rhythm = Rhythm::fitting(time_ms);
                let plan = FaultPlan::in_turn(KINDS, rhythm, &Dice::new(seed));
                assert!(!plan.steps.is_empty(), "no fault in {time_ms} ms");
                assert!(plan.steps[0].at_ms >= rhythm.quiet_ms);
                for pair in plan.steps.windows(2) {
                    assert!(pair[0].at_ms + pair[0].lasts_ms < pair[1].at_ms);
                }
                let last = plan.steps[plan.steps.len() - 1];
                assert!(last.at_ms + last.lasts_ms < time_ms);
            }
        }
    }

    #[test]
    fn a_mix_overlaps_and_leaves_quiet_times() {
        let rhythm = Rhythm::fitting(300_000);
        let plan = FaultPlan::mixed(KINDS, rhythm, &Dice::new(3));
        let overlaps = plan.steps.windows(2).filter(|pair| pair[0].at_ms + pair[0].lasts_ms > pair[1].at_ms);
        assert!(overlaps.count() > 0);
        assert!(plan.steps.windows(2).any(|pair| pair[1].at_ms > pair[0].at_ms + pair[0].lasts_ms + 2_000));
    }

    #[test]
    fn no_kinds_make_no_plan() {
        let rhythm = Rhythm::fitting(60_000);
        assert!(FaultPlan::in_turn(&[], rhythm, &Dice::new(1)).steps.is_empty());
        assert!(FaultPlan::mixed(&[], rhythm, &Dice::new(1)).steps.is_empty());
    }
}
