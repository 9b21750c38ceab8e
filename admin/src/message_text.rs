//! A message as RocketMQ's tools show it: on one line, or one field a line. Pure but for the file of its body.

use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use protocol::message::MessageExt;

use crate::text;

/// The message on one line, with the broker that it was pulled from.
pub(crate) fn one_line(broker: &str, message: &MessageExt) -> String {
    let bytes: Vec<String> = message.body.iter().map(|byte| byte.cast_signed().to_string()).collect();
    format!(
        "MessageExt [brokerName={broker}, queueId={}, storeSize={}, queueOffset={}, sysFlag={}, bornTimestamp={}, \
         bornHost=/{}, storeTimestamp={}, storeHost=/{}, msgId={}, commitLogOffset={}, bodyCRC={}, \
         reconsumeTimes={}, preparedTransactionOffset={}, toString()=Message{{topic='{}', flag={}, properties={}, \
         body=[{}], transactionId='null'}}]",
        message.queue_id,
        message.store_size,
        message.queue_offset,
        message.sys_flag,
        message.born_timestamp,
        message.born_host,
        message.store_timestamp,
        message.store_host,
        message.offset_message_id(),
        message.physical_offset,
        message.body_crc,
        message.reconsume_times,
        message.prepared_transaction_offset,
        message.topic,
        message.flag,
        text::java_map(message.properties.iter()),
        bytes.join(", "),
    )
}

/// The line that `consumeMessage` and `printMsg` print for a message.
pub(crate) fn printed(broker: &str, message: &MessageExt, show_body: bool) -> String {
    let body = if show_body {
        String::from_utf8_lossy(&message.body).into_owned()
    } else {
        "NOT PRINT BODY".to_owned()
    };
    format!("MSGID: {} {} BODY: {body}\n", message.message_id(), one_line(broker, message))
}

/// One field a line, from the topic on.
pub(crate) fn fields(message: &MessageExt, zone: &TimeZone) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{name:<20} {value}");
    };
    let tags = message.tags().unwrap_or("null");
    let keys = message.properties.get(protocol::properties::KEYS).unwrap_or("null");
    line("Topic:", &message.topic);
    line("Tags:", &format!("[{tags}]"));
    line("Keys:", &format!("[{keys}]"));
    line("Queue ID:", &message.queue_id);
    line("Queue Offset:", &message.queue_offset);
    line("CommitLog Offset:", &message.physical_offset);
    line("Reconsume Times:", &message.reconsume_times);
    line("Born Timestamp:", &text::time_millis(message.born_timestamp, zone));
    line("Store Timestamp:", &text::time_millis(message.store_timestamp, zone));
    line("Born Host:", &message.born_host);
    line("Store Host:", &message.store_host);
    line("System Flag:", &message.sys_flag);
    line("Properties:", &text::java_map(message.properties.iter()));
    text
}

/// The line with the offset message id.
pub(crate) fn offset_id(message: &MessageExt) -> String {
    format!("{:<20} {}\n", "OffsetID:", message.offset_message_id())
}

/// Writes the body to a file of the system's temporary directory and tells where; `suffix` keeps several apart.
pub(crate) fn save_body(message: &MessageExt, suffix: &str) -> std::io::Result<PathBuf> {
    let directory = std::env::temp_dir().join("rocketmq").join("msgbodys");
    std::fs::create_dir_all(&directory)?;
    // The id came from a peer: only what an id is made of may become part of a path.
    let id: String = message.message_id().chars().filter(char::is_ascii_alphanumeric).collect();
    let path = directory.join(id + suffix);
    std::fs::write(&path, &message.body)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use protocol::Bytes;
    use protocol::properties::Properties;

    use super::*;

    fn message() -> MessageExt {
        MessageExt {
            topic: "TopicA".to_owned(),
            queue_id: 1,
            queue_offset: 0,
            flag: 0,
            sys_flag: 0,
            store_size: 261,
            physical_offset: 526,
            born_timestamp: 1_795_376_324_022,
            born_host: "127.0.0.1:44280".parse().unwrap(),
            store_timestamp: 1_795_376_324_038,
            store_host: "127.0.0.1:20911".parse().unwrap(),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body_crc: 507_021_502,
            properties: [("UNIQ_KEY", "FD"), ("TAGS", "TagA"), ("KEYS", "key1")]
                .into_iter()
                .collect::<Properties>(),
            body: Bytes::from_static(b"he\xff"),
        }
    }

    /// Printed by RocketMQ 5.3.3 for `mqadmin consumeMessage`, but for the body and the order of the properties.
    #[test]
    fn a_message_on_one_line_is_rocketmqs() {
        assert_eq!(
            printed("broker-a", &message(), false),
            "MSGID: FD MessageExt [brokerName=broker-a, queueId=1, storeSize=261, queueOffset=0, sysFlag=0, \
             bornTimestamp=1795376324022, bornHost=/127.0.0.1:44280, storeTimestamp=1795376324038, \
             storeHost=/127.0.0.1:20911, msgId=7F000001000051AF000000000000020E, commitLogOffset=526, \
             bodyCRC=507021502, reconsumeTimes=0, preparedTransactionOffset=0, toString()=Message{topic='TopicA', \
             flag=0, properties={UNIQ_KEY=FD, TAGS=TagA, KEYS=key1}, body=[104, 101, -1], transactionId='null'}] \
             BODY: NOT PRINT BODY\n"
        );
    }

    /// Printed by RocketMQ 5.3.3 for `mqadmin queryMsgById`, but for the properties.
    #[test]
    fn the_fields_of_a_message_are_rocketmqs() {
        let expected = "\
OffsetID:            7F000001000051AF000000000000020E
Topic:               TopicA
Tags:                [TagA]
Keys:                [key1]
Queue ID:            1
Queue Offset:        0
CommitLog Offset:    526
Reconsume Times:     0
Born Timestamp:      2026-11-22 19:38:44,022
Store Timestamp:     2026-11-22 19:38:44,038
Born Host:           127.0.0.1:44280
Store Host:          127.0.0.1:20911
System Flag:         0
Properties:          {UNIQ_KEY=FD, TAGS=TagA, KEYS=key1}
";
        assert_eq!(offset_id(&message()) + &fields(&message(), &TimeZone::UTC), expected);
    }
}
