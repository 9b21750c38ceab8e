//! Finding messages by key and by physical offset (12, 33).

use super::queue_offset::signed;
use crate::error::BrokerError;
use crate::node::Node;
use crate::reply::{Answer, success};
use bytes::BytesMut;
use protocol::RemotingCommand;
use protocol::header::{QueryMessageRequestHeader, QueryMessageResponseHeader, ViewMessageRequestHeader};
use remoting::Connection;
use std::sync::Arc;
use store::KeyQuery;

/// Most messages of one answer. Source: RocketMQ `maxMsgsNumBatch`.
const MESSAGES_MAX: usize = 64;
/// Most bytes of one answer; the first message comes in any case.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Says that the key is a unique key. Source: RocketMQ `MixAll.UNIQUE_MSG_QUERY_FLAG`.
const UNIQUE_KEY_QUERY: &str = "_UNIQUE_KEY_QUERY";

/// QUERY_MESSAGE.
pub fn by_key(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: QueryMessageRequestHeader = request.header()?;
    let is_unique =
        request.ext_fields.get(UNIQUE_KEY_QUERY).is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
    let asked = usize::try_from(header.max_num).unwrap_or(0);
    let asked = if is_unique { node.config.get().store.query_max as usize } else { asked };
    let query = KeyQuery {
        topic: &header.topic,
        key: &header.key,
        count_max: asked.clamp(1, MESSAGES_MAX),
        begin: header.begin_timestamp,
        end: header.end_timestamp,
    };
    let found = node.store.query(&query)?;
    if found.messages.is_empty() {
        return Err(BrokerError::QueryEmpty);
    }
    let mut body = BytesMut::new();
    for message in &found.messages {
        if !body.is_empty() && body.len() + message.len() > ANSWER_BYTES_MAX {
            break;
        }
        body.extend_from_slice(message);
    }
    let header = QueryMessageResponseHeader {
        index_last_update_timestamp: found.index_timestamp,
        index_last_update_phyoffset: signed(found.index_offset),
    };
    Ok(success().with_header(&header).with_body(body.freeze()))
}

/// VIEW_MESSAGE_BY_ID. Any replica answers it, whatever host the id names.
pub fn by_id(node: &Arc<Node>, _connection: &Arc<Connection>, request: &RemotingCommand) -> Answer {
    let header: ViewMessageRequestHeader = request.header()?;
    let missing = || BrokerError::MessageMissing { offset: header.offset };
    let offset = u64::try_from(header.offset).map_err(|_| missing())?;
    let message = node.store.message_at(offset)?.ok_or_else(missing)?;
    Ok(success().with_body(message))
}
