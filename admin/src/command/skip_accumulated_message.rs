//! `skipAccumulatedMessage`: takes a group to the end of every queue.

use super::reset_offset_by_time::{reset, table};
use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "skipAccumulatedMessage",
    about: "Take a consumer group past everything that waits for it.",
    options: &[
        Opt::value("g", "group", "name of the group").required(),
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::value("f", "force", "whether to do it by force (true|false), true unless told"),
    ],
    run: |call| Box::pin(run(call)),
};

/// The end of a queue, as a time. Source: RocketMQ `SkipAccumulationSubCommand`.
const AT_END: i64 = -1;

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let is_force = call.given.truth("f").unwrap_or(true);
    let done = reset(call.session, call.given.need("g"), call.given.need("t"), AT_END, is_force).await?;
    call.out.write_all(table(&done).as_bytes())?;
    Ok(())
}
