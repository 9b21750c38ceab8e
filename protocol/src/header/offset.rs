//! Offsets of queues and of consumers.

use super::field::{BoundaryType, headers};
use crate::text::Text;

headers! {
    /// QUERY_CONSUMER_OFFSET.
    QueryConsumerOffsetRequestHeader {
        consumer_group: Text => "consumerGroup",
        topic: Text => "topic",
        queue_id: i32 => "queueId",
        set_zero_if_not_found: Option<bool> => "setZeroIfNotFound",
    }

    /// The answer to QUERY_CONSUMER_OFFSET.
    QueryConsumerOffsetResponseHeader {
        offset: i64 => "offset",
    }

    /// UPDATE_CONSUMER_OFFSET.
    UpdateConsumerOffsetRequestHeader {
        consumer_group: Text => "consumerGroup",
        topic: Text => "topic",
        queue_id: i32 => "queueId",
        commit_offset: i64 => "commitOffset",
    }

    /// GET_MAX_OFFSET.
    GetMaxOffsetRequestHeader {
        topic: Text => "topic",
        queue_id: i32 => "queueId",
        committed: bool => "committed" or true,
    }

    /// The answer to GET_MAX_OFFSET.
    GetMaxOffsetResponseHeader {
        offset: i64 => "offset",
    }

    /// GET_MIN_OFFSET.
    GetMinOffsetRequestHeader {
        topic: Text => "topic",
        queue_id: i32 => "queueId",
    }

    /// The answer to GET_MIN_OFFSET.
    GetMinOffsetResponseHeader {
        offset: i64 => "offset",
    }

    /// SEARCH_OFFSET_BY_TIMESTAMP.
    SearchOffsetRequestHeader {
        topic: Text => "topic",
        queue_id: i32 => "queueId",
        timestamp: i64 => "timestamp",
        boundary_type: BoundaryType => "boundaryType" or BoundaryType::Lower,
    }

    /// The answer to SEARCH_OFFSET_BY_TIMESTAMP.
    SearchOffsetResponseHeader {
        offset: i64 => "offset",
    }

    /// GET_EARLIEST_MSG_STORETIME.
    GetEarliestMsgStoretimeRequestHeader {
        topic: Text => "topic",
        queue_id: i32 => "queueId",
    }

    /// The answer to GET_EARLIEST_MSG_STORETIME.
    GetEarliestMsgStoretimeResponseHeader {
        timestamp: i64 => "timestamp",
    }

    /// INVOKE_BROKER_TO_RESET_OFFSET, and RESET_CONSUMER_CLIENT_OFFSET from broker to consumer.
    ResetOffsetRequestHeader {
        group: Text => "group",
        topic: Text => "topic",
        /// -1: all queues.
        queue_id: i32 => "queueId" or -1,
        offset: Option<i64> => "offset",
        /// -1: the end of the queue.
        timestamp: i64 => "timestamp",
        is_force: bool => "isForce",
    }

    /// INVOKE_BROKER_TO_GET_CONSUMER_STATUS, and GET_CONSUMER_STATUS_FROM_CLIENT from broker to consumer.
    GetConsumerStatusRequestHeader {
        topic: Text => "topic",
        group: Text => "group",
        client_addr: Option<Text> => "clientAddr",
    }

    /// CLONE_GROUP_OFFSET.
    CloneGroupOffsetRequestHeader {
        src_group: Text => "srcGroup",
        dest_group: Text => "destGroup",
        topic: Option<Text> => "topic",
        offline: bool => "offline" or false,
    }

    /// QUERY_CORRECTION_OFFSET.
    QueryCorrectionOffsetHeader {
        filter_groups: Option<Text> => "filterGroups",
        compare_group: Text => "compareGroup",
        topic: Text => "topic",
    }

    /// QUERY_CONSUME_TIME_SPAN.
    QueryConsumeTimeSpanRequestHeader {
        topic: Text => "topic",
        group: Text => "group",
    }

    /// QUERY_CONSUME_QUEUE.
    QueryConsumeQueueRequestHeader {
        topic: Option<Text> => "topic",
        queue_id: i32 => "queueId" or 0,
        index: i64 => "index" or 0,
        count: i32 => "count" or 0,
        consumer_group: Option<Text> => "consumerGroup",
    }
}
