//! Topics and subscription groups: the tables that brokers keep in files, register, and give to slaves and tools.

use std::collections::BTreeMap;

use super::queue::DataVersion;
use crate::json::Value;
use crate::json::macros::{bodies, json_enums};
use crate::perm;

json_enums! {
    /// Whether a message has one tag or several.
    TopicFilterType {
        SingleTag "SINGLE_TAG",
        MultiTag "MULTI_TAG",
    } default SingleTag

    /// How the delay before a retry grows.
    GroupRetryPolicyType {
        Exponential "EXPONENTIAL",
        Customized "CUSTOMIZED",
    } default Customized
}

bodies! {
    /// One topic.
    TopicConfig {
        attributes: BTreeMap<String, String> => "attributes",
        order: bool => "order",
        perm: i32 => "perm" or perm::READ | perm::WRITE,
        read_queue_nums: i32 => "readQueueNums" or 16,
        topic_filter_type: TopicFilterType => "topicFilterType",
        topic_name: String => "topicName",
        topic_sys_flag: i32 => "topicSysFlag",
        write_queue_nums: i32 => "writeQueueNums" or 16,
    }

    /// All topics: `config/topics.json`, and the bare register body of brokers before 3.0.11.
    TopicConfigSerializeWrapper {
        data_version: DataVersion => "dataVersion",
        topic_config_table: BTreeMap<String, TopicConfig> => "topicConfigTable",
    }

    /// All topics with the tables of static topics: GET_ALL_TOPIC_CONFIG and REGISTER_BROKER.
    TopicConfigAndMappingSerializeWrapper {
        data_version: DataVersion => "dataVersion",
        mapping_data_version: DataVersion => "mappingDataVersion",
        topic_config_table: BTreeMap<String, TopicConfig> => "topicConfigTable",
        /// Static topics; passed on as it came.
        topic_queue_mapping_detail_map: BTreeMap<String, Value> => "topicQueueMappingDetailMap",
        /// Static topics; passed on as it came.
        topic_queue_mapping_info_map: BTreeMap<String, Value> => "topicQueueMappingInfoMap",
    }

    /// GET_TOPIC_CONFIG.
    TopicConfigAndQueueMapping {
        attributes: BTreeMap<String, String> => "attributes",
        /// Static topics; passed on as it came.
        mapping_detail: Option<Value> => "mappingDetail",
        order: bool => "order",
        perm: i32 => "perm" or perm::READ | perm::WRITE,
        read_queue_nums: i32 => "readQueueNums" or 16,
        topic_filter_type: TopicFilterType => "topicFilterType",
        topic_name: String => "topicName",
        topic_sys_flag: i32 => "topicSysFlag",
        write_queue_nums: i32 => "writeQueueNums" or 16,
    }

    /// UPDATE_AND_CREATE_TOPIC_LIST.
    CreateTopicListRequestBody {
        topic_config_list: Vec<TopicConfig> => "topicConfigList",
    }

    /// How a group's retries are delayed.
    GroupRetryPolicy {
        customized_retry_policy: Option<Value> => "customizedRetryPolicy",
        exponential_retry_policy: Option<Value> => "exponentialRetryPolicy",
        kind: GroupRetryPolicyType => "type",
    }

    /// One subscription group.
    SubscriptionGroupConfig {
        attributes: BTreeMap<String, String> => "attributes",
        broker_id: i64 => "brokerId",
        consume_broadcast_enable: bool => "consumeBroadcastEnable" or true,
        consume_enable: bool => "consumeEnable" or true,
        consume_from_min_enable: bool => "consumeFromMinEnable" or true,
        consume_message_orderly: bool => "consumeMessageOrderly",
        consume_timeout_minute: i32 => "consumeTimeoutMinute" or 15,
        group_name: String => "groupName",
        group_retry_policy: GroupRetryPolicy => "groupRetryPolicy",
        group_sys_flag: i32 => "groupSysFlag",
        notify_consumer_ids_changed_enable: bool => "notifyConsumerIdsChangedEnable" or true,
        retry_max_times: i32 => "retryMaxTimes" or 16,
        retry_queue_nums: i32 => "retryQueueNums" or 1,
        /// Passed on as it came.
        subscription_data_set: Option<Value> => "subscriptionDataSet",
        which_broker_when_consume_slowly: i64 => "whichBrokerWhenConsumeSlowly" or 1,
    }

    /// All groups: `config/subscriptionGroup.json` and GET_ALL_SUBSCRIPTIONGROUP_CONFIG.
    SubscriptionGroupWrapper {
        data_version: DataVersion => "dataVersion",
        forbidden_table: Option<BTreeMap<String, BTreeMap<String, i32>>> => "forbiddenTable",
        subscription_group_table: BTreeMap<String, SubscriptionGroupConfig> => "subscriptionGroupTable",
    }

    /// UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST.
    SubscriptionGroupList {
        group_config_list: Vec<SubscriptionGroupConfig> => "groupConfigList",
    }

    /// UPDATE_AND_GET_GROUP_FORBIDDEN.
    GroupForbidden {
        group: String => "group",
        readable: Option<bool> => "readable",
        topic: String => "topic",
    }

    /// SET_MESSAGE_REQUEST_MODE, and one entry of the table of modes.
    SetMessageRequestModeRequestBody {
        consumer_group: String => "consumerGroup",
        /// `PULL` or `POP`.
        mode: String => "mode" or "PULL".to_owned(),
        pop_share_queue_num: i32 => "popShareQueueNum",
        topic: String => "topic",
    }

    /// GET_ALL_MESSAGE_REQUEST_MODE: by topic, then by group.
    MessageRequestModeSerializeWrapper {
        message_request_mode_map: BTreeMap<String, BTreeMap<String, SetMessageRequestModeRequestBody>> => "messageRequestModeMap",
    }
}

impl TopicConfig {
    /// A topic with these queues and everything else as RocketMQ has it.
    pub fn new(
        topic_name: impl Into<String>,
        read_queue_nums: i32,
        write_queue_nums: i32,
        perm: i32,
    ) -> Self {
        Self { topic_name: topic_name.into(), read_queue_nums, write_queue_nums, perm, ..Self::default() }
    }
}

impl SubscriptionGroupConfig {
    /// A group with everything as RocketMQ has it.
    pub fn new(group_name: impl Into<String>) -> Self {
        Self { group_name: group_name.into(), ..Self::default() }
    }
}
