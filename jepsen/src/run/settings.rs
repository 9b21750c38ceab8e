//! What one test is: everything that the command line says, and nothing else.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::check::excuse::Promise;
use crate::cluster::Mode;
use crate::error::{Error, Result};
use crate::schedule::{Dice, FaultKind, FaultPlan, Rhythm, Whom};
use crate::workload::Kind;

/// Where results go: `jepsen/results` of the tree that this was built from.
pub fn results_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("results")
}

/// Which faults a test has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nemesis {
    /// None.
    None,
    /// These, one after the other, again and again.
    InTurn(Vec<FaultKind>),
    /// Whatever chance brings, overlapping, with quiet times.
    Mix,
}

impl Nemesis {
    /// Reads `none`, `mix`, or names with commas between them.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "none" => Ok(Self::None),
            "mix" => Ok(Self::Mix),
            names => {
                let kind = |name: &str| {
                    FaultKind::named(name.trim()).ok_or_else(|| {
                        Error::Usage(format!("there is no nemesis {name:?}; see `jepsen list`"))
                    })
                };
                names.split(',').map(kind).collect::<Result<Vec<_>>>().map(Self::InTurn)
            }
        }
    }

    /// As it was written.
    pub fn name(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Mix => "mix".to_owned(),
            Self::InTurn(kinds) => kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(","),
        }
    }

    /// The faults that may come.
    pub fn kinds(&self) -> Vec<FaultKind> {
        match self {
            Self::None => Vec::new(),
            Self::InTurn(kinds) => kinds.clone(),
            Self::Mix => FaultKind::mixable(),
        }
    }

    /// The schedule of a seed.
    pub fn plan(&self, time: Duration, seed: u64) -> FaultPlan {
        let rhythm = Rhythm::fitting(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        match self {
            Self::Mix => FaultPlan::mixed(&self.kinds(), rhythm, &Dice::new(seed)),
            Self::None | Self::InTurn(_) => FaultPlan::in_turn(&self.kinds(), rhythm, &Dice::new(seed)),
        }
    }

    /// The names that must have struck for a pass.
    pub fn demanded(&self) -> Vec<String> {
        match self {
            Self::None | Self::Mix => Vec::new(),
            Self::InTurn(kinds) => kinds.iter().map(|kind| kind.name().to_owned()).collect(),
        }
    }
}

/// One test.
#[derive(Clone, Debug)]
pub struct TestSettings {
    /// The workload.
    pub workload: Kind,
    /// The faults.
    pub nemesis: Nemesis,
    /// The mode.
    pub mode: Mode,
    /// Length of the main phase.
    pub time: Duration,
    /// Operations a second.
    pub rate: u32,
    /// The seed.
    pub seed: u64,
    /// Bytes of a message body.
    pub body_bytes: usize,
    /// Queues of the topic.
    pub queues: u32,
    /// Where the servers' binaries are.
    pub binaries: PathBuf,
    /// Where results go.
    pub results: PathBuf,
    /// Loopback even where namespaces are possible.
    pub loopback: bool,
    /// A planted bug.
    pub plant: Option<String>,
}

/// The longest that ASYNC_FLUSH leaves bytes unsynced: `flushCommitLogThoroughInterval`, and a little.
const FLUSH_WINDOW_MS: u64 = 10_500;

impl TestSettings {
    /// A name for directories.
    pub fn name(&self) -> String {
        let nemesis = self.nemesis.name();
        let nemesis: String =
            nemesis.chars().take(60).map(|letter| if letter == ',' { '+' } else { letter }).collect();
        format!("{}-{}-{nemesis}", self.mode.name(), self.workload.name())
    }

    /// The command that repeats this test.
    pub fn command(&self) -> String {
        let plant = self.plant.as_ref().map_or(String::new(), |plant| format!(" --plant {plant}"));
        format!(
            "cargo run --release -p jepsen -- test --mode {} --workload {} --nemesis {} --time {} --rate {} --seed {}{}{plant}",
            self.mode.name(),
            self.workload.name(),
            self.nemesis.name(),
            self.time.as_secs(),
            self.rate,
            self.seed,
            if self.loopback { " --loopback" } else { "" },
        )
    }

