//! Who has consumed a message: for each group of its topic a verdict, as RocketMQ's `MessageTrack`.

use protocol::ResponseCode;
use protocol::body::{ConsumeStats, ConsumeType, ConsumerConnection, MessageModel};
use protocol::message::MessageExt;

use crate::error::AdminError;
use crate::session::Session;
use crate::{groups, topics};

/// What a group did with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Consumed,
    ConsumedButFiltered,
    Pull,
    NotConsumedYet,
    NotOnline,
    ConsumeBroadcasting,
    Unknown,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Consumed => "CONSUMED",
            Self::ConsumedButFiltered => "CONSUMED_BUT_FILTERED",
            Self::Pull => "PULL",
            Self::NotConsumedYet => "NOT_CONSUME_YET",
            Self::NotOnline => "NOT_ONLINE",
            Self::ConsumeBroadcasting => "CONSUME_BROADCASTING",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// The lines about every group that consumes the message's topic.
pub(crate) async fn lines(session: &Session, message: &MessageExt) -> Result<String, AdminError> {
    let mut text = String::new();
    for group in topics::consumed_by(session, &message.topic).await? {
        text += &match verdict_of(session, &group, message).await {
            Ok(verdict) => line(&group, verdict, None),
            Err(error) if error.is(ResponseCode::ConsumerNotOnline) => {
                line(&group, Verdict::NotOnline, Some(&error.to_string()))
            }
            Err(error) => line(&group, Verdict::Unknown, Some(&error.to_string())),
        };
    }
    Ok(text)
}

async fn verdict_of(session: &Session, group: &str, message: &MessageExt) -> Result<Verdict, AdminError> {
    let brokers = groups::brokers(session, group, None).await?;
    let connection = groups::connection(session, &brokers, group).await?;
    let stats = groups::stats(session, &brokers, group, Some(&message.topic)).await?;
    Ok(verdict(&connection, &stats, message))
}

/// Judges by who is connected and how far the group is.
pub(crate) fn verdict(
    connection: &ConsumerConnection,
    stats: &ConsumeStats,
    message: &MessageExt,
) -> Verdict {
    match (connection.consume_type, connection.message_model) {
        (Some(ConsumeType::ConsumeActively), _) => return Verdict::Pull,
        (_, Some(MessageModel::Broadcasting)) => return Verdict::ConsumeBroadcasting,
        _ => {}
    }
    let is_past = stats.offset_table.iter().any(|(queue, offsets)| {
        queue.topic == message.topic
            && queue.queue_id == message.queue_id
            && u64::try_from(offsets.consumer_offset).is_ok_and(|offset| offset > message.queue_offset)
    });
    if !is_past {
        return Verdict::NotConsumedYet;
    }
    let subscription = connection.subscription_table.get(&message.topic);
    let is_wanted = subscription.is_none_or(|subscription| {
        subscription.tags_set.is_empty()
            || subscription.tags_set.contains("*")
            || message.tags().is_some_and(|tag| subscription.tags_set.contains(tag))
    });
    if is_wanted { Verdict::Consumed } else { Verdict::ConsumedButFiltered }
}

fn line(group: &str, verdict: Verdict, why: Option<&str>) -> String {
    format!(
        "MessageTrack [consumerGroup={group}, trackType={}, exceptionDesc={}]\n",
        verdict.name(),
        why.unwrap_or("null")
    )
}

#[cfg(test)]
mod tests {
    use protocol::Bytes;
    use protocol::body::{MessageQueue, OffsetWrapper, SubscriptionData};
    use protocol::properties::Properties;

    use super::*;

    fn message(tag: &str) -> MessageExt {
        MessageExt {
            topic: "T".to_owned(),
            queue_id: 1,
            queue_offset: 5,
            flag: 0,
            sys_flag: 0,
            store_size: 0,
            physical_offset: 0,
            born_timestamp: 0,
            born_host: "127.0.0.1:1".parse().unwrap(),
            store_timestamp: 0,
            store_host: "127.0.0.1:2".parse().unwrap(),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body_crc: 0,
            properties: [("TAGS", tag)].into_iter().collect::<Properties>(),
            body: Bytes::new(),
        }
    }

    fn stats(consumer_offset: i64) -> ConsumeStats {
        let offsets = OffsetWrapper { consumer_offset, ..OffsetWrapper::default() };
        ConsumeStats {
            offset_table: [(MessageQueue::new("T", "b", 1), offsets)].into(),
            ..ConsumeStats::default()
        }
    }

    fn push(expression: &str) -> ConsumerConnection {
        ConsumerConnection {
            consume_type: Some(ConsumeType::ConsumePassively),
            message_model: Some(MessageModel::Clustering),
            subscription_table: [("T".to_owned(), SubscriptionData::of_tags("T", expression, 1).unwrap())]
                .into(),
            ..ConsumerConnection::default()
        }
    }

    #[test]
    fn a_message_is_consumed_when_the_group_is_past_it() {
        assert_eq!(verdict(&push("*"), &stats(6), &message("A")), Verdict::Consumed);
        assert_eq!(verdict(&push("*"), &stats(5), &message("A")), Verdict::NotConsumedYet);
        assert_eq!(verdict(&push("B"), &stats(6), &message("A")), Verdict::ConsumedButFiltered);
        assert_eq!(verdict(&push("A || B"), &stats(6), &message("A")), Verdict::Consumed);
    }

    #[test]
    fn of_pull_and_broadcast_groups_nobody_knows() {
        let pull = ConsumerConnection { consume_type: Some(ConsumeType::ConsumeActively), ..push("*") };
        assert_eq!(verdict(&pull, &stats(6), &message("A")), Verdict::Pull);
        let broadcast = ConsumerConnection { message_model: Some(MessageModel::Broadcasting), ..push("*") };
        assert_eq!(verdict(&broadcast, &stats(6), &message("A")), Verdict::ConsumeBroadcasting);
    }

    #[test]
    fn a_verdict_is_shown_as_rocketmqs() {
        assert_eq!(
            line("CG", Verdict::Consumed, None),
            "MessageTrack [consumerGroup=CG, trackType=CONSUMED, exceptionDesc=null]\n"
        );
    }
}
