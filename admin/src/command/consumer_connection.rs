//! `consumerConnection`: the members of a consumer group and what they subscribe to.

use protocol::body::ConsumerConnection;

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::{groups, version};

pub(crate) const COMMAND: Command = Command {
    name: "consumerConnection",
    about: "Show the members of a consumer group and their subscriptions.",
    options: &[
        Opt::value("g", "consumerGroup", "name of the group").required(),
        Opt::value("b", "brokerAddr", "ask this broker only"),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let group = call.given.need("g");
    let connection = match call.given.value("b") {
        Some(address) => groups::connection_at(call.session, address, group).await?,
        None => {
            let brokers = groups::brokers(call.session, group, None).await?;
            groups::connection(call.session, &brokers, group).await?
        }
    };
    call.out.write_all(table(&connection).as_bytes())?;
    Ok(())
}

fn table(connection: &ConsumerConnection) -> String {
    let row = |id: &str, address: &str, language: &str, version: &str| {
        format!("{id:<36} {address:<22} {language:<10} {version}\n")
    };
    let mut text = row("#ClientId", "#ClientAddr", "#Language", "#Version");
    for one in &connection.connection_set {
        text += &row(&one.client_id, &one.client_addr, one.language.name(), &version::name(one.version));
    }
    text += "\nBelow is subscription:\n";
    text += &format!("{:<20} {}\n", "#Topic", "#SubExpression");
    for (topic, subscription) in &connection.subscription_table {
        text += &format!("{topic:<20} {}\n", subscription.sub_string);
    }
    text += &format!("\nConsumeType: {}\n", connection.consume_type.map_or("null", |kind| kind.name()));
    text += &format!("MessageModel: {}\n", connection.message_model.map_or("null", |model| model.name()));
    text + &format!(
        "ConsumeFromWhere: {}\n",
        connection.consume_from_where.map_or("null", |place| place.name())
    )
}

#[cfg(test)]
mod tests {
    use protocol::LanguageCode;
    use protocol::body::{Connection, ConsumeFromWhere, ConsumeType, MessageModel, SubscriptionData};

    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn the_table_is_rocketmqs() {
        let all = |topic: &str| (topic.to_owned(), SubscriptionData::of_tags(topic, "*", 1).unwrap());
        let connection = ConsumerConnection {
            connection_set: vec![Connection {
                client_addr: "127.0.0.1:39952".to_owned(),
                client_id: "192.0.2.2@c1".to_owned(),
                language: LanguageCode::Java,
                version: 479,
            }],
            consume_from_where: Some(ConsumeFromWhere::ConsumeFromLastOffset),
            consume_type: Some(ConsumeType::ConsumePassively),
            message_model: Some(MessageModel::Clustering),
            subscription_table: [all("TopicA"), all("%RETRY%CG")].into(),
        };
        let expected = "\
#ClientId                            #ClientAddr            #Language  #Version
192.0.2.2@c1                         127.0.0.1:39952        JAVA       V5_3_3

Below is subscription:
#Topic               #SubExpression
%RETRY%CG            *
TopicA               *

ConsumeType: CONSUME_PASSIVELY
MessageModel: CLUSTERING
ConsumeFromWhere: CONSUME_FROM_LAST_OFFSET
";
        assert_eq!(table(&connection), expected);
    }
}
