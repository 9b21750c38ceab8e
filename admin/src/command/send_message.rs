//! `sendMessage`: sends one message.

use anyhow::bail;
use client::{Client, ClientConfig, Message, MessageQueue, Producer, ProducerConfig, SendStatus};

use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "sendMessage",
    about: "Send a message.",
    options: &[
        Opt::value("t", "topic", "name of the topic").required(),
        Opt::value("p", "body", "body of the message").required(),
        Opt::value("k", "key", "its keys"),
        Opt::value("c", "tags", "its tag"),
        Opt::value("b", "broker", "name of the broker, with -i"),
        Opt::value("i", "qid", "the queue, with -b"),
    ],
    run: |call| Box::pin(run(call)),
};

/// The producer group of tools. Source: RocketMQ `SendMessageCommand` takes a new one each time.
const GROUP: &str = "TOOLS_PRODUCER";

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let given = call.given;
    let queue = match (given.value("b"), given.number("i")?) {
        (Some(broker), Some(id)) => Some(MessageQueue::new(given.need("t"), broker, id)),
        (None, Some(_)) => bail!("Broker name must be set if the queue is chosen!"),
        (_, None) => None,
    };
    let mut message = Message::new(given.need("t"), given.need("p").as_bytes().to_vec());
    if let Some(keys) = given.value("k") {
        message = message.with_keys(&[keys]);
    }
    if let Some(tag) = given.value("c") {
        message = message.with_tag(tag);
    }
    let name_servers = call.session.name_servers()?.join(";");
    let client = Client::start(ClientConfig::new(&name_servers))?;
    let producer = Producer::start(&client, ProducerConfig::new(GROUP))?;
    let sent = match &queue {
        Some(queue) => producer.send_to(message, queue).await,
        None => producer.send(message).await,
    };
    producer.stop().await;
    client.stop().await;
    let sent = sent?;
    writeln!(call.out, "{}", line("#Broker Name", "#QID", "#Send Result", "#MsgId"))?;
    let queue_id = sent.queue.queue_id.to_string();
    writeln!(call.out, "{}", line(&sent.queue.broker_name, &queue_id, name(sent.status), sent.message_id()))?;
    Ok(())
}

fn name(status: SendStatus) -> &'static str {
    match status {
        SendStatus::Ok => "SEND_OK",
        SendStatus::FlushDiskTimeout => "FLUSH_DISK_TIMEOUT",
        SendStatus::FlushSlaveTimeout => "FLUSH_SLAVE_TIMEOUT",
        SendStatus::SlaveNotAvailable => "SLAVE_NOT_AVAILABLE",
    }
}

fn line(broker: &str, queue: &str, status: &str, id: &str) -> String {
    format!("{broker:<32}  {queue:<4}  {status:<20}    {id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn the_table_is_rocketmqs() {
        assert_eq!(
            line("#Broker Name", "#QID", "#Send Result", "#MsgId"),
            "#Broker Name                      #QID  #Send Result            #MsgId"
        );
        assert_eq!(
            line("broker-a", "3", name(SendStatus::Ok), "FD00"),
            "broker-a                          3     SEND_OK                 FD00"
        );
    }
}
