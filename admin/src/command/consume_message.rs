//! `consumeMessage`: prints the messages of a topic, without moving any group.

use anyhow::bail;
use protocol::body::MessageQueue;

use crate::call::{Call, Command};
use crate::message_text::printed;
use crate::offsets::{self, PullStatus, queue_text};
use crate::options::Opt;
use crate::text::{now_millis, parse_time};

pub(crate) const COMMAND: Command = Command {
    name: "consumeMessage",
    about: "Print messages of a topic.",
    options: &[
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::value("b", "brokerName", "only of this broker"),
        Opt::value("i", "queueId", "only of this queue, with -b"),
        Opt::value("o", "offset", "from this offset on, with -b and -i"),
        Opt::value("g", "consumerGroup", "taken for compatibility: no group is moved"),
        Opt::value("s", "beginTimestamp", "stored from this time on"),
        Opt::value("e", "endTimestamp", "stored up to this time"),
        Opt::value("c", "MessageNumber", "how many of each queue at most, 128 unless told"),
    ],
    run: |call| Box::pin(run(call)),
};

/// Messages of each queue. Source: RocketMQ `ConsumeMessageCommand`.
const MESSAGES_MAX: i64 = 128;

/// What to print of each queue.
struct Wanted {
    offset: Option<i64>,
    from: Option<i64>,
    to: Option<i64>,
    count: i64,
    /// Whether the operator named the queue.
    is_one_queue: bool,
}

async fn run(mut call: Call<'_>) -> anyhow::Result<()> {
    let (given, now) = (call.given, now_millis());
    let time = |key: &str| given.value(key).map(|text| parse_time(text, now, &call.session.zone)).transpose();
    let wanted = Wanted {
        offset: given.number("o")?,
        from: time("s")?,
        to: time("e")?,
        count: given.number("c")?.unwrap_or(MESSAGES_MAX),
        is_one_queue: given.has("i"),
    };
    let queue: Option<i32> = given.number("i")?;
    wanted.check(given.has("b"), queue.is_some(), now)?;
    let topic = given.need("t");
    let route = call.session.route(topic).await?;
    let addresses = crate::session::reachable(&route);
    let mut is_any = false;
    for one in offsets::readable_queues(topic, &route) {
        let is_wanted = given.value("b").is_none_or(|broker| broker == one.broker_name)
            && queue.is_none_or(|queue| queue == one.queue_id);
        if let Some(address) = addresses.get(&one.broker_name).filter(|_| is_wanted) {
            is_any = true;
            print_queue(&mut call, address, &one, &wanted).await?;
        }
    }
    if !is_any {
        bail!("topic {topic} has no such queue");
    }
    Ok(())
}

impl Wanted {
    /// What is said when a queue holds more; both spellings are RocketMQ's.
    fn cut_line(&self, queue: &MessageQueue) -> String {
        match self.is_one_queue {
            true => format!("The oldler {} message will be provided", self.count),
            false => {
                format!("The older {} message of the {} queue will be provided", self.count, queue.queue_id)
            }
        }
    }

    fn check(&self, has_broker: bool, has_queue: bool, now: i64) -> anyhow::Result<()> {
        if self.count <= 0 {
            bail!("Please input a positive messageNumber!");
        }
        if has_queue && !has_broker {
            bail!("Please set the brokerName before queueId!");
        }
        if self.offset.is_some() && !has_queue {
            bail!("Please set queueId before offset!");
        }
        if self.from.is_some_and(|from| from > now) {
            bail!("Please set the beginTimestamp before now!");
        }
        if self.to.is_some_and(|to| to > now) {
            bail!("Please set the endTimestamp before now!");
        }
        if self.from.zip(self.to).is_some_and(|(from, to)| from > to) {
            bail!("Please make sure that the beginTimestamp is less than or equal to the endTimestamp");
        }
        Ok(())
    }
}

async fn print_queue(
    call: &mut Call<'_>,
    address: &str,
    queue: &MessageQueue,
    wanted: &Wanted,
) -> anyhow::Result<()> {
    let session = call.session;
    let mut from = offsets::min(session, address, queue).await?;
    let mut to = offsets::max(session, address, queue).await?;
    if let Some(time) = wanted.from {
        from = offsets::at_time(session, address, queue, time).await?;
    }
    if let Some(time) = wanted.to {
        to = offsets::at_time(session, address, queue, time).await?;
    }
    if let Some(offset) = wanted.offset {
        if offset > to {
            writeln!(call.out, "{} no matched msg, offset={offset}", queue_text(queue))?;
            return Ok(());
        }
        from = offset.max(from);
    }
    if to - from > wanted.count {
        writeln!(call.out, "{}", wanted.cut_line(queue))?;
        to = from + wanted.count - 1;
    }
    print_from(call, address, queue, from, to).await
}

/// Prints what lies from one offset to another, both included.
async fn print_from(
    call: &mut Call<'_>,
    address: &str,
    queue: &MessageQueue,
    from: i64,
    to: i64,
) -> anyhow::Result<()> {
    let mut offset = from;
    while offset <= to {
        let pulled = offsets::pull(call.session, address, queue, "*", offset, to - offset + 1).await?;
        let (name, status) = (queue_text(queue), pulled.status.name());
        match pulled.status {
            PullStatus::Found => {
                writeln!(call.out, "Consume ok")?;
                for message in &pulled.messages {
                    call.out.write_all(printed(&queue.broker_name, message, true).as_bytes())?;
                }
            }
            PullStatus::NoMatchedMessage => {
                writeln!(call.out, "{name} no matched msg. status={status}, offset={offset}")?;
            }
            PullStatus::NoNewMessage | PullStatus::OffsetIllegal => {
                writeln!(call.out, "{name} print msg finished. status={status}, offset={offset}")?;
                return Ok(());
            }
        }
        if pulled.next <= offset {
            bail!("{name}: the broker wants to be asked for offset {offset} again");
        }
        offset = pulled.next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_told_in_rocketmqs_words() {
        let check = |wanted: Wanted, has_broker, has_queue| {
            wanted.check(has_broker, has_queue, 100).err().map(|error| error.to_string())
        };
        let wanted = |offset, from, to, count| Wanted { offset, from, to, count, is_one_queue: false };
        assert_eq!(check(wanted(None, None, None, 1), false, false), None);
        assert_eq!(
            check(wanted(None, None, None, 0), false, false).unwrap(),
            "Please input a positive messageNumber!"
        );
        assert_eq!(
            check(wanted(None, None, None, 1), false, true).unwrap(),
            "Please set the brokerName before queueId!"
        );
        assert_eq!(
            check(wanted(Some(1), None, None, 1), true, false).unwrap(),
            "Please set queueId before offset!"
        );
        assert!(check(wanted(None, Some(101), None, 1), false, false).is_some());
        assert!(check(wanted(None, None, Some(101), 1), false, false).is_some());
        assert!(check(wanted(None, Some(50), Some(40), 1), false, false).is_some());
    }
}
