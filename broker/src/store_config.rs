//! The configuration keys of storage, in the store's own words.

use crate::config::{Config, FlushDiskType};
use store::{ReadLimits, RetentionConfig, StoreConfig};

/// Everything the store is told when it opens.
pub fn store_config(config: &Config) -> StoreConfig {
    let keys = &config.store;
    let levels = config.delay_levels();
    StoreConfig {
        commit_log: Some(config.commit_log_dir()),
        segment_bytes: keys.commit_log_segment.0,
        queue_file_bytes: keys.consume_queue_segment.0,
        flush: match keys.flush_disk_type {
            FlushDiskType::SyncFlush => store::FlushDiskType::Sync,
            FlushDiskType::AsyncFlush => store::FlushDiskType::Async,
        },
        flush_interval: keys.flush_interval.duration(),
        queue_flush_interval: keys.flush_queue_interval.duration(),
        sync_flush_timeout: keys.sync_flush_timeout.duration(),
        slave_timeout: keys.slave_timeout.duration(),
        index_enabled: keys.index,
        delay_levels: (1..=levels.max()).map(|level| levels.delay(level)).collect(),
        read: read_limits(config),
        retention: retention(config),
        clean_interval: keys.clean_interval.duration(),
        queue_files_open_max: queue_files(daemon::raise_open_files()),
        ..StoreConfig::new(config.root_dir())
    }
}

/// How many files of consume queues may stay open: clients get no more than half of the descriptors, and the log needs some.
fn queue_files(open_files: u64) -> usize {
    const WANTED: u64 = 512;
    WANTED.min(open_files / 8) as usize
}

/// The limits of one read.
pub fn read_limits(config: &Config) -> ReadLimits {
    let keys = &config.store;
    let bytes = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let default = ReadLimits::default();
    ReadLimits {
        memory_bytes_max: bytes(keys.transfer_memory_bytes.0),
        memory_count_max: keys.transfer_memory_count as usize,
        disk_bytes_max: bytes(keys.transfer_disk_bytes.0),
        disk_count_max: keys.transfer_disk_count as usize,
        count_max: keys.pull_batch_max as usize,
        scan_bytes: keys.filter_bytes_max as usize,
        memory_span: default.memory_span / DEFAULT_MEMORY_PERCENT * u64::from(keys.memory_ratio),
    }
}

/// The percentage of the memory that the store's own default stands for.
const DEFAULT_MEMORY_PERCENT: u64 = 40;

/// When messages are deleted.
pub fn retention(config: &Config) -> RetentionConfig {
    let keys = &config.store;
    let percent = |value: u32| u8::try_from(value).unwrap_or(100);
    RetentionConfig {
        delete_when: crate::config::hours(&keys.delete_when).unwrap_or_else(|| vec![4]),
        reserved_hours: keys.file_reserved.0,
        used_percent_max: percent(keys.disk_used_max),
        used_percent_forced: percent(keys.disk_clean_forcibly),
        used_percent_refused: percent(keys.disk_warning),
        forced_enabled: keys.clean_forcibly,
        ..RetentionConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_configuration_is_one_that_the_store_takes() {
        assert_eq!(store_config(&Config::default()).validate(), []);
        assert_eq!(read_limits(&Config::default()).count_max, 160);
    }
}
