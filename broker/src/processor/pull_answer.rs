//! What a pull is told: always the four offsets, and the stored bytes themselves as the body.

use super::pull_message::Pull;
use crate::clients::ReadCounters;
use crate::node::Node;
use crate::stats::StatName;
use protocol::header::PullMessageResponseHeader;
use protocol::{RemotingCommand, ResponseCode};
use store::ReadResult;

/// Where a group goes on when nothing is said of it. Source: RocketMQ `MixAll.MASTER_ID`.
const MASTER_ID: i64 = 0;

/// Answers with what a read found.
pub fn found(node: &Node, pull: &Pull, read: ReadResult, code: ResponseCode) {
    if code == ResponseCode::Success {
        count(node, pull, &read);
    }
    let header = PullMessageResponseHeader {
        suggest_which_broker_id: suggested_broker(node, pull, read.is_slow),
        next_begin_offset: signed(read.next_begin_offset),
        min_offset: signed(read.min_offset),
        max_offset: signed(read.max_offset),
        ..flags(pull)
    };
    let head = RemotingCommand::response(code).with_header(&header).with_remark(read.status.name());
    pull.caller.answer_slices(head, read.slices, read.bytes);
}

/// Tells a consumer whose offsets were reset where to go on.
pub fn moved(node: &Node, pull: &Pull, offset: i64) {
    let header = PullMessageResponseHeader {
        suggest_which_broker_id: suggested_broker(node, pull, false),
        next_begin_offset: offset,
        min_offset: signed(node.store.min_offset(pull.topic.name(), pull.queue)),
        max_offset: signed(node.store.max_offset(pull.topic.name(), pull.queue)),
        ..flags(pull)
    };
    let head = RemotingCommand::response(ResponseCode::PullOffsetMoved).with_header(&header);
    pull.caller.answer(Ok(head.with_remark("OFFSET_RESET")));
}

/// A missing flag means 0 to every client.
fn flags(pull: &Pull) -> PullMessageResponseHeader {
    let unless_zero = |flag: i32| Some(flag).filter(|flag| *flag != 0);
    PullMessageResponseHeader {
        topic_sys_flag: unless_zero(pull.topic.config.topic_sys_flag),
        group_sys_flag: unless_zero(pull.group.config.group_sys_flag),
        ..PullMessageResponseHeader::default()
    }
}

/// Whoever falls far behind is sent to a slave, where one may be read; whoever caught up goes back. A slave that may not be
/// read serves all the same, because its master may be gone, and says every time that the master is the one to ask.
fn suggested_broker(node: &Node, pull: &Pull, is_slow: bool) -> i64 {
    match (node.config.get().broker.slave_read, is_slow) {
        (true, true) => pull.group.config.which_broker_when_consume_slowly,
        (true, false) => pull.group.config.broker_id,
        (false, _) => MASTER_ID,
    }
}

fn count(node: &Node, pull: &Pull, read: &ReadResult) {
    let (messages, bytes) = (read.count as u64, read.bytes as u64);
    node.counters.got.add(messages, 1);
    let key = || format!("{}@{}", pull.topic.name(), pull.group.config.group_name);
    match &pull.subscription {
        Some(subscription) => {
            let counters = subscription.counters.get_or_init(|| ReadCounters {
                messages: node.stats.item(StatName::GroupGetNums, &key()),
                bytes: node.stats.item(StatName::GroupGetSize, &key()),
            });
            counters.messages.add(messages, 1);
            counters.bytes.add(bytes, 1);
        }
        None => {
            node.stats.add(StatName::GroupGetNums, &key(), messages);
            node.stats.add(StatName::GroupGetSize, &key(), bytes);
        }
    }
    if read.is_slow {
        node.stats.add(StatName::GroupGetFromDiskNums, &key(), messages);
        node.stats.add(StatName::GroupGetFromDiskSize, &key(), bytes);
    }
}

fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
