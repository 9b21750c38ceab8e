//! Planted bugs: each is a mistake that the harness must catch.
//!
//! The rooms hold them behind the cargo feature `planted-bugs` (`broker/planted-bugs` turns on the one of
//! `disk`, where they have their names), and one is chosen by the environment variable `TRIREME_PLANT`. A
//! build without the feature does not contain a byte of them, builds with it go into a directory of their
//! own, and no test runs on binaries of the other kind.

use std::path::Path;
use std::time::Duration;

use super::build::{build, planted_directory};
use super::settings::{Nemesis, TestSettings};
use super::test::test;
use crate::check::Verdict;
use crate::cluster::Mode;
use crate::error::{Error, Result};
use crate::nemesis::StopSign;
use crate::report::{Summary, say};
use crate::workload::Kind;

/// One planted bug and the run that must catch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plant {
    /// The value of `TRIREME_PLANT`.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
    /// The mode in which it shows.
    pub mode: Mode,
    /// The workload that shows it.
    pub workload: Kind,
    /// The fault that shows it.
    pub nemesis: &'static str,
    /// Seconds of a try.
    pub seconds: u64,
    /// Operations a second.
    pub rate: u32,
    /// Checkers and the anomalies that are this bug's own: anything else that is found does not count.
    pub shows: &'static [(&'static str, &'static str)],
}

const LOST: [(&str, &str); 3] =
    [("log", "lost at the end"), ("log", "lost in the middle"), ("log", "lost at the beginning")];

/// All of them.
pub const PLANTS: &[Plant] = &[
    Plant {
        name: "entry-unsynced",
        what: "an entry is reported as durable without a sync",
        mode: Mode::Raft,
        workload: Kind::Log,
        nemesis: "power-all",
        seconds: 30,
        rate: 1_000,
        // What was lost gives its place to what comes after the power is back.
        shows: &[
            LOST[0],
            LOST[1],
            LOST[2],
            ("log", "one offset acknowledged twice"),
            ("log", "one position acknowledged twice"),
        ],
    },
    Plant {
        name: "vote-unsynced",
        what: "a vote is reported as saved without a sync",
        mode: Mode::Raft,
        workload: Kind::Log,
        // A term of which a synced entry tells is known without the vote.
        nemesis: "power-electors",
        seconds: 40,
        rate: 500,
        shows: &[("terms", "a term went back"), ("terms", "two masters in one term")],
    },
    Plant {
        name: "directory-unsynced",
        what: "a directory is not synced after a name in it was changed",
        // Beside a log that syncs all the time ext4's journal would keep the names as well.
        mode: Mode::SingleSync,
        workload: Kind::Register,
        nemesis: "power-all",
        seconds: 30,
        rate: 300,
        shows: &[("register", "not linearizable")],
    },
    Plant {
        name: "ack-before-quorum",
        what: "a leader acknowledges what it has appended itself, without waiting for a majority",
        mode: Mode::Raft,
        workload: Kind::Log,
        nemesis: "partition-leader,kill-leader",
        seconds: 40,
        rate: 1_000,
        shows: &[
            LOST[0],
            LOST[1],
            ("log", "moved"),
            ("log", "one offset acknowledged twice"),
            ("log", "one position acknowledged twice"),
        ],
    },
    Plant {
        name: "old-term-commit",
        what: "a new leader takes what earlier terms left in its log for committed, before an entry of its own term is",
        mode: Mode::Raft,
        workload: Kind::Log,
        nemesis: "partition-elected",
        seconds: 60,
        rate: 1_000,
        shows: &[
            ("log", "drains differ"),
            ("log", "read what was not committed"),
            ("log", "end was seen too far"),
        ],
    },
    Plant {
        name: "unchecked-read",
        what: "tails and offsets are answered without asking whether one still leads",
        mode: Mode::Raft,
        workload: Kind::Log,
        nemesis: "partition-leader,pause-leader",
        seconds: 40,
        rate: 500,
        shows: &[("log", "stale read"), ("log", "reads went back")],
    },
    Plant {
        name: "truncate-forgotten",
        what: "a follower keeps its conflicting tail and says that it has the leader's",
        mode: Mode::Raft,
        workload: Kind::Log,
        nemesis: "partition-leader,kill-leader",
        seconds: 60,
        rate: 1_000,
        shows: &[
            ("replicas", "replicas differ"),
            ("replicas", "replicas end differently"),
            ("log", "drains differ"),
            ("panics", "ended by itself"),
        ],
    },
    Plant {
        name: "offsets-unreplicated",
        what: "consumer offsets are kept by the leader alone",
        mode: Mode::Raft,
        workload: Kind::Register,
        nemesis: "kill-leader",
        seconds: 40,
        rate: 300,
        shows: &[("register", "not linearizable")],
    },
    Plant {
        name: "append-twice",
        what: "a request that a lost leader left unanswered is sent to the next one, without asking whether it is in",
        mode: Mode::Raft,
        workload: Kind::Log,
        nemesis: "kill-leader,pause-leader",
        seconds: 60,
        rate: 2_000,
        shows: &[("log", "duplicate"), ("log", "refused but kept")],
    },
    Plant {
        name: "queue-offset-reused",
        what: "a new leader gives queue offsets out again that entries have which it has not applied yet",
        mode: Mode::Raft,
        workload: Kind::Log,
        nemesis: "kill-leader,partition-leader",
        seconds: 60,
        rate: 2_000,
        shows: &[
            ("replicas", "a queue offset was given out twice"),
            ("log", "one offset acknowledged twice"),
        ],
    },
];

