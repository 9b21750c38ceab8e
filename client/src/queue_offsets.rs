//! Asking brokers for offsets: of queues, and of consumers.

use protocol::body::MessageQueue;
use protocol::header::{
    BoundaryType, GetMaxOffsetRequestHeader, GetMaxOffsetResponseHeader, GetMinOffsetRequestHeader,
    GetMinOffsetResponseHeader, QueryConsumerOffsetRequestHeader, QueryConsumerOffsetResponseHeader,
    SearchOffsetRequestHeader, SearchOffsetResponseHeader, UpdateConsumerOffsetRequestHeader,
};
use protocol::{Header, RemotingCommand, RequestCode, ResponseCode};

use crate::client::Core;
use crate::consumer::assigned::signed;
use crate::error::ClientError;

/// Which offset of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The first that is kept.
    First,
    /// One past the last.
    End,
    /// The first stored at or after this time, in milliseconds since 1970.
    At(i64),
}

/// An offset of a queue.
pub(crate) async fn of(core: &Core, queue: &MessageQueue, which: Which) -> Result<u64, ClientError> {
    let (topic, queue_id) = (queue.topic.as_str().into(), queue.queue_id);
    let request = match which {
        Which::First => {
            let header = GetMinOffsetRequestHeader { topic, queue_id };
            RemotingCommand::request_with(RequestCode::GetMinOffset, &header)
        }
        Which::End => {
            let header = GetMaxOffsetRequestHeader { topic, queue_id, committed: true };
            RemotingCommand::request_with(RequestCode::GetMaxOffset, &header)
        }
        Which::At(timestamp) => {
            let header =
                SearchOffsetRequestHeader { topic, queue_id, timestamp, boundary_type: BoundaryType::Lower };
            RemotingCommand::request_with(RequestCode::SearchOffsetByTimestamp, &header)
        }
    };
    let address = core.master(&queue.broker_name, &queue.topic).await?;
    let answer = core.ask(&address, request, core.call_timeout).await?;
    let offset = match which {
        Which::First => read::<GetMinOffsetResponseHeader>(&answer, &address)?.offset,
        Which::End => read::<GetMaxOffsetResponseHeader>(&answer, &address)?.offset,
        Which::At(_) => read::<SearchOffsetResponseHeader>(&answer, &address)?.offset,
    };
    Ok(u64::try_from(offset).unwrap_or_default())
}

/// How far a group is in a queue, if the broker knows.
pub(crate) async fn consumed(
    core: &Core,
    group: &str,
    queue: &MessageQueue,
) -> Result<Option<u64>, ClientError> {
    let header = QueryConsumerOffsetRequestHeader {
        consumer_group: group.into(),
        topic: queue.topic.as_str().into(),
        queue_id: queue.queue_id,
        set_zero_if_not_found: None,
    };
    let address = core.replica(&queue.broker_name, &queue.topic).await?;
    let request = RemotingCommand::request_with(RequestCode::QueryConsumerOffset, &header);
    match core.ask(&address, request, core.call_timeout).await {
        Ok(answer) => {
            let offset = read::<QueryConsumerOffsetResponseHeader>(&answer, &address)?.offset;
            Ok(u64::try_from(offset).ok())
        }
        Err(error) if error.response_code() == Some(ResponseCode::QueryNotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells the broker how far a group is; waits for the answer if `surely`.
pub(crate) async fn tell_consumed(
    core: &Core,
    group: &str,
    queue: &MessageQueue,
    offset: u64,
    surely: bool,
) -> Result<(), ClientError> {
    let header = UpdateConsumerOffsetRequestHeader {
        consumer_group: group.into(),
        topic: queue.topic.as_str().into(),
        queue_id: queue.queue_id,
        commit_offset: signed(offset),
    };
    let address = core.replica(&queue.broker_name, &queue.topic).await?;
    let request = RemotingCommand::request_with(RequestCode::UpdateConsumerOffset, &header);
    if surely {
        core.ask(&address, request, core.call_timeout).await?;
    } else {
        core.remoting.oneway(&address, request).await?;
    }
    Ok(())
}

fn read<H: Header>(answer: &RemotingCommand, peer: &str) -> Result<H, ClientError> {
    answer.header().map_err(|source| ClientError::Header { peer: peer.to_owned(), source })
}
