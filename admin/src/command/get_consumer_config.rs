//! `getConsumerConfig`: the configuration of a consumer group at every broker.

use protocol::ResponseCode;
use protocol::body::SubscriptionGroupConfig;
use protocol::header::GetSubscriptionGroupConfigRequestHeader;
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::groups::policy_text;
use crate::options::Opt;
use crate::session::MASTER_ID;
use crate::text::java_map;

pub(crate) const COMMAND: Command = Command {
    name: "getConsumerConfig",
    about: "Show the configuration of a consumer group.",
    options: &[Opt::value("g", "groupName", "name of the group").required()],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let header = GetSubscriptionGroupConfigRequestHeader { group: call.given.need("g").into() };
    for broker in call.session.cluster_info().await?.broker_addr_table.values() {
        let Some(address) = broker.broker_addrs.get(&MASTER_ID) else { continue };
        let request = RemotingCommand::request_with(RequestCode::GetSubscriptionGroupConfig, &header);
        match call.session.body_of::<SubscriptionGroupConfig>(address, request).await {
            Ok(config) => {
                let rule = "=============================";
                writeln!(call.out, "{rule}{}:{}{rule}", broker.cluster, broker.broker_name)?;
                call.out.write_all(lines(&config).as_bytes())?;
            }
            Err(error) if error.is(ResponseCode::SubscriptionGroupNotExist) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn lines(config: &SubscriptionGroupConfig) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: &dyn std::fmt::Display| text += &format!("{key:<40}=  {value}\n");
    line("groupName", &config.group_name);
    line("consumeEnable", &config.consume_enable);
    line("consumeFromMinEnable", &config.consume_from_min_enable);
    line("consumeBroadcastEnable", &config.consume_broadcast_enable);
    line("consumeMessageOrderly", &config.consume_message_orderly);
    line("retryQueueNums", &config.retry_queue_nums);
    line("retryMaxTimes", &config.retry_max_times);
    line("groupRetryPolicy", &policy_text(&config.group_retry_policy));
    line("brokerId", &config.broker_id);
    line("whichBrokerWhenConsumeSlowly", &config.which_broker_when_consume_slowly);
    line("notifyConsumerIdsChangedEnable", &config.notify_consumer_ids_changed_enable);
    line("groupSysFlag", &config.group_sys_flag);
    line("consumeTimeoutMinute", &config.consume_timeout_minute);
    line("subscriptionDataSet", &"");
    line("attributes", &java_map(&config.attributes));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn a_group_is_rocketmqs_lines() {
        let text = lines(&SubscriptionGroupConfig::new("CG"));
        assert!(text.starts_with(
            "groupName                               =  CG\nconsumeEnable                           =  true\n"
        ));
        assert!(text.contains(
            "groupRetryPolicy                        =  GroupRetryPolicy{type=CUSTOMIZED, exponentialRetryPolicy=null, customizedRetryPolicy=null}\n"
        ));
        assert!(text.ends_with(
            "subscriptionDataSet                     =  \nattributes                              =  {}\n"
        ));
    }
}
