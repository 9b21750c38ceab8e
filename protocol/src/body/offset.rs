//! Offsets: what the broker keeps of consumers and delay levels, and what a reset or a status query carries.

use std::collections::BTreeMap;

use super::queue::{DataVersion, MessageQueue};
use crate::json::macros::bodies;

bodies! {
    /// `config/consumerOffset.json` and GET_ALL_CONSUMER_OFFSET: by `topic@group`, then by queue.
    ConsumerOffsetSerializeWrapper {
        data_version: Option<DataVersion> => "dataVersion",
        offset_table: BTreeMap<String, BTreeMap<i32, i64>> => "offsetTable",
    }

    /// `config/delayOffset.json` and GET_ALL_DELAY_OFFSET: by delay level.
    DelayOffsetSerializeWrapper {
        data_version: Option<DataVersion> => "dataVersion",
        offset_table: BTreeMap<i32, i64> => "offsetTable",
    }

    /// INVOKE_BROKER_TO_RESET_OFFSET (answer) and RESET_CONSUMER_CLIENT_OFFSET (request).
    ResetOffsetBody {
        offset_table: BTreeMap<MessageQueue, i64> => "offsetTable",
    }

    /// One queue of a reset, for C++.
    MessageQueueForC {
        broker_name: String => "brokerName",
        offset: i64 => "offset",
        queue_id: i32 => "queueId",
        topic: String => "topic",
    }

    /// RESET_CONSUMER_CLIENT_OFFSET for C++ clients, which cannot read objects as keys.
    ResetOffsetBodyForC {
        offset_table: Vec<MessageQueueForC> => "offsetTable",
    }

    /// INVOKE_BROKER_TO_GET_CONSUMER_STATUS and GET_CONSUMER_STATUS_FROM_CLIENT.
    GetConsumerStatusBody {
        /// By client id.
        consumer_table: BTreeMap<String, BTreeMap<MessageQueue, i64>> => "consumerTable",
        message_queue_table: BTreeMap<MessageQueue, i64> => "messageQueueTable",
    }

    /// QUERY_CORRECTION_OFFSET: by queue.
    QueryCorrectionOffsetBody {
        correction_offsets: BTreeMap<i32, i64> => "correctionOffsets",
    }

    /// What one queue holds for one group, in time.
    QueueTimeSpan {
        consume_time_stamp: i64 => "consumeTimeStamp",
        delay_time: i64 => "delayTime",
        max_time_stamp: i64 => "maxTimeStamp",
        message_queue: MessageQueue => "messageQueue",
        min_time_stamp: i64 => "minTimeStamp",
    }

    /// QUERY_CONSUME_TIME_SPAN.
    QueryConsumeTimeSpanBody {
        consume_time_span_set: Vec<QueueTimeSpan> => "consumeTimeSpanSet",
    }
}

impl From<&ResetOffsetBody> for ResetOffsetBodyForC {
    fn from(body: &ResetOffsetBody) -> Self {
        let of = |(queue, offset): (&MessageQueue, &i64)| MessageQueueForC {
            broker_name: queue.broker_name.clone(),
            offset: *offset,
            queue_id: queue.queue_id,
            topic: queue.topic.clone(),
        };
        Self { offset_table: body.offset_table.iter().map(of).collect() }
    }
}
