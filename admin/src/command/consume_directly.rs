//! Lets one connected consumer consume one message now; part of `queryMsgById` and `queryMsgByUniqueKey`.

use anyhow::Context;
use protocol::body::ConsumeMessageDirectlyResult;
use protocol::header::ConsumeMessageDirectlyResultRequestHeader;
use protocol::message::MessageExt;
use protocol::{RemotingCommand, RequestCode};

use crate::groups;
use crate::session::Session;

/// Asks the broker that the client is connected to, and shows what the client said.
pub(super) async fn consume(
    session: &Session,
    group: &str,
    client: &str,
    message: &MessageExt,
) -> anyhow::Result<String> {
    let brokers = groups::brokers(session, group, Some(&message.topic)).await?;
    let address = message.store_host.to_string();
    let broker = brokers.iter().find(|(_, known)| **known == address);
    let (name, address) =
        broker.or_else(|| brokers.iter().next()).with_context(|| format!("no broker knows group {group}"))?;
    let header = ConsumeMessageDirectlyResultRequestHeader {
        consumer_group: group.into(),
        client_id: Some(client.into()),
        msg_id: Some(message.offset_message_id().into()),
        broker_name: Some(name.into()),
        topic: Some(message.topic.as_str().into()),
        topic_sys_flag: None,
        group_sys_flag: None,
    };
    let request = RemotingCommand::request_with(RequestCode::ConsumeMessageDirectly, &header);
    let result: ConsumeMessageDirectlyResult = session.body_of(address, request).await?;
    Ok(text(&result))
}

fn text(result: &ConsumeMessageDirectlyResult) -> String {
    format!(
        "ConsumeMessageDirectlyResult [order={}, autoCommit={}, consumeResult={}, remark={}, spentTimeMills={}]",
        result.order,
        result.auto_commit,
        result.consume_result.map_or("null", |result| result.name()),
        result.remark.as_deref().unwrap_or("null"),
        result.spent_time_mills,
    )
}

#[cfg(test)]
mod tests {
    use protocol::body::CMResult;

    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn the_result_is_rocketmqs() {
        let result = ConsumeMessageDirectlyResult {
            auto_commit: true,
            consume_result: Some(CMResult::CrSuccess),
            spent_time_mills: 1,
            ..ConsumeMessageDirectlyResult::default()
        };
        assert_eq!(
            text(&result),
            "ConsumeMessageDirectlyResult [order=false, autoCommit=true, consumeResult=CR_SUCCESS, remark=null, spentTimeMills=1]"
        );
    }
}
