//! `brokerConsumeStats`: how far every group is behind at one broker.

use jiff::tz::TimeZone;
use protocol::body::ConsumeStatsList;
use protocol::header::GetConsumeStatsInBrokerHeader;
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::text::{front, time_seconds};

pub(crate) const COMMAND: Command = Command {
    name: "brokerConsumeStats",
    about: "Show how far the groups of a broker are.",
    options: &[
        Opt::value("b", "brokerAddr", "address of the broker").required(),
        Opt::value("t", "timeoutMillis", "taken for compatibility"),
        Opt::value("l", "level", "only queues that are at least so far behind"),
        Opt::value("o", "order", "only topics in order (true|false)"),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let header = GetConsumeStatsInBrokerHeader { is_order: call.given.truth("o").unwrap_or_default() };
    let request = RemotingCommand::request_with(RequestCode::GetBrokerConsumeStats, &header);
    let list: ConsumeStatsList = call.session.body_of(call.given.need("b"), request).await?;
    let level = call.given.number("l")?.unwrap_or(0);
    call.out.write_all(table(&list, level, &call.session.zone).as_bytes())?;
    Ok(())
}

fn table(list: &ConsumeStatsList, level: i64, zone: &TimeZone) -> String {
    let mut text = format!(
        "{:<64}  {:<64}  {:<32}  {:<4}  {:<20}  {:<20}  {:<20}  {}\n",
        "#Topic",
        "#Group",
        "#Broker Name",
        "#QID",
        "#Broker Offset",
        "#Consumer Offset",
        "#Diff",
        "#LastTime"
    );
    let groups = list.consume_stats_list.iter().flatten();
    let queues = groups.flat_map(|(group, all)| {
        all.iter().flat_map(move |stats| stats.offset_table.iter().map(move |queue| (group, queue)))
    });
    for (group, (queue, offsets)) in queues {
        let diff = offsets.broker_offset - offsets.consumer_offset;
        // A queue of which the group has consumed nothing has no time to show, and no line.
        if diff < level || offsets.last_timestamp <= 0 {
            continue;
        }
        let last = time_seconds(offsets.last_timestamp, zone);
        text += &format!(
            "{:<64}  {:<64}  {:<32}  {:<4}  {:<20}  {:<20}  {diff:<20}  {last}\n",
            front(&queue.topic, 64),
            front(group, 64),
            front(&queue.broker_name, 32),
            queue.queue_id,
            offsets.broker_offset,
            offsets.consumer_offset,
        );
    }
    text + &format!("\nDiff Total: {}\n", list.total_diff)
}

#[cfg(test)]
mod tests {
    use protocol::body::{ConsumeStats, MessageQueue, OffsetWrapper};

    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn the_table_is_rocketmqs() {
        let offsets = OffsetWrapper {
            broker_offset: 2,
            consumer_offset: 2,
            last_timestamp: 1_795_376_324_140,
            pull_offset: 2,
        };
        let stats = ConsumeStats {
            offset_table: [(MessageQueue::new("TopicA", "broker-a", 1), offsets)].into(),
            ..ConsumeStats::default()
        };
        let list = ConsumeStatsList {
            consume_stats_list: vec![[("CG".to_owned(), vec![stats])].into()],
            ..ConsumeStatsList::default()
        };
        let expected = [
            "#Topic                                                            #Group                                                            #Broker Name                      #QID  #Broker Offset        #Consumer Offset      #Diff                 #LastTime\n",
            "TopicA                                                            CG                                                                broker-a                          1     2                     2                     0                     2026-11-22 19:38:44\n",
            "\n",
            "Diff Total: 0\n",
        ];
        assert_eq!(table(&list, 0, &TimeZone::UTC), expected.concat());
        assert_eq!(table(&list, 1, &TimeZone::UTC), [expected[0], expected[2], expected[3]].concat());
    }
}
