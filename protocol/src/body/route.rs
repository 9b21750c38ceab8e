//! Routes and the cluster, as the name server answers them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::json::macros::bodies;
use crate::json::{Dialect, Json, Value};

/// From this version on a client takes quoted keys in a route. Source: RocketMQ `ClientRequestProcessor`, `MQVersion.V4_9_4`.
pub const STANDARD_JSON_VERSION: i32 = 401;

bodies! {
    /// A topic's queues at one broker.
    QueueData {
        broker_name: String => "brokerName",
        perm: i32 => "perm",
        read_queue_nums: i32 => "readQueueNums",
        topic_sys_flag: i32 => "topicSysFlag",
        write_queue_nums: i32 => "writeQueueNums",
    }

    /// A broker with its addresses by id; id 0 is the master.
    BrokerData {
        broker_addrs: BTreeMap<i64, String> => "brokerAddrs",
        broker_name: String => "brokerName",
        cluster: String => "cluster",
        enable_acting_master: bool => "enableActingMaster",
        zone_name: Option<String> => "zoneName",
    }

    /// GET_ROUTEINFO_BY_TOPIC.
    TopicRouteData {
        broker_datas: Vec<BrokerData> => "brokerDatas",
        filter_server_table: BTreeMap<String, Vec<String>> => "filterServerTable",
        /// `brokerA:8;brokerB:4`
        order_topic_conf: Option<String> => "orderTopicConf",
        queue_datas: Vec<QueueData> => "queueDatas",
        /// Static topics; passed on as it came.
        topic_queue_mapping_by_broker: Option<Value> => "topicQueueMappingByBroker",
    }

    /// GET_BROKER_CLUSTER_INFO; always with bare integer keys.
    ClusterInfo {
        broker_addr_table: BTreeMap<String, BrokerData> => "brokerAddrTable",
        cluster_addr_table: BTreeMap<String, BTreeSet<String>> => "clusterAddrTable",
    }

    /// All replicas of one broker name.
    BrokerMemberGroup {
        broker_addrs: BTreeMap<i64, String> => "brokerAddrs",
        broker_name: String => "brokerName",
        cluster: String => "cluster",
    }

    /// GET_BROKER_MEMBER_GROUP.
    GetBrokerMemberGroupResponseBody {
        broker_member_group: Option<BrokerMemberGroup> => "brokerMemberGroup",
    }
}

impl TopicRouteData {
    /// The body for a client of this version, which may have asked for standard JSON.
    pub fn encode_for(&self, version: i32, accept_standard_json_only: bool) -> Bytes {
        let is_standard = accept_standard_json_only || version >= STANDARD_JSON_VERSION;
        self.to_json_as(if is_standard { Dialect::Standard } else { Dialect::FastJson })
    }
}
