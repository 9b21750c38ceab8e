//! `clusterList`: every broker with its load, or with its daily totals.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::body::{ClusterInfo, KVTable};
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::text::{fixed, now_millis};

pub(crate) const COMMAND: Command = Command {
    name: "clusterList",
    about: "List the brokers of clusters with their load.",
    options: &[
        Opt::flag("m", "moreStats", "messages of yesterday and today instead of load"),
        Opt::value("i", "interval", "print again every so many seconds"),
        Opt::value("c", "clusterName", "only this cluster"),
    ],
    run: |call| Box::pin(run(call)),
};

const MS_PER_HOUR: f64 = 3_600_000.0;

type Figures = BTreeMap<String, String>;

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let interval: Option<u64> = call.given.number("i")?;
    loop {
        let info = call.session.cluster_info().await?;
        let header = if call.given.has("m") { totals_header() } else { load_header() };
        call.out.write_all(header.as_bytes())?;
        for (cluster, broker, id, address) in replicas(&info, call.given.value("c")) {
            let request = RemotingCommand::request(RequestCode::GetBrokerRuntimeInfo);
            // A broker that does not answer stays in the list, with empty figures: that it is there is what matters.
            let figures = call.session.body_of::<KVTable>(&address, request).await.unwrap_or_default().table;
            let line = match call.given.has("m") {
                true => totals_line(&cluster, &broker, &figures),
                false => load_line(&cluster, &broker, id, &address, &figures, now_millis()),
            };
            call.out.write_all(line.as_bytes())?;
        }
        call.out.flush()?;
        let Some(seconds) = interval.filter(|seconds| *seconds > 0) else { return Ok(()) };
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

/// Cluster, broker name, broker id and address of every process.
fn replicas(info: &ClusterInfo, only: Option<&str>) -> Vec<(String, String, i64, String)> {
    let mut found = Vec::new();
    for (cluster, names) in &info.cluster_addr_table {
        if only.is_some_and(|only| only != cluster) {
            continue;
        }
        for broker in names.iter().filter_map(|name| info.broker_addr_table.get(name)) {
            let entry = |(id, address): (&i64, &String)| {
                (cluster.clone(), broker.broker_name.clone(), *id, address.clone())
            };
            found.extend(broker.broker_addrs.iter().map(entry));
        }
    }
    found
}

fn load_header() -> String {
    format!(
        "{:<22}  {:<22}  {:<4}  {:<22} {:<16}  {:>16}  {:>30}  {:<22}  {:<11}  {:<12}  {:<8}  {:<10}\n",
        "#Cluster Name",
        "#Broker Name",
        "#BID",
        "#Addr",
        "#Version",
        "#InTPS(LOAD)",
        "#OutTPS(LOAD)",
        "#Timer(Progress)",
        "#PCWait(ms)",
        "#Hour",
        "#SPACE",
        "#ACTIVATED",
    )
}

fn load_line(cluster: &str, broker: &str, id: i64, address: &str, figures: &Figures, now: i64) -> String {
    let text = |key: &str| figures.get(key).map_or("", String::as_str);
    let number = |key: &str| text(key).parse::<f64>().unwrap_or_default();
    // Three spans separated by blanks: the first is the last ten seconds.
    let rate = |key: &str| text(key).split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0);
    let or_n = |key: &str| figures.get(key).map_or("N", String::as_str);
    let incoming = format!(
        "{:>9}({},{}ms)",
        fixed(rate("putTps"), 2),
        text("sendThreadPoolQueueSize"),
        text("sendThreadPoolQueueHeadWaitTimeMills")
    );
    let outgoing = format!(
        "{:>9}({},{}ms|{},{}ms)",
        fixed(rate("getTransferredTps"), 2),
        text("pullThreadPoolQueueSize"),
        text("pullThreadPoolQueueHeadWaitTimeMills"),
        or_n("ackThreadPoolQueueSize"),
        or_n("ackThreadPoolQueueHeadWaitTimeMills")
    );
    let timer = format!(
        "{}-{}({}w, {}, {})",
        number("timerReadBehind"),
        number("timerOffsetBehind"),
        fixed(number("timerCongestNum") / 10_000.0, 1),
        fixed(number("timerEnqueueTps"), 1),
        fixed(number("timerDequeueTps"), 1)
    );
    let hours = match text("earliestMessageTimeStamp").parse::<i64>() {
        #[expect(clippy::cast_precision_loss, reason = "hours are shown with two decimals")]
        Ok(earliest @ 1..) => (now - earliest) as f64 / MS_PER_HOUR,
        _ => 0.0,
    };
    format!(
        "{cluster:<22}  {broker:<22}  {id:<4}  {address:<22} {:<16}  {incoming:>16}  {outgoing:>30}  {timer:<22}  {:>11}  \
         {:<12}  {:<8}  {:>10}\n",
        text("brokerVersionDesc"),
        text("pageCacheLockTimeMills"),
        fixed(hours, 2),
        fixed(number("commitLogDiskRatio"), 4),
        text("brokerActive") == "true",
    )
}