/// Tries with other seeds before a plant counts as not caught.
const TRIES: u64 = 3;

/// How one plant was caught.
struct Catch {
    /// Checker and anomaly, with how often.
    by: Vec<String>,
    /// The try.
    attempt: u64,
    /// Its seed.
    seed: u64,
    /// Seconds of load, over all tries.
    seconds: u64,
}

/// Builds the servers with plants and lets each be caught; says which were not.
pub async fn planted(like: &TestSettings, only: Option<&str>, stop: &StopSign) -> Result<Vec<&'static str>> {
    let binaries = tokio::task::block_in_place(|| build(true))?;
    let results = like.results.join("planted");
    let mut table = String::from(
        "| planted bug | caught by | mode, workload, nemesis | try | seconds of load |\n|---|---|---|---|---|\n",
    );
    let mut missed = Vec::new();
    for plant in PLANTS.iter().filter(|plant| only.is_none_or(|only| plant.name.contains(only))) {
        let run = format!("{}, {}, `{}`", plant.mode.name(), plant.workload.name(), plant.nemesis);
        match catch(plant, like, &binaries, &results, stop).await? {
            Some(Catch { by, attempt, seed, seconds }) => table.push_str(&format!(
                "| `{}` | {} | {run} | {attempt} (seed {seed}) | {seconds} |\n",
                plant.name,
                by.join(", "),
            )),
            None => {
                table.push_str(&format!("| `{}` | **not caught** | {run} | | |\n", plant.name));
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
    binaries: &Path,
    results: &Path,
    stop: &StopSign,
) -> Result<Option<Catch>> {
    for attempt in 1..=TRIES {
        let settings = TestSettings {
            mode: plant.mode,
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
        let (_, directory) = test(&settings, stop).await?;
        let by = evidence(plant, &read_summary(&directory)?);
        if !by.is_empty() {
            let (seed, seconds) = (settings.seed, attempt * plant.seconds);
            return Ok(Some(Catch { by, attempt, seed, seconds }));
        }
    }
    Ok(None)
}

/// What was found that is this bug's own.
fn evidence(plant: &Plant, summary: &Summary) -> Vec<String> {
    let mut by = Vec::new();
    for (checker, anomaly) in plant.shows {
        let found = summary.findings.iter().filter(|finding| finding.checker == *checker);
        let times: u64 = found
            .filter(|finding| finding.verdict == Verdict::Invalid)
            .map(|finding| finding.of(anomaly))
            .sum();
        if times > 0 {
            by.push(format!("{checker}: {anomaly} ({times})"));
        }
    }
    by
}

fn read_summary(directory: &Path) -> Result<Summary> {
    let path = directory.join("verdict.json");
    let bytes = std::fs::read(&path).map_err(|source| Error::File { doing: "reading", path, source })?;
    Ok(serde_json::from_slice(&bytes)?)
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
