//! What the store can be told: every field names its RocketMQ key, unit and default.
//!
//! The broker binds the `.properties` keys to these fields; `validate` lists all that is wrong at once.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::retention::RetentionConfig;
use crate::unit::UNIT_BYTES;

/// RocketMQ's `messageDelayLevel`.
pub const DELAY_LEVELS: &str = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";

/// When an acknowledged message is on the disk (`flushDiskType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlushDiskType {
    /// A message is confirmed when it is in the page cache; a process may die, the machine may not.
    Async,
    /// A message is confirmed when it is on the disk.
    Sync,
}

/// How much one read returns at most. Source: reference 2.2 and 7.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadLimits {
    /// `maxTransferBytesOnMessageInMemory`, 256 KiB.
    pub memory_bytes_max: usize,
    /// `maxTransferCountOnMessageInMemory`, 32.
    pub memory_count_max: usize,
    /// `maxTransferBytesOnMessageInDisk`, 64 KiB.
    pub disk_bytes_max: usize,
    /// `maxTransferCountOnMessageInDisk`, 8.
    pub disk_count_max: usize,
    /// `pullBatchMaxMessageCount`, 160: no request gets more messages.
    pub count_max: usize,
    /// `maxFilterMessageSize`, 16 000: bytes of consume-queue units that one read looks at.
    pub scan_bytes: usize,
    /// Bytes behind the end of the log that still count as "in memory":
    /// physical memory times `accessMessageInMemoryMaxRatio` (40 %).
    pub memory_span: u64,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 262_144,
            memory_count_max: 32,
            disk_bytes_max: 65_536,
            disk_count_max: 8,
            count_max: 160,
            scan_bytes: 16_000,
            memory_span: memory_total() / 100 * 40,
        }
    }
}

/// Everything the store is told when it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// `storePathRootDir`.
    pub root: PathBuf,
    /// `storePathCommitLog`; `{root}/commitlog` when absent.
    pub commit_log: Option<PathBuf>,
    /// `mappedFileSizeCommitLog`, 1 GiB.
    pub segment_bytes: u64,
    /// `mappedFileSizeConsumeQueue`, 6 000 000; rounded up to whole units.
    pub queue_file_bytes: u64,
    /// `flushDiskType`, ASYNC_FLUSH.
    pub flush: FlushDiskType,
    /// `flushIntervalCommitLog`, 500 ms: how long written bytes stay unflushed in ASYNC_FLUSH.
    pub flush_interval: Duration,
    /// `flushIntervalConsumeQueue`, 1 s: how long queue units stay in memory only.
    pub queue_flush_interval: Duration,
    /// At most this long between two checkpoints while messages arrive, 10 s.
    pub checkpoint_interval: Duration,
    /// At most this much log between two checkpoints, 128 MiB: it bounds what a recovery reads.
    pub checkpoint_bytes: u64,
    /// `syncFlushTimeout`, 5 s: then a SYNC_FLUSH put is answered FLUSH_DISK_TIMEOUT.
    pub sync_flush_timeout: Duration,
    /// `slaveTimeout`, 3 s: then a SYNC_MASTER put is answered FLUSH_SLAVE_TIMEOUT.
    pub slave_timeout: Duration,
    /// `maxAsyncPutMessageRequests`, 5000: puts that may wait to be appended.
    pub puts_max: usize,
    /// Bytes of records that may wait to be appended, 64 MiB.
    pub put_bytes_max: usize,
    /// `messageIndexEnable`, true.
    pub index_enabled: bool,
    /// Entries gathered in memory before an index file is sealed, 524 288 (8 MiB).
    pub index_run_max: usize,
    /// Open files of consume queues, 512.
    pub queue_files_open_max: usize,
    /// `messageDelayLevel`: the delay of level 1, 2, ….
    pub delay_levels: Vec<Duration>,
    /// The limits of one read.
    pub read: ReadLimits,
    /// When messages are deleted, and when the disk is too full.
    pub retention: RetentionConfig,
    /// `cleanResourceInterval`, 10 s: how often the disk is looked at.
    pub clean_interval: Duration,
    /// The append and flush threads work, but nothing happens by itself after a time:
    /// tests call the deeds of the keeper at the moments they choose. Default false.
    pub keeper_paused: bool,
}

