//! `queryMsgByOffset`: the message at one place of a queue.

use anyhow::bail;
use protocol::body::MessageQueue;

use super::query_msg_by_id;
use crate::call::{Call, Command};
use crate::offsets;
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "queryMsgByOffset",
    about: "Show the message at one offset of a queue.",
    options: &[
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::value("b", "brokerName", "name of the broker").required(),
        Opt::value("i", "queueId", "the queue").required(),
        Opt::value("o", "offset", "offset in the queue").required(),
        Opt::value("f", "bodyFormat", "also print the body, in this character set (UTF-8)"),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let (broker, offset) = (call.given.need("b"), call.given.need_number("o")?);
    let queue = MessageQueue::new(call.given.need("t"), broker, call.given.need_number("i")?);
    let address = call.session.address_of(broker).await?;
    let pulled = offsets::pull(call.session, &address, &queue, "*", offset, 1).await?;
    let at_offset = |queue_offset: u64| i64::try_from(queue_offset) == Ok(offset);
    match pulled.messages.iter().find(|message| at_offset(message.queue_offset)) {
        Some(message) => query_msg_by_id::show(call.session, message, call.given.has("f"), call.out).await,
        None => bail!("{} has no message at offset {offset}", offsets::queue_text(&queue)),
    }
}
