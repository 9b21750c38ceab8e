//! The fault injector: carries out a plan of faults on a running cluster, and records of each
//! what really became of it: installed, skipped or indeterminate, and when it was healed.
//!
//! It runs on a thread of its own and blocks as it likes. What decides (whom, which links) is pure
//! and in `targets` and `split`; what acts is one file a kind of fault.

mod act;
mod clock;
mod damage;
mod elected;
mod group;
mod injector;
mod power;
mod process;
mod refusal;
mod split;
mod targets;

pub use act::{Struck, Undo};
pub use clock::clock_library;
pub use injector::{Injector, Report, StopSign};
