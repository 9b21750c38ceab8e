//! `consumerStatus`: what each member of a consumer group tells about itself.

use anyhow::{Context, bail};
use jiff::tz::TimeZone;
use protocol::body::{ConsumerRunningInfo, MessageQueue, ProcessQueueInfo};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::text::{fixed, time_digits};
use crate::{groups, version};

pub(crate) const COMMAND: Command = Command {
    name: "consumerStatus",
    about: "Show what the members of a consumer group are doing.",
    options: &[
        Opt::value("g", "consumerGroup", "name of the group").required(),
        Opt::value("i", "clientId", "only this member, with all that it says"),
        Opt::value("b", "brokerAddr", "ask this broker"),
        Opt::flag("s", "jstack", "also show the member's thread stacks"),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let (session, group) = (call.session, call.given.need("g"));
    let address = match call.given.value("b") {
        Some(address) => address.to_owned(),
        None => {
            let brokers = groups::brokers(session, group, None).await?;
            brokers.into_values().next().with_context(|| format!("no broker knows group {group}"))?
        }
    };
    let with_stacks = call.given.has("s");
    if let Some(client) = call.given.value("i") {
        let info = groups::running_info(session, &address, group, client, with_stacks).await?;
        call.out.write_all(info_text(&info, &session.zone).as_bytes())?;
        return Ok(());
    }
    let connection = groups::connection_at(session, &address, group).await?;
    writeln!(call.out, "{:<10} {:<40} {:<20} #Queues", "#Index", "#ClientId", "#Version")?;
    let mut subscriptions = Vec::new();
    for (at, member) in connection.connection_set.iter().enumerate() {
        let info = groups::running_info(session, &address, group, &member.client_id, with_stacks).await?;
        let version = version::name(member.version);
        writeln!(call.out, "{:<10} {:<40} {version:<20} {}", at + 1, member.client_id, info.mq_table.len())?;
        subscriptions.push(subscribed(&info));
    }
    if subscriptions.windows(2).any(|pair| pair[0] != pair[1]) {
        bail!("Different subscription in the same group of consumer");
    }
    writeln!(call.out, "\n\nSame subscription in the same group of consumer")?;
    Ok(())
}

/// Topics and expressions, in order.
fn subscribed(info: &ConsumerRunningInfo) -> Vec<(String, String)> {
    let mut found: Vec<_> =
        info.subscription_set.iter().map(|one| (one.topic.clone(), one.sub_string.clone())).collect();
    found.sort_unstable();
    found
}

/// Everything a member says, in RocketMQ's sections.
fn info_text(info: &ConsumerRunningInfo, zone: &TimeZone) -> String {
    let mut text = String::from("#Consumer Properties#\n");
    for (key, value) in &info.properties {
        text += &format!("{key:<40}: {value}\n");
    }
    text += "\n\n#Consumer Subscription#\n";
    for (at, one) in (1..).zip(&info.subscription_set) {
        text += &format!(
            "{at:03} Topic: {:<40} ClassFilter: {:<8} SubExpression: {}\n",
            one.topic, one.class_filter_mode, one.sub_string
        );
    }
    text += &queues_text(info, zone);
    text += &rates_text(info);
    text += "\n\n#User Consume Info#\n";
    for (key, value) in &info.user_consumer_info {
        text += &format!("{key:<40}: {value}\n");
    }
    if let Some(stacks) = &info.jstack {
        text += &format!("\n\n#Consumer jstack#\n{stacks}\n");
    }
    text
}

/// The queues that a member has: offsets, what it holds of each, and those that it pops from.
fn queues_text(info: &ConsumerRunningInfo, zone: &TimeZone) -> String {
    let mut text = format!(
        "\n\n#Consumer Offset#\n{:<64}  {:<32}  {:<4}  {:<20}\n",
        "#Topic", "#Broker Name", "#QID", "#Consumer Offset"
    );
    for (queue, held) in &info.mq_table {
        let MessageQueue { topic, broker_name, queue_id } = queue;
        text += &format!("{topic:<32}  {broker_name:<32}  {queue_id:<4}  {:<20}\n", held.commit_offset);
    }
    text += &format!(
        "\n\n#Consumer MQ Detail#\n{:<64}  {:<32}  {:<4}  {:<20}\n",
        "#Topic", "#Broker Name", "#QID", "#ProcessQueueInfo"
    );
    for (queue, held) in &info.mq_table {
        let MessageQueue { topic, broker_name, queue_id } = queue;
        text += &format!("{topic:<64}  {broker_name:<32}  {queue_id:<4}  {}\n", held_text(held, zone));
    }
    text += &format!(
        "\n\n#Consumer Pop Detail#\n{:<32}  {:<32}  {:<4}  {:<20}\n",
        "#Topic", "#Broker Name", "#QID", "#ProcessQueueInfo"
    );
    for (queue, popped) in &info.mq_pop_table {
        let MessageQueue { topic, broker_name, queue_id } = queue;
        text += &format!(
            "{topic:<32}  {broker_name:<32}  {queue_id:<4}  PopProcessQueueInfo [waitAckCount:{}, droped:{}, lastPopTimestamp:{}]\n",
            popped.wait_ack_count, popped.droped, popped.last_pop_timestamp
        );
    }
    text
}

fn rates_text(info: &ConsumerRunningInfo) -> String {
    let mut text = format!(
        "\n\n#Consumer RT&TPS#\n{:<64}  {:>14} {:>14} {:>14} {:>14} {:>18} {:>25}\n",
        "#Topic",
        "#Pull RT",
        "#Pull TPS",
        "#Consume RT",
        "#ConsumeOK TPS",
        "#ConsumeFailed TPS",
        "#ConsumeFailedMsgsInHour"
    );
    for (topic, status) in &info.status_table {
        text += &format!(
            "{topic:<32}  {:>14} {:>14} {:>14} {:>14} {:>18} {:>25}\n",
            fixed(status.pull_rt, 2),
            fixed(status.pull_tps, 2),
            fixed(status.consume_rt, 2),
            fixed(status.consume_ok_tps, 2),
            fixed(status.consume_failed_tps, 2),
            status.consume_failed_msgs
        );
    }
    text
}

fn held_text(held: &ProcessQueueInfo, zone: &TimeZone) -> String {
    format!(
        "ProcessQueueInfo [commitOffset={}, cachedMsgMinOffset={}, cachedMsgMaxOffset={}, cachedMsgCount={}, \
         cachedMsgSizeInMiB={}, transactionMsgMinOffset={}, transactionMsgMaxOffset={}, transactionMsgCount={}, \
         locked={}, tryUnlockTimes={}, lastLockTimestamp={}, droped={}, lastPullTimestamp={}, \
         lastConsumeTimestamp={}]",
        held.commit_offset,
        held.cached_msg_min_offset,
        held.cached_msg_max_offset,
        held.cached_msg_count,
        held.cached_msg_size_in_mi_b,
        held.transaction_msg_min_offset,
        held.transaction_msg_max_offset,
        held.transaction_msg_count,
        held.locked,
        held.try_unlock_times,
        time_digits(held.last_lock_timestamp, zone),
        held.droped,
        time_digits(held.last_pull_timestamp, zone),
        time_digits(held.last_consume_timestamp, zone),
    )
}

#[cfg(test)]
mod tests {
    use protocol::body::{ConsumeStatus, SubscriptionData};

    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn what_a_member_says_is_shown_in_rocketmqs_sections() {
        let held = ProcessQueueInfo {
            commit_offset: 2,
            locked: true,
            last_lock_timestamp: 1_795_376_313_210,
            last_pull_timestamp: 1_795_378_010_131,
            ..ProcessQueueInfo::default()
        };
        let info = ConsumerRunningInfo {
            mq_table: [(MessageQueue::new("TopicA", "broker-a", 1), held)].into(),
            properties: [("language".to_owned(), "JAVA".to_owned())].into(),
            status_table: [(
                "TopicA".to_owned(),
                ConsumeStatus { consume_rt: 0.4, ..ConsumeStatus::default() },
            )]
            .into(),
            subscription_set: vec![SubscriptionData::of_tags("TopicA", "*", 1).unwrap()],
            ..ConsumerRunningInfo::default()
        };
        let expected = [
            "#Consumer Properties#",
            "language                                : JAVA",
            "",
            "",
            "#Consumer Subscription#",
            "001 Topic: TopicA                                   ClassFilter: false    SubExpression: *",
            "",
            "",
            "#Consumer Offset#",
            "#Topic                                                            #Broker Name                      #QID  #Consumer Offset    ",
            "TopicA                            broker-a                          1     2                   ",
            "",
            "",
            "#Consumer MQ Detail#",
            "#Topic                                                            #Broker Name                      #QID  #ProcessQueueInfo   ",
            "TopicA                                                            broker-a                          1     ProcessQueueInfo [commitOffset=2, cachedMsgMinOffset=0, cachedMsgMaxOffset=0, cachedMsgCount=0, cachedMsgSizeInMiB=0, transactionMsgMinOffset=0, transactionMsgMaxOffset=0, transactionMsgCount=0, locked=true, tryUnlockTimes=0, lastLockTimestamp=20261122193833210, droped=false, lastPullTimestamp=20261122200650131, lastConsumeTimestamp=19700101000000000]",
            "",
            "",
            "#Consumer Pop Detail#",
            "#Topic                            #Broker Name                      #QID  #ProcessQueueInfo   ",
            "",
            "",
            "#Consumer RT&TPS#",
            "#Topic                                                                  #Pull RT      #Pull TPS    #Consume RT #ConsumeOK TPS #ConsumeFailed TPS  #ConsumeFailedMsgsInHour",
            "TopicA                                      0.00           0.00           0.40           0.00               0.00                         0",
            "",
            "",
            "#User Consume Info#",
            "",
        ];
        assert_eq!(info_text(&info, &TimeZone::UTC), expected.join("\n"));
    }
}