    /// What the mode promises under these faults: the README's table.
    pub fn promise(&self) -> Promise {
        let struck = |test: fn(Whom) -> bool| {
            self.nemesis.kinds().iter().any(|kind| match kind {
                FaultKind::PowerCut(whom) => test(*whom),
                FaultKind::PowerElectors => test(Whom::Majority),
                _ => false,
            })
        };
        let loses = match self.mode {
            Mode::Raft | Mode::SingleSync => false,
            Mode::RaftAsync => struck(|whom| matches!(whom, Whom::Majority | Whom::All)),
            Mode::SingleAsync | Mode::AsyncMaster | Mode::SyncMaster => struck(|_| true),
        };
        if loses { Promise::MayLoseLast { window_ms: FLUSH_WINDOW_MS } } else { Promise::KeepsAll }
    }

    /// Whether old files are deleted in this run.
    pub fn retention(&self) -> bool {
        self.nemesis.kinds().contains(&FaultKind::RetentionLag)
    }

    /// Size of each store's own file system, if the faults want one.
    pub fn image_bytes(&self) -> Option<u64> {
        let wanted = self.nemesis.kinds().iter().any(|kind| kind.wants_image());
        // Three times what is written at most, for indexes, queues and files made ahead.
        wanted.then_some((self.written_max() * 3 + (1 << 30)).next_multiple_of(1 << 20))
    }

    /// What the log grows to at most.
    fn written_max(&self) -> u64 {
        u64::from(self.rate) * self.time.as_secs() * (self.body_bytes as u64 + 300)
    }

    /// Size of commit log files: small enough that a run rolls over several, large enough for the largest entry. With a
    /// slave one holds the whole run: an empty slave is given its master's newest file, and no older one, as by RocketMQ.
    pub fn segment_bytes(&self) -> u64 {
        match self.mode {
            Mode::AsyncMaster | Mode::SyncMaster => self.written_max().next_power_of_two().max(16 << 20),
            _ if self.retention() => 8 << 20,
            _ => 16 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(mode: Mode, nemesis: &str) -> TestSettings {
        TestSettings {
            workload: Kind::Log,
            nemesis: Nemesis::parse(nemesis).unwrap(),
            mode,
            time: Duration::from_secs(60),
            rate: 1_000,
            seed: 3,
            body_bytes: 256,
            queues: 4,
            binaries: PathBuf::new(),
            results: PathBuf::new(),
            loopback: false,
            plant: None,
        }
    }

    #[test]
    fn a_nemesis_is_read_as_it_is_written() {
        for text in ["none", "mix", "kill-leader", "kill-leader,power-all"] {
            assert_eq!(Nemesis::parse(text).unwrap().name(), text);
        }
        assert!(Nemesis::parse("kill-leader,meteor").is_err());
    }

    #[test]
    fn promises_follow_the_table_of_modes() {
        assert_eq!(settings(Mode::Raft, "power-all").promise(), Promise::KeepsAll);
        assert_eq!(settings(Mode::RaftAsync, "power-one").promise(), Promise::KeepsAll);
        assert_ne!(settings(Mode::RaftAsync, "power-all").promise(), Promise::KeepsAll);
        assert_eq!(settings(Mode::SingleAsync, "kill-all").promise(), Promise::KeepsAll);
        assert_ne!(settings(Mode::SingleAsync, "power-one").promise(), Promise::KeepsAll);
        assert_eq!(settings(Mode::SingleSync, "power-one").promise(), Promise::KeepsAll);
    }

    #[test]
    fn only_faults_of_disks_want_images() {
        assert!(settings(Mode::Raft, "kill-leader").image_bytes().is_none());
        assert!(settings(Mode::Raft, "kill-leader,power-one").image_bytes().is_some());
    }
}
