//! Checkers: pure functions from what clients saw to a [`Finding`].
//!
//! None of them knows a cluster, a clock or a socket. `log` is linear in the history; `register`
//! searches (WGL), with every unknown outcome resolved before; both are cross-checked in tests
//! against `wgl`, which is slow, tiny and obviously right.

pub mod availability;
pub mod copies;
pub mod coverage;
pub mod delay;
pub mod excuse;
mod finding;
pub mod log;
pub mod order;
pub mod panics;
pub mod queue;
pub mod register;
pub mod replicas;
pub mod terms;
#[cfg(test)]
mod wgl;

pub use finding::{Finding, Verdict, overall};
