//! `updateTopicPerm`: changes whether a topic may be read and written.

use anyhow::{Context, bail};
use protocol::body::{QueueData, TopicConfig};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::session::MASTER_ID;
use crate::topics::{self, config_text};

pub(crate) const COMMAND: Command = Command {
    name: "updateTopicPerm",
    about: "Change the permission of a topic.",
    options: &[
        Opt::value("b", "brokerAddr", "at this broker").one_of(),
        Opt::value("c", "clusterName", "at every master of this cluster").one_of(),
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::value("p", "perm", "permission: 2 write, 4 read, 6 both").required(),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let (topic, perm) = (call.given.need("t"), call.given.need_number("p")?);
    let route = call.session.route(topic).await?;
    let single = call.given.value("b");
    for address in call.masters().await? {
        let has = |broker: &&protocol::body::BrokerData| {
            broker.broker_addrs.get(&MASTER_ID).is_some_and(|master| *master == address)
        };
        let Some(broker) = route.broker_datas.iter().find(has) else {
            match single {
                Some(_) => bail!("updateTopicPerm error broker not exit or broker is not master!"),
                None => continue,
            }
        };
        let of_broker = |data: &&QueueData| data.broker_name == broker.broker_name;
        let queues =
            route.queue_datas.iter().find(of_broker).context("the route names a broker without queues")?;
        if queues.perm == perm {
            writeln!(call.out, "new perm equals to the old one!")?;
            continue;
        }
        let config = config(topic, queues, perm);
        topics::put(call.session, &address, &config).await?;
        writeln!(call.out, "update topic perm from {} to {perm} in {address} success.", queues.perm)?;
        if single.is_some() {
            writeln!(call.out, "{}.", config_text(&config))?;
        }
    }
    Ok(())
}

/// The topic as the route shows it, with another permission.
fn config(topic: &str, queues: &QueueData, perm: i32) -> TopicConfig {
    TopicConfig {
        topic_sys_flag: queues.topic_sys_flag,
        ..TopicConfig::new(topic, queues.read_queue_nums, queues.write_queue_nums, perm)
    }
}
