//! `queryMsgByKey`: the messages of a topic that have a key.

use anyhow::bail;
use protocol::header::QueryMessageRequestHeader;
use protocol::message::{MessageExt, decode_all};
use protocol::{RemotingCommand, RequestCode, ResponseCode};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::session::Session;
use crate::text::parse_time;

pub(crate) const COMMAND: Command = Command {
    name: "queryMsgByKey",
    about: "Find messages by key.",
    options: &[
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::value("k", "msgKey", "the key").required(),
        Opt::value("b", "beginTimestamp", "stored from this time on"),
        Opt::value("e", "endTimestamp", "stored up to this time"),
        Opt::value("m", "maxNum", "how many at most, 64 unless told"),
    ],
    run: |call| Box::pin(run(call)),
};

/// Messages shown at most. Source: RocketMQ `QueryMsgByKeySubCommand`.
const MESSAGES_MAX: i32 = 64;

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let (given, zone) = (call.given, &call.session.zone);
    let now = crate::text::now_millis();
    let time =
        |key: &str, default: i64| given.value(key).map_or(Ok(default), |text| parse_time(text, now, zone));
    let header = QueryMessageRequestHeader {
        topic: given.need("t").into(),
        key: given.need("k").into(),
        max_num: given.number("m")?.unwrap_or(MESSAGES_MAX),
        begin_timestamp: time("b", 0)?,
        end_timestamp: time("e", i64::MAX)?,
    };
    let found = query(call.session, &header, false).await?;
    if found.is_empty() {
        bail!("no message of topic {} has the key {}", header.topic, header.key);
    }
    writeln!(call.out, "{:<50} {:>4} {:>40}", "#Message ID", "#QID", "#Offset")?;
    for message in &found {
        writeln!(call.out, "{}", line(message.message_id(), message.queue_id, message.queue_offset))?;
    }
    Ok(())
}

fn line(id: impl std::fmt::Display, queue: i32, offset: u64) -> String {
    format!("{:<50} {queue:>4} {offset:>40}", id.to_string())
}

/// Asks every broker of the topic; none found is an empty list.
pub(super) async fn query(
    session: &Session,
    header: &QueryMessageRequestHeader,
    is_unique_key: bool,
) -> anyhow::Result<Vec<MessageExt>> {
    let mut found = Vec::new();
    for address in session.brokers_of(&header.topic).await?.values() {
        let request = RemotingCommand::request_with(RequestCode::QueryMessage, header)
            .with_ext("_UNIQUE_KEY_QUERY", if is_unique_key { "true" } else { "false" });
        match session.ask(address, request).await {
            Ok(answer) => found.extend(decode_all(&answer.body)?),
            Err(error) if error.is(ResponseCode::QueryNotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The index holds hashes: other keys of the same hash come along.
    found.retain(|message| is_unique_key || message.keys().any(|key| key == header.key.as_str()));
    found.sort_by_key(|message| message.store_timestamp);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn a_message_is_rocketmqs_line() {
        assert_eq!(
            line("FD0000000000000000000000000000023E674E0E2F2A705AA9290000", 3, 0),
            "FD0000000000000000000000000000023E674E0E2F2A705AA9290000    3                                        0"
        );
    }
}
