//! Topics, groups and the broker itself, for tools and slaves.

use super::field::headers;
use crate::text::Text;

headers! {
    /// RAFT_ADD_REPLICA: joins as a learner first, votes when it has caught up.
    RaftAddReplicaRequestHeader {
        node: Text => "node",
        address: Text => "address",
    }

    /// RAFT_REMOVE_REPLICA.
    RaftRemoveReplicaRequestHeader {
        node: Text => "node",
    }

    /// RAFT_TRANSFER_LEADER: to the node named, or to whoever is nearest when none is.
    RaftTransferLeaderRequestHeader {
        node: Option<Text> => "node",
    }

    /// UPDATE_AND_CREATE_TOPIC.
    CreateTopicRequestHeader {
        topic: Text => "topic",
        default_topic: Text => "defaultTopic",
        read_queue_nums: i32 => "readQueueNums",
        write_queue_nums: i32 => "writeQueueNums",
        perm: i32 => "perm",
        topic_filter_type: Text => "topicFilterType",
        topic_sys_flag: i32 => "topicSysFlag" or 0,
        order: bool => "order",
        attributes: Option<Text> => "attributes",
        force: Option<bool> => "force",
    }

    /// DELETE_TOPIC_IN_BROKER.
    DeleteTopicRequestHeader {
        topic: Text => "topic",
    }

    /// GET_TOPIC_CONFIG.
    GetTopicConfigRequestHeader {
        topic: Text => "topic",
    }

    /// GET_TOPIC_STATS_INFO.
    GetTopicStatsInfoRequestHeader {
        topic: Text => "topic",
    }

    /// GET_ALL_TOPIC_CONFIG; all fields are for paging and may be missing.
    GetAllTopicConfigRequestHeader {
        topic_seq: Option<i32> => "topicSeq",
        data_version: Option<Text> => "dataVersion",
        max_topic_num: Option<i32> => "maxTopicNum",
    }

    /// DELETE_SUBSCRIPTIONGROUP.
    DeleteSubscriptionGroupRequestHeader {
        group_name: Text => "groupName",
        clean_offset: bool => "cleanOffset" or false,
    }

    /// GET_SUBSCRIPTIONGROUP_CONFIG.
    GetSubscriptionGroupConfigRequestHeader {
        group: Text => "group",
    }

    /// GET_ALL_SUBSCRIPTIONGROUP_CONFIG; all fields are for paging and may be missing.
    GetAllSubscriptionGroupRequestHeader {
        group_seq: Option<i32> => "groupSeq",
        data_version: Option<Text> => "dataVersion",
        max_group_num: Option<i32> => "maxGroupNum",
    }

    /// UPDATE_AND_GET_GROUP_FORBIDDEN.
    UpdateGroupForbiddenRequestHeader {
        group: Text => "group",
        topic: Text => "topic",
        readable: Option<bool> => "readable",
    }

    /// The answer to GET_BROKER_CONFIG.
    GetBrokerConfigResponseHeader {
        version: Text => "version",
    }

    /// VIEW_BROKER_STATS_DATA.
    ViewBrokerStatsDataRequestHeader {
        stats_name: Text => "statsName",
        stats_key: Text => "statsKey",
    }

    /// RESET_MASTER_FLUSH_OFFSET.
    ResetMasterFlushOffsetHeader {
        master_flush_offset: i64 => "masterFlushOffset",
    }

    /// EXCHANGE_BROKER_HA_INFO.
    ExchangeHAInfoRequestHeader {
        master_ha_address: Option<Text> => "masterHaAddress",
        master_flush_offset: Option<i64> => "masterFlushOffset",
        master_address: Option<Text> => "masterAddress",
    }

    /// The answer to EXCHANGE_BROKER_HA_INFO.
    ExchangeHAInfoResponseHeader {
        master_ha_address: Option<Text> => "masterHaAddress",
        master_flush_offset: Option<i64> => "masterFlushOffset",
        master_address: Option<Text> => "masterAddress",
    }

    /// NOTIFY_MIN_BROKER_ID_CHANGE, from name server to broker.
    NotifyMinBrokerIdChangeRequestHeader {
        min_broker_id: Option<i64> => "minBrokerId",
        broker_name: Option<Text> => "brokerName",
        min_broker_addr: Option<Text> => "minBrokerAddr",
        offline_broker_addr: Option<Text> => "offlineBrokerAddr",
        ha_broker_addr: Option<Text> => "haBrokerAddr",
    }

    /// ADD_BROKER.
    AddBrokerRequestHeader {
        config_path: Option<Text> => "configPath",
    }

    /// REMOVE_BROKER.
    RemoveBrokerRequestHeader {
        broker_name: Text => "brokerName",
        broker_cluster_name: Text => "brokerClusterName",
        broker_id: i64 => "brokerId",
    }
}
