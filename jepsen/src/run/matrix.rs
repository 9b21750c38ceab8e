//! Matrices: many tests, one verdict.

use std::time::Duration;

use super::settings::{Nemesis, TestSettings};
use super::test::test;
use crate::check::Verdict;
use crate::cluster::Mode;
use crate::error::{Error, Result};
use crate::nemesis::StopSign;
use crate::report::say;
use crate::workload::Kind;

/// How long a matrix is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Eight minutes at most, for every change.
    Short,
    /// At least twenty configurations of five minutes, for every night.
    Nightly,
}

/// Mode, workload, nemesis, seconds, rate.
type Row = (Mode, Kind, &'static str, u64, u32);

const SHORT: &[Row] = &[
    (Mode::Raft, Kind::Log, "kill-leader,kill-all", 26, 1_000),
    (Mode::Raft, Kind::Log, "pause-leader,partition-leader", 30, 1_000),
    (Mode::Raft, Kind::Log, "power-all,power-leader", 30, 1_000),
    (Mode::Raft, Kind::Log, "partition-elected", 30, 500),
    (Mode::Raft, Kind::Log, "mix", 40, 500),
    (Mode::Raft, Kind::Register, "kill-leader,partition-leader", 26, 200),
    (Mode::Raft, Kind::Queue, "kill-leader", 22, 300),
    (Mode::SingleSync, Kind::Log, "power-all,kill-all", 24, 500),
    (Mode::SingleAsync, Kind::Log, "kill-all", 16, 1_000),
];

const NIGHTLY: &[Row] = &[
    (Mode::Raft, Kind::Log, "kill-leader", 300, 2_000),
    (Mode::Raft, Kind::Log, "kill-leader,kill-follower,kill-majority,kill-all", 300, 2_000),
    (Mode::Raft, Kind::Log, "pause-leader,pause-follower,pause-majority,pause-all", 300, 2_000),
    (Mode::Raft, Kind::Log, "partition-halves,partition-leader,partition-single", 300, 2_000),
    (Mode::Raft, Kind::Log, "partition-ring,partition-bridge,partition-oneway", 300, 1_000),
    (Mode::Raft, Kind::Log, "partition-leader-deaf,partition-leader-mute", 300, 1_000),
    (Mode::Raft, Kind::Log, "partition-elected", 300, 1_000),
    (Mode::Raft, Kind::Log, "slow-links,slow-leader,lossy-links", 300, 1_000),
    (Mode::Raft, Kind::Log, "reset-storm,half-open,thin-links", 300, 1_000),
    (Mode::Raft, Kind::Log, "power-one,power-leader,power-two,power-all", 300, 1_000),
    (Mode::Raft, Kind::Log, "power-all", 300, 10_000),
    (Mode::Raft, Kind::Log, "power-electors", 300, 1_000),
    (Mode::Raft, Kind::Log, "wipe-follower,stale-follower", 300, 1_000),
    (Mode::Raft, Kind::Log, "bitflip-follower,truncate-follower", 300, 1_000),
    (Mode::Raft, Kind::Log, "fsync-eio-leader,fsync-eio-follower", 300, 1_000),
    (Mode::Raft, Kind::Log, "fsync-slow-leader,fsync-slow-follower", 300, 1_000),
    (Mode::Raft, Kind::Log, "disk-full-leader,disk-full-follower", 300, 1_000),
    (Mode::Raft, Kind::Log, "clock-jump", 300, 1_000),
    (Mode::Raft, Kind::Log, "stop-leader,rolling-restart,transfer-leader", 300, 1_000),
    (Mode::Raft, Kind::Log, "replace-replica", 300, 1_000),
    (Mode::Raft, Kind::Log, "retention-lag", 300, 2_000),
    (Mode::Raft, Kind::Log, "mix", 300, 1_000),
    (Mode::Raft, Kind::Register, "kill-leader,pause-leader,partition-leader", 300, 400),
    (Mode::Raft, Kind::Register, "mix", 300, 400),
    (Mode::Raft, Kind::Register, "partition-elected,power-all", 300, 400),
    (Mode::Raft, Kind::Queue, "mix", 300, 1_000),
    (Mode::Raft, Kind::Delay, "kill-leader,power-all,partition-leader", 300, 300),
    (Mode::Raft, Kind::Order, "mix", 300, 500),
    (Mode::RaftAsync, Kind::Log, "kill-all,power-one,power-all", 300, 5_000),
    (Mode::SingleSync, Kind::Log, "power-all,kill-all", 300, 2_000),
    (Mode::SingleSync, Kind::Register, "power-all,kill-all", 300, 200),
    (Mode::SingleAsync, Kind::Log, "power-all,kill-all", 300, 2_000),
    (Mode::AsyncMaster, Kind::Log, "kill-leader,kill-follower", 300, 1_000),
    (Mode::AsyncMaster, Kind::Log, "power-leader", 300, 1_000),
    (Mode::SyncMaster, Kind::Log, "kill-leader,kill-follower", 300, 1_000),
];

/// Runs a matrix; `like` gives what the rows do not say. Rows can be chosen by a part of their name.
pub async fn matrix(
    length: Length,
    like: &TestSettings,
    only: Option<&str>,
    stop: &StopSign,
) -> Result<Verdict> {
    let rows = match length {
        Length::Short => SHORT,
        Length::Nightly => NIGHTLY,
    };
    let mut table = Vec::new();
    for (seed, row) in (like.seed..).zip(rows) {
        let settings = settings(row, seed, like)?;
        if only.is_some_and(|only| !settings.name().contains(only)) {
            continue;
        }
        let (verdict, told) = match test(&settings, stop).await {
            Ok((verdict, directory)) => (verdict, directory.display().to_string()),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            // A harness that fails is not a pass, and the other rows still have something to say.
            Err(error) => (Verdict::Unknown, error.to_string()),
        };
        table.push((settings.name(), verdict, told));
    }
    for (name, verdict, told) in &table {
        say(&format!("{:<8} {name}  {told}", format!("{verdict:?}").to_lowercase()));
    }
    Ok(table.iter().map(|(_, verdict, _)| *verdict).max().unwrap_or(Verdict::Unknown))
}

fn settings(row: &Row, seed: u64, like: &TestSettings) -> Result<TestSettings> {
    let (mode, workload, nemesis, seconds, rate) = *row;
    let nemesis = Nemesis::parse(nemesis)?;
    Ok(TestSettings {
        mode,
        workload,
        nemesis,
        time: Duration::from_secs(seconds),
        rate,
        seed,
        ..like.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a test takes beside its main phase: start, settling, drain, stop, verdict.
    const AROUND_SECONDS: u64 = 16;

    #[test]
    fn matrices_are_as_long_as_they_promise_and_name_real_faults() {
        for (_, _, nemesis, _, _) in SHORT.iter().chain(NIGHTLY) {
            Nemesis::parse(nemesis).unwrap();
        }
        assert!(SHORT.iter().map(|row| row.3 + AROUND_SECONDS).sum::<u64>() <= 480);
        assert!(NIGHTLY.len() >= 20 && NIGHTLY.iter().all(|row| row.3 >= 300));
        let all: String = SHORT.iter().map(|row| row.2).collect();
        for kind in ["kill", "pause", "partition", "power"] {
            assert!(all.contains(kind));
        }
    }

    #[test]
    fn every_demanded_fault_of_a_row_fits_into_its_time() {
        for (_, _, nemesis, seconds, _) in SHORT.iter().chain(NIGHTLY) {
            let nemesis = Nemesis::parse(nemesis).unwrap();
            for seed in 0..100 {
                let plan = nemesis.plan(Duration::from_secs(*seconds), seed);
                for name in nemesis.demanded() {
                    assert!(
                        plan.steps.iter().any(|step| step.kind.name() == name),
                        "{name} in {seconds} s, seed {seed}"
                    );
                }
                assert!(!plan.steps.is_empty());
            }
        }
    }
}
