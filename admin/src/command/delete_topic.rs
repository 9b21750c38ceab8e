//! `deleteTopic`: deletes a topic at all masters of a cluster, then at the name servers.

use protocol::header::{
    DeleteKVConfigRequestHeader, DeleteTopicFromNamesrvRequestHeader, DeleteTopicRequestHeader,
};
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::session::Session;
use crate::topics::ORDER_NAMESPACE;

pub(crate) const COMMAND: Command = Command {
    name: "deleteTopic",
    about: "Delete a topic from its brokers and the name servers.",
    options: &[
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::value("c", "clusterName", "from this cluster").required(),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let (topic, cluster) = (call.given.need("t"), call.given.need("c"));
    delete(call.session, cluster, topic).await?;
    writeln!(call.out, "delete topic [{topic}] from cluster [{cluster}] success.")?;
    writeln!(call.out, "delete topic [{topic}] from NameServer success.")?;
    Ok(())
}

/// Deletes a topic everywhere: from the brokers first, or they would register it again.
pub(super) async fn delete(session: &Session, cluster: &str, topic: &str) -> anyhow::Result<()> {
    let header = DeleteTopicRequestHeader { topic: topic.into() };
    for address in session.masters(cluster).await? {
        session
            .ask(&address, RemotingCommand::request_with(RequestCode::DeleteTopicInBroker, &header))
            .await?;
    }
    let header =
        DeleteTopicFromNamesrvRequestHeader { topic: topic.into(), cluster_name: Some(cluster.into()) };
    let order = DeleteKVConfigRequestHeader { namespace: ORDER_NAMESPACE.into(), key: topic.into() };
    for address in session.name_servers()? {
        session
            .ask(address, RemotingCommand::request_with(RequestCode::DeleteTopicInNamesrv, &header))
            .await?;
        session.ask(address, RemotingCommand::request_with(RequestCode::DeleteKvConfig, &order)).await?;
    }
    Ok(())
}
