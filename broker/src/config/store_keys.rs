//! The keys of storage, flushing, retention and replication. Source of names and defaults: RocketMQ 5.3.3
//! `MessageStoreConfig`.

use daemon::{ByteCount, Hours, Millis};

daemon::setting_words! {
    /// When a message counts as stored.
    pub enum FlushDiskType {
        /// Once it is on the disk.
        SyncFlush = "SYNC_FLUSH",
        /// Once the operating system has it.
        AsyncFlush = "ASYNC_FLUSH",
    }
}

daemon::setting_words! {
    /// What part the broker plays.
    pub enum BrokerRole {
        /// Acknowledges by itself.
        AsyncMaster = "ASYNC_MASTER",
        /// Acknowledges when a slave has the message too.
        SyncMaster = "SYNC_MASTER",
        /// Follows a master.
        Slave = "SLAVE",
    }
}

daemon::settings! {
    /// Storage, flushing, retention, delays, classic replication.
    pub struct StoreKeys {
        /// Directory of everything that is stored.
        root_dir: String = format!("{}/store", daemon::config::home()), "storePathRootDir", important;
        /// Directory of the commit log; empty means `commitlog` in the root.
        commit_log_dir: String = String::new(), "storePathCommitLog", important;
        /// Size of one commit-log file, in bytes.
        commit_log_segment: ByteCount = ByteCount(1 << 30), "mappedFileSizeCommitLog" in 65_536..=1 << 40, important;
        /// Size of one consume-queue file, in bytes.
        consume_queue_segment: ByteCount = ByteCount(300_000 * 20), "mappedFileSizeConsumeQueue" in 20..=1 << 34;
        /// When a message counts as stored.
        flush_disk_type: FlushDiskType = FlushDiskType::AsyncFlush, "flushDiskType", important;
        /// What part the broker plays.
        broker_role: BrokerRole = BrokerRole::AsyncMaster, "brokerRole", important;
        /// Longest time between two flushes of the commit log, in milliseconds.
        flush_interval: Millis = Millis(500), "flushIntervalCommitLog" in 1..=600_000;
        /// Longest time between two flushes of the consume queues, in milliseconds.
        flush_queue_interval: Millis = Millis(1_000), "flushIntervalConsumeQueue" in 1..=600_000;
        /// How long a send waits for its flush, in milliseconds.
        sync_flush_timeout: Millis = Millis(5_000), "syncFlushTimeout" in 1..=600_000;
        /// Longest message body, in bytes.
        max_message_size: ByteCount = ByteCount(4 << 20), "maxMessageSize" in 1..=16 << 20, live;
        /// Most bytes of one pull from memory.
        transfer_memory_bytes: ByteCount = ByteCount(262_144), "maxTransferBytesOnMessageInMemory" in 1..=8 << 20, live;
        /// Most messages of one pull from memory.
        transfer_memory_count: u32 = 32, "maxTransferCountOnMessageInMemory" in 1..=10_000, live;
        /// Most bytes of one pull from disk.
        transfer_disk_bytes: ByteCount = ByteCount(65_536), "maxTransferBytesOnMessageInDisk" in 1..=8 << 20, live;
        /// Most messages of one pull from disk.
        transfer_disk_count: u32 = 8, "maxTransferCountOnMessageInDisk" in 1..=10_000, live;
        /// Most messages that a pull may ask for.
        pull_batch_max: u32 = 160, "pullBatchMaxMessageCount" in 1..=10_000, live;
        /// Most bytes of consume queue that one pull may look through.
        filter_bytes_max: u32 = 16_000, "maxFilterMessageSize" in 20..=10_000_000, live;
        /// Part of the memory, in percent, in which the newest messages are thought to be.
        memory_ratio: u32 = 40, "accessMessageInMemoryMaxRatio" in 1..=95, live;
        /// Whether messages can be found by key.
        index: bool = true, "messageIndexEnable";
        /// Most messages that a query by unique key returns.
        query_max: u32 = 32, "defaultQueryMaxNum" in 1..=10_000, live;
        /// Hours of the day at which expired files are deleted, separated by semicolons.
        delete_when: String = String::from("04"), "deleteWhen", important, live;
        /// How long files are kept, in hours.
        file_reserved: Hours = Hours(72), "fileReservedTime" in 0..=876_000, important, live;
        /// Filled part of the disk, in percent, at which expired files are deleted at any hour.
        disk_used_max: u32 = 75, "diskMaxUsedSpaceRatio" in 10..=95, live;
        /// Filled part of the disk, in percent, at which the oldest files are deleted at any age.
        disk_clean_forcibly: u32 = 85, "diskSpaceCleanForciblyRatio" in 30..=99;
        /// Filled part of the disk, in percent, at which sends are refused.
        disk_warning: u32 = 90, "diskSpaceWarningLevelRatio" in 35..=99;
        /// Whether the oldest files may be deleted before their time.
        clean_forcibly: bool = true, "cleanFileForciblyEnable", live;
        /// How often retention looks at the disk, in milliseconds.
        clean_interval: Millis = Millis(10_000), "cleanResourceInterval" in 10..=3_600_000;
        /// The delay levels, shortest first.
        delay_levels: String = String::from(crate::delay_levels::DEFAULT_LEVELS), "messageDelayLevel";
        /// How often the progress of delayed messages is written to its file, in milliseconds.
        flush_delay_offset: Millis = Millis(10_000), "flushDelayOffsetInterval" in 100..=600_000;
        /// Port that slaves connect to; 0 means listenPort + 1, or a free one when that is taken. Slaves learn it from the
        /// name servers.
        ha_listen_port: u16 = 0, "haListenPort";
        /// Where a slave finds its master's haListenPort; empty means that the name servers say it.
        ha_master_address: String = String::new(), "haMasterAddress";
        /// Longest silence towards the other side of a replication, in milliseconds.
        ha_heartbeat: Millis = Millis(5_000), "haSendHeartbeatInterval" in 10..=600_000;
        /// Longest silence of the other side of a replication, in milliseconds.
        ha_housekeeping: Millis = Millis(20_000), "haHousekeepingInterval" in 100..=600_000;
        /// Most bytes of one transfer to a slave.
        ha_transfer: ByteCount = ByteCount(32_768), "haTransferBatchSize" in 1..=4 << 20;
        /// A slave that is this many bytes behind is none that SYNC_MASTER waits for.
        ha_gap_max: ByteCount = ByteCount(256 << 20), "haMaxGapNotInSync" in 1..=1 << 40;
        /// The same, by RocketMQ 4's name; 0 means haMaxGapNotInSync.
        ha_fallbehind_max: ByteCount = ByteCount(0), "haSlaveFallbehindMax" in 0..=1 << 40;
        /// How long a send to a SYNC_MASTER waits for a slave, in milliseconds.
        slave_timeout: Millis = Millis(3_000), "slaveTimeout" in 1..=600_000;
        /// Whether a slave corrects the offset of a pull that is out of its range, as a master does.
        offset_check_in_slave: bool = false, "offsetCheckInSlave", live;
    }
}

impl StoreKeys {
    /// How far behind a slave may be that SYNC_MASTER waits for, in bytes.
    pub fn gap_max(&self) -> u64 {
        match self.ha_fallbehind_max.0 {
            0 => self.ha_gap_max.0,
            older_name => older_name,
        }
    }
}
