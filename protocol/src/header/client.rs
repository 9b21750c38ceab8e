//! Who is connected, and what a group does.

use super::field::headers;
use crate::text::Text;

headers! {
    /// UNREGISTER_CLIENT.
    UnregisterClientRequestHeader {
        client_id: Text => "clientID",
        producer_group: Option<Text> => "producerGroup",
        consumer_group: Option<Text> => "consumerGroup",
    }

    /// GET_CONSUMER_LIST_BY_GROUP.
    GetConsumerListByGroupRequestHeader {
        consumer_group: Text => "consumerGroup",
    }

    /// NOTIFY_CONSUMER_IDS_CHANGED, from broker to consumer.
    NotifyConsumerIdsChangedRequestHeader {
        consumer_group: Text => "consumerGroup",
    }

    /// GET_CONSUMER_CONNECTION_LIST.
    GetConsumerConnectionListRequestHeader {
        consumer_group: Text => "consumerGroup",
    }

    /// GET_PRODUCER_CONNECTION_LIST.
    GetProducerConnectionListRequestHeader {
        producer_group: Text => "producerGroup",
    }

    /// GET_CONSUMER_RUNNING_INFO, to the broker and on to the consumer.
    GetConsumerRunningInfoRequestHeader {
        consumer_group: Text => "consumerGroup",
        client_id: Text => "clientId",
        jstack_enable: bool => "jstackEnable" or false,
    }

    /// CONSUME_MESSAGE_DIRECTLY, to the broker and on to the consumer.
    ConsumeMessageDirectlyResultRequestHeader {
        consumer_group: Text => "consumerGroup",
        client_id: Option<Text> => "clientId",
        msg_id: Option<Text> => "msgId",
        broker_name: Option<Text> => "brokerName",
        topic: Option<Text> => "topic",
        topic_sys_flag: Option<i32> => "topicSysFlag",
        group_sys_flag: Option<i32> => "groupSysFlag",
    }

    /// GET_CONSUME_STATS.
    GetConsumeStatsRequestHeader {
        consumer_group: Text => "consumerGroup",
        topic: Option<Text> => "topic",
        topic_list: Option<Text> => "topicList",
    }

    /// GET_BROKER_CONSUME_STATS.
    GetConsumeStatsInBrokerHeader {
        is_order: bool => "isOrder",
    }

    /// QUERY_TOPIC_CONSUME_BY_WHO.
    QueryTopicConsumeByWhoRequestHeader {
        topic: Text => "topic",
    }

    /// QUERY_TOPICS_BY_CONSUMER.
    QueryTopicsByConsumerRequestHeader {
        group: Text => "group",
    }

    /// QUERY_SUBSCRIPTION_BY_CONSUMER.
    QuerySubscriptionByConsumerRequestHeader {
        group: Text => "group",
        topic: Option<Text> => "topic",
    }
}
