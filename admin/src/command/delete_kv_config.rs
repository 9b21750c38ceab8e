//! `deleteKvConfig`: deletes one value at every name server.

use protocol::header::DeleteKVConfigRequestHeader;
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "deleteKvConfig",
    about: "Delete a value at the name servers.",
    options: &[
        Opt::value("s", "namespace", "its namespace").required(),
        Opt::value("k", "key", "its key").required(),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let header = DeleteKVConfigRequestHeader {
        namespace: call.given.need("s").into(),
        key: call.given.need("k").into(),
    };
    for address in call.session.name_servers()? {
        call.session
            .ask(address, RemotingCommand::request_with(RequestCode::DeleteKvConfig, &header))
            .await?;
    }
    writeln!(call.out, "delete kv config from namespace success.")?;
    Ok(())
}
