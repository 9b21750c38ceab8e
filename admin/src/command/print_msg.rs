//! `printMsg`: prints the messages of a topic, queue after queue.

use protocol::body::MessageQueue;

use super::print_msg_by_queue::{Range, print_range};
use crate::call::{Call, Command};
use crate::offsets;
use crate::options::Opt;
use crate::text::{now_millis, parse_time};

pub(crate) const COMMAND: Command = Command {
    name: "printMsg",
    about: "Print the messages of a topic.",
    options: &[
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::value("c", "charsetName", "character set of the bodies (UTF-8)"),
        Opt::value("s", "subExpression", "only these tags: TagA || TagB"),
        Opt::value("b", "beginTimestamp", "stored from this time on"),
        Opt::value("e", "endTimestamp", "stored up to this time"),
        Opt::value("d", "printBody", "whether to print bodies (true|false), true unless told"),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(mut call: Call<'_>) -> anyhow::Result<()> {
    let given = call.given;
    let time = |key: &str| {
        given.value(key).map(|text| parse_time(text, now_millis(), &call.session.zone)).transpose()
    };
    let (from, to) = (time("b")?, time("e")?);
    let topic = given.need("t");
    let route = call.session.route(topic).await?;
    let addresses = crate::session::reachable(&route);
    for queue in offsets::readable_queues(topic, &route) {
        let Some(address) = addresses.get(&queue.broker_name) else { continue };
        let range = range(&call, address, &queue, from, to).await?;
        writeln!(
            call.out,
            "minOffset={}, maxOffset={}, {}",
            range.from,
            range.to,
            offsets::queue_text(&queue)
        )?;
        print_range(&mut call, address, &queue, &range).await?;
        writeln!(call.out, "--------------------------------------------------------")?;
    }
    Ok(())
}

/// The offsets of a queue between two times.
pub(super) async fn range(
    call: &Call<'_>,
    address: &str,
    queue: &MessageQueue,
    from: Option<i64>,
    to: Option<i64>,
) -> anyhow::Result<Range> {
    Ok(Range {
        from: match from {
            Some(time) => offsets::at_time(call.session, address, queue, time).await?,
            None => offsets::min(call.session, address, queue).await?,
        },
        to: match to {
            Some(time) => offsets::at_time(call.session, address, queue, time).await?,
            None => offsets::max(call.session, address, queue).await?,
        },
        show_messages: true,
        show_body: call.given.truth("d").unwrap_or(true),
        counts: None,
    })
}
