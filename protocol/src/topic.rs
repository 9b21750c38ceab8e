//! Names of topics and groups: what is allowed, the reserved prefixes, the system's own topics.
//! Source: RocketMQ 5.3.3 `TopicValidator`, `Validators`, `MixAll`.

use crate::error::NameError;

/// A group's retry topic: this and the group.
pub const RETRY_PREFIX: &str = "%RETRY%";
/// A group's dead-letter topic: this and the group.
pub const DLQ_PREFIX: &str = "%DLQ%";
/// A light message queue.
pub const LMQ_PREFIX: &str = "%LMQ%";
/// System topics of 5.x.
pub const SYSTEM_PREFIX: &str = "rmq_sys_";
/// Groups of the system.
pub const SYSTEM_GROUP_PREFIX: &str = "CID_RMQ_SYS_";

/// Topics that are created at the first send inherit from this one.
pub const AUTO_CREATE: &str = "TBW102";
/// Delayed messages wait here.
pub const SCHEDULE: &str = "SCHEDULE_TOPIC_XXXX";
/// RocketMQ's benchmark.
pub const BENCHMARK: &str = "BenchmarkTest";
/// Half messages.
pub const TRANSACTION_HALF: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
/// What became of half messages.
pub const TRANSACTION_OP_HALF: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/// Half messages that were checked too often.
pub const TRANSACTION_CHECK_MAX_TIME: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
/// Message traces.
pub const TRACE: &str = "RMQ_SYS_TRACE_TOPIC";
/// Self tests.
pub const SELF_TEST: &str = "SELF_TEST_TOPIC";
/// Offsets that were moved.
pub const OFFSET_MOVED_EVENT: &str = "OFFSET_MOVED_EVENT";
/// Timer messages of 5.x wait here.
pub const TIMER: &str = "rmq_sys_wheel_timer";
/// The suffix of a cluster's reply topic.
pub const REPLY_SUFFIX: &str = "REPLY_TOPIC";

/// The longest topic name a broker takes.
pub const TOPIC_LEN_MAX: usize = 127;
/// The longest retry or dead-letter topic.
pub const RETRY_OR_DLQ_LEN_MAX: usize = 255;
/// The longest group name a broker takes.
pub const GROUP_LEN_MAX: usize = 120;

/// Topics whose names no application may create or change.
pub const SYSTEM_TOPICS: &[&str] = &[
    AUTO_CREATE,
    SCHEDULE,
    BENCHMARK,
    TRANSACTION_HALF,
    TRACE,
    TRANSACTION_OP_HALF,
    TRANSACTION_CHECK_MAX_TIME,
    SELF_TEST,
    OFFSET_MOVED_EVENT,
];

/// System topics that applications may not send to.
pub const NOT_ALLOWED_TO_SEND: &[&str] = &[
    SCHEDULE,
    TRANSACTION_HALF,
    TRANSACTION_OP_HALF,
    TRANSACTION_CHECK_MAX_TIME,
    SELF_TEST,
    OFFSET_MOVED_EVENT,
];

/// The retry topic of a group.
pub fn retry_topic(group: &str) -> String {
    format!("{RETRY_PREFIX}{group}")
}

/// The dead-letter topic of a group.
pub fn dlq_topic(group: &str) -> String {
    format!("{DLQ_PREFIX}{group}")
}

/// Whether the topic is a group's retry topic.
pub fn is_retry(topic: &str) -> bool {
    topic.starts_with(RETRY_PREFIX)
}

/// Whether the topic is a group's dead-letter topic.
pub fn is_dlq(topic: &str) -> bool {
    topic.starts_with(DLQ_PREFIX)
}

/// Whether the topic belongs to the system.
pub fn is_system(topic: &str) -> bool {
    topic.starts_with(SYSTEM_PREFIX) || SYSTEM_TOPICS.contains(&topic)
}

/// Whether applications may not send to the topic.
pub fn is_not_allowed_to_send(topic: &str) -> bool {
    NOT_ALLOWED_TO_SEND.contains(&topic)
}

/// Checks the name of a topic that a client or tool sends.
pub fn validate(topic: &str) -> Result<(), NameError> {
    let max = if is_retry(topic) || is_dlq(topic) { RETRY_OR_DLQ_LEN_MAX } else { TOPIC_LEN_MAX };
    validate_name("topic", topic, max)
}

/// Checks the name of a group.
pub fn validate_group(group: &str) -> Result<(), NameError> {
    validate_name("group", group, GROUP_LEN_MAX)
}

fn validate_name(what: &'static str, name: &str, max: usize) -> Result<(), NameError> {
    if name.trim().is_empty() {
        return Err(NameError::Blank { what });
    }
    if !name.bytes().all(is_allowed) {
        return Err(NameError::Characters { what });
    }
    if name.len() > max {
        return Err(NameError::Length { what, len: name.len(), max });
    }
    Ok(())
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'|' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_by_rocketmqs_rules() {
        assert_eq!(validate("TopicA-1_%|"), Ok(()));
        assert_eq!(validate("  "), Err(NameError::Blank { what: "topic" }));
        assert_eq!(validate("a b"), Err(NameError::Characters { what: "topic" }));
        assert_eq!(validate("日"), Err(NameError::Characters { what: "topic" }));
        assert!(validate(&"a".repeat(127)).is_ok() && validate(&"a".repeat(128)).is_err());
        assert!(validate(&retry_topic(&"a".repeat(200))).is_ok());
        assert!(validate_group(&"g".repeat(120)).is_ok() && validate_group(&"g".repeat(121)).is_err());
    }

    #[test]
    fn system_topics_are_known() {
        assert!(is_system("TBW102") && is_system("rmq_sys_wheel_timer") && !is_system("TopicA"));
        assert!(is_not_allowed_to_send(SCHEDULE) && !is_not_allowed_to_send(AUTO_CREATE));
        assert!(is_retry("%RETRY%g") && is_dlq("%DLQ%g"));
    }
}
