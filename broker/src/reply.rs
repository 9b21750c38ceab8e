//! Answers: what every processor returns, and how an error becomes one.

use crate::error::BrokerError;
use protocol::{RemotingCommand, ResponseCode};
use remoting::Connection;

/// What a processor says.
pub type Answer = Result<RemotingCommand, BrokerError>;

/// A plain success.
pub fn success() -> RemotingCommand {
    RemotingCommand::response(ResponseCode::Success)
}

/// The answer that an error is.
pub fn refusal(error: &BrokerError) -> RemotingCommand {
    RemotingCommand::response(error.into()).with_remark(error.to_string())
}

/// Sends an answer, unless nobody waits for one.
pub fn reply(connection: &Connection, request: &RemotingCommand, answer: Answer) {
    if let Err(error) = &answer {
        log_refusal(connection, request, error);
    }
    if request.is_oneway() {
        return;
    }
    let answer = answer.unwrap_or_else(|error| refusal(&error));
    connection.send(answer.answers(request));
}

/// What clients do wrong is their business; what we could not do is ours.
fn log_refusal(connection: &Connection, request: &RemotingCommand, error: &BrokerError) {
    let (peer, code) = (connection.peer(), request.code);
    match ResponseCode::from(error) {
        ResponseCode::SystemError => tracing::warn!(%peer, code, %error, "request failed"),
        _ => tracing::debug!(%peer, code, %error, "request refused"),
    }
}
