//! The topics that a broker has from the start. Source: reference 6.2, RocketMQ `TopicConfigManager`.

use crate::config::BrokerKeys;
use protocol::body::TopicConfig;
use protocol::perm::{INHERIT, READ, WRITE};
use protocol::topic;

/// The names that depend on the configuration.
#[derive(Debug, Clone, Copy)]
pub struct SystemTopicNames<'a> {
    /// Cluster name.
    pub cluster: &'a str,
    /// Broker name.
    pub broker: &'a str,
    /// How many delay levels there are.
    pub delay_levels: u32,
}

/// The system topics of a broker with this configuration.
pub fn system_topics(keys: &BrokerKeys, names: SystemTopicNames<'_>) -> Vec<TopicConfig> {
    let SystemTopicNames { cluster, broker, delay_levels } = names;
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let mut topics = vec![
        system_topic(topic::SELF_TEST, 1, READ | WRITE),
        system_topic(topic::BENCHMARK, 1024, READ | WRITE),
        system_topic(
            cluster,
            if keys.cluster_topic { 16 } else { 1 },
            if keys.cluster_topic { READ | WRITE | INHERIT } else { INHERIT },
        ),
        system_topic(broker, 1, if keys.broker_topic { READ | WRITE | INHERIT } else { INHERIT }),
        system_topic(topic::OFFSET_MOVED_EVENT, 1, READ | WRITE),
        system_topic(topic::SCHEDULE, count(delay_levels), READ | WRITE),
        system_topic(&format!("{cluster}_{}", topic::REPLY_SUFFIX), 1, READ | WRITE),
        system_topic(topic::TRANSACTION_HALF, 1, READ | WRITE),
        system_topic(topic::TRANSACTION_OP_HALF, 1, READ | WRITE),
    ];
    if keys.auto_create_topic {
        topics.push(system_topic(
            topic::AUTO_CREATE,
            count(keys.default_topic_queue_nums),
            READ | WRITE | INHERIT,
        ));
    }
    if keys.trace_topic {
        topics.push(system_topic(&keys.trace_topic_name, 1, READ | WRITE));
    }
    topics
}

fn system_topic(name: &str, queues: i32, perm: i32) -> TopicConfig {
    TopicConfig {
        topic_name: name.into(),
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm,
        ..TopicConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(keys: &BrokerKeys) -> Vec<(String, i32, i32)> {
        let names = SystemTopicNames { cluster: "C", broker: "b", delay_levels: 18 };
        let topics = system_topics(keys, names).into_iter();
        topics.map(|topic| (topic.topic_name.to_string(), topic.write_queue_nums, topic.perm)).collect()
    }

    #[test]
    fn a_broker_starts_with_the_topics_that_clients_expect() {
        let topics = names(&BrokerKeys::default());
        for expected in [
            ("TBW102", 8, 7),
            ("SCHEDULE_TOPIC_XXXX", 18, 6),
            ("C", 16, 7),
            ("b", 1, 7),
            ("C_REPLY_TOPIC", 1, 6),
            ("BenchmarkTest", 1024, 6),
        ] {
            let expected = (expected.0.to_owned(), expected.1, expected.2);
            assert!(topics.contains(&expected), "{expected:?}");
        }
        assert!(topics.len() >= 2, "a name server refuses a broker with a single topic");
    }

    #[test]
    fn switches_add_and_remove_topics() {
        let keys = BrokerKeys { auto_create_topic: false, trace_topic: true, ..BrokerKeys::default() };
        let topics = names(&keys);
        assert!(!topics.iter().any(|(name, ..)| name == "TBW102"));
        assert!(topics.iter().any(|(name, ..)| name == "RMQ_SYS_TRACE_TOPIC"));
    }
}
