//! The heartbeat: who produces, who consumes what. Clients of all languages and ages write it each in its own way.

use std::collections::BTreeSet;

use crate::error::NameError;
use crate::json::macros::{bodies, json_enums};
use crate::tags::TagExpression;

json_enums! {
    /// Pull or push.
    ConsumeType {
        ConsumeActively "CONSUME_ACTIVELY",
        ConsumePassively "CONSUME_PASSIVELY",
        ConsumePop "CONSUME_POP",
    } default ConsumePassively

    /// Whether the members of a group share the messages or each gets all.
    MessageModel {
        Broadcasting "BROADCASTING",
        Clustering "CLUSTERING",
    } default Clustering

    /// Where a new group begins.
    ConsumeFromWhere {
        ConsumeFromLastOffset "CONSUME_FROM_LAST_OFFSET",
        ConsumeFromLastOffsetAndFromMinWhenBootFirst "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
        ConsumeFromMinOffset "CONSUME_FROM_MIN_OFFSET",
        ConsumeFromMaxOffset "CONSUME_FROM_MAX_OFFSET",
        ConsumeFromFirstOffset "CONSUME_FROM_FIRST_OFFSET",
        ConsumeFromTimestamp "CONSUME_FROM_TIMESTAMP",
    } default ConsumeFromLastOffset
}

/// Tag expressions. Source: RocketMQ `ExpressionType.TAG`.
pub const EXPRESSION_TAG: &str = "TAG";
/// SQL expressions. Source: RocketMQ `ExpressionType.SQL92`.
pub const EXPRESSION_SQL92: &str = "SQL92";

bodies! {
    /// What one group wants of one topic.
    SubscriptionData {
        class_filter_mode: bool => "classFilterMode",
        code_set: BTreeSet<i32> => "codeSet",
        expression_type: Option<String> => "expressionType" or Some(EXPRESSION_TAG.to_owned()),
        sub_string: String => "subString",
        /// Any number that grows: milliseconds from Java, nanoseconds from Go.
        sub_version: i64 => "subVersion",
        tags_set: BTreeSet<String> => "tagsSet",
        topic: String => "topic",
    }

    /// One consumer of a process.
    ConsumerData {
        consume_from_where: ConsumeFromWhere => "consumeFromWhere",
        consume_type: ConsumeType => "consumeType",
        group_name: String => "groupName",
        message_model: MessageModel => "messageModel",
        subscription_data_set: Vec<SubscriptionData> => "subscriptionDataSet",
        unit_mode: bool => "unitMode",
    }

    /// One producer of a process.
    ProducerData {
        group_name: String => "groupName",
    }

    /// HEART_BEAT.
    HeartbeatData {
        client_id: String => "clientID",
        consumer_data_set: Vec<ConsumerData> => "consumerDataSet",
        heartbeat_fingerprint: i32 => "heartbeatFingerprint",
        producer_data_set: Vec<ProducerData> => "producerDataSet",
        without_sub: bool => "withoutSub",
    }

    /// CHECK_CLIENT_CONFIG.
    CheckClientRequestBody {
        client_id: String => "clientId",
        group: String => "group",
        namespace: Option<String> => "namespace",
        subscription_data: SubscriptionData => "subscriptionData",
    }

    /// QUERY_SUBSCRIPTION_BY_CONSUMER.
    QuerySubscriptionResponseBody {
        group: String => "group",
        subscription_data: Option<SubscriptionData> => "subscriptionData",
        topic: String => "topic",
    }
}

impl SubscriptionData {
    /// A subscription by tags: `*`, or `A || B`.
    pub fn of_tags(topic: impl Into<String>, expression: &str, sub_version: i64) -> Result<Self, NameError> {
        let parsed = TagExpression::parse(expression)?;
        let sub_string = if parsed.is_all() { crate::tags::SUBSCRIBE_ALL } else { expression };
        Ok(Self {
            code_set: parsed.codes.iter().copied().collect(),
            sub_string: sub_string.to_owned(),
            sub_version,
            tags_set: parsed.tags.into_iter().collect(),
            topic: topic.into(),
            ..Self::default()
        })
    }

    /// Whether the expression is tags; a missing type is.
    pub fn is_tag(&self) -> bool {
        self.expression_type.as_deref().is_none_or(|kind| kind.is_empty() || kind == EXPRESSION_TAG)
    }
}
