//! `updateKvConfig`: writes one value at every name server.

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::topics::put_value;

pub(crate) const COMMAND: Command = Command {
    name: "updateKvConfig",
    about: "Write a value at the name servers.",
    options: &[
        Opt::value("s", "namespace", "its namespace").required(),
        Opt::value("k", "key", "its key").required(),
        Opt::value("v", "value", "the value").required(),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    put_value(call.session, call.given.need("s"), call.given.need("k"), call.given.need("v")).await?;
    writeln!(call.out, "create or update kv config to namespace success.")?;
    Ok(())
}
