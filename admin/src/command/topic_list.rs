//! `topicList`: the topics that the name server knows, with `-c` also their clusters and groups.

use protocol::body::{ClusterInfo, TopicRouteData};
use protocol::topic;

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::text::front;
use crate::topics;

pub(crate) const COMMAND: Command = Command {
    name: "topicList",
    about: "List all topics of the name server.",
    options: &[Opt::flag("c", "clusterModel", "also show clusters and consumer groups")],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let topics = topics::all(call.session).await?.topic_list;
    if !call.given.has("c") {
        for topic in topics {
            writeln!(call.out, "{topic}")?;
        }
        return Ok(());
    }
    let info = call.session.cluster_info().await?;
    writeln!(call.out, "{:<20}  {:<48}  {:<48}", "#Cluster Name", "#Topic", "#Consumer Group")?;
    for name in topics.iter().filter(|name| !topic::is_retry(name) && !topic::is_dlq(name)) {
        // A topic may vanish while we list: then it belongs nowhere, and nobody consumes it.
        let route = call.session.route(name).await.unwrap_or_default();
        let mut groups = topics::consumed_by(call.session, name).await.unwrap_or_default();
        if groups.is_empty() {
            groups.push(String::new());
        }
        for group in groups {
            call.out.write_all(line(cluster_of(&info, &route), name, &group).as_bytes())?;
        }
    }
    Ok(())
}

fn cluster_of<'a>(info: &'a ClusterInfo, route: &TopicRouteData) -> &'a str {
    let broker = route.broker_datas.first().map_or("", |broker| broker.broker_name.as_str());
    let has = |(_, names): &(&String, &std::collections::BTreeSet<String>)| names.contains(broker);
    info.cluster_addr_table.iter().find(has).map_or("", |(cluster, _)| cluster)
}

fn line(cluster: &str, topic: &str, group: &str) -> String {
    format!("{:<20}  {:<64}  {:<64}\n", front(cluster, 20), front(topic, 64), front(group, 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn a_topic_without_consumers_is_rocketmqs_line() {
        let expected = format!("DefaultCluster        TopicO2{}\n", " ".repeat(57 + 2 + 64));
        assert_eq!(line("DefaultCluster", "TopicO2", ""), expected);
    }
}
