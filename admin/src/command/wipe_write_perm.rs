//! `wipeWritePerm`: takes a broker out of what producers see, at every name server.

use anyhow::bail;
use protocol::header::{WipeWritePermOfBrokerRequestHeader, WipeWritePermOfBrokerResponseHeader};
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "wipeWritePerm",
    about: "Take the write permission from all topics of a broker.",
    options: &[Opt::value("b", "brokerName", "name of the broker").required()],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let broker = call.given.need("b");
    let header = WipeWritePermOfBrokerRequestHeader { broker_name: broker.into() };
    let mut failed = None;
    for address in call.session.name_servers()? {
        let request = RemotingCommand::request_with(RequestCode::WipeWritePermOfBroker, &header);
        let what = format!("wipe write perm of broker[{broker}] in name server[{address}]");
        match call.session.header_of::<WipeWritePermOfBrokerResponseHeader>(address, request).await {
            Ok(done) => writeln!(call.out, "{what} OK, {}", done.wipe_topic_count)?,
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
