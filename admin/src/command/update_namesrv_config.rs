//! `updateNamesrvConfig`: changes one key of every name server.

use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "updateNamesrvConfig",
    about: "Change one key of the name servers' configuration.",
    options: &[
        Opt::value("k", "key", "the key").required(),
        Opt::value("v", "value", "its new value").required(),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let (key, value) = (call.given.need("k"), call.given.need("v"));
    let name_servers = call.session.name_servers()?;
    for address in name_servers {
        let request = RemotingCommand::request(RequestCode::UpdateNamesrvConfig);
        call.session.ask(address, request.with_body(format!("{key}={value}\n"))).await?;
    }
    writeln!(call.out, "update name server config success![{}]\n{key} : {value}", name_servers.join(", "))?;
    Ok(())
}
