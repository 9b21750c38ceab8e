//! `updateTopic`: creates or changes a topic at one master or at all of a cluster.

use protocol::body::TopicConfig;
use protocol::{perm, sys_flag};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::session::Session;
use crate::topics::{self, config_text, parse_attributes};

pub(crate) const COMMAND: Command = Command {
    name: "updateTopic",
    about: "Create or change a topic.",
    options: &[
        Opt::value("b", "brokerAddr", "at this broker").one_of(),
        Opt::value("c", "clusterName", "at every master of this cluster").one_of(),
        Opt::value("a", "attributes", "attributes: +a=b,+c=d,-e"),
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::value("r", "readQueueNums", "queues for reading, 8 unless told"),
        Opt::value("w", "writeQueueNums", "queues for writing, 8 unless told"),
        Opt::value("p", "perm", "permission: 2 write, 4 read, 6 both"),
        Opt::value("o", "order", "whether it is an ordered topic (true|false)"),
        Opt::value("u", "unit", "whether it is a unit topic (true|false)"),
        Opt::value("s", "hasUnitSub", "whether units subscribe to it (true|false)"),
    ],
    run: |call| Box::pin(run(call)),
};

/// Queues of a topic for which no number is given. Source: RocketMQ `UpdateTopicSubCommand`.
const QUEUES: i32 = 8;

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let config = config(&call)?;
    let masters = call.masters().await?;
    let is_single = call.given.has("b");
    let mut created = String::new();
    for address in &masters {
        topics::put(call.session, address, &config).await?;
        created += &format!("create topic to {address} success.\n");
    }
    let order = match config.order {
        true => Some(set_order(call.session, &config, &masters, is_single).await?),
        false => None,
    };
    let of = if is_single { "broker" } else { "cluster" };
    let ordered = order.map(|conf| format!("set {of} orderConf. isOrder=true, orderConf=[{conf}]\n"));
    let ordered = ordered.unwrap_or_default();
    let lines = if is_single { ordered + &created } else { created + &ordered };
    writeln!(call.out, "{lines}{}", config_text(&config))?;
    Ok(())
}

fn config(call: &Call<'_>) -> anyhow::Result<TopicConfig> {
    let given = call.given;
    let mut config = TopicConfig::new(
        given.need("t"),
        given.number("r")?.unwrap_or(QUEUES),
        given.number("w")?.unwrap_or(QUEUES),
        given.number("p")?.unwrap_or(perm::READ | perm::WRITE),
    );
    config.attributes = given.value("a").map(parse_attributes).unwrap_or_default();
    config.order = given.truth("o").unwrap_or_default();
    config.topic_sys_flag = unit_flags(given.truth("u"), given.truth("s"));
    Ok(config)
}

fn unit_flags(is_unit: Option<bool>, has_unit_sub: Option<bool>) -> i32 {
    let bit = |set: Option<bool>, bit: i32| if set.unwrap_or_default() { bit } else { 0 };
    bit(is_unit, sys_flag::topic::UNIT) | bit(has_unit_sub, sys_flag::topic::UNIT_SUBSCRIPTION)
}

/// Tells the name servers in which queues the order holds; answers what they were told of.
async fn set_order(
    session: &Session,
    config: &TopicConfig,
    masters: &[String],
    is_single: bool,
) -> anyhow::Result<String> {
    let mut told = String::new();
    for address in masters {
        let broker = session.name_of(address).await?;
        told = topics::with_broker(&told, &broker, config.write_queue_nums);
    }
    let whole = match topics::order_conf(session, &config.topic_name).await? {
        // What other brokers hold stays when only one was changed.
        Some(known) if is_single => told.split(';').fold(known, |whole, part| {
            let broker = part.split(':').next().unwrap_or(part);
            topics::with_broker(&whole, broker, config.write_queue_nums)
        }),
        _ => told.clone(),
    };
    topics::put_value(session, topics::ORDER_NAMESPACE, &config.topic_name, &whole).await?;
    Ok(told)
}
