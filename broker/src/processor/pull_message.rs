//! PULL_MESSAGE and LITE_PULL_MESSAGE (11, 361): the journey from queue to socket.
//!
//! Always true: every pull that passed its checks is answered exactly once with all four offsets, at the latest at its
//! deadline; a consumer's offset is noted when its pull arrives, not when it is woken; a read that may wait for the
//! disk runs on a reader thread. `arrivals` keeps the pulls that wait.

use super::pull_answer;
use super::pull_check::{self, Checked};
use crate::caller::Caller;
use crate::error::BrokerError;
use crate::held_pulls::{HeldPull, Wanted};
use crate::metadata::{Group, Topic};
use crate::node::Node;
use crate::replication;
use crate::reply::reply;
use protocol::{RemotingCommand, ResponseCode, sys_flag};
use remoting::Connection;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{GetStatus, ReadRequest, ReadResult};

/// A pull this many messages behind its queue's end may meet pages that are no longer in memory.
const FAR_MESSAGES: u64 = 8_192;
/// So may one this many bytes behind the log's end.
const FAR_BYTES: u64 = 128 << 20;
/// No client waits longer than this, whatever it asks for; RocketMQ's own ask for 15 to 30 s.
const HOLD_MAX: Duration = Duration::from_secs(120);
/// Nor longer than this at a slave whose queue ends before the offset asked for.
const HOLD_BEYOND_END_MAX: Duration = Duration::from_secs(1);

/// A pull that passed its checks: all that running it, now or later, needs.
#[derive(Debug)]
pub struct Pull {
    /// Who waits for the answer.
    pub caller: Caller,
    /// The topic.
    pub topic: Arc<Topic>,
    /// The queue.
    pub queue: u32,
    /// The consumer group.
    pub group: Arc<Group>,
    /// The first offset wanted, as the client asked.
    pub offset: i64,
    /// How many messages at most.
    pub count_max: usize,
    /// How many bytes at most.
    pub bytes_max: Option<usize>,
    /// Which tags.
    pub wanted: Arc<Wanted>,
    /// The subscription that counts what is read.
    pub subscription: Option<Arc<crate::clients::Subscription>>,
    /// The offset to note for the group, if the request carries one.
    pub commit: Option<i64>,
    /// Until when the client would wait for a message; nothing when it would not.
    pub hold_until: Option<Instant>,
    /// Everything that another replica may have shown before this pull came is applied here.
    pub is_confirmed: bool,
}

/// Serves one pull.
pub fn pull(node: &Arc<Node>, connection: &Arc<Connection>, request: RemotingCommand) {
    match pull_check::check(node, connection, &request) {
        Ok(Checked::Pull(pull)) => start(node, *pull),
        Ok(Checked::GroupMissing) => make_group_and_pull(node, connection, request),
        Err(error) => reply(connection, &request, Err(error)),
    }
}

fn make_group_and_pull(node: &Arc<Node>, connection: &Arc<Connection>, request: RemotingCommand) {
    let caller = Caller::of(connection, &request);
    let (node_there, connection_there) = (Arc::clone(node), Arc::clone(connection));
    let job = Box::new(move || {
        let checked = pull_check::make_group(&node_there, &request)
            .and_then(|()| pull_check::check(&node_there, &connection_there, &request));
        match checked {
            Ok(Checked::Pull(pull)) => start(&node_there, *pull),
            Ok(Checked::GroupMissing) => reply(&connection_there, &request, Err(BrokerError::Busy)),
            Err(error) => reply(&connection_there, &request, Err(error)),
        }
    });
    if node.errands.try_do(job).is_err() {
        caller.answer(Err(BrokerError::Busy));
    }
}

/// The first run of a pull: notes its offset, hands out a reset that waits, then reads.
fn start(node: &Arc<Node>, pull: Pull) {
    if let Some(offset) = pull.commit {
        node.journal.commit_offset(&pull.group.config.group_name, pull.topic.name(), pull.queue, offset);
    }
    let reset = node.journal.take_reset(&pull.group.config.group_name, pull.topic.name(), pull.queue);
    if let Some(offset) = reset {
        return pull_answer::moved(node, &pull, offset);
    }
    if is_far(node, &pull) { elsewhere(node, pull, run) } else { run(node, pull) }
}

/// Runs a pull that was woken or has expired: it is answered now, whatever it finds.
pub fn run_again(node: &Arc<Node>, mut pull: Pull) {
    pull.hold_until = None;
    run(node, pull);
}

/// The same on a reader thread.
pub fn run_again_elsewhere(node: &Arc<Node>, pull: Pull) {
    elsewhere(node, pull, run_again);
}

