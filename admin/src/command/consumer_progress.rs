//! `consumerProgress`: how far groups are behind.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use protocol::body::{ConsumeStats, ConsumeType, ConsumerConnection, MessageQueue, OffsetWrapper};
use protocol::{ResponseCode, topic};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::text::{fixed, front, time_seconds};
use crate::{groups, topics, version};

pub(crate) const COMMAND: Command = Command {
    name: "consumerProgress",
    about: "Show how far consumer groups are, and what is left for them.",
    options: &[
        Opt::value("g", "groupName", "only this group, queue by queue"),
        Opt::value("t", "topicName", "only this topic"),
        Opt::value("s", "showClientIP", "also show which client has the queue (true|false)"),
        Opt::value("c", "cluster", "ask the brokers of this cluster"),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    match call.given.value("g") {
        Some(group) => one_group(call, group).await,
        None => all_groups(call).await,
    }
}

async fn one_group(call: Call<'_>, group: &str) -> anyhow::Result<()> {
    let topic = call.given.value("t");
    let brokers = match call.given.value("c") {
        Some(cluster) => call.session.brokers_of(cluster).await?,
        None => groups::brokers(call.session, group, topic).await?,
    };
    let stats = groups::stats(call.session, &brokers, group, topic).await?;
    let clients = match call.given.truth("s") {
        Some(true) => Some(clients(&call, &brokers, group).await),
        _ => None,
    };
    call.out.write_all(table(&stats, clients.as_ref(), &call.session.zone).as_bytes())?;
    Ok(())
}

/// The address of the client that has each queue; queues of clients that do not answer are missing.
async fn clients(
    call: &Call<'_>,
    brokers: &BTreeMap<String, String>,
    group: &str,
) -> BTreeMap<MessageQueue, String> {
    let mut found = BTreeMap::new();
    for address in brokers.values() {
        let Ok(connection) = groups::connection_at(call.session, address, group).await else { continue };
        for member in connection.connection_set {
            let asked = groups::running_info(call.session, address, group, &member.client_id, false).await;
            let Ok(info) = asked else { continue };
            let ip = member.client_id.split('@').next().unwrap_or_default().to_owned();
            found.extend(info.mq_table.into_keys().map(|queue| (queue, ip.clone())));
        }
    }
    found
}

fn table(stats: &ConsumeStats, clients: Option<&BTreeMap<MessageQueue, String>>, zone: &TimeZone) -> String {
    let ip_header = clients.map_or_else(String::new, |_| format!("{:<20} ", "#Client IP"));
    let mut text = format!(
        "{:<64}  {:<32}  {:<4}  {:<20}  {:<20}  {ip_header}{:<20} {:<20}{}\n",
        "#Topic",
        "#Broker Name",
        "#QID",
        "#Broker Offset",
        "#Consumer Offset",
        "#Diff",
        "#Inflight",
        "#LastTime"
    );
    let (mut diff_total, mut inflight_total) = (0, 0);
    for (queue, offsets) in &stats.offset_table {
        let (diff, inflight) = behind(offsets);
        diff_total += diff;
        inflight_total += inflight;
        let last = match offsets.last_timestamp {
            0 => "N/A".to_owned(),
            millis => time_seconds(millis, zone),
        };
        let ip = clients.map_or_else(String::new, |clients| {
            format!("{:<20} ", clients.get(queue).map_or("N/A", String::as_str))
        });
        text += &format!(
            "{:<64}  {:<32}  {:<4}  {:<20}  {:<20}  {ip}{diff:<20} {inflight:<20} {last}\n",
            front(&queue.topic, 64),
            front(&queue.broker_name, 32),
            queue.queue_id,
            offsets.broker_offset,
            offsets.consumer_offset,
        );
    }
    text + &format!(
        "\nConsume TPS: {}\nConsume Diff Total: {diff_total}\nConsume Inflight Total: {inflight_total}\n",
        fixed(stats.consume_tps, 2)
    )
}

/// What is left to consume, and what has been pulled but not yet consumed.
fn behind(offsets: &OffsetWrapper) -> (i64, i64) {
    let diff = offsets.broker_offset.saturating_sub(offsets.consumer_offset);
    (diff, offsets.pull_offset.saturating_sub(offsets.consumer_offset))
}

async fn all_groups(call: Call<'_>) -> anyhow::Result<()> {
    writeln!(
        call.out,
        "{:<64}  {:<6}  {:<24} {:<5}  {:<14}  {:<7}  #Diff Total",
        "#Group", "#Count", "#Version", "#Type", "#Model", "#TPS"
    )?;
    for name in topics::all(call.session).await?.topic_list.iter().filter(|name| topic::is_retry(name)) {
        let group = &name[topic::RETRY_PREFIX.len()..];
        // One group that no broker can tell about must not hide the others.
        let Ok(brokers) = call.session.brokers_of(name).await else { continue };
        let stats = groups::stats(call.session, &brokers, group, None).await;
        let connection = match groups::connection(call.session, &brokers, group).await {
            Err(error) if error.is(ResponseCode::ConsumerNotOnline) => Ok(ConsumerConnection::default()),
            connection => connection,
        };
        if let (Ok(stats), Ok(connection)) = (stats, connection) {
            call.out.write_all(group_line(group, &stats, &connection).as_bytes())?;
        }
    }
    Ok(())
}

fn group_line(group: &str, stats: &ConsumeStats, connection: &ConsumerConnection) -> String {
    let members = &connection.connection_set;
    let oldest = members.iter().map(|member| member.version).min();
    let kind = match connection.consume_type.filter(|_| !members.is_empty()) {
        Some(ConsumeType::ConsumeActively) => "PULL",
        Some(ConsumeType::ConsumePassively | ConsumeType::ConsumePop) => "PUSH",
        None => "",
    };
    let model = connection.message_model.filter(|_| !members.is_empty()).map_or("", |model| model.name());
    let diff: i64 = stats.offset_table.values().map(|offsets| behind(offsets).0).sum();
    #[expect(clippy::cast_possible_truncation, reason = "the column shows whole messages a second")]
    let tps = stats.consume_tps as i64;
    format!(
        "{:<64}  {:<6}  {:<24} {kind:<5}  {model:<14}  {tps:<7}  {diff}\n",
        front(group, 64),
        members.len(),
        oldest.map_or_else(|| "OFFLINE".to_owned(), version::name),
    )
}

#[cfg(test)]
mod tests {
    use protocol::body::{Connection, MessageModel};

    use super::*;

    fn stats() -> ConsumeStats {
        let offsets = |broker_offset, last_timestamp| OffsetWrapper {
            broker_offset,
            consumer_offset: broker_offset,
            last_timestamp,
            pull_offset: broker_offset,
        };
        ConsumeStats {
            consume_tps: 0.13,
            offset_table: [
                (MessageQueue::new("TopicA", "broker-a", 0), offsets(0, 0)),
                (MessageQueue::new("TopicA", "broker-a", 1), offsets(2, 1_795_376_324_140)),
            ]
            .into(),
        }
    }

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn the_queues_of_a_group_are_rocketmqs_table() {
        let expected = [
            "#Topic                                                            #Broker Name                      #QID  #Broker Offset        #Consumer Offset      #Diff                #Inflight           #LastTime\n",
            "TopicA                                                            broker-a                          0     0                     0                     0                    0                    N/A\n",
            "TopicA                                                            broker-a                          1     2                     2                     0                    0                    2026-11-22 19:38:44\n",
            "\n",
            "Consume TPS: 0.13\n",
            "Consume Diff Total: 0\n",
            "Consume Inflight Total: 0\n",
        ];
        assert_eq!(table(&stats(), None, &TimeZone::UTC), expected.concat());
    }

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn the_clients_have_a_column_when_asked_for() {
        let clients = [(MessageQueue::new("TopicA", "broker-a", 0), "192.0.2.2".to_owned())].into();
        let text = table(&stats(), Some(&clients), &TimeZone::UTC);
        let mut lines = text.lines();
        assert_eq!(
            lines.next().unwrap(),
            "#Topic                                                            #Broker Name                      #QID  #Broker Offset        #Consumer Offset      #Client IP           #Diff                #Inflight           #LastTime"
        );
        assert_eq!(
            lines.next().unwrap(),
            "TopicA                                                            broker-a                          0     0                     0                     192.0.2.2            0                    0                    N/A"
        );
        assert!(lines.next().unwrap().contains("  N/A                  0 "));
    }

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn a_group_of_the_list_is_rocketmqs_line() {
        let connection = ConsumerConnection {
            connection_set: vec![Connection { version: 479, ..Connection::default() }],
            consume_type: Some(ConsumeType::ConsumePassively),
            message_model: Some(MessageModel::Clustering),
            ..ConsumerConnection::default()
        };
        assert_eq!(
            group_line("CG", &stats(), &connection),
            "CG                                                                1       V5_3_3                   PUSH   CLUSTERING      0        0\n"
        );
        assert_eq!(
            group_line("TOOLS_CONSUMER", &ConsumeStats::default(), &ConsumerConnection::default()),
            "TOOLS_CONSUMER                                                    0       OFFLINE                                         0        0\n"
        );
    }
}
