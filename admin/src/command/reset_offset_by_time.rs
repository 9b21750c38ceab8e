//! `resetOffsetByTime`: takes a group to a point in time, online or not.

use std::collections::BTreeMap;

use protocol::ResponseCode;
use protocol::body::MessageQueue;
use protocol::header::ResetOffsetRequestHeader;

use crate::call::{Call, Command};
use crate::offsets;
use crate::options::Opt;
use crate::session::{Session, reachable};
use crate::text::{front, now_millis, parse_time};

pub(crate) const COMMAND: Command = Command {
    name: "resetOffsetByTime",
    about: "Take a consumer group to a point in time.",
    options: &[
        Opt::value("g", "group", "name of the group").required(),
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::value("s", "timestamp", "now, -1 (the end), milliseconds, or yyyy-MM-dd#HH:mm:ss:SSS")
            .required(),
        Opt::value("f", "force", "whether the group may be taken forward too (true|false), true unless told"),
        Opt::flag("c", "cplus", "the clients are C++; taken for compatibility"),
        Opt::value("b", "broker", "with -q and -o: address of the one broker"),
        Opt::value("q", "queue", "with -b: the one queue"),
        Opt::value("o", "offset", "with -b and -q: the offset itself"),
    ],
    run: |call| Box::pin(run(call)),
};

/// All queues of a topic. Source: RocketMQ `ResetOffsetRequestHeader.queueId`.
const ALL_QUEUES: i32 = -1;
/// The end of a queue.
const AT_END: i64 = -1;

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let given = call.given;
    let (group, topic, typed) = (given.need("g"), given.need("t"), given.need("s"));
    let timestamp = parse_time(typed, now_millis(), &call.session.zone)?;
    let is_force = given.truth("f").unwrap_or(true);
    if let (Some(broker), Some(queue)) = (given.value("b"), given.number::<i32>("q")?) {
        writeln!(
            call.out,
            "start reset consumer offset by specified, group[{group}], topic[{topic}], queueId[{queue}], \
             broker[{broker}], timestamp(string)[{typed}], timestamp(long)[{timestamp}]"
        )?;
        let target = Target { session: call.session, group, topic, timestamp, is_force };
        let offset = target.reset_queue(broker, queue, given.number("o")?).await?;
        writeln!(call.out, "reset consumer offset to {offset}")?;
        return Ok(());
    }
    writeln!(
        call.out,
        "start reset consumer offset by specified, group[{group}], topic[{topic}], force[{is_force}], \
         timestamp(string)[{typed}], timestamp(long)[{timestamp}]"
    )?;
    let done = reset(call.session, group, topic, timestamp, is_force).await?;
    call.out.write_all(table(&done).as_bytes())?;
    Ok(())
}

/// Takes a group to a point in time in all queues of a topic; -1 is the end.
pub(super) async fn reset(
    session: &Session,
    group: &str,
    topic: &str,
    timestamp: i64,
    is_force: bool,
) -> anyhow::Result<BTreeMap<MessageQueue, i64>> {
    Target { session, group, topic, timestamp, is_force }.reset_all().await
}

struct Target<'a> {
    session: &'a Session,
    group: &'a str,
    topic: &'a str,
    timestamp: i64,
    is_force: bool,
}

impl Target<'_> {
    async fn reset_all(&self) -> anyhow::Result<BTreeMap<MessageQueue, i64>> {
        let route = self.session.route(self.topic).await?;
        let mut done = BTreeMap::new();
        for (broker, address) in reachable(&route) {
            match offsets::reset(self.session, &address, &self.header(ALL_QUEUES, None)).await {
                Ok(body) => done.extend(body.offset_table),
                // A broker that can only tell its clients, and has none, lets us write the offsets ourselves.
                Err(error) if error.is(ResponseCode::ConsumerNotOnline) => {
                    let queues = offsets::readable_queues(self.topic, &route);
                    for queue in queues.into_iter().filter(|queue| queue.broker_name == broker) {
                        let offset = self.wanted(&address, &queue).await?;
                        offsets::set_consumed(self.session, &address, self.group, &queue, offset).await?;
                        done.insert(queue, offset);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }

    async fn reset_queue(&self, address: &str, queue: i32, offset: Option<i64>) -> anyhow::Result<i64> {
        let queue = MessageQueue::new(self.topic, "", queue);
        let offset = match offset {
            Some(offset) => offset,
            None => self.wanted(address, &queue).await?,
        };
        offsets::set_consumed(self.session, address, self.group, &queue, offset).await?;
        match offsets::reset(self.session, address, &self.header(queue.queue_id, Some(offset))).await {
            // The offset is written; who is not online has nothing in hand that would overwrite it.
            Err(error) if error.is(ResponseCode::ConsumerNotOnline) => {}
            outcome => drop(outcome?),
        }
        Ok(offset)
    }

    async fn wanted(&self, address: &str, queue: &MessageQueue) -> anyhow::Result<i64> {
        Ok(match self.timestamp {
            AT_END => offsets::max(self.session, address, queue).await?,
            timestamp => offsets::at_time(self.session, address, queue, timestamp).await?,
        })
    }

    fn header(&self, queue_id: i32, offset: Option<i64>) -> ResetOffsetRequestHeader {
        ResetOffsetRequestHeader {
            group: self.group.into(),
            topic: self.topic.into(),
            queue_id,
            offset,
            timestamp: self.timestamp,
            is_force: self.is_force,
        }
    }
}

/// The queues with their new offsets.
pub(super) fn table(done: &BTreeMap<MessageQueue, i64>) -> String {
    let mut text = format!("{:<40}  {:<40}  {:<40}\n", "#brokerName", "#queueId", "#offset");
    for (queue, offset) in done {
        text += &format!("{:<40}  {:<40}  {offset:<40}\n", front(&queue.broker_name, 32), queue.queue_id);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn the_table_is_rocketmqs() {
        let done = [(MessageQueue::new("TopicA", "broker-a", 3), 3)].into();
        let expected = [
            "#brokerName                               #queueId                                  #offset                                 \n",
            "broker-a                                  3                                         3                                       \n",
        ];
        assert_eq!(table(&done), expected.concat());
    }
}
