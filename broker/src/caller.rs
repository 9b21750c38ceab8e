//! Who waits for an answer: enough of a request to answer it later, from any thread, without keeping the request
//! (whose texts pin the connection's read buffer).

use crate::reply::{Answer, refusal};
use bytes::{Bytes, BytesMut};
use protocol::{RemotingCommand, SerializeType, frame};
use remoting::Connection;
use smallvec::SmallVec;
use std::sync::Arc;

/// A connection and the number of one of its requests.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Where the answer goes.
    pub connection: Arc<Connection>,
    opaque: i32,
    serialize_type: SerializeType,
    is_oneway: bool,
}

impl Caller {
    /// The caller of a request.
    pub fn of(connection: &Arc<Connection>, request: &RemotingCommand) -> Self {
        Self {
            connection: Arc::clone(connection),
            opaque: request.opaque,
            serialize_type: request.serialize_type,
            is_oneway: request.is_oneway(),
        }
    }

    /// Whether nobody waits for the answer.
    pub fn is_oneway(&self) -> bool {
        self.is_oneway
    }

    /// Answers.
    pub fn answer(&self, answer: Answer) {
        let command = answer.unwrap_or_else(|error| refusal(&error));
        if !self.is_oneway {
            self.connection.send(self.address(command));
        }
    }

    /// The number of the request, where the answer is JSON.
    pub fn json_opaque(&self) -> Option<i32> {
        (self.serialize_type == SerializeType::Json).then_some(self.opaque)
    }

    /// Answers with a body that is in slices already.
    pub fn answer_slices(&self, head: RemotingCommand, body: Vec<Bytes>, body_bytes: usize) {
        if self.is_oneway {
            return;
        }
        let mut encoded = BytesMut::with_capacity(512);
        let fits = frame::encode_head(&self.address(head), body_bytes, &mut encoded);
        let body = if fits { body } else { Vec::new() };
        self.connection.send_slices(encoded.freeze(), SmallVec::from_vec(body));
    }

    fn address(&self, mut command: RemotingCommand) -> RemotingCommand {
        command.opaque = self.opaque;
        command.serialize_type = self.serialize_type;
        command
    }
}
