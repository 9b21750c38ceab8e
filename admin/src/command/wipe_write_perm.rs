//! `wipeWritePerm`: takes a broker out of what producers see, at every name server.

use protocol::header::{WipeWritePermOfBrokerRequestHeader, WipeWritePermOfBrokerResponseHeader};
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::write_perm::tell_all;

pub(crate) const COMMAND: Command = Command {
    name: "wipeWritePerm",
    about: "Take the write permission from all topics of a broker.",
    options: &[Opt::value("b", "brokerName", "name of the broker").required()],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let request = |broker: &str| {
        let header = WipeWritePermOfBrokerRequestHeader { broker_name: broker.into() };
        RemotingCommand::request_with(RequestCode::WipeWritePermOfBroker, &header)
    };
    tell_all(call, "wipe", request, |done: &WipeWritePermOfBrokerResponseHeader| done.wipe_topic_count).await
}
