//! `cloneGroupOffset`: gives one group the offsets of another.

use protocol::header::CloneGroupOffsetRequestHeader;
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "cloneGroupOffset",
    about: "Give one consumer group the offsets of another.",
    options: &[
        Opt::value("s", "srcGroup", "the group to take them from").required(),
        Opt::value("d", "destGroup", "the group to give them to").required(),
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::value("o", "offline", "whether that group may be offline (true|false)"),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let (from, to, topic) = (call.given.need("s"), call.given.need("d"), call.given.need("t"));
    let header = CloneGroupOffsetRequestHeader {
        src_group: from.into(),
        dest_group: to.into(),
        topic: Some(topic.into()),
        offline: call.given.truth("o").unwrap_or_default(),
    };
    for address in call.session.brokers_of(topic).await?.values() {
        let request = RemotingCommand::request_with(RequestCode::CloneGroupOffset, &header);
        call.session.ask(address, request).await?;
    }
    writeln!(call.out, "clone group offset success. srcGroup[{from}], destGroup=[{to}], topic[{topic}]")?;
    Ok(())
}
