//! `queryMsgById`: one message by the id that says where it lies, or by its unique key.

use anyhow::bail;
use protocol::header::ViewMessageRequestHeader;
use protocol::message::MessageExt;
use protocol::message_id::OffsetMessageId;
use protocol::{RemotingCommand, RequestCode};

use super::consume_directly;
use super::query_msg_by_unique_key::by_unique_key;
use crate::call::{Call, Command};
use crate::options::Opt;
use crate::session::Session;
use crate::{message_text, track};

pub(crate) const COMMAND: Command = Command {
    name: "queryMsgById",
    about: "Show a message by its id, and who has consumed it.",
    options: &[
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::value("i", "msgId", "id of the message").required(),
        Opt::value("g", "consumerGroup", "with -d: let a client of this group consume it now"),
        Opt::value("d", "clientId", "with -g: the client"),
        Opt::value("f", "bodyFormat", "also print the body, in this character set (UTF-8)"),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let (topic, ids) = (call.given.need("t"), call.given.need("i"));
    for id in ids.split(',').map(str::trim).filter(|id| !id.is_empty()) {
        let message = by_id(call.session, topic, id).await?;
        match (call.given.value("g"), call.given.value("d")) {
            (Some(group), Some(client)) => {
                let result = consume_directly::consume(call.session, group, client, &message).await?;
                writeln!(call.out, "{result}")?;
            }
            _ => show(call.session, &message, call.given.has("f"), call.out).await?,
        }
    }
    Ok(())
}

async fn by_id(session: &Session, topic: &str, id: &str) -> anyhow::Result<MessageExt> {
    let Ok(place) = OffsetMessageId::parse(id) else {
        return by_unique_key(session, topic, id).await.and_then(|found| match found.into_iter().next() {
            Some(message) => Ok(message),
            None => bail!("no message of topic {topic} has the id {id}"),
        });
    };
    let Ok(offset) = i64::try_from(place.physical_offset) else {
        bail!("no commit log reaches as far as {id}")
    };
    let header = ViewMessageRequestHeader { topic: Some(topic.into()), offset };
    let request = RemotingCommand::request_with(RequestCode::ViewMessageById, &header);
    let answer = session.ask(&place.store_host.to_string(), request).await?;
    Ok(MessageExt::decode(&answer.body)?)
}

/// Prints a message with the file of its body and what each group did with it.
pub(super) async fn show(
    session: &Session,
    message: &MessageExt,
    with_body: bool,
    out: &mut dyn std::io::Write,
) -> anyhow::Result<()> {
    let path = message_text::save_body(message, "")?;
    let head = message_text::offset_id(message) + &message_text::fields(message, &session.zone);
    writeln!(out, "{head}{:<20} {}", "Message Body Path:", path.display())?;
    if with_body {
        writeln!(out, "{:<20} {}", "Message Body:", String::from_utf8_lossy(&message.body))?;
    }
    write!(out, "\n\n{}", track::lines(session, message).await?)?;
    Ok(())
}
