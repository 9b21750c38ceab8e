//! `addWritePerm`: puts a broker back into what producers see, at every name server.

use protocol::header::{AddWritePermOfBrokerRequestHeader, AddWritePermOfBrokerResponseHeader};
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::write_perm::tell_all;

pub(crate) const COMMAND: Command = Command {
    name: "addWritePerm",
    about: "Give the write permission back to all topics of a broker.",
    options: &[Opt::value("b", "brokerName", "name of the broker").required()],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let request = |broker: &str| {
        let header = AddWritePermOfBrokerRequestHeader { broker_name: broker.into() };
        RemotingCommand::request_with(RequestCode::AddWritePermOfBroker, &header)
    };
    tell_all(call, "add", request, |done: &AddWritePermOfBrokerResponseHeader| done.add_topic_count).await
}
