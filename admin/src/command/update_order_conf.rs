//! `updateOrderConf`: reads, writes or deletes the order configuration of a topic.

use anyhow::{Context, bail};
use protocol::header::DeleteKVConfigRequestHeader;
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::topics::{self, ORDER_NAMESPACE};

pub(crate) const COMMAND: Command = Command {
    name: "updateOrderConf",
    about: "Read, write or delete the order configuration of a topic.",
    options: &[
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::value("v", "orderConf", "with put: broker-a:4;broker-b:4"),
        Opt::value("m", "method", "get, put or delete").required(),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let (session, topic) = (call.session, call.given.need("t"));
    match call.given.need("m") {
        "get" => {
            let conf = topics::order_conf(session, topic)
                .await?
                .with_context(|| format!("topic {topic} has none"))?;
            writeln!(call.out, "get orderConf success. topic=[{topic}], orderConf=[{conf}]")?;
        }
        "put" => {
            let conf = call.given.value("v").context("please set orderConf with option -v.")?;
            topics::put_value(session, ORDER_NAMESPACE, topic, conf).await?;
            writeln!(call.out, "update orderConf success. topic=[{topic}], orderConf=[{conf}]")?;
        }
        "delete" => {
            let header = DeleteKVConfigRequestHeader { namespace: ORDER_NAMESPACE.into(), key: topic.into() };
            for address in session.name_servers()? {
                let request = RemotingCommand::request_with(RequestCode::DeleteKvConfig, &header);
                session.ask(address, request).await?;
            }
            writeln!(call.out, "delete orderConf success. topic=[{topic}]")?;
        }
        other => bail!("method {other} is neither get, put nor delete"),
    }
    Ok(())
}
