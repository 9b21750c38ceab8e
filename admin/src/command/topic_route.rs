//! `topicRoute`: where a topic lives.

use protocol::body::{QueueData, TopicRouteData};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::pretty;
use crate::text::java_map;

pub(crate) const COMMAND: Command = Command {
    name: "topicRoute",
    about: "Show the brokers and queues of a topic.",
    options: &[
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::flag("l", "list", "as a table instead of JSON"),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let route = call.session.route(call.given.need("t")).await?;
    let text = if call.given.has("l") { table(&route) } else { pretty::body(&route) + "\n" };
    call.out.write_all(text.as_bytes())?;
    Ok(())
}

fn table(route: &TopicRouteData) -> String {
    let mut brokers: Vec<_> = route.broker_datas.iter().collect();
    brokers.sort_by(|one, other| one.broker_name.cmp(&other.broker_name));
    let row = |cells: [&str; 6]| {
        let [cluster, broker, addresses, read, write, perm] = cells;
        format!("{cluster:<45} {broker:<32} {addresses:<50} {read:<10} {write:<11} {perm:<5}\n")
    };
    let mut text = row(["#ClusterName", "#BrokerName", "#BrokerAddrs", "#ReadQueue", "#WriteQueue", "#Perm"]);
    let (mut read, mut write) = (0, 0);
    for broker in brokers {
        let has = |data: &&QueueData| data.broker_name == broker.broker_name;
        let Some(queues) = route.queue_datas.iter().find(has) else { continue };
        read += queues.read_queue_nums;
        write += queues.write_queue_nums;
        text += &row([
            &broker.cluster,
            &broker.broker_name,
            &java_map(&broker.broker_addrs),
            &queues.read_queue_nums.to_string(),
            &queues.write_queue_nums.to_string(),
            &queues.perm.to_string(),
        ]);
    }
    text += &format!("{}\n", "-".repeat(158));
    let total =
        [&route.queue_datas.len().to_string(), "", &read.to_string(), &write.to_string()].map(str::to_owned);
    text + &row(["Total:", &total[0], &total[1], &total[2], &total[3], ""])
}

#[cfg(test)]
mod tests {
    use protocol::body::BrokerData;

    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn the_table_is_rocketmqs() {
        let broker_addrs = [(0, "127.0.0.1:20911".to_owned()), (1, "127.0.0.1:20921".to_owned())].into();
        let route = TopicRouteData {
            broker_datas: vec![BrokerData {
                broker_addrs,
                broker_name: "broker-a".to_owned(),
                cluster: "DefaultCluster".to_owned(),
                ..BrokerData::default()
            }],
            queue_datas: vec![QueueData {
                broker_name: "broker-a".to_owned(),
                perm: 6,
                read_queue_nums: 4,
                write_queue_nums: 4,
                ..QueueData::default()
            }],
            ..TopicRouteData::default()
        };
        let expected = [
            "#ClusterName                                  #BrokerName                      #BrokerAddrs                                       #ReadQueue #WriteQueue #Perm\n",
            "DefaultCluster                                broker-a                         {0=127.0.0.1:20911, 1=127.0.0.1:20921}             4          4           6    \n",
            "--------------------------------------------------------------------------------------------------------------------------------------------------------------\n",
            "Total:                                        1                                                                                   4          4                \n",
        ];
        assert_eq!(table(&route), expected.concat());
    }
}
