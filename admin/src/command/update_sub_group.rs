//! `updateSubGroup`: creates or changes a consumer group.

use anyhow::{Context, bail};
use protocol::body::{Body, GroupRetryPolicy, SubscriptionGroupConfig};
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::groups::config_text;
use crate::options::{Given, Opt};
use crate::topics::parse_attributes;

pub(crate) const COMMAND: Command = Command {
    name: "updateSubGroup",
    about: "Create or change a consumer group.",
    options: &[
        Opt::value("b", "brokerAddr", "at this broker").one_of(),
        Opt::value("c", "clusterName", "at every master of this cluster").one_of(),
        Opt::value("g", "groupName", "name of the group").required(),
        Opt::value("s", "consumeEnable", "whether it may consume (true|false)"),
        Opt::value("m", "consumeFromMinEnable", "whether it begins at the smallest offset (true|false)"),
        Opt::value("d", "consumeBroadcastEnable", "whether it may broadcast (true|false)"),
        Opt::value("o", "consumeMessageOrderly", "whether it consumes in order (true|false)"),
        Opt::value("q", "retryQueueNums", "queues of its retry topic"),
        Opt::value("r", "retryMaxTimes", "how often a message is tried again"),
        Opt::value("p", "groupRetryPolicy", "how retries are delayed, as JSON"),
        Opt::value("i", "brokerId", "id of the broker that it reads from"),
        Opt::value(
            "w",
            "whichBrokerWhenConsumeSlowly",
            "id of the broker that it reads from when far behind",
        ),
        Opt::value(
            "a",
            "notifyConsumerIdsChanged",
            "whether members hear of each other at once (true|false)",
        ),
        Opt::value("", "attributes", "attributes: +a=b,+c=d,-e"),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let config = config(call.given)?;
    for address in call.masters().await? {
        let request = RemotingCommand::request(RequestCode::UpdateAndCreateSubscriptionGroup);
        call.session.ask(&address, request.with_body(config.encode())).await?;
        writeln!(call.out, "create subscription group to {address} success.")?;
    }
    writeln!(call.out, "{}", config_text(&config))?;
    Ok(())
}

fn config(given: &Given) -> anyhow::Result<SubscriptionGroupConfig> {
    // Broadcasting and beginning at the smallest offset are off unless asked for. Source: RocketMQ `UpdateSubGroupSubCommand`.
    let mut config = SubscriptionGroupConfig {
        consume_broadcast_enable: false,
        consume_from_min_enable: false,
        ..SubscriptionGroupConfig::new(given.need("g"))
    };
    set(&mut config.consume_enable, given.truth("s"));
    set(&mut config.consume_from_min_enable, given.truth("m"));
    set(&mut config.consume_broadcast_enable, given.truth("d"));
    set(&mut config.consume_message_orderly, given.truth("o"));
    set(&mut config.notify_consumer_ids_changed_enable, given.truth("a"));
    set(&mut config.retry_queue_nums, given.number("q")?);
    set(&mut config.retry_max_times, given.number("r")?);
    set(&mut config.broker_id, given.number("i")?);
    set(&mut config.which_broker_when_consume_slowly, given.number("w")?);
    set(&mut config.attributes, given.value("attributes").map(parse_attributes));
    if let Some(text) = given.value("p") {
        let policy = GroupRetryPolicy::decode(text.as_bytes());
        config.group_retry_policy = policy.with_context(|| format!("retry policy {text:?} is no JSON"))?;
    }
    if config.retry_queue_nums < 0 {
        bail!("a retry topic cannot have {} queues", config.retry_queue_nums);
    }
    Ok(config)
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> anyhow::Result<SubscriptionGroupConfig> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        config(&Given::parse(COMMAND.options, &words).map_err(|misuse| anyhow::anyhow!("{misuse}"))?)
    }

    #[test]
    fn what_is_not_given_is_rocketmqs_default() {
        let config = parsed("-c C -g CG -r 3 -d true").unwrap();
        assert_eq!((config.retry_max_times, config.retry_queue_nums), (3, 1));
        assert!(config.consume_enable && config.consume_broadcast_enable && !config.consume_from_min_enable);
    }

    #[test]
    fn a_retry_policy_is_json() {
        let config = parsed(r#"-c C -g CG -p {"type":"EXPONENTIAL"}"#).unwrap();
        assert_eq!(config.group_retry_policy.kind.name(), "EXPONENTIAL");
        assert!(parsed("-c C -g CG -p [").is_err());
        assert!(parsed("-c C -g CG -q -1").is_err());
    }
}
