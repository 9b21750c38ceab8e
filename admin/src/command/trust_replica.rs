//! `trustReplica`: let one replica of a Raft group vote although its disk lost what it had acknowledged. Trireme's own; the replica itself takes
//! the request.

use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "trustReplica",
    about: "Let a replica on probation vote: when those who know more are gone for good. What only they had is lost.",
    options: &[Opt::value("b", "brokerAddr", "address of the replica").required()],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let address = call.given.need("b");
    call.session.ask(address, RemotingCommand::request(RequestCode::RaftTrustReplica)).await?;
    writeln!(call.out, "replica {address} votes again.")?;
    Ok(())
}
