//! `consumerStatus`: what each member of a consumer group tells about itself.

use anyhow::{Context, bail};
use protocol::body::{ConsumerRunningInfo, ProcessQueueInfo};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::text::{fixed, java_map, time_millis};
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
    writeln!(call.out, "{:<10} {:<40} {:<20} {}", "#Index", "#ClientId", "#Version", "#Queues")?;
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

fn info_text(info: &ConsumerRunningInfo, zone: &jiff::tz::TimeZone) -> String {
    let mut text = String::from("#Consumer Properties#\n");
    for (key, value) in &info.properties {
        text += &format!("{key:<40}: {value}\n");
    }
    text += "\n\n#Consumer Subscription#\n";
    for (at, one) in info.subscription_set.iter().enumerate() {
        text += &format!(
            "{at:03} Topic: {:<40} ClassFilter: {:<8} SubExpression: {}\n",
            one.topic, one.class_filter_mode, one.sub_string
        );
    }
    text += "\n\n#Consumer Offset#\n";
    text += &format!("{:<64}  {:<32}  {:<4}  {:<20}\n", "#Topic", "#Broker Name", "#QID", "#Consumer Offset");
    for (queue, held) in &info.mq_table {
        text += &format!(
            "{:<32}  {:<32}  {:<4}  {:<20}\n",
            queue.topic, queue.broker_name, queue.queue_id, held.commit_offset
        );
    }
    text += "\n\n#Consumer MQ Detail#\n";
    text +=
        &format!("{:<64}  {:<32}  {:<4}  {:<20}\n", "#Topic", "#Broker Name", "#QID", "#ProcessQueueInfo");
    for (queue, held) in &info.mq_table {
        text += &format!(
            "{:<64}  {:<32}  {:<4}  {}\n",
            queue.topic,
            queue.broker_name,
            queue.queue_id,
            held_text(held, zone)
        );
    }
    text += "\n\n#Consumer RT&TPS#\n";
    text += &format!(
        "{:<64}  {:>14} {:>14} {:>14} {:>14} {:>18} {:>25}\n",
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
            "{topic:<64}  {:>14} {:>14} {:>14} {:>14} {:>18} {:>25}\n",
            fixed(status.pull_rt, 2),
            fixed(status.pull_tps, 2),
            fixed(status.consume_rt, 2),
            fixed(status.consume_ok_tps, 2),
            fixed(status.consume_failed_tps, 2),
            status.consume_failed_msgs
        );
    }
    if !info.user_consumer_info.is_empty() {
        text += &format!("\n\n#User Consume Info#\n{}\n", java_map(&info.user_consumer_info));
    }
    if let Some(stacks) = &info.jstack {
        text += &format!("\n\n#Consumer jstack#\n{stacks}\n");
    }
    text
}

fn held_text(held: &ProcessQueueInfo, zone: &jiff::tz::TimeZone) -> String {
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
        time_millis(held.last_lock_timestamp, zone),
        held.droped,
        time_millis(held.last_pull_timestamp, zone),
        time_millis(held.last_consume_timestamp, zone),
    )
}
