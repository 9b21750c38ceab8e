//! The names of the statistics that code 315 asks for. Source: RocketMQ `Stats` and `BrokerStatsManager`.

macro_rules! stat_names {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// A statistic, by the name that `mqadmin statsAll` and code 315 use.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum StatName { $($(#[$doc])* $variant),+ }

        impl StatName {
            /// All names.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the wire.
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The statistic of that name.
            pub fn from_text(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

stat_names! {
    /// Messages put into a queue; key `topic@queueId`.
    QueuePutNums = "QUEUE_PUT_NUMS",
    /// Bytes put into a queue; key `topic@queueId`.
    QueuePutSize = "QUEUE_PUT_SIZE",
    /// Messages read from a queue; key `topic@queueId@group`.
    QueueGetNums = "QUEUE_GET_NUMS",
    /// Bytes read from a queue; key `topic@queueId@group`.
    QueueGetSize = "QUEUE_GET_SIZE",
    /// Messages put into a topic; key topic.
    TopicPutNums = "TOPIC_PUT_NUMS",
    /// Bytes put into a topic; key topic.
    TopicPutSize = "TOPIC_PUT_SIZE",
    /// Milliseconds from request to answer of sends; key `queueId@topic`.
    TopicPutLatency = "TOPIC_PUT_LATENCY",
    /// Messages a group read; key `topic@group`.
    GroupGetNums = "GROUP_GET_NUMS",
    /// Bytes a group read; key `topic@group`.
    GroupGetSize = "GROUP_GET_SIZE",
    /// Milliseconds of reads; key `queueId@topic@group`.
    GroupGetLatency = "GROUP_GET_LATENCY",
    /// Acknowledgements of a group (POP); key `topic@group`.
    GroupAckNums = "GROUP_ACK_NUMS",
    /// Checkpoints of a group (POP); key `topic@group`.
    GroupCkNums = "GROUP_CK_NUMS",
    /// Messages sent back; key `topic@group`.
    SendBackPutNums = "SNDBCK_PUT_NUMS",
    /// Messages that went to a dead letter queue; key `topic@group`.
    DlqPutNums = "DLQ_PUT_NUMS",
    /// Messages put into the broker; key cluster name.
    BrokerPutNums = "BROKER_PUT_NUMS",
    /// Messages read from the broker; key cluster name.
    BrokerGetNums = "BROKER_GET_NUMS",
    /// Acknowledgements (POP); key cluster name.
    BrokerAckNums = "BROKER_ACK_NUMS",
    /// Checkpoints (POP); key cluster name.
    BrokerCkNums = "BROKER_CK_NUMS",
    /// Messages that a group read far from the tail; key `topic@group`.
    GroupGetFromDiskNums = "GROUP_GET_FROM_DISK_NUMS",
    /// Bytes that a group read far from the tail; key `topic@group`.
    GroupGetFromDiskSize = "GROUP_GET_FROM_DISK_SIZE",
    /// Messages read far from the tail; key cluster name.
    BrokerGetFromDiskNums = "BROKER_GET_FROM_DISK_NUMS",
    /// Send-backs that ended in a dead letter queue; key `topic@group`.
    SendBackToDlqTimes = "SNDBCK2DLQ_TIMES",
    /// Consumer registrations; key group.
    ConsumerRegisterTime = "CONSUMER_REGISTER_TIME",
    /// Producer registrations; key group.
    ProducerRegisterTime = "PRODUCER_REGISTER_TIME",
    /// Connections opened and closed; key event.
    ChannelActivity = "CHANNEL_ACTIVITY",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_itself() {
        for &name in StatName::ALL {
            assert_eq!(StatName::from_text(name.text()), Some(name));
        }
        assert_eq!(StatName::from_text("QUEUE_PUT"), None);
    }
}
