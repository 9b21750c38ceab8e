//! `producerConnection`: the members of a producer group.

use anyhow::Context;
use protocol::body::{Connection, ProducerConnection};
use protocol::header::GetProducerConnectionListRequestHeader;
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::version;

pub(crate) const COMMAND: Command = Command {
    name: "producerConnection",
    about: "Show the members of a producer group.",
    options: &[
        Opt::value("g", "producerGroup", "name of the group").required(),
        Opt::value("t", "topic", "a topic that it sends to").required(),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let topic = call.given.need("t");
    let header = GetProducerConnectionListRequestHeader { producer_group: call.given.need("g").into() };
    let brokers = call.session.brokers_of(topic).await?;
    let address = brokers.values().next().with_context(|| format!("topic {topic} has no broker"))?;
    let request = RemotingCommand::request_with(RequestCode::GetProducerConnectionList, &header);
    let connection: ProducerConnection = call.session.body_of(address, request).await?;
    for (at, one) in connection.connection_set.iter().enumerate() {
        call.out.write_all(line(at + 1, one).as_bytes())?;
    }
    Ok(())
}

fn line(number: usize, one: &Connection) -> String {
    format!(
        "{number:04}  {:<32} {:<22} {:<8} {}\n",
        one.client_id,
        one.client_addr,
        one.language.name(),
        version::name(one.version)
    )
}

#[cfg(test)]
mod tests {
    use protocol::LanguageCode;

    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn a_producer_is_rocketmqs_line() {
        let one = Connection {
            client_addr: "127.0.0.1:39956".to_owned(),
            client_id: "192.0.2.2@prod".to_owned(),
            language: LanguageCode::Java,
            version: 479,
        };
        assert_eq!(
            line(1, &one),
            "0001  192.0.2.2@prod                   127.0.0.1:39956        JAVA     V5_3_3\n"
        );
    }
}
