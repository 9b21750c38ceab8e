//! `topicClusterList`: the clusters that have a topic.

use std::collections::BTreeSet;

use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "topicClusterList",
    about: "List the clusters that have a topic.",
    options: &[Opt::value("t", "topic", "name of the topic").required()],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let route = call.session.route(call.given.need("t")).await?;
    let clusters: BTreeSet<String> = route.broker_datas.into_iter().map(|broker| broker.cluster).collect();
    for cluster in clusters {
        writeln!(call.out, "{cluster}")?;
    }
    Ok(())
}
