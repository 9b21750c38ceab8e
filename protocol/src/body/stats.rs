//! Figures for tools: of topics, of consumers, of the broker, of replication.

use std::collections::BTreeMap;

use super::heartbeat::SubscriptionData;
use super::queue::MessageQueue;
use crate::json::macros::bodies;

bodies! {
    /// One queue's offsets.
    TopicOffset {
        last_update_timestamp: i64 => "lastUpdateTimestamp",
        max_offset: i64 => "maxOffset",
        min_offset: i64 => "minOffset",
    }

    /// GET_TOPIC_STATS_INFO.
    TopicStatsTable {
        offset_table: BTreeMap<MessageQueue, TopicOffset> => "offsetTable",
        topic_put_tps: f64 => "topicPutTps",
    }

    /// How far one group is in one queue.
    OffsetWrapper {
        broker_offset: i64 => "brokerOffset",
        consumer_offset: i64 => "consumerOffset",
        last_timestamp: i64 => "lastTimestamp",
        pull_offset: i64 => "pullOffset",
    }

    /// GET_CONSUME_STATS.
    ConsumeStats {
        consume_tps: f64 => "consumeTps",
        offset_table: BTreeMap<MessageQueue, OffsetWrapper> => "offsetTable",
    }

    /// GET_BROKER_CONSUME_STATS: each entry has one group.
    ConsumeStatsList {
        broker_addr: Option<String> => "brokerAddr",
        consume_stats_list: Vec<BTreeMap<String, Vec<ConsumeStats>>> => "consumeStatsList",
        total_diff: i64 => "totalDiff",
        total_inflight_diff: i64 => "totalInflightDiff",
    }

    /// One span of a statistic.
    BrokerStatsItem {
        avgpt: f64 => "avgpt",
        sum: i64 => "sum",
        tps: f64 => "tps",
    }

    /// VIEW_BROKER_STATS_DATA.
    BrokerStatsData {
        stats_day: BrokerStatsItem => "statsDay",
        stats_hour: BrokerStatsItem => "statsHour",
        stats_minute: BrokerStatsItem => "statsMinute",
    }

    /// One unit of a consume queue.
    ConsumeQueueData {
        bit_map: Option<String> => "bitMap",
        eval: bool => "eval",
        extend_data_json: Option<String> => "extendDataJson",
        msg: Option<String> => "msg",
        physic_offset: i64 => "physicOffset",
        physic_size: i32 => "physicSize",
        tags_code: i64 => "tagsCode",
    }

    /// QUERY_CONSUME_QUEUE.
    QueryConsumeQueueResponseBody {
        filter_data: Option<String> => "filterData",
        max_queue_index: i64 => "maxQueueIndex",
        min_queue_index: i64 => "minQueueIndex",
        queue_data: Option<Vec<ConsumeQueueData>> => "queueData",
        subscription_data: Option<SubscriptionData> => "subscriptionData",
    }

    /// One slave as its master sees it.
    HAConnectionRuntimeInfo {
        addr: String => "addr",
        diff: i64 => "diff",
        in_sync: bool => "inSync",
        slave_ack_offset: i64 => "slaveAckOffset",
        transfer_from_where: i64 => "transferFromWhere",
        transferred_byte_in_second: i64 => "transferredByteInSecond",
    }

    /// The master as its slave sees it.
    HAClientRuntimeInfo {
        /// Only newer brokers say it.
        activated: Option<bool> => "activated",
        last_read_timestamp: i64 => "lastReadTimestamp",
        last_write_timestamp: i64 => "lastWriteTimestamp",
        master_addr: Option<String> => "masterAddr",
        master_flush_offset: i64 => "masterFlushOffset",
        max_offset: i64 => "maxOffset",
        transferred_byte_in_second: i64 => "transferredByteInSecond",
    }

    /// GET_BROKER_HA_STATUS.
    HARuntimeInfo {
        ha_client_runtime_info: HAClientRuntimeInfo => "haClientRuntimeInfo",
        ha_connection_info: Vec<HAConnectionRuntimeInfo> => "haConnectionInfo",
        in_sync_slave_nums: i32 => "inSyncSlaveNums",
        master: bool => "master",
        master_commit_log_max_offset: i64 => "masterCommitLogMaxOffset",
    }

    /// EXCHANGE_BROKER_HA_INFO.
    BrokerSyncInfo {
        master_address: Option<String> => "masterAddress",
        master_flush_offset: i64 => "masterFlushOffset",
        master_ha_address: Option<String> => "masterHaAddress",
    }
}
