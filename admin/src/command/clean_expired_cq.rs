//! `cleanExpiredCQ`: clean consume queues that point before the commit log.

use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "cleanExpiredCQ",
    about: "Clean consume queues that point before the commit log.",
    options: &[
        Opt::value("b", "brokerAddr", "at this broker"),
        Opt::value("c", "cluster", "at every master of this cluster; of all clusters unless told"),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    for address in call.masters_or_all().await? {
        call.session.ask(&address, RemotingCommand::request(RequestCode::CleanExpiredConsumeQueue)).await?;
    }
    writeln!(call.out, "success")?;
    Ok(())
}