/// Runs a pull on a reader thread; when too many wait, the client is told to come back.
fn elsewhere(node: &Arc<Node>, pull: Pull, deed: fn(&Arc<Node>, Pull)) {
    let caller = pull.caller.clone();
    let there = Arc::clone(node);
    if node.cold_reads.try_do(Box::new(move || deed(&there, pull))).is_err() {
        caller.answer(Err(BrokerError::Busy));
    }
}

fn run(node: &Arc<Node>, mut pull: Pull) {
    if pull.caller.connection.is_closed() {
        return;
    }
    loop {
        let mut read = match read(node, &pull) {
            Ok(read) => read,
            Err(error) => return pull.caller.answer(Err(error)),
        };
        let mut code = code_of(read.status, pull.offset);
        if let Some(group) =
            node.group.as_ref().filter(|_| !pull.is_confirmed && lies_ahead(read.status, code))
        {
            return run_confirmed(node, group, pull);
        }
        if code == ResponseCode::PullOffsetMoved && leaves_offsets(node) {
            code = code_on_slave(read.status, node.part.follows());
            read.next_begin_offset = unsigned(pull.offset);
        }
        let is_held = code == ResponseCode::PullNotFound && !node.gate.is_stopping();
        let Some(mut deadline) = pull.hold_until.filter(|_| is_held) else {
            return pull_answer::found(node, &pull, read, code);
        };
        if read.status == GetStatus::OffsetOverflowBadly {
            // Only a slave comes here: its master may serve again, or still, and is the one to ask soon.
            deadline = deadline.min(Instant::now() + HOLD_BEYOND_END_MAX);
        }
        match wait(node, pull, deadline, read) {
            Some(again) => pull = again,
            None => return,
        }
    }
}

/// Whether the offset lies where this replica has nothing yet. A follower may apply an entry, and show it, before its
/// leader does: the consumer that goes on at the leader must not be told that its offset is wrong.
fn lies_ahead(status: GetStatus, code: ResponseCode) -> bool {
    code == ResponseCode::PullOffsetMoved && status != GetStatus::OffsetTooSmall
}

/// Runs a pull again once everything is applied here that any replica may have shown.
fn run_confirmed(node: &Arc<Node>, group: &Arc<replication::Group>, mut pull: Pull) {
    let (there, confirming) = (Arc::clone(node), Arc::clone(group));
    group.runtime.spawn(async move {
        match replication::confirm_in_time(&confirming).await {
            Ok(()) => {
                pull.is_confirmed = true;
                run(&there, pull);
            }
            Err(error) => pull.caller.answer(Err(error)),
        }
    });
}

/// Holds a pull; gives it back when its queue has grown meanwhile.
fn wait(node: &Arc<Node>, pull: Pull, deadline: Instant, read: ReadResult) -> Option<Pull> {
    let (topic, queue, offset) = (Arc::clone(&pull.topic), pull.queue, unsigned(pull.offset));
    let held = HeldPull { offset, wanted: Arc::clone(&pull.wanted), deadline, request: pull };
    let id = match node.arrivals.hold(held) {
        Ok(id) => id,
        Err(pull) => {
            pull_answer::found(node, &pull, read, ResponseCode::PullNotFound);
            return None;
        }
    };
    let has_grown = node.store.max_offset(topic.name(), queue) > offset;
    if has_grown || node.gate.is_stopping() {
        return node.arrivals.take(topic.name(), queue, id);
    }
    None
}

fn read(node: &Node, pull: &Pull) -> Result<ReadResult, BrokerError> {
    let matches = |tags_code: i64| pull.wanted.matches(tags_code);
    let tags: Option<&dyn Fn(i64) -> bool> = match *pull.wanted {
        Wanted::All => None,
        Wanted::Tags(_) => Some(&matches),
    };
    let request = ReadRequest {
        topic: pull.topic.name(),
        queue_id: pull.queue,
        queue_offset: unsigned(pull.offset),
        count_max: pull.count_max,
        bytes_max: pull.bytes_max,
        tags,
        record: None,
    };
    let read = node.store.read(&request)?;
    // An offset below zero is too small, however small the queue's first offset is.
    let is_negative = pull.offset < 0 && read.max_offset > 0;
    if is_negative {
        return Ok(ReadResult {
            status: GetStatus::OffsetTooSmall,
            next_begin_offset: read.min_offset,
            slices: Vec::new(),
            count: 0,
            bytes: 0,
            ..read
        });
    }
    Ok(read)
}

/// Source: reference 2.2, RocketMQ `PullMessageProcessor`.
fn code_of(status: GetStatus, offset: i64) -> ResponseCode {
    match status {
        GetStatus::Found => ResponseCode::Success,
        GetStatus::NoMatchedMessage | GetStatus::MessageWasRemoving => ResponseCode::PullRetryImmediately,
        GetStatus::NoMatchedLogicQueue | GetStatus::NoMessageInQueue if offset != 0 => {
            ResponseCode::PullOffsetMoved
        }
        GetStatus::NoMatchedLogicQueue
        | GetStatus::NoMessageInQueue
        | GetStatus::OffsetFoundNull
        | GetStatus::OffsetOverflowOne => ResponseCode::PullNotFound,
        GetStatus::OffsetOverflowBadly | GetStatus::OffsetTooSmall => ResponseCode::PullOffsetMoved,
    }
}

