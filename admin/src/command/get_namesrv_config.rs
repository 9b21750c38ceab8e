//! `getNamesrvConfig`: the configuration of the name servers.

use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::text::property_lines;

pub(crate) const COMMAND: Command = Command {
    name: "getNamesrvConfig",
    about: "Show the configuration of the name servers.",
    options: &[],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    for address in call.session.name_servers()? {
        let request = RemotingCommand::request(RequestCode::GetNamesrvConfig);
        let answer = call.session.ask(address, request).await?;
        let config = property_lines(&String::from_utf8_lossy(&answer.body));
        write!(call.out, "============{address}============\n{config}")?;
    }
    Ok(())
}
