//! `queryMsgByUniqueKey`: the messages that have the id which their producer gave them.

use anyhow::bail;
use protocol::header::QueryMessageRequestHeader;
use protocol::message::MessageExt;

use super::{consume_directly, query_msg_by_key};
use crate::call::{Call, Command};
use crate::options::Opt;
use crate::session::Session;
use crate::{message_text, track};

pub(crate) const COMMAND: Command = Command {
    name: "queryMsgByUniqueKey",
    about: "Show a message by its unique key, and who has consumed it.",
    options: &[
        Opt::value("i", "msgId", "unique key of the message").required(),
        Opt::value("g", "consumerGroup", "with -d: let a client of this group consume it now"),
        Opt::value("d", "clientId", "with -g: the client"),
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::flag("a", "showAll", "show all that have the key"),
    ],
    run: |call| Box::pin(run(call)),
};

/// Source: RocketMQ `MessageStoreConfig.defaultQueryMaxNum`.
const MESSAGES_MAX: i32 = 32;

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let (topic, id) = (call.given.need("t"), call.given.need("i"));
    let found = by_unique_key(call.session, topic, id).await?;
    let Some(first) = found.first() else { bail!("no message of topic {topic} has the unique key {id}") };
    if let (Some(group), Some(client)) = (call.given.value("g"), call.given.value("d")) {
        writeln!(call.out, "{}", consume_directly::consume(call.session, group, client, first).await?)?;
        return Ok(());
    }
    let shown = if call.given.has("a") { found.len() } else { 1 };
    for (at, message) in found[..shown].iter().enumerate() {
        let suffix = if at == 0 { String::new() } else { format!("_{at}") };
        let path = message_text::save_body(message, &suffix)?;
        let fields = message_text::fields(message, &call.session.zone);
        write!(call.out, "{fields}{:<20} {}\n\n\n", "Message Body Path:", path.display())?;
        call.out.write_all(track::lines(call.session, message).await?.as_bytes())?;
    }
    Ok(())
}

/// The messages with a unique key, from every broker of the topic.
pub(super) async fn by_unique_key(
    session: &Session,
    topic: &str,
    key: &str,
) -> anyhow::Result<Vec<MessageExt>> {
    let header = QueryMessageRequestHeader {
        topic: topic.into(),
        key: key.into(),
        max_num: MESSAGES_MAX,
        begin_timestamp: 0,
        end_timestamp: i64::MAX,
    };
    let mut found = query_msg_by_key::query(session, &header, true).await?;
    found.retain(|message| message.message_id() == key);
    Ok(found)
}
