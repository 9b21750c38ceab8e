//! `updateBrokerConfig`: changes one key of a running broker.

use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "updateBrokerConfig",
    about: "Change one key of a broker's configuration.",
    options: &[
        Opt::value("b", "brokerAddr", "of this broker").one_of(),
        Opt::value("c", "clusterName", "of every master of this cluster").one_of(),
        Opt::value("a", "updateAllBroker", "with -c: of its slaves too (true|false)"),
        Opt::value("k", "key", "the key").required(),
        Opt::value("v", "value", "its new value").required(),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let body = format!("{}={}\n", call.given.need("k"), call.given.need("v"));
    let addresses = match call.given.truth("a") {
        Some(true) => call.brokers().await?,
        _ => call.masters().await?,
    };
    for address in addresses {
        let request = RemotingCommand::request(RequestCode::UpdateBrokerConfig).with_body(body.clone());
        call.session.ask(&address, request).await?;
        writeln!(call.out, "update broker config success, {address}")?;
    }
    Ok(())
}
