//! SEND_REPLY_MESSAGE (324, 325): the answer of one client to the request of another.
//!
//! Always true: the answer is pushed to whoever asked, and the one who answers is told whether it arrived; it is stored as
//! well, if replies are, whether it arrived or not. A client that does not take it costs a timer, no thread.

use super::send_message;
use crate::caller::Caller;
use crate::clients::Client;
use crate::clock::now_ms;
use crate::error::BrokerError;
use crate::node::Node;
use crate::replication::born_host;
use crate::reply::{Answer, reply, success};
use protocol::header::{ReplyMessageRequestHeader, SendMessageRequestHeader};
use protocol::properties::{self, PUSH_REPLY_TIME, REPLY_TO_CLIENT};
use protocol::{RemotingCommand, RequestCode, ResponseCode};
use remoting::{Connection, RemotingError};
use std::sync::Arc;
use std::time::Duration;

/// How long the client may take. Source: RocketMQ `Broker2Client.callClient`.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pushes the answer, then stores it.
pub fn pass_on(node: &Arc<Node>, connection: &Arc<Connection>, request: RemotingCommand) {
    let (client, push) = match prepare(node, connection, &request) {
        Ok(prepared) => prepared,
        Err(error) => return end(node, connection, request, Err(error)),
    };
    let (node, connection) = (Arc::clone(node), Arc::clone(connection));
    let client_id = client.client_id.to_string();
    client.connection.call_with(push, PATIENCE, move |outcome| {
        end(&node, &connection, request, arrived(client_id, outcome));
    });
}

/// Whom to push it to, and as what.
fn prepare(
    node: &Node,
    connection: &Connection,
    request: &RemotingCommand,
) -> Result<(Client<Arc<Connection>>, RemotingCommand), BrokerError> {
    node.check_writable()?;
    let header: SendMessageRequestHeader = request.header()?;
    let text = header.properties.as_deref().unwrap_or_default();
    let client_id = properties::get(text, REPLY_TO_CLIENT).ok_or(BrokerError::ReplyToNobody)?;
    let client = node.clients.read().producer(client_id).cloned();
    let client = client.ok_or_else(|| BrokerError::ReplyClientOffline { client: client_id.to_owned() })?;
    let mut sent = properties::without(text, &[PUSH_REPLY_TIME]);
    properties::append(&mut sent, PUSH_REPLY_TIME, &now_ms().to_string());
    let push = ReplyMessageRequestHeader {
        producer_group: header.producer_group,
        topic: header.topic,
        default_topic: header.default_topic,
        default_topic_queue_nums: header.default_topic_queue_nums,
        queue_id: header.queue_id,
        sys_flag: header.sys_flag,
        born_timestamp: header.born_timestamp,
        flag: header.flag,
        properties: Some(sent.into()),
        reconsume_times: header.reconsume_times,
        unit_mode: header.unit_mode.unwrap_or_default(),
        // Clients cut the address off behind a slash, as Java prints it.
        born_host: format!("/{}", born_host::of(node, connection, request)).into(),
        store_host: format!("/{}", node.identity.address).into(),
        store_timestamp: now_ms(),
    };
    let push = RemotingCommand::request_with(RequestCode::PushReplyMessageToClient, &push);
    Ok((client, push.with_body(request.body.clone())))
}

fn arrived(client: String, outcome: Result<RemotingCommand, RemotingError>) -> Result<(), BrokerError> {
    match outcome {
        Ok(answer) if ResponseCode::Success == answer.code => Ok(()),
        Ok(answer) => Err(BrokerError::ReplyRefused { client, code: answer.code }),
        Err(_) => Err(BrokerError::ReplySilent { client }),
    }
}

/// Stores the answer and tells whoever sent it what became of it.
fn end(
    node: &Arc<Node>,
    connection: &Arc<Connection>,
    mut request: RemotingCommand,
    arrived: Result<(), BrokerError>,
) {
    let is_stored = node.config.get().broker.store_replies;
    match arrived {
        Ok(()) if is_stored => send_message::send(node, connection, request),
        Ok(()) => Caller::of(connection, &request).answer(unstored(node, &request)),
        Err(error) => {
            reply(connection, &request, Err(error));
            if is_stored && node.check_writable().is_ok() {
                // It has been answered: what becomes of the copy interests nobody.
                request.mark_oneway();
                send_message::send(node, connection, request);
            }
        }
    }
}

/// The answer of a reply that is not stored. Source: RocketMQ `ReplyMessageProcessor.handlePushReplyResult`.
fn unstored(node: &Node, request: &RemotingCommand) -> Answer {
    let header: SendMessageRequestHeader = request.header()?;
    let config = node.config.get();
    let mut answer = success();
    answer.ext_fields.insert("msgId", "0");
    answer.ext_fields.insert_i64("queueId", i64::from(header.queue_id));
    answer.ext_fields.insert_i64("queueOffset", 0);
    answer.ext_fields.insert(properties::MSG_REGION, &config.broker.region_id);
    answer.ext_fields.insert_bool(properties::TRACE_ON, config.broker.trace_on);
    Ok(answer)
}
