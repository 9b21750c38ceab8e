//! `deleteSubGroup`: deletes a consumer group, with `-c` its retry and dead letter topics too.

use protocol::header::DeleteSubscriptionGroupRequestHeader;
use protocol::{RemotingCommand, RequestCode, topic};

use super::delete_topic;
use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "deleteSubGroup",
    about: "Delete a consumer group.",
    options: &[
        Opt::value("b", "brokerAddr", "at this broker").one_of(),
        Opt::value("c", "clusterName", "at every master of this cluster").one_of(),
        Opt::value("g", "groupName", "name of the group").required(),
        Opt::value("r", "removeOffset", "whether its offsets go too (true|false)"),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let group = call.given.need("g");
    let header = DeleteSubscriptionGroupRequestHeader {
        group_name: group.into(),
        clean_offset: call.given.truth("r").unwrap_or_default(),
    };
    for address in call.masters().await? {
        let request = RemotingCommand::request_with(RequestCode::DeleteSubscriptionGroup, &header);
        call.session.ask(&address, request).await?;
        let of = match call.given.value("c").filter(|_| !call.given.has("b")) {
            Some(cluster) => format!(" in cluster [{cluster}]"),
            None => String::new(),
        };
        writeln!(call.out, "delete subscription group [{group}] from broker [{address}]{of} success.")?;
    }
    if let Some(cluster) = call.given.value("c").filter(|_| !call.given.has("b")) {
        delete_topic::delete(call.session, cluster, &topic::retry_topic(group)).await?;
        delete_topic::delete(call.session, cluster, &topic::dlq_topic(group)).await?;
    }
    Ok(())
}
