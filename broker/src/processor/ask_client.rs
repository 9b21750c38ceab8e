//! Requests that the broker passes on to a client and whose answer it passes back (307, 309, 223).
//!
//! Always true: a client that does not answer costs a timer, no thread.

use crate::caller::Caller;
use crate::clients::Client;
use crate::error::BrokerError;
use crate::node::Node;
use crate::reply::{Answer, reply, success};
use parking_lot::Mutex;
use protocol::body::{Body, GetConsumerStatusBody};
use protocol::header::{
    ConsumeMessageDirectlyResultRequestHeader, GetConsumerRunningInfoRequestHeader,
    GetConsumerStatusRequestHeader,
};
use protocol::message_id::OffsetMessageId;
use protocol::{RemotingCommand, RequestCode, ResponseCode};
use remoting::{Connection, RemotingError};
use std::sync::Arc;
use std::time::Duration;

/// How long a client may take. RocketMQ waits 10 s; tools give up earlier by themselves.
const PATIENCE: Duration = Duration::from_secs(10);
/// Older clients do not know these requests. Source: RocketMQ `MQVersion.V3_1_8_SNAPSHOT`.
const VERSION_MIN: i32 = 62;

/// GET_CONSUMER_RUNNING_INFO.
pub fn running_info(node: &Arc<Node>, connection: &Arc<Connection>, request: RemotingCommand) {
    let pass_on = || {
        let header: GetConsumerRunningInfoRequestHeader = request.header()?;
        let client = find(node, &header.consumer_group, &header.client_id)?;
        Ok((client, RemotingCommand::request_with(RequestCode::GetConsumerRunningInfo, &header)))
    };
    forward(connection, &request, pass_on());
}

/// CONSUME_MESSAGE_DIRECTLY: the broker adds the message itself.
pub fn consume_directly(node: &Arc<Node>, connection: &Arc<Connection>, request: RemotingCommand) {
    let pass_on = || {
        let mut header: ConsumeMessageDirectlyResultRequestHeader = request.header()?;
        let client = find(node, &header.consumer_group, header.client_id.as_deref().unwrap_or_default())?;
        header.broker_name = Some((&*node.identity.broker).into());
        let mut body = request.body.clone();
        if let Some(id) = &header.msg_id {
            let offset = OffsetMessageId::parse(id)?.physical_offset;
            let missing = || BrokerError::MessageMissing { offset: super::queue_offset::signed(offset) };
            body = node.store.message_at(offset)?.ok_or_else(missing)?;
        }
        Ok((
            client,
            RemotingCommand::request_with(RequestCode::ConsumeMessageDirectly, &header).with_body(body),
        ))
    };
    forward(connection, &request, pass_on());
}

fn find(node: &Node, group: &str, client_id: &str) -> Result<Client<Arc<Connection>>, BrokerError> {
    let clients = node.clients.read();
    let client = clients.consumer_group(group).and_then(|members| members.find(client_id)).cloned();
    let client = client.ok_or_else(|| BrokerError::ConsumerOffline { group: group.to_owned() })?;
    if client.version < VERSION_MIN {
        let (client_id, group, version) = (client.client_id.to_string(), group.to_owned(), client.version);
        return Err(BrokerError::ClientTooOld { client: client_id, group, version });
    }
    Ok(client)
}

fn forward(
    connection: &Arc<Connection>,
    request: &RemotingCommand,
    pass_on: Result<(Client<Arc<Connection>>, RemotingCommand), BrokerError>,
) {
    let (client, command) = match pass_on {
        Ok(pass_on) => pass_on,
        Err(error) => return reply(connection, request, Err(error)),
    };
    let caller = Caller::of(connection, request);
    let name = client.client_id.to_string();
    client.connection.call_with(command, PATIENCE, move |outcome| caller.answer(passed_back(name, outcome)));
}

fn passed_back(client: String, outcome: Result<RemotingCommand, RemotingError>) -> Answer {
    match outcome {
        Ok(answer) => {
            let code = answer.response_code().unwrap_or(ResponseCode::SystemError);
            let mut back = RemotingCommand::response(code).with_body(answer.body);
            back.remark = answer.remark;
            Ok(back)
        }
        Err(source) => Err(BrokerError::ClientSilent { client, source }),
    }
}

/// What the members of a group have said so far.
struct Gathering {
    caller: Caller,
    left: usize,
    body: GetConsumerStatusBody,
}

/// INVOKE_BROKER_TO_GET_CONSUMER_STATUS: asks every member of the group, or one, where it stands.
pub fn consumer_status(node: &Arc<Node>, connection: &Arc<Connection>, request: RemotingCommand) {
    let header: GetConsumerStatusRequestHeader = match request.header() {
        Ok(header) => header,
        Err(error) => return reply(connection, &request, Err(error.into())),
    };
    let members = asked_members(node, &header);
    if members.is_empty() {
        let group = header.group.as_str().to_owned();
        return reply(connection, &request, Err(BrokerError::ConsumerOffline { group }));
    }
    let caller = Caller::of(connection, &request);
    let gathering = Gathering { caller, left: members.len(), body: GetConsumerStatusBody::default() };
    let gathering = Arc::new(Mutex::new(gathering));
    for member in members {
        let command = RemotingCommand::request_with(RequestCode::GetConsumerStatusFromClient, &header);
        let (gathering, client_id) = (Arc::clone(&gathering), member.client_id.to_string());
        member.connection.call_with(command, PATIENCE, move |outcome| gather(&gathering, client_id, outcome));
    }
}

fn asked_members(node: &Node, header: &GetConsumerStatusRequestHeader) -> Vec<Client<Arc<Connection>>> {
    let asked = header.client_addr.as_deref().unwrap_or_default();
    let is_asked = |client: &&Client<Arc<Connection>>| asked.is_empty() || asked == &*client.client_id;
    let clients = node.clients.read();
    let group = clients.consumer_group(&header.group);
    group.into_iter().flat_map(|group| group.members()).filter(is_asked).cloned().collect()
}

fn gather(gathering: &Mutex<Gathering>, client_id: String, outcome: Result<RemotingCommand, RemotingError>) {
    let mut gathering = gathering.lock();
    let said = outcome.ok().and_then(|answer| GetConsumerStatusBody::decode(&answer.body).ok());
    if let Some(said) = said {
        gathering.body.consumer_table.insert(client_id, said.message_queue_table);
    }
    gathering.left -= 1;
    if gathering.left == 0 {
        let body = gathering.body.encode();
        gathering.caller.answer(Ok(success().with_body(body)));
    }
}
