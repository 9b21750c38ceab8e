//! `removeReplica`: remove a replica from a Raft group. Trireme's own; any replica takes the request, it is passed on to the leader.

use protocol::header::RaftRemoveReplicaRequestHeader;
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "removeReplica",
    about: "Remove a replica from a Raft group.",
    options: &[
        Opt::value("b", "brokerAddr", "address of any replica").required(),
        Opt::value("i", "node", "name of the replica, such as n1").required(),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let address = call.given.need("b");
    let header = RaftRemoveReplicaRequestHeader { node: call.given.need("i").into() };
    call.session.ask(address, RemotingCommand::request_with(RequestCode::RaftRemoveReplica, &header)).await?;
    writeln!(call.out, "replica {} removed from the group of {address}.", header.node)?;
    Ok(())
}
