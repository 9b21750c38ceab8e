//! What an unknown topic becomes when the first message for it arrives: pure rules.

use protocol::body::TopicConfig;
use protocol::perm;

/// The topic that a send creates: it inherits from `default`, with as many queues as the sender asked for, at most
/// as many as the default topic has. Nothing when the default topic does not let others inherit.
/// Source: RocketMQ `TopicConfigManager.createTopicInSendMessageMethod`.
pub fn inherit(name: &str, default: &TopicConfig, queues_asked: i32, sys_flag: i32) -> Option<TopicConfig> {
    if !perm::is_inherited(default.perm) {
        return None;
    }
    let queues = queues_asked.min(default.write_queue_nums).max(0);
    Some(TopicConfig {
        topic_name: name.into(),
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm: default.perm & !perm::INHERIT,
        topic_filter_type: default.topic_filter_type,
        topic_sys_flag: sys_flag,
        ..TopicConfig::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_topic_gets_at_most_the_queues_of_its_default_and_not_its_inherit_bit() {
        let default = |perm| TopicConfig {
            topic_name: "TBW102".into(),
            read_queue_nums: 8,
            write_queue_nums: 8,
            perm,
            ..TopicConfig::default()
        };
        for (asked, queues) in [(4, 4), (16, 8), (0, 0), (-5, 0)] {
            let created = inherit("T", &default(7), asked, 1).expect("TBW102 inherits");
            assert_eq!(
                (created.read_queue_nums, created.write_queue_nums),
                (queues, queues),
                "asked for {asked}"
            );
            assert_eq!((created.perm, created.topic_sys_flag), (6, 1));
        }
        assert!(inherit("T", &default(6), 4, 0).is_none());
    }
}
