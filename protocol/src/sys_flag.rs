//! Bit fields of a message's `sysFlag`, of a pull request's `sysFlag` and of a topic. Source: RocketMQ `MessageSysFlag`, `PullSysFlag`, `TopicSysFlag`.

/// The body is compressed.
pub const COMPRESSED: i32 = 0x1;
/// The message has several tags.
pub const MULTI_TAGS: i32 = 0x2;
/// No transaction.
pub const TRANSACTION_NOT: i32 = 0;
/// A half message, as the producer sends it.
pub const TRANSACTION_PREPARED: i32 = 0x4;
/// A committed message.
pub const TRANSACTION_COMMIT: i32 = 0x8;
/// A rolled back message; also the mask of the transaction bits.
pub const TRANSACTION_ROLLBACK: i32 = 0xC;
/// The born host is IPv6: 20 bytes instead of 8.
pub const BORN_HOST_V6: i32 = 0x10;
/// The store host is IPv6: 20 bytes instead of 8.
pub const STORE_HOST_V6: i32 = 0x20;
/// The record is an inner batch that the consumer must unwrap.
pub const NEED_UNWRAP: i32 = 0x40;
/// The record is an inner batch.
pub const INNER_BATCH: i32 = 0x80;
/// Mask of the compression type.
pub const COMPRESSION_MASK: i32 = 0x700;

/// The transaction bits.
pub const fn transaction(sys_flag: i32) -> i32 {
    sys_flag & TRANSACTION_ROLLBACK
}

/// The flag with other transaction bits.
pub const fn with_transaction(sys_flag: i32, transaction: i32) -> i32 {
    (sys_flag & !TRANSACTION_ROLLBACK) | transaction
}

/// The compression type: 0 and 3 zlib, 1 LZ4, 2 ZSTD.
pub const fn compression(sys_flag: i32) -> u8 {
    ((sys_flag & COMPRESSION_MASK) >> 8) as u8
}

/// Bits of a pull request's `sysFlag`.
pub mod pull {
    /// The request carries an offset to commit.
    pub const COMMIT_OFFSET: i32 = 0x1;
    /// The broker may hold the request.
    pub const SUSPEND: i32 = 0x2;
    /// The request carries its subscription.
    pub const SUBSCRIPTION: i32 = 0x4;
    /// A class filter is used.
    pub const CLASS_FILTER: i32 = 0x8;
    /// A lite pull consumer.
    pub const LITE_PULL: i32 = 0x10;

    /// The flag of a request.
    pub const fn build(commit_offset: bool, suspend: bool, subscription: bool, class_filter: bool) -> i32 {
        (if commit_offset { COMMIT_OFFSET } else { 0 })
            | (if suspend { SUSPEND } else { 0 })
            | (if subscription { SUBSCRIPTION } else { 0 })
            | (if class_filter { CLASS_FILTER } else { 0 })
    }
}

/// Bits of a topic's `topicSysFlag`.
pub mod topic {
    /// The topic belongs to a unit.
    pub const UNIT: i32 = 0x1;
    /// Somebody of a unit subscribes to the topic.
    pub const UNIT_SUBSCRIPTION: i32 = 0x2;
}
