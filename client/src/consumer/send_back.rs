//! Giving a message that was not consumed back: by the broker's own request, else by sending a copy.

use std::time::Duration;

use protocol::body::MessageQueue;
use protocol::header::ConsumerSendMsgBackRequestHeader;
use protocol::message::MessageExt;
use protocol::{RemotingCommand, RequestCode, properties, topic};

use super::Consumer;
use super::assigned::signed;
use crate::error::ClientError;
use crate::message::Message;

/// Time for the request. Source: RocketMQ 5.3.3 `DefaultMQPushConsumerImpl.sendMessageBack`.
const SEND_BACK_TIMEOUT: Duration = Duration::from_secs(5);

/// Failures after which a message goes to the dead letters. Source: RocketMQ 5.3.3 `getMaxReconsumeTimes`.
const RECONSUME_TIMES_MAX: i32 = 16;

/// The delay level of a first retry: 10 s. Source: RocketMQ 5.3.3 `DefaultMQPushConsumerImpl`.
const FIRST_DELAY_LEVEL: i32 = 3;

impl Consumer {
    /// Gives a message back; it comes again through the group's retry topic.
    pub(crate) async fn send_back(
        &self,
        message: &MessageExt,
        queue: &MessageQueue,
        delay_level: i32,
    ) -> Result<(), ClientError> {
        match self.ask_to_take_back(message, queue, delay_level).await {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::debug!(?queue, %error, "broker does not take a message back; sending a copy");
                self.send_retry(message).await
            }
        }
    }

    async fn ask_to_take_back(
        &self,
        message: &MessageExt,
        queue: &MessageQueue,
        delay_level: i32,
    ) -> Result<(), ClientError> {
        let header = ConsumerSendMsgBackRequestHeader {
            offset: signed(message.physical_offset),
            group: self.group().into(),
            delay_level,
            origin_msg_id: Some(message.message_id().into()),
            origin_topic: Some(message.topic.as_str().into()),
            unit_mode: false,
            max_reconsume_times: Some(self.reconsume_times_max()),
        };
        let address = self.core.master(&queue.broker_name, &queue.topic).await?;
        let request = RemotingCommand::request_with(RequestCode::ConsumerSendMsgBack, &header);
        self.core.ask(&address, request, SEND_BACK_TIMEOUT).await?;
        Ok(())
    }

    /// Sends a copy to the group's retry topic; the broker moves it to the dead letters when it failed too often.
    pub(crate) async fn send_retry(&self, message: &MessageExt) -> Result<(), ClientError> {
        let reconsume_times = message.reconsume_times.saturating_add(1);
        let mut copy = Message::new(topic::retry_topic(self.group()), message.body.clone());
        copy.flag = message.flag;
        copy.properties = message.properties.clone();
        // The copy is another message.
        copy.properties.remove(properties::UNIQ_KEY);
        if !copy.properties.contains(properties::RETRY_TOPIC) {
            copy.properties.set(properties::RETRY_TOPIC, message.topic.as_str());
        }
        if !copy.properties.contains(properties::ORIGIN_MESSAGE_ID) {
            copy.properties.set(properties::ORIGIN_MESSAGE_ID, message.message_id());
        }
        let level = FIRST_DELAY_LEVEL.saturating_add(message.reconsume_times);
        copy.properties.set(properties::DELAY, level.to_string());
        self.sender.send_retry(copy, reconsume_times, Some(self.reconsume_times_max())).await?;
        Ok(())
    }

    fn reconsume_times_max(&self) -> i32 {
        let configured = self.config.reconsume_times_max;
        if configured < 0 { RECONSUME_TIMES_MAX } else { configured }
    }
}
