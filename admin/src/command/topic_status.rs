//! `topicStatus`: the offsets of every queue of a topic.

use jiff::tz::TimeZone;
use protocol::body::TopicStatsTable;

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::text::{double, front, time_millis};
use crate::topics;

pub(crate) const COMMAND: Command = Command {
    name: "topicStatus",
    about: "Show the offsets of a topic's queues.",
    options: &[
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::value("c", "cluster", "ask the brokers of this cluster or of this parent topic"),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let topic = call.given.need("t");
    let mut all = TopicStatsTable::default();
    for address in call.session.brokers_of(call.given.value("c").unwrap_or(topic)).await?.values() {
        let one = topics::stats_at(call.session, address, topic).await?;
        all.offset_table.extend(one.offset_table);
        all.topic_put_tps += one.topic_put_tps;
    }
    call.out.write_all(table(&all, &call.session.zone).as_bytes())?;
    Ok(())
}

fn table(stats: &TopicStatsTable, zone: &TimeZone) -> String {
    let mut text = format!(
        "{:<32}  {:<4}  {:<20}  {:<20}    {}\n",
        "#Broker Name", "#QID", "#Min Offset", "#Max Offset", "#Last Updated"
    );
    for (queue, offsets) in &stats.offset_table {
        let updated = match offsets.last_update_timestamp {
            1.. => time_millis(offsets.last_update_timestamp, zone),
            _ => String::new(),
        };
        text += &format!(
            "{:<32}  {:<4}  {:<20}  {:<20}    {updated}\n",
            front(&queue.broker_name, 32),
            queue.queue_id,
            offsets.min_offset,
            offsets.max_offset,
        );
    }
    text + &format!("\nTopic Put TPS: {}\n", double(stats.topic_put_tps))
}

#[cfg(test)]
mod tests {
    use protocol::body::{MessageQueue, TopicOffset};

    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn the_table_is_rocketmqs() {
        let offset = |max_offset, last_update_timestamp| TopicOffset {
            last_update_timestamp,
            max_offset,
            min_offset: 0,
        };
        let stats = TopicStatsTable {
            offset_table: [
                (MessageQueue::new("TopicA", "broker-a", 1), offset(2, 1_795_376_324_140)),
                (MessageQueue::new("TopicA", "broker-a", 0), offset(0, 0)),
            ]
            .into(),
            topic_put_tps: 0.0,
        };
        let expected = [
            "#Broker Name                      #QID  #Min Offset           #Max Offset             #Last Updated\n",
            "broker-a                          0     0                     0                       \n",
            "broker-a                          1     0                     2                       2026-11-22 19:38:44,140\n",
            "\n",
            "Topic Put TPS: 0.0\n",
        ];
        assert_eq!(table(&stats, &TimeZone::UTC), expected.concat());
    }
}
