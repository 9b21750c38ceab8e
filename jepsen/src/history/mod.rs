//! What clients did and saw, event by event.
//!
//! A history is the only thing that checkers read: a checker never talks to a cluster, so every
//! verdict can be found again from the files of a run.

mod event;
mod file;
mod operation;

pub use event::{Answer, Call, Event, FaultNote, FaultPhase, Key, Kind, Placed};
pub use file::{Ended, Recorder, Writing, read};
pub use operation::{Faults, Operation, Outcome, pair};
