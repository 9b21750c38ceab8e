//! What a fault did, and how it is undone.

use std::path::PathBuf;
use std::process::Child;

use super::injector::Injector;
use rustix::process::{Pid, Signal, kill_process};

use crate::error::Result;
use crate::history::FaultPhase;
use crate::net::Member;

/// The outcome of one strike.
#[derive(Debug)]
pub struct Struck {
    /// Installed, skipped or indeterminate.
    pub phase: FaultPhase,
    /// Whom it struck.
    pub nodes: Vec<Member>,
    /// What was done, for people.
    pub what: String,
    /// What ends it.
    pub undo: Undo,
}

impl Struck {
    /// It really happened.
    pub fn installed(nodes: Vec<Member>, what: impl Into<String>, undo: Undo) -> Self {
        Self { phase: FaultPhase::Installed, nodes, what: what.into(), undo }
    }

    /// It could not be tried.
    pub fn skipped(why: impl Into<String>) -> Self {
        Self { phase: FaultPhase::Skipped, nodes: Vec::new(), what: why.into(), undo: Undo::default() }
    }

    /// It was tried, and nobody can tell whether it took hold.
    pub fn indeterminate(nodes: Vec<Member>, why: impl Into<String>, undo: Undo) -> Self {
        Self { phase: FaultPhase::Indeterminate, nodes, what: why.into(), undo }
    }
}

/// Everything that ends a fault; each list may be empty.
#[derive(Debug, Default)]
pub struct Undo {
    /// Members to start.
    pub start: Vec<Member>,
    /// Members to let go on.
    pub resume: Vec<Member>,
    /// Whether the fault lies on links.
    pub links: bool,
    /// Tracers to send away.
    pub tracers: Vec<Child>,
    /// Members whose clock goes right again.
    pub clocks: Vec<Member>,
    /// Files that fill disks.
    pub ballast: Vec<PathBuf>,
    /// Members whose disks were damaged: if they refuse to run, their disks are replaced.
    pub rebuild: Vec<Member>,
    /// A slave whose master may come back with less than the slave has: if it refuses to follow, its disk is replaced.
    pub reconcile: Option<Member>,
}

impl Undo {
    /// Members that must be started again.
    pub fn starting(members: &[Member]) -> Self {
        Self { start: members.to_vec(), ..Self::default() }
    }

    /// Ends the fault with this number.
    pub(super) fn run(self, fault: u32, injector: &Injector) -> Result<()> {
        let cluster = &injector.cluster;
        for mut tracer in self.tracers {
            // SIGTERM lets the tracer take its hands off the server first.
            if let Some(pid) = i32::try_from(tracer.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::TERM);
            }
            let _ = tracer.wait();
        }
        for file in self.ballast {
            let _ = std::fs::remove_file(file);
        }
        for member in self.clocks {
            super::clock::set(cluster, member, 0)?;
        }
        if self.links {
            cluster.lift(fault)?;
        }
        for member in self.resume {
            cluster.server_of(member).resume()?;
        }
        for member in self.start {
            cluster.start_member(member)?;
        }
        for member in self.rebuild {
            super::damage::rebuild_if_it_refuses(injector, member)?;
        }
        if let Some(slave) = self.reconcile {
            super::damage::rebuild_if_logs_parted(injector, slave)?;
        }
        Ok(())
    }
}
