//! Planted bugs: each is a mistake that the harness must catch.
//!
//! The rooms hold them behind the cargo feature `planted-bugs` (`broker/planted-bugs` turns on the
//! same feature of `raft-log`, `store` and `disk`), and one is chosen by the environment variable
//! `TRIREME_PLANT`. A release build without the feature does not contain a byte of them, and
//! builds with it go into a directory of their own.

use std::time::Duration;

use super::build::{build, planted_directory};
use super::settings::{Nemesis, TestSettings};
use super::test::test;
use crate::check::Verdict;
use crate::cluster::Mode;
use crate::error::{Error, Result};
use crate::nemesis::StopSign;
use crate::report::say;
use crate::workload::Kind;

/// One planted bug and the run that must catch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plant {
    /// The value of `TRIREME_PLANT`.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
    /// The workload that shows it.
    pub workload: Kind,
    /// The fault that shows it.
    pub nemesis: &'static str,
    /// Seconds of a try.
    pub seconds: u64,
    /// Operations a second.
    pub rate: u32,
}

/// All of them.
pub const PLANTS: &[Plant] = &[
    Plant {
        name: "entry-unsynced",
        what: "an entry is reported as durable without a sync",
        workload: Kind::Log,
        nemesis: "power-all",
        seconds: 30,
        rate: 1_000,
    },
    Plant {
        name: "vote-unsynced",
        what: "a vote is reported as saved without a sync",
        workload: Kind::Log,
        nemesis: "power-one,partition-leader,power-two",
        seconds: 60,
        rate: 500,
    },
    Plant {
        name: "directory-unsynced",
        what: "a new file's directory is not synced",
        workload: Kind::Log,
        nemesis: "power-all",
        seconds: 40,
        rate: 4_000,
    },
    Plant {
        name: "ack-before-quorum",
        what: "the leader acknowledges when its own disk has the entry",
        workload: Kind::Log,
        nemesis: "partition-leader,kill-leader",
        seconds: 40,
        rate: 1_000,
    },
    Plant {
        name: "old-term-commit",
        what: "entries of earlier terms are committed by counting replicas",
        workload: Kind::Log,
        nemesis: "partition-leader,kill-leader,partition-oneway",
        seconds: 90,
        rate: 1_000,
    },
    Plant {
        name: "unchecked-read",
        what: "tails and offsets are answered without asking whether one still leads",
        workload: Kind::Log,
        nemesis: "partition-leader,pause-leader",
        seconds: 40,
        rate: 500,
    },
    Plant {
        name: "truncate-forgotten",
        what: "a follower keeps its conflicting tail and appends behind it",
        workload: Kind::Log,
        nemesis: "partition-leader,kill-leader",
        seconds: 60,
        rate: 1_000,
    },
    Plant {
        name: "offsets-unreplicated",
        what: "consumer offsets are kept by the leader alone",
        workload: Kind::Register,
        nemesis: "kill-leader",
        seconds: 40,
        rate: 300,
    },
    Plant {
        name: "append-twice",
        what: "a proposal whose leader changed is proposed again without asking whether it is in",
        workload: Kind::Log,
        nemesis: "kill-leader,pause-leader",
        seconds: 60,
        rate: 2_000,
    },
    Plant {
        name: "queue-offset-reused",
        what: "a new leader goes on from queue offsets that it had applied, not appended",
        workload: Kind::Log,
        nemesis: "kill-leader,partition-leader",
        seconds: 60,
        rate: 2_000,
    },
];

/// Tries with other seeds before a plant counts as not caught.
const TRIES: u64 = 3;

/// Builds the servers with plants and lets each be caught; says which were not.
pub async fn planted(like: &TestSettings, only: Option<&str>, stop: &StopSign) -> Result<Vec<&'static str>> {
    let binaries = tokio::task::block_in_place(|| build(true))?;
    let results = like.results.join("planted");
    let mut table = String::from(
        "| planted bug | caught by | nemesis | try | seconds of load |\n|---|---|---|---|---|\n",
    );
    let mut missed = Vec::new();
    for plant in PLANTS.iter().filter(|plant| only.is_none_or(|only| plant.name.contains(only))) {
        let caught = catch(plant, like, &binaries, &results, stop).await?;
        match caught {
            Some((checkers, attempt)) => table.push_str(&format!(
                "| {} | {checkers} | {} | {attempt} | {} |\n",
                plant.name,
                plant.nemesis,
                attempt * plant.seconds
            )),
            None => {
                table.push_str(&format!("| {} | **not caught** | {} | | |\n", plant.name, plant.nemesis));
                missed.push(plant.name);
            }
        }
    }
    let path = results.join("planted.md");
    std::fs::write(&path, &table).map_err(|source| Error::File { doing: "writing", path, source })?;
    say(&table);
    say(&format!("built in {}", planted_directory().display()));
    Ok(missed)
}

async fn catch(
    plant: &Plant,
    like: &TestSettings,
    binaries: &std::path::Path,
    results: &std::path::Path,
    stop: &StopSign,
) -> Result<Option<(String, u64)>> {
    for attempt in 1..=TRIES {
        let settings = TestSettings {
            mode: Mode::Raft,
            workload: plant.workload,
            nemesis: Nemesis::parse(plant.nemesis)?,
            time: Duration::from_secs(plant.seconds),
            rate: plant.rate,
            seed: like.seed + attempt - 1,
            binaries: binaries.to_owned(),
            results: results.to_owned(),
            plant: Some(plant.name.to_owned()),
            ..like.clone()
        };
        say(&format!("planted: {} ({}), try {attempt}", plant.name, plant.what));
        let (verdict, directory) = test(&settings, stop).await?;
        if verdict == Verdict::Invalid {
            return Ok(Some((who_caught(&directory)?, attempt)));
        }
    }
    Ok(None)
}

/// The checkers that said invalid.
fn who_caught(directory: &std::path::Path) -> Result<String> {
    let path = directory.join("verdict.json");
    let bytes = std::fs::read(&path).map_err(|source| Error::File { doing: "reading", path, source })?;
    let summary: crate::report::Summary = serde_json::from_slice(&bytes)?;
    let invalid = summary.findings.iter().filter(|finding| finding.verdict == Verdict::Invalid);
    Ok(invalid.map(|finding| finding.checker.clone()).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_plant_names_real_faults_that_fit_into_its_time() {
        let names: BTreeSet<_> = PLANTS.iter().map(|plant| plant.name).collect();
        assert_eq!(names.len(), PLANTS.len());
        for plant in PLANTS {
            let nemesis = Nemesis::parse(plant.nemesis).unwrap();
            for seed in 0..50 {
                let plan = nemesis.plan(Duration::from_secs(plant.seconds), seed);
                for name in nemesis.demanded() {
                    assert!(
                        plan.steps.iter().any(|step| step.kind.name() == name),
                        "{name} of {}",
                        plant.name
                    );
                }
            }
        }
    }
}
