//! One broker, killed again and again: SIGKILL at an instant of chance under load, start, look at everything, and the next
//! round on the same store. A hundred rounds of it ask what one long test with faults asks only a few times.
//!
//! `book` is pure and judges; `subject` is the process; `load` sends, `audit` reads; `queue_files` compares the files in the end.

mod audit;
mod book;
mod load;
mod queue_files;
mod rounds;
mod subject;

pub use rounds::{KillSettings, run};
