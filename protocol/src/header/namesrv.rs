//! The name server's requests.

use super::field::headers;
use crate::text::Text;

headers! {
    /// GET_ROUTEINFO_BY_TOPIC.
    GetRouteInfoRequestHeader {
        topic: Text => "topic",
        accept_standard_json_only: Option<bool> => "acceptStandardJsonOnly",
    }

    /// REGISTER_BROKER.
    RegisterBrokerRequestHeader {
        broker_name: Text => "brokerName",
        broker_addr: Text => "brokerAddr",
        cluster_name: Text => "clusterName",
        ha_server_addr: Text => "haServerAddr",
        broker_id: i64 => "brokerId",
        heartbeat_timeout_millis: Option<i64> => "heartbeatTimeoutMillis",
        /// Missing from brokers before 5.0.
        enable_acting_master: Option<bool> => "enableActingMaster",
        compressed: bool => "compressed" or false,
        /// 0: not computed.
        body_crc32: i32 => "bodyCrc32" or 0,
    }

    /// The answer to REGISTER_BROKER.
    RegisterBrokerResponseHeader {
        ha_server_addr: Option<Text> => "haServerAddr",
        master_addr: Option<Text> => "masterAddr",
    }

    /// UNREGISTER_BROKER.
    UnRegisterBrokerRequestHeader {
        broker_name: Text => "brokerName",
        broker_addr: Text => "brokerAddr",
        cluster_name: Text => "clusterName",
        broker_id: i64 => "brokerId",
    }

    /// QUERY_DATA_VERSION.
    QueryDataVersionRequestHeader {
        broker_name: Text => "brokerName",
        broker_addr: Text => "brokerAddr",
        cluster_name: Text => "clusterName",
        broker_id: i64 => "brokerId",
    }

    /// The answer to QUERY_DATA_VERSION.
    QueryDataVersionResponseHeader {
        changed: bool => "changed",
    }

    /// BROKER_HEARTBEAT.
    BrokerHeartbeatRequestHeader {
        cluster_name: Text => "clusterName",
        broker_addr: Text => "brokerAddr",
        broker_name: Text => "brokerName",
        broker_id: Option<i64> => "brokerId",
        epoch: Option<i32> => "epoch",
        max_offset: Option<i64> => "maxOffset",
        confirm_offset: Option<i64> => "confirmOffset",
        heartbeat_timeout_mills: Option<i64> => "heartbeatTimeoutMills",
        election_priority: Option<i32> => "electionPriority",
    }

    /// GET_BROKER_MEMBER_GROUP.
    GetBrokerMemberGroupRequestHeader {
        cluster_name: Text => "clusterName",
        broker_name: Text => "brokerName",
    }

    /// GET_TOPICS_BY_CLUSTER.
    GetTopicsByClusterRequestHeader {
        cluster: Text => "cluster",
    }

    /// DELETE_TOPIC_IN_NAMESRV.
    DeleteTopicFromNamesrvRequestHeader {
        topic: Text => "topic",
        cluster_name: Option<Text> => "clusterName",
    }

    /// REGISTER_TOPIC_IN_NAMESRV.
    RegisterTopicRequestHeader {
        topic: Text => "topic",
    }

    /// WIPE_WRITE_PERM_OF_BROKER.
    WipeWritePermOfBrokerRequestHeader {
        broker_name: Text => "brokerName",
    }

    /// The answer to WIPE_WRITE_PERM_OF_BROKER.
    WipeWritePermOfBrokerResponseHeader {
        wipe_topic_count: i32 => "wipeTopicCount",
    }

    /// ADD_WRITE_PERM_OF_BROKER.
    AddWritePermOfBrokerRequestHeader {
        broker_name: Text => "brokerName",
    }

    /// The answer to ADD_WRITE_PERM_OF_BROKER.
    AddWritePermOfBrokerResponseHeader {
        add_topic_count: i32 => "addTopicCount",
    }

    /// PUT_KV_CONFIG.
    PutKVConfigRequestHeader {
        namespace: Text => "namespace",
        key: Text => "key",
        value: Text => "value",
    }

    /// GET_KV_CONFIG.
    GetKVConfigRequestHeader {
        namespace: Text => "namespace",
        key: Text => "key",
    }

    /// The answer to GET_KV_CONFIG.
    GetKVConfigResponseHeader {
        value: Option<Text> => "value",
    }

    /// DELETE_KV_CONFIG.
    DeleteKVConfigRequestHeader {
        namespace: Text => "namespace",
        key: Text => "key",
    }

    /// GET_KVLIST_BY_NAMESPACE.
    GetKVListByNamespaceRequestHeader {
        namespace: Text => "namespace",
    }
}
