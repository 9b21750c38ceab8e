//! What will be tried, and when: pure functions of a seed, so that a seed repeats a schedule.

mod dice;
mod faults;
mod kind;
mod pace;

pub use dice::Dice;
pub use faults::{FaultPlan, Rhythm, Step};
pub use kind::{Damage, FaultKind, Refusal, Split, Weather, Whom};
pub use pace::Pace;
