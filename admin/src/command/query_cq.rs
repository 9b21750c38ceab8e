//! `queryCq`: units of a consume queue, and what a group would take of them.

use anyhow::Context;
use protocol::body::{ConsumeQueueData, QueryConsumeQueueResponseBody};
use protocol::header::QueryConsumeQueueRequestHeader;
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::pretty;

pub(crate) const COMMAND: Command = Command {
    name: "queryCq",
    about: "Show units of a consume queue.",
    options: &[
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::value("q", "queue", "the queue").required(),
        Opt::value("i", "index", "offset in the queue").required(),
        Opt::value("c", "count", "how many units, 10 unless told"),
        Opt::value("b", "broker", "address of the broker"),
        Opt::value("g", "consumer", "also judge them for this group"),
    ],
    run: |call| Box::pin(run(call)),
};

const UNITS: i32 = 10;
const RULE: &str = "======================================\n";

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let (given, topic) = (call.given, call.given.need("t"));
    let header = QueryConsumeQueueRequestHeader {
        topic: Some(topic.into()),
        queue_id: given.need_number("q")?,
        index: given.need_number("i")?,
        count: given.number("c")?.unwrap_or(UNITS),
        consumer_group: given.value("g").map(Into::into),
    };
    let address = match given.value("b") {
        Some(address) => address.to_owned(),
        None => call.session.brokers_of(topic).await?.into_values().next().context("No topic route data!")?,
    };
    let request = RemotingCommand::request_with(RequestCode::QueryConsumeQueue, &header);
    let units: QueryConsumeQueueResponseBody = call.session.body_of(&address, request).await?;
    call.out.write_all(text(&units, header.index).as_bytes())?;
    Ok(())
}

fn text(units: &QueryConsumeQueueResponseBody, index: i64) -> String {
    let mut text = String::new();
    if let Some(subscription) = &units.subscription_data {
        text += &format!("Subscription data: \n{}\n{RULE}", pretty::body(subscription));
        text += &format!("Filter data: \n{}\n{RULE}", units.filter_data.as_deref().unwrap_or("null"));
    }
    text += &format!("Queue data: \nmax: {}, min: {}\n{RULE}", units.max_queue_index, units.min_queue_index);
    for (at, unit) in (index..).zip(units.queue_data.iter().flatten()) {
        text += &format!("idx: {at}\n{}\n{RULE}", unit_text(unit));
    }
    text
}

fn unit_text(unit: &ConsumeQueueData) -> String {
    let or_null = |text: &Option<String>| text.clone().unwrap_or_else(|| "null".to_owned());
    format!(
        "ConsumeQueueData{{physicOffset={}, physicSize={}, tagsCode={}, extendDataJson='{}', bitMap='{}', eval={}, msg='{}'}}",
        unit.physic_offset,
        unit.physic_size,
        unit.tags_code,
        or_null(&unit.extend_data_json),
        or_null(&unit.bit_map),
        unit.eval,
        or_null(&unit.msg)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn units_are_rocketmqs() {
        let units = QueryConsumeQueueResponseBody {
            max_queue_index: 2,
            queue_data: Some(vec![ConsumeQueueData {
                physic_offset: 526,
                physic_size: 261,
                tags_code: 2_598_919,
                ..ConsumeQueueData::default()
            }]),
            ..QueryConsumeQueueResponseBody::default()
        };
        let expected = [
            "Queue data: \nmax: 2, min: 0\n======================================\nidx: 0\n",
            "ConsumeQueueData{physicOffset=526, physicSize=261, tagsCode=2598919, extendDataJson='null', bitMap='null', eval=false, msg='null'}\n",
            "======================================\n",
        ];
        assert_eq!(text(&units, 0), expected.concat());
    }
}
