//! `getBrokerConfig`: the configuration of one broker, or of all of a cluster.

use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::session::{MASTER_ID, Session};
use crate::text::property_lines;

pub(crate) const COMMAND: Command = Command {
    name: "getBrokerConfig",
    about: "Show the configuration of a broker.",
    options: &[
        Opt::value("b", "brokerAddr", "of this broker").one_of(),
        Opt::value("c", "clusterName", "of every broker of this cluster").one_of(),
    ],
    run: |call| Box::pin(run(call)),
};

/// What stands for the master of slaves that have none. Source: RocketMQ `CommandUtil.NO_MASTER_PLACEHOLDER`.
const NO_MASTER: &str = "NO_MASTER";

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    if let Some(address) = call.given.value("b") {
        let config = config_of(call.session, address).await?;
        writeln!(call.out, "============{address}============\n{config}")?;
        return Ok(());
    }
    for broker in call.session.cluster(call.given.value("c").unwrap_or_default()).await? {
        let master = broker.broker_addrs.get(&MASTER_ID);
        for (id, address) in &broker.broker_addrs {
            let of = match (*id, master) {
                (MASTER_ID, _) => format!("============Master: {address}============"),
                (_, master) => {
                    let master = master.map_or(NO_MASTER, String::as_str);
                    format!("============My Master: {master}=====Slave: {address}============")
                }
            };
            writeln!(call.out, "{of}\n{}", config_of(call.session, address).await?)?;
        }
    }
    Ok(())
}

async fn config_of(session: &Session, address: &str) -> anyhow::Result<String> {
    let answer = session.ask(address, RemotingCommand::request(RequestCode::GetBrokerConfig)).await?;
    Ok(property_lines(&String::from_utf8_lossy(&answer.body)))
}
