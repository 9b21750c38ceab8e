//! `transferLeader`: make another replica of a Raft group its leader. Trireme's own; any replica takes the request, it is passed on to the leader.

use protocol::header::RaftTransferLeaderRequestHeader;
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "transferLeader",
    about: "Make another replica of a Raft group its leader.",
    options: &[
        Opt::value("b", "brokerAddr", "address of any replica").required(),
        Opt::value("i", "node", "name of the new leader; whoever is nearest unless told"),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let address = call.given.need("b");
    let header = RaftTransferLeaderRequestHeader { node: call.given.value("i").map(Into::into) };
    call.session
        .ask(address, RemotingCommand::request_with(RequestCode::RaftTransferLeader, &header))
        .await?;
    writeln!(
        call.out,
        "leadership of the group of {address} transferred to {}.",
        header.node.as_deref().unwrap_or("the nearest replica")
    )?;
    Ok(())
}
