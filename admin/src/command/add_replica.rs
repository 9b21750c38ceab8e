//! `addReplica`: add a replica to a Raft group: it catches up first, then votes. Trireme's own; any replica takes the request, it is passed on to the leader.

use protocol::header::RaftAddReplicaRequestHeader;
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "addReplica",
    about: "Add a replica to a Raft group: it catches up first, then votes.",
    options: &[
        Opt::value("b", "brokerAddr", "address of any replica").required(),
        Opt::value("i", "node", "name of the new replica, such as n3").required(),
        Opt::value("a", "raftAddr", "host:port of its Raft transport").required(),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let address = call.given.need("b");
    let header = RaftAddReplicaRequestHeader {
        node: call.given.need("i").into(),
        address: call.given.need("a").into(),
    };
    call.session.ask(address, RemotingCommand::request_with(RequestCode::RaftAddReplica, &header)).await?;
    writeln!(call.out, "replica {} at {} added to the group of {address}.", header.node, header.address)?;
    Ok(())
}
