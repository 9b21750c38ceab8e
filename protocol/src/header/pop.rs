//! The POP family; JSON headers only, because the codes need more than 16 bits.

use super::field::headers;
use crate::text::Text;

headers! {
    /// POP_MESSAGE.
    PopMessageRequestHeader {
        consumer_group: Text => "consumerGroup",
        topic: Text => "topic",
        queue_id: i32 => "queueId",
        max_msg_nums: i32 => "maxMsgNums",
        invisible_time: i64 => "invisibleTime",
        poll_time: i64 => "pollTime",
        born_time: i64 => "bornTime",
        init_mode: i32 => "initMode",
        exp_type: Option<Text> => "expType",
        exp: Option<Text> => "exp",
        order: bool => "order" or false,
        attempt_id: Option<Text> => "attemptId",
    }

    /// The answer to POP_MESSAGE.
    PopMessageResponseHeader {
        pop_time: i64 => "popTime",
        invisible_time: i64 => "invisibleTime",
        revive_qid: i32 => "reviveQid",
        rest_num: i64 => "restNum",
        start_offset_info: Option<Text> => "startOffsetInfo",
        msg_offset_info: Option<Text> => "msgOffsetInfo",
        order_count_info: Option<Text> => "orderCountInfo",
    }

    /// ACK_MESSAGE.
    AckMessageRequestHeader {
        consumer_group: Text => "consumerGroup",
        topic: Text => "topic",
        queue_id: i32 => "queueId",
        extra_info: Text => "extraInfo",
        offset: i64 => "offset",
    }

    /// CHANGE_MESSAGE_INVISIBLETIME.
    ChangeInvisibleTimeRequestHeader {
        consumer_group: Text => "consumerGroup",
        topic: Text => "topic",
        queue_id: i32 => "queueId",
        extra_info: Text => "extraInfo",
        offset: i64 => "offset",
        invisible_time: i64 => "invisibleTime",
    }

    /// The answer to CHANGE_MESSAGE_INVISIBLETIME.
    ChangeInvisibleTimeResponseHeader {
        pop_time: i64 => "popTime",
        invisible_time: i64 => "invisibleTime",
        revive_qid: i32 => "reviveQid",
    }

    /// NOTIFICATION.
    NotificationRequestHeader {
        consumer_group: Text => "consumerGroup",
        topic: Text => "topic",
        queue_id: i32 => "queueId",
        poll_time: i64 => "pollTime",
        born_time: i64 => "bornTime",
        order: bool => "order" or false,
        attempt_id: Option<Text> => "attemptId",
    }

    /// The answer to NOTIFICATION.
    NotificationResponseHeader {
        has_msg: bool => "hasMsg",
        polling_full: bool => "pollingFull" or false,
    }

    /// PEEK_MESSAGE.
    PeekMessageRequestHeader {
        topic: Text => "topic",
        queue_id: i32 => "queueId",
        max_msg_nums: i32 => "maxMsgNums",
        consumer_group: Text => "consumerGroup",
    }

    /// POLLING_INFO.
    PollingInfoRequestHeader {
        consumer_group: Text => "consumerGroup",
        topic: Text => "topic",
        queue_id: i32 => "queueId",
    }

    /// The answer to POLLING_INFO.
    PollingInfoResponseHeader {
        polling_num: i32 => "pollingNum",
    }
}
