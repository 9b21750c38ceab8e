//! The broker that is killed: one process on a loopback address of its own, and what it says of its recovery.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cluster::{Addresses, Ledger, Mode, Plan, Server};
use crate::error::{Error, Result};
use crate::schedule::Dice;
use crate::workload::Wire;

/// Address ranges that are tried before giving up.
const RANGES_TRIED: u32 = 60;
/// A start that takes longer has failed.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a clean stop may take.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// The file of the broker's own words.
const LOG: &str = "broker.log";

/// What a start cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Started {
    /// From the start of the process to the first answer.
    pub(super) took: Duration,
    /// Where the recovery began and ended in the log.
    pub(super) from: u64,
    pub(super) to: u64,
}

/// One broker and its store.
#[derive(Debug)]
pub(super) struct Subject {
    /// Where it is.
    pub(super) plan: Plan,
    server: Server,
    ledger: Ledger,
    home: PathBuf,
}

impl Subject {
    /// Furnishes a store under `home`; starts nothing.
    pub(super) fn new(home: &Path, binaries: &Path, mode: Mode, queues: u32, seed: u64) -> Result<Self> {
        let binary = binaries.join("mqbroker");
        if !binary.exists() {
            return Err(Error::BinaryMissing { path: binary });
        }
        let ledger = Ledger::open(home)?;
        let addresses = free_addresses(seed)?;
        let plan = Plan { mode, replicas: 1, name_servers: 0, addresses, topic: String::new(), queues };
        let file = home.join("broker.properties");
        write(&file, &configuration(&plan, &home.join("store")))?;
        let command = vec![binary.display().to_string(), "-c".to_owned(), file.display().to_string()];
        let server = Server::new("n0".to_owned(), command, "mqbroker".to_owned(), home.join(LOG));
        Ok(Self { plan, server, ledger, home: home.to_owned() })
    }

    /// The plan with a topic of this name, as [`Wire`] wants it.
    pub(super) fn wire(&self, topic: &str) -> Wire {
        Wire::new(Arc::new(Plan { topic: topic.to_owned(), ..self.plan.clone() }))
    }

    /// The store's directory.
    pub(super) fn store(&self) -> PathBuf {
        self.home.join("store")
    }

    /// Starts the process and waits for nothing.
    pub(super) fn spawn(&mut self) -> Result<()> {
        self.server.start(&self.ledger)
    }

    /// Starts the process and waits until it answers.
    pub(super) async fn start(&mut self) -> Result<Started> {
        let said = self.words().len();
        let began = Instant::now();
        self.spawn()?;
        let address = self.plan.broker(0);
        while tokio::net::TcpStream::connect(address).await.is_err() || !self.is_up(said) {
            if self.server.survey(0, false) {
                return Err(Error::EndedAtStart { log: self.home.join(LOG) });
            }
            if began.elapsed() > READY_WITHIN {
                let seconds = READY_WITHIN.as_secs();
                return Err(Error::NotInTime { member: "n0".to_owned(), state: "ready", seconds });
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let took = began.elapsed();
        let words = self.words();
        let (from, to) = words.get(said..).and_then(recovered).unwrap_or_default();
        Ok(Started { took, from, to })
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.server.kill()
    }

    /// SIGTERM; false when it had to be killed.
    pub(super) fn stop(&mut self) -> Result<bool> {
        self.server.stop(STOP_WITHIN)
    }

    /// Whether it ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        self.server.survey(0, false)
    }

    /// Everything that it ever said.
    pub(super) fn words(&self) -> String {
        std::fs::read_to_string(self.home.join(LOG)).unwrap_or_default()
    }

    fn is_up(&self, said: usize) -> bool {
        self.words().get(said..).is_some_and(|words| words.contains("boot success"))
    }
}

/// From where to where the last recovery of these words went.
fn recovered(words: &str) -> Option<(u64, u64)> {
    let line = words.lines().rfind(|line| line.contains("the log is recovered"))?;
    let number = |key: &str| {
        let rest = &line[line.find(key)? + key.len()..];
        rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
    };
    Some((number("from=")?, number("to=")?))
}

/// Small files, so that rounds cross their borders; tables that are written often, so that it can be told what must be in them.
fn configuration(plan: &Plan, store: &Path) -> String {
    let flush = if plan.mode.syncs() { "SYNC_FLUSH" } else { "ASYNC_FLUSH" };
    let address = plan.broker(0);
    [
        format!("brokerName={}", Plan::BROKER),
        format!("brokerClusterName={}", Plan::CLUSTER),
        format!("brokerIP1={}", address.ip()),
        format!("brokerIP2={}", address.ip()),
        format!("bindAddress={}", address.ip()),
        format!("listenPort={}", address.port()),
        format!("storePathRootDir={}", store.display()),
        format!("storePathCommitLog={}", store.join("commitlog").display()),
        format!("defaultTopicQueueNums={}", plan.queues),
        format!("flushDiskType={flush}"),
        format!("mappedFileSizeCommitLog={}", 4 << 20),
        format!("mappedFileSizeConsumeQueue={}", 20 * 1000),
        format!("flushConsumerOffsetInterval={}", super::audit::OFFSETS_FLUSHED_EVERY.as_millis()),
        "flushDelayOffsetInterval=500".to_owned(),
        "fileReservedTime=720".to_owned(),
        // Nothing is deleted here, however full the machine's disk is: what is missing is missing.
        "diskSpaceCleanForciblyRatio=99".to_owned(),
        "diskSpaceWarningLevelRatio=99".to_owned(),
        String::new(),
    ]
    .join("\n")
}

fn free_addresses(seed: u64) -> Result<Addresses> {
    let mut dice = Dice::new(seed).fork("addresses");
    for _ in 0..RANGES_TRIED {
        let run = u8::try_from(dice.between(1, 250)).unwrap_or(1);
        let addresses = Addresses { run, namespaces: false };
        let is_free = |port| TcpListener::bind(SocketAddr::from((addresses.member(0), port))).is_ok();
        if is_free(Plan::BROKER_PORT) && is_free(Plan::HA_PORT) {
            return Ok(addresses);
        }
    }
    Err(Error::NoAddresses { tried: RANGES_TRIED })
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|source| Error::File {
        doing: "writing",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_recovery_of_the_words_counts() {
        let words = "x the log is recovered from=1 to=2 records=1 is_crash=false\n\
                     y the log is recovered from=30 to=45 records=7 is_crash=true\nz";
        assert_eq!(recovered(words), Some((30, 45)));
        assert_eq!(recovered("nothing"), None);
    }
}