fn totals_header() -> String {
    format!(
        "{:<16}  {:<32} {:>14} {:>14} {:>14} {:>14}\n",
        "#Cluster Name", "#Broker Name", "#InTotalYest", "#OutTotalYest", "#InTotalToday", "#OutTotalToday"
    )
}

fn totals_line(cluster: &str, broker: &str, figures: &Figures) -> String {
    let number = |key: &str| figures.get(key).and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
    let between = |from: &str, to: &str| number(to).saturating_sub(number(from));
    format!(
        "{cluster:<16}  {broker:<32} {:>14} {:>14} {:>14} {:>14}\n",
        between("msgPutTotalYesterdayMorning", "msgPutTotalTodayMorning"),
        between("msgGetTotalYesterdayMorning", "msgGetTotalTodayMorning"),
        between("msgPutTotalTodayMorning", "msgPutTotalTodayNow"),
        between("msgGetTotalTodayMorning", "msgGetTotalTodayNow"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(pairs: &[(&str, &str)]) -> Figures {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn the_load_of_a_broker_is_rocketmqs_line() {
        let figures = figures(&[
            ("brokerActive", "true"),
            ("brokerVersionDesc", "V5_3_3"),
            ("putTps", "0.099 0.0 "),
            ("getTransferredTps", "0.0 0.0 "),
            ("sendThreadPoolQueueSize", "0"),
            ("sendThreadPoolQueueHeadWaitTimeMills", "0"),
            ("pullThreadPoolQueueSize", "0"),
            ("pullThreadPoolQueueHeadWaitTimeMills", "0"),
            ("ackThreadPoolQueueSize", "0"),
            ("ackThreadPoolQueueHeadWaitTimeMills", "0"),
            ("pageCacheLockTimeMills", "0"),
            ("earliestMessageTimeStamp", "1795376189757"),
            ("commitLogDiskRatio", "0.19"),
            ("timerReadBehind", "0"),
            ("timerOffsetBehind", "0"),
            ("timerCongestNum", "0"),
            ("timerEnqueueTps", "0.0"),
            ("timerDequeueTps", "0.0"),
        ]);
        assert_eq!(
            load_header(),
            "#Cluster Name           #Broker Name            #BID  #Addr                  #Version              \
             #InTPS(LOAD)                   #OutTPS(LOAD)  #Timer(Progress)        #PCWait(ms)  #Hour         \
             #SPACE    #ACTIVATED\n"
        );
        assert_eq!(
            load_line("DefaultCluster", "broker-a", 0, "127.0.0.1:20911", &figures, 1_795_376_193_000),
            "DefaultCluster          broker-a                0     127.0.0.1:20911        V5_3_3                 \
             0.10(0,0ms)               0.00(0,0ms|0,0ms)  0-0(0.0w, 0.0, 0.0)               0  0.00          \
             0.1900          true\n"
        );
    }

    #[test]
    fn a_broker_that_says_nothing_is_still_listed() {
        let line = load_line("C", "b", 1, "h:1", &Figures::new(), 0);
        assert!(line.starts_with("C                       b                       1     h:1 "), "{line}");
        assert!(line.ends_with("false\n"), "{line}");
    }

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn the_totals_of_a_broker_are_rocketmqs_line() {
        assert_eq!(
            totals_header(),
            "#Cluster Name     #Broker Name                       #InTotalYest  #OutTotalYest  #InTotalToday #OutTotalToday\n"
        );
        assert_eq!(
            totals_line("DefaultCluster", "broker-a", &figures(&[("msgPutTotalTodayNow", "1")])),
            "DefaultCluster    broker-a                                      0              0              1              0\n"
        );
    }
}