impl StoreConfig {
    /// RocketMQ's defaults for a store under `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            commit_log: None,
            segment_bytes: 1 << 30,
            queue_file_bytes: 300_000 * UNIT_BYTES,
            flush: FlushDiskType::Async,
            flush_interval: Duration::from_millis(500),
            queue_flush_interval: Duration::from_secs(1),
            checkpoint_interval: Duration::from_secs(10),
            checkpoint_bytes: 128 << 20,
            sync_flush_timeout: Duration::from_secs(5),
            slave_timeout: Duration::from_secs(3),
            puts_max: 5000,
            put_bytes_max: 64 << 20,
            index_enabled: true,
            index_run_max: 1 << 19,
            queue_files_open_max: 512,
            delay_levels: parse_delay_levels(DELAY_LEVELS).unwrap_or_default(),
            read: ReadLimits::default(),
            retention: RetentionConfig::default(),
            clean_interval: Duration::from_secs(10),
            keeper_paused: false,
        }
    }

    /// Where the commit log is.
    pub fn commit_log_directory(&self) -> PathBuf {
        self.commit_log.clone().unwrap_or_else(|| self.root.join("commitlog"))
    }

    /// Everything that cannot be used; empty when all is well.
    pub fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut need = |holds: bool, key: &'static str, value: u64, wanted: &'static str| {
            if !holds {
                faults.push(ConfigFault { key, value, wanted });
            }
        };
        need(self.segment_bytes >= 1024, "mappedFileSizeCommitLog", self.segment_bytes, "at least 1024");
        need(
            self.queue_file_bytes >= UNIT_BYTES && self.queue_file_bytes.is_multiple_of(UNIT_BYTES),
            "mappedFileSizeConsumeQueue",
            self.queue_file_bytes,
            "a positive multiple of 20",
        );
        need(self.puts_max > 0, "maxAsyncPutMessageRequests", self.puts_max as u64, "at least 1");
        need(self.read.count_max > 0, "pullBatchMaxMessageCount", self.read.count_max as u64, "at least 1");
        need(self.index_run_max > 0, "indexRunMax", self.index_run_max as u64, "at least 1");
        faults.extend(self.retention.validate());
        faults
    }
}

/// One configured value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// The RocketMQ key.
    pub key: &'static str,
    /// What it was set to.
    pub value: u64,
    /// What it must be.
    pub wanted: &'static str,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, must be {}", self.key, self.value, self.wanted)
    }
}

/// Reads `messageDelayLevel`: numbers with a unit of `s`, `m`, `h` or `d`, separated by blanks.
pub fn parse_delay_levels(text: &str) -> Option<Vec<Duration>> {
    text.split_ascii_whitespace().map(delay).collect()
}

fn delay(word: &str) -> Option<Duration> {
    let unit = word.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let count: u64 = word[..word.len() - 1].parse().ok()?;
    count.checked_mul(seconds).map(Duration::from_secs)
}

/// The machine's memory in bytes, as the kernel tells it; 16 GiB where it tells nothing.
fn memory_total() -> u64 {
    const UNKNOWN: u64 = 16 << 30;
    let Ok(text) = std::fs::read_to_string("/proc/meminfo") else { return UNKNOWN };
    text.lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
        })
        .map_or(UNKNOWN, |kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_have_eighteen_delay_levels() {
        let config = StoreConfig::new("/store");
        assert_eq!(config.validate(), []);
        assert_eq!(config.delay_levels.len(), 18);
        assert_eq!(config.delay_levels[0], Duration::from_secs(1));
        assert_eq!(config.delay_levels[17], Duration::from_secs(7200));
    }

    #[test]
    fn all_wrong_values_are_named_at_once() {
        let mut config = StoreConfig::new("/store");
        config.segment_bytes = 7;
        config.queue_file_bytes = 30;
        let keys: Vec<_> = config.validate().iter().map(|fault| fault.key).collect();
        assert_eq!(keys, ["mappedFileSizeCommitLog", "mappedFileSizeConsumeQueue"]);
    }

    #[test]
    fn a_delay_level_without_a_known_unit_is_refused() {
        assert_eq!(
            parse_delay_levels("1s 2d"),
            Some(vec![Duration::from_secs(1), Duration::from_secs(172_800)])
        );
        for text in ["1", "s", "1x", "1s x", "-1s", "99999999999999999999d"] {
            assert_eq!(parse_delay_levels(text), None, "{text}");
        }
    }
}
