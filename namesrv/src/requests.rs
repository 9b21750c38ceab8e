//! Every request of a name server, one line each: which deed answers it.
//!
//! Always true: a request that is not one-way gets exactly one answer; what cannot be read or done
//! is a refusal, whose code is chosen in `error`. Called by the sockets.

use std::sync::Arc;

use protocol::{RemotingCommand, RequestCode, ResponseCode};
use remoting::{Connection, Handler};

use crate::error::Refusal;
use crate::state::State;

mod admin;
mod brokers;
mod clients;

pub use brokers::RAFT_GROUP;

/// What a deed answers.
pub(crate) type Answer = Result<RemotingCommand, Refusal>;

/// One request with whom it came from.
pub(crate) struct Request<'a> {
    pub(crate) connection: &'a Arc<Connection>,
    pub(crate) command: &'a RemotingCommand,
}

/// Answers the requests of all connections.
#[derive(Debug)]
pub(crate) struct Requests {
    state: Arc<State>,
}

impl Requests {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state }
    }
}

impl Handler for Requests {
    fn handle(&self, connection: &Arc<Connection>, requests: &mut Vec<RemotingCommand>) {
        for command in requests.drain(..) {
            self.state.figures.request(command.code);
            let answer = dispatch(&self.state, &Request { connection, command: &command });
            if let Some(answer) = answer {
                reply(&self.state, connection, &command, answer);
            }
        }
    }

    fn closed(&self, connection: &Arc<Connection>) {
        self.state.connection_closed(connection);
    }
}

/// The deed for a code. `None`: the answer comes when a file is written.
fn dispatch(state: &Arc<State>, request: &Request<'_>) -> Option<Answer> {
    let command = request.command;
    let code = command.request_code();
    Some(match code {
        Some(RequestCode::GetRouteInfoByTopic) => clients::route(state, command),
        Some(RequestCode::RegisterBroker) => brokers::register(state, request),
        Some(RequestCode::UnregisterBroker) => brokers::unregister(state, command),
        Some(RequestCode::BrokerHeartbeat) => brokers::heartbeat(state, command),
        Some(RequestCode::QueryDataVersion) => brokers::query_data_version(state, command),
        Some(RequestCode::GetBrokerMemberGroup) => brokers::member_group(state, command),
        Some(RequestCode::GetBrokerClusterInfo) => clients::cluster_info(state),
        Some(RequestCode::GetAllTopicListFromNameServer) => clients::all_topics(state),
        Some(RequestCode::GetTopicsByCluster) => clients::topics_of_cluster(state, command),
        Some(RequestCode::GetSystemTopicListFromNs) => clients::system_topics(state),
        Some(
            code @ (RequestCode::GetUnitTopicList
            | RequestCode::GetHasUnitSubTopicList
            | RequestCode::GetHasUnitSubUnunitTopicList),
        ) => clients::unit_topics(state, code),
        Some(RequestCode::DeleteTopicInNamesrv) => admin::delete_topic(state, command),
        Some(RequestCode::RegisterTopicInNamesrv) => admin::register_topic(state, command),
        Some(RequestCode::WipeWritePermOfBroker) => admin::wipe_write_perm(state, command),
        Some(RequestCode::AddWritePermOfBroker) => admin::add_write_perm(state, command),
        Some(RequestCode::GetKvConfig) => admin::get_kv(state, command),
        Some(RequestCode::GetKvListByNamespace) => admin::list_kv(state, command),
        Some(RequestCode::GetNamesrvConfig) => Ok(admin::get_config(state)),
        Some(RequestCode::PutKvConfig) => return admin::put_kv(state, request).err().map(Err),
        Some(RequestCode::DeleteKvConfig) => return admin::delete_kv(state, request).err().map(Err),
        Some(RequestCode::UpdateNamesrvConfig) => return admin::update_config(state, request).err().map(Err),
        Some(_) | None => Err(Refusal::CodeUnknown(command.code)),
    })
}

/// Sends the answer, unless nobody waits for one.
fn reply(state: &State, connection: &Connection, command: &RemotingCommand, answer: Answer) {
    let answer = answer.unwrap_or_else(|refusal| refused(state, connection, command, &refusal));
    if !command.is_oneway() {
        connection.send(answer.answers(command));
    }
}

fn refused(
    state: &State,
    connection: &Connection,
    command: &RemotingCommand,
    refusal: &Refusal,
) -> RemotingCommand {
    let code = ResponseCode::from(refusal);
    state.figures.refused(code);
    // An unknown topic is a client's everyday question.
    if code != ResponseCode::TopicNotExist {
        tracing::info!(peer = %connection.peer(), request = command.code, "refused: {refusal}");
    }
    RemotingCommand::response(code).with_remark(refusal.to_string())
}

fn success() -> RemotingCommand {
    RemotingCommand::response(ResponseCode::Success)
}
