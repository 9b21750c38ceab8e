//! Faults on real processes, histories of what clients saw, and checkers that judge them.
//!
//! A run goes one way: a [`schedule`] made from a seed says what is tried when; the [`cluster`]
//! is real binaries; [`workload`]s talk to it and record a [`history`]; the [`nemesis`] breaks
//! things meanwhile; the pure [`check`]ers read the history and nothing else; the [`report`] is
//! what people look at. `jepsen` the command (`main.rs`) is the only caller.
//!
//! Always true: no part of the servers knows that it is under test, a fault that did not really
//! happen is never counted as survived, and a harness that fails never passes.

pub mod check;
pub mod cluster;
pub mod error;
pub mod history;
pub mod kills;
pub mod nemesis;
pub mod net;
pub mod report;
pub mod run;
pub mod schedule;
pub mod workload;

pub use error::{Error, Result};
