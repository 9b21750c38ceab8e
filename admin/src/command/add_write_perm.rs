//! `addWritePerm`: puts a broker back into what producers see, at every name server.

use anyhow::bail;
use protocol::header::{AddWritePermOfBrokerRequestHeader, AddWritePermOfBrokerResponseHeader};
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "addWritePerm",
    about: "Give the write permission back to all topics of a broker.",
    options: &[Opt::value("b", "brokerName", "name of the broker").required()],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let broker = call.given.need("b");
    let header = AddWritePermOfBrokerRequestHeader { broker_name: broker.into() };
    let mut failed = None;
    for address in call.session.name_servers()? {
        let request = RemotingCommand::request_with(RequestCode::AddWritePermOfBroker, &header);
        let what = format!("add write perm of broker[{broker}] in name server[{address}]");
        match call.session.header_of::<AddWritePermOfBrokerResponseHeader>(address, request).await {
            Ok(done) => writeln!(call.out, "{what} OK, {}", done.add_topic_count)?,
            // The other name servers are told all the same.
            Err(error) => {
                writeln!(call.out, "{what} Failed")?;
                failed = Some(error);
            }
        }
    }
    match failed {
        Some(error) => bail!(error),
        None => Ok(()),
    }
}
