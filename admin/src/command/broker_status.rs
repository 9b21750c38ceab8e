//! `brokerStatus`: the figures of one broker, or of all of a cluster.

use std::collections::BTreeMap;

use protocol::body::KVTable;
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "brokerStatus",
    about: "Show the figures of a broker.",
    options: &[
        Opt::value("b", "brokerAddr", "of this broker").one_of(),
        Opt::value("c", "clusterName", "of every broker of this cluster").one_of(),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let name_each = !call.given.has("b");
    for address in call.brokers().await? {
        let request = RemotingCommand::request(RequestCode::GetBrokerRuntimeInfo);
        let figures: KVTable = call.session.body_of(&address, request).await?;
        let text = lines(name_each.then_some(address.as_str()), &figures.table);
        call.out.write_all(text.as_bytes())?;
    }
    Ok(())
}

fn lines(address: Option<&str>, figures: &BTreeMap<String, String>) -> String {
    let prefix = address.map_or_else(String::new, |address| format!("{address:<24} "));
    figures.iter().map(|(key, value)| format!("{prefix}{key:<32}: {value}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn a_figure_is_rocketmqs_line() {
        let figures = [
            ("ackThreadPoolQueueHeadWaitTimeMills".to_owned(), "0".to_owned()),
            ("bootTimestamp".to_owned(), "1".to_owned()),
        ]
        .into();
        assert_eq!(
            lines(None, &figures),
            "ackThreadPoolQueueHeadWaitTimeMills: 0\nbootTimestamp                   : 1\n"
        );
        assert_eq!(
            lines(Some("127.0.0.1:20911"), &figures).lines().nth(1),
            Some("127.0.0.1:20911          bootTimestamp                   : 1")
        );
    }
}
