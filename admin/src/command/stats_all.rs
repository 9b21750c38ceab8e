//! `statsAll`: rates and totals of every topic and group.

use std::collections::BTreeMap;

use protocol::body::BrokerStatsData;
use protocol::header::ViewBrokerStatsDataRequestHeader;
use protocol::{RemotingCommand, RequestCode, topic};

use crate::call::{Call, Command};
use crate::groups;
use crate::options::Opt;
use crate::session::Session;
use crate::text::{fixed, front};
use crate::topics;

pub(crate) const COMMAND: Command = Command {
    name: "statsAll",
    about: "Show rates and totals of topics and their groups.",
    options: &[
        Opt::flag("a", "activeTopic", "only what had traffic in the last day"),
        Opt::value("t", "topic", "only this topic"),
    ],
    run: |call| Box::pin(run(call)),
};

/// Messages a second now, and messages of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Traffic {
    tps: f64,
    day: i64,
}

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    writeln!(call.out, "{}", header())?;
    for name in topics::all(call.session).await?.topic_list {
        let is_asked = call.given.value("t").is_none_or(|topic| topic == name);
        if !is_asked || topic::is_retry(&name) || topic::is_dlq(&name) {
            continue;
        }
        // A topic may vanish while we list.
        if let Ok(text) = topic_lines(call.session, &name, call.given.has("a")).await {
            call.out.write_all(text.as_bytes())?;
        }
    }
    Ok(())
}

async fn topic_lines(session: &Session, topic: &str, only_active: bool) -> anyhow::Result<String> {
    let brokers = session.brokers_of(topic).await?;
    let incoming = traffic(session, &brokers, "TOPIC_PUT_NUMS", topic).await;
    let groups = topics::consumed_by(session, topic).await?;
    if groups.is_empty() {
        let is_shown = !only_active || incoming.day > 0;
        return Ok(if is_shown { line(topic, None, 0, incoming, Traffic::default()) } else { String::new() });
    }
    let mut text = String::new();
    for group in groups {
        let outgoing = traffic(session, &brokers, "GROUP_GET_NUMS", &format!("{topic}@{group}")).await;
        if only_active && incoming.day == 0 && outgoing.day == 0 {
            continue;
        }
        let stats = groups::stats(session, &brokers, &group, Some(topic)).await.unwrap_or_default();
        let left = stats
            .offset_table
            .values()
            .map(|offsets| (offsets.broker_offset - offsets.consumer_offset).max(0));
        text += &line(topic, Some(&group), left.sum(), incoming, outgoing);
    }
    Ok(text)
}

/// A statistic over all brokers; a broker that has none of it counts nothing.
async fn traffic(session: &Session, brokers: &BTreeMap<String, String>, name: &str, key: &str) -> Traffic {
    let header = ViewBrokerStatsDataRequestHeader { stats_name: name.into(), stats_key: key.into() };
    let mut all = Traffic::default();
    for address in brokers.values() {
        let request = RemotingCommand::request_with(RequestCode::ViewBrokerStatsData, &header);
        if let Ok(stats) = session.body_of::<BrokerStatsData>(address, request).await {
            all.tps += stats.stats_minute.tps;
            all.day += day_total(&stats);
        }
    }
    all
}

/// The longest span that has been measured yet.
fn day_total(stats: &BrokerStatsData) -> i64 {
    let spans = [&stats.stats_day, &stats.stats_hour, &stats.stats_minute];
    spans.into_iter().map(|span| span.sum).find(|sum| *sum != 0).unwrap_or_default()
}

fn header() -> String {
    format!(
        "{:<64}  {:<64} {:>12} {:>11} {:>11} {:>14} {:>14}",
        "#Topic", "#Consumer Group", "#Accumulation", "#InTPS", "#OutTPS", "#InMsg24Hour", "#OutMsg24Hour"
    )
}

fn line(topic: &str, group: Option<&str>, left: i64, incoming: Traffic, outgoing: Traffic) -> String {
    let (tps, day) = match group {
        Some(_) => (fixed(outgoing.tps, 2), outgoing.day.to_string()),
        None => (String::new(), "NO_CONSUMER".to_owned()),
    };
    format!(
        "{:<64}  {:<64} {left:>12} {:>11} {tps:>11} {:>14} {day:>14}\n",
        front(topic, 64),
        front(group.unwrap_or_default(), 64),
        fixed(incoming.tps, 2),
        incoming.day,
    )
}

#[cfg(test)]
mod tests {
    use protocol::body::BrokerStatsItem;

    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn the_table_is_rocketmqs() {
        assert_eq!(
            header(),
            "#Topic                                                            #Consumer Group                                                  #Accumulation      #InTPS     #OutTPS   #InMsg24Hour  #OutMsg24Hour"
        );
        assert_eq!(
            line("TopicA", Some("CG"), 0, Traffic { tps: 0.066, day: 4 }, Traffic { tps: 0.25, day: 5 }),
            "TopicA                                                            CG                                                                          0        0.07        0.25              4              5\n"
        );
        assert_eq!(
            line("TopicA", None, 0, Traffic { tps: 0.02, day: 1 }, Traffic::default()),
            "TopicA                                                                                                                                        0        0.02                          1    NO_CONSUMER\n"
        );
    }

    #[test]
    fn before_a_day_is_over_the_hour_or_the_minute_counts() {
        let span = |sum| BrokerStatsItem { sum, ..BrokerStatsItem::default() };
        let stats = |day, hour, minute| BrokerStatsData {
            stats_day: span(day),
            stats_hour: span(hour),
            stats_minute: span(minute),
        };
        assert_eq!(day_total(&stats(9, 5, 1)), 9);
        assert_eq!(day_total(&stats(0, 5, 1)), 5);
        assert_eq!(day_total(&stats(0, 0, 1)), 1);
        assert_eq!(day_total(&stats(0, 0, 0)), 0);
    }
}
