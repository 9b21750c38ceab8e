//! `producer`: every producer that is connected to a broker.

use protocol::body::{ProducerInfo, ProducerTableInfo};
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "producer",
    about: "Show the producers that are connected to a broker.",
    options: &[Opt::value("b", "broker", "address of the broker").required()],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let request = RemotingCommand::request(RequestCode::GetAllProducerInfo);
    let table: ProducerTableInfo = call.session.body_of(call.given.need("b"), request).await?;
    for (group, producers) in &table.data {
        if producers.is_empty() {
            writeln!(call.out, "producer group ({group}) instances are empty")?;
        }
        for one in producers {
            call.out.write_all(line(group, one).as_bytes())?;
        }
    }
    Ok(())
}

fn line(group: &str, one: &ProducerInfo) -> String {
    format!(
        "producer group ({group}) instance : clientId={},remoteIP={}, language={}, version={}, lastUpdateTimestamp={}\n",
        one.client_id,
        one.remote_ip,
        one.language.name(),
        one.version,
        one.last_update_timestamp
    )
}