/// A slave may lack what its master has, at either end: it does not tell a consumer to go elsewhere in the queue.
fn leaves_offsets(node: &Node) -> bool {
    node.is_slave() && !node.config.get().store.offset_check_in_slave
}

/// What a slave says of an offset that it does not have: the master may have it, so the consumer asks there at once, as in
/// RocketMQ. While the master is away, what comes later can only arrive here, and the pull waits for it: RocketMQ says 20 then
/// too, which keeps a consumer asking as fast as it can.
fn code_on_slave(status: GetStatus, follows: bool) -> ResponseCode {
    match status {
        GetStatus::OffsetTooSmall => ResponseCode::PullRetryImmediately,
        GetStatus::Found
        | GetStatus::NoMatchedMessage
        | GetStatus::MessageWasRemoving
        | GetStatus::NoMatchedLogicQueue
        | GetStatus::NoMessageInQueue
        | GetStatus::OffsetFoundNull
        | GetStatus::OffsetOverflowOne
        | GetStatus::OffsetOverflowBadly => {
            if follows {
                ResponseCode::PullRetryImmediately
            } else {
                ResponseCode::PullNotFound
            }
        }
    }
}

/// Whether reading may wait for the disk: far behind the end of the queue, or of the log.
fn is_far(node: &Node, pull: &Pull) -> bool {
    let Some(queue) = node.store.find_queue(pull.topic.name(), pull.queue) else { return false };
    let (offset, end) = (unsigned(pull.offset), queue.max_offset());
    if offset >= end {
        return false;
    }
    if end - offset > FAR_MESSAGES {
        return true;
    }
    match queue.unit(offset) {
        Ok(Some(unit)) => unit.physical_offset.saturating_add(FAR_BYTES) < node.store.commit_log_max(),
        Ok(None) => false,
        Err(_) => true,
    }
}

fn unsigned(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}

/// Until when a pull with these flags would wait.
pub(super) fn hold_until(node: &Node, flags: i32, asked_ms: i64) -> Option<Instant> {
    if flags & sys_flag::pull::SUSPEND == 0 {
        return None;
    }
    let config = node.config.get();
    let asked = Duration::from_millis(u64::try_from(asked_ms).unwrap_or(0));
    let hold =
        if config.broker.long_polling { asked.min(HOLD_MAX) } else { config.broker.short_polling.duration() };
    (hold > Duration::ZERO).then(|| Instant::now() + hold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slave_sends_consumers_to_its_master_while_it_follows_one() {
        use GetStatus::*;
        for (status, follows, away) in [
            (OffsetTooSmall, 20, 20),
            (OffsetOverflowBadly, 20, 19),
            (NoMatchedLogicQueue, 20, 19),
            (NoMessageInQueue, 20, 19),
        ] {
            assert_eq!(code_on_slave(status, true).number(), follows, "{status:?}");
            assert_eq!(code_on_slave(status, false).number(), away, "{status:?}");
        }
    }

    #[test]
    fn a_pull_ahead_of_what_is_applied_here_is_not_sent_elsewhere_at_once() {
        let ahead = |status, offset| lies_ahead(status, code_of(status, offset));
        assert!(ahead(GetStatus::OffsetOverflowBadly, 7));
        assert!(ahead(GetStatus::NoMessageInQueue, 1));
        assert!(ahead(GetStatus::NoMatchedLogicQueue, 1));
        assert!(!ahead(GetStatus::NoMessageInQueue, 0));
        assert!(!ahead(GetStatus::OffsetOverflowOne, 7));
        assert!(!ahead(GetStatus::OffsetTooSmall, 7));
        assert!(!ahead(GetStatus::Found, 7));
    }

    #[test]
    fn every_status_has_the_code_that_rocketmq_gives_it() {
        use GetStatus::*;
        for (status, at_zero, elsewhere) in [
            (Found, 0, 0),
            (NoMatchedMessage, 20, 20),
            (MessageWasRemoving, 20, 20),
            (NoMatchedLogicQueue, 19, 21),
            (NoMessageInQueue, 19, 21),
            (OffsetFoundNull, 19, 19),
            (OffsetOverflowOne, 19, 19),
            (OffsetOverflowBadly, 21, 21),
            (OffsetTooSmall, 21, 21),
        ] {
            assert_eq!(code_of(status, 0).number(), at_zero, "{status:?} at 0");
            assert_eq!(code_of(status, 5).number(), elsewhere, "{status:?} at 5");
        }
    }
}
