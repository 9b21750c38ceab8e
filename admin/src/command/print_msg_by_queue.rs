//! `printMsgByQueue`: prints the messages of one queue, or counts them by tag.

use std::cell::RefCell;
use std::collections::BTreeMap;

use anyhow::bail;
use protocol::body::MessageQueue;

use super::print_msg::range;
use crate::call::{Call, Command};
use crate::message_text::printed;
use crate::offsets::{self, PullStatus};
use crate::options::Opt;
use crate::text::{now_millis, parse_time};

pub(crate) const COMMAND: Command = Command {
    name: "printMsgByQueue",
    about: "Print the messages of a queue, or count them by tag.",
    options: &[
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::value("a", "brokerName", "name of the broker").required(),
        Opt::value("i", "queueId", "the queue").required(),
        Opt::value("c", "charsetName", "character set of the bodies (UTF-8)"),
        Opt::value("s", "subExpression", "only these tags: TagA || TagB"),
        Opt::value("b", "beginTimestamp", "stored from this time on"),
        Opt::value("e", "endTimestamp", "stored up to this time"),
        Opt::value("p", "print msg", "whether to print messages (true|false), false unless told"),
        Opt::value("d", "printBody", "whether to print bodies (true|false), false unless told"),
        Opt::value("f", "calculate", "whether to count by tag (true|false), false unless told"),
    ],
    run: |call| Box::pin(run(call)),
};

/// What to print of one queue.
#[derive(Debug)]
pub(super) struct Range {
    /// First offset.
    pub from: i64,
    /// Offset after the last.
    pub to: i64,
    /// Whether messages are printed.
    pub show_messages: bool,
    /// Whether their bodies are.
    pub show_body: bool,
    /// Messages by tag, when they are to be counted.
    pub counts: Option<RefCell<BTreeMap<String, u64>>>,
}

async fn run(mut call: Call<'_>) -> anyhow::Result<()> {
    let given = call.given;
    let time = |key: &str| {
        given.value(key).map(|text| parse_time(text, now_millis(), &call.session.zone)).transpose()
    };
    let (from, to) = (time("b")?, time("e")?);
    let queue = MessageQueue::new(given.need("t"), given.need("a"), given.need_number("i")?);
    let address = call.session.address_of(&queue.broker_name).await?;
    let range = Range {
        show_messages: given.truth("p").unwrap_or_default(),
        show_body: given.truth("d").unwrap_or_default(),
        counts: given.truth("f").unwrap_or_default().then(RefCell::default),
        ..range(&call, &address, &queue, from, to).await?
    };
    print_range(&mut call, &address, &queue, &range).await?;
    if let Some(counts) = range.counts {
        call.out.write_all(tag_lines(&counts.into_inner()).as_bytes())?;
    }
    Ok(())
}

/// Prints a range of a queue to its end.
pub(super) async fn print_range(
    call: &mut Call<'_>,
    address: &str,
    queue: &MessageQueue,
    range: &Range,
) -> anyhow::Result<()> {
    let expression = call.given.value("s").unwrap_or("*");
    let mut offset = range.from;
    while offset < range.to {
        let pulled =
            offsets::pull(call.session, address, queue, expression, offset, range.to - offset).await?;
        match pulled.status {
            PullStatus::Found | PullStatus::NoMatchedMessage => {}
            PullStatus::NoNewMessage | PullStatus::OffsetIllegal => return Ok(()),
        }
        for message in &pulled.messages {
            if let Some(counts) = &range.counts {
                let tag = message.tags().unwrap_or_default().to_owned();
                *counts.borrow_mut().entry(tag).or_default() += 1;
            }
            if range.show_messages {
                let text = printed(&queue.broker_name, message, range.show_body);
                call.out.write_all(text.as_bytes())?;
            }
        }
        if pulled.next <= offset {
            bail!("{}: the broker wants to be asked for offset {offset} again", offsets::queue_text(queue));
        }
        offset = pulled.next;
    }
    Ok(())
}

/// Messages by tag, most frequent first.
fn tag_lines(counts: &BTreeMap<String, u64>) -> String {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    sorted.iter().map(|(tag, count)| format!("Tag: {tag:<30} Count: {count}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn tags_are_counted_in_rocketmqs_lines() {
        let counts = [("TagA".to_owned(), 1), ("TagB".to_owned(), 2)].into();
        assert_eq!(
            tag_lines(&counts),
            "Tag: TagB                           Count: 2\nTag: TagA                           Count: 1\n"
        );
    }
}
