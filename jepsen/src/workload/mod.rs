//! What clients do: one file a workload, straight over the wire, so that every operation is sent
//! exactly once and its outcome is ours to judge.
//!
//! A workload spawns lanes that run until the stop sign, drains when all is healed, and hands the
//! finished history to its checkers. A new workload is one file and one line in [`Kind::make`].

pub mod body;
mod delay;
mod field;
mod log;
mod order;
mod queue;
mod reader;
mod register;
mod shares;
mod wire;

use std::future::Future;
use std::pin::Pin;

pub use field::{Field, Tally};
pub use wire::{Extra, Wire};

use crate::check::Finding;
use crate::check::excuse::Promise;
use crate::check::log::Drain;
use crate::cluster::Mode;
use crate::history::{FaultNote, Operation};

/// A future that lanes and drains are.
pub type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a finished run hands to its workload's checkers.
#[derive(Debug)]
pub struct Run<'a> {
    /// The mode that was run.
    pub mode: Mode,
    /// All operations.
    pub operations: &'a [Operation],
    /// All faults.
    pub faults: &'a [(u64, FaultNote)],
    /// What every source holds at the end.
    pub drains: Vec<Drain>,
    /// What the mode promises under these faults.
    pub promise: Promise,
    /// Old messages may be gone.
    pub retention: bool,
}

/// One workload.
pub trait Workload: Send + Sync {
    /// Topics, groups: what must be there before the first lane. `false` is "not yet".
    fn prepare(&self, field: &Field) -> Boxed<bool>;
    /// The lanes, each until the field says stop.
    fn lanes(&self, field: &Field) -> Vec<Boxed<()>>;
    /// Runs when all is healed: reads on until nothing is left to read. `Err` says why it cannot.
    fn drain(&self, field: &Field) -> Boxed<Result<Vec<Drain>, String>>;
    /// Whether messages of the topic in the replicas' files are drains too.
    fn reads_files(&self) -> bool;
    /// The verdicts.
    fn check(&self, run: Run<'_>) -> Vec<Finding>;
}

/// The workloads by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Unique values to many queues, readers everywhere.
    Log,
    /// Consumer offsets and topic configurations as registers.
    Register,
    /// A group of consumers with rebalance.
    Queue,
    /// Delayed messages.
    Delay,
    /// Ordered streams and queue locks.
    Order,
}

impl Kind {
    /// Every workload with its name on the command line.
    pub const ALL: [(&'static str, Self); 5] = [
        ("log", Self::Log),
        ("register", Self::Register),
        ("queue", Self::Queue),
        ("delay", Self::Delay),
        ("order", Self::Order),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("unnamed", |(name, _)| name)
    }

    /// The workload of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    /// Makes it.
    pub fn make(self) -> Box<dyn Workload> {
        match self {
            Self::Log => Box::new(log::LogWorkload),
            Self::Register => Box::new(register::RegisterWorkload),
            Self::Queue => Box::new(queue::QueueWorkload),
            Self::Delay => Box::new(delay::DelayWorkload),
            Self::Order => Box::new(order::OrderWorkload),
        }
    }
}
