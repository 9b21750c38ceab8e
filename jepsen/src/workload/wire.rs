//! One attempt of each request, and what its outcome means.
//!
//! A connection that was never made, and a refusal that the server makes before it does anything,
//! are failures. Everything else that is not a success is unknown.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::{RemotingCommand, RequestCode};
use remoting::{ClientConfig, NoRequests, RemotingClient};
use serde_json::{Value, json};

use super::body;
use crate::cluster::{Plan, files};
use crate::history::{Answer, Ended, Placed};
use crate::net::Member;

/// How long a client waits. Shorter than RocketMQ's 3 s: a lane that waits measures nothing.
const PATIENCE: Duration = Duration::from_millis(2_000);

/// Response codes by which a server says that it did nothing: busy, unsupported, illegal message,
/// not available, no permission, no topic, no group, wrong parameter.
const REFUSALS: &[i32] = &[2, 3, 13, 14, 16, 17, 26, 29];

const SUCCESS: i32 = 0;
const PULL_NOT_FOUND: i32 = 19;
const PULL_RETRY_IMMEDIATELY: i32 = 20;
const PULL_OFFSET_MOVED: i32 = 21;
const QUERY_NOT_FOUND: i32 = 22;
const TOPIC_NOT_EXIST: i32 = 17;

/// Messages of one pull.
const PULL_MESSAGES: u32 = 32;

/// A client of the cluster.
#[derive(Clone, Debug)]
pub struct Wire {
    plan: Arc<Plan>,
    client: Arc<RemotingClient>,
}

/// What a message carries beside its value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra {
    /// RocketMQ's delay level, from 1; 0 is none.
    pub delay_level: u32,
}

impl Wire {
    /// A client with connections of its own.
    pub fn new(plan: Arc<Plan>) -> Self {
        let config = ClientConfig { connect_timeout: PATIENCE, ..ClientConfig::default() };
        Self { plan, client: Arc::new(RemotingClient::new(config, Arc::new(NoRequests))) }
    }

    async fn call(&self, member: Member, command: RemotingCommand) -> Result<RemotingCommand, Ended> {
        let address = self.plan.broker(member).to_string();
        match self.client.call(&address, command, PATIENCE).await {
            Ok(answer) => Ok(answer),
            Err(error) if error.is_unsent() => Err(Ended::Fail(error.to_string())),
            Err(error) => Err(Ended::Unknown(error.to_string())),
        }
    }

    /// The unique key of a value's message.
    pub fn key(value: u64) -> String {
        format!("{value:032X}")
    }

    /// The messages of a key; `None` if there is no answer that says so.
    pub async fn find(&self, member: Member, key: &str) -> Option<Vec<files::Kept>> {
        let request = RemotingCommand::request(RequestCode::QueryMessage)
            .with_ext("topic", &self.plan.topic)
            .with_ext("key", key)
            .with_ext("maxNum", "32")
            .with_ext("beginTimestamp", "0")
            .with_ext("endTimestamp", &i64::MAX.to_string());
        let answer = self.call(member, request).await.ok()?;
        match answer.code {
            SUCCESS => files::records(&answer.body),
            QUERY_NOT_FOUND => Some(Vec::new()),
            _ => None,
        }
    }

    /// Sends one message to one queue.
    pub async fn send(&self, member: Member, queue: u32, value: u64, bytes: usize, extra: Extra) -> Ended {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let mut properties = format!("UNIQ_KEY\u{1}{}\u{2}WAIT\u{1}true\u{2}", Self::key(value));
        if extra.delay_level > 0 {
            properties.push_str(&format!("DELAY\u{1}{}\u{2}", extra.delay_level));
        }
        let request = RemotingCommand::request(RequestCode::SendMessageV2)
            .with_ext("a", "JepsenProducers")
            .with_ext("b", &self.plan.topic)
            .with_ext("c", "TBW102")
            .with_ext("d", &self.plan.queues.to_string())
            .with_ext("e", &queue.to_string())
            .with_ext("f", "0")
            .with_ext("g", &now.to_string())
            .with_ext("h", "0")
            .with_ext("i", &properties)
            .with_ext("j", "0")
            .with_ext("k", "false")
            .with_ext("m", "false")
            .with_body(body::encode(value, bytes));
        match self.call(member, request).await {
            Ok(answer) if answer.code == SUCCESS => placed(&answer).map_or_else(
                || Ended::Unknown("the acknowledgement names no place".to_owned()),
                |placed| Ended::Ok(Answer::Placed(placed)),
            ),
            Ok(answer) => refused(&answer),
            Err(ended) => ended,
        }
    }

    /// Reads messages from an offset; does not wait for new ones.
    pub async fn pull(&self, member: Member, group: &str, queue: u32, from: u64) -> Ended {
        let request = RemotingCommand::request(RequestCode::PullMessage)
            .with_ext("consumerGroup", group)
            .with_ext("topic", &self.plan.topic)
            .with_ext("queueId", &queue.to_string())
            .with_ext("queueOffset", &from.to_string())
            .with_ext("maxMsgNums", &PULL_MESSAGES.to_string())
            .with_ext("sysFlag", "4")
            .with_ext("commitOffset", "0")
            .with_ext("suspendTimeoutMillis", "0")
            .with_ext("subVersion", "0")
            .with_ext("subscription", "*")
            .with_ext("expressionType", "TAG");
        let answer = match self.call(member, request).await {
            Ok(answer) => answer,
            Err(ended) => return ended,
        };
        let known = [SUCCESS, PULL_NOT_FOUND, PULL_RETRY_IMMEDIATELY, PULL_OFFSET_MOVED];
        let (Some(end), Some(min)) = (number(&answer, "maxOffset"), number(&answer, "minOffset")) else {
            return refused(&answer);
        };
        if !known.contains(&answer.code) {
            return refused(&answer);
        }
        let Some(kept) = files::records(&answer.body) else {
            return Ended::Ok(Answer::Batch { items: vec![(from, Answer::GARBLED)], end, min });
        };
        let items = kept.into_iter().map(|kept| (kept.offset, kept.value)).collect();
        Ended::Ok(Answer::Batch { items, end, min })
    }

    /// Asks where a queue ends.
    pub async fn tail(&self, member: Member, queue: u32) -> Ended {
        self.offset(member, RequestCode::GetMaxOffset, queue).await
    }

    /// Asks where a queue begins.
    pub async fn head(&self, member: Member, queue: u32) -> Ended {
        self.offset(member, RequestCode::GetMinOffset, queue).await
    }

    async fn offset(&self, member: Member, code: RequestCode, queue: u32) -> Ended {
        let request = RemotingCommand::request(code)
            .with_ext("topic", &self.plan.topic)
            .with_ext("queueId", &queue.to_string())
            .with_ext("committed", "true");
        match self.call(member, request).await {
            Ok(answer) if answer.code == SUCCESS => match number(&answer, "offset") {
                Some(offset) => Ended::Ok(Answer::End(offset)),
                None => Ended::Unknown("the answer has no offset".to_owned()),
            },
            Ok(answer) => refused(&answer),
            Err(ended) => ended,
        }
    }

    /// Commits a consumer offset, and waits for the answer.
    pub async fn commit(&self, member: Member, group: &str, queue: u32, offset: u64) -> Ended {
        let request = RemotingCommand::request(RequestCode::UpdateConsumerOffset)
            .with_ext("consumerGroup", group)
            .with_ext("topic", &self.plan.topic)
            .with_ext("queueId", &queue.to_string())
            .with_ext("commitOffset", &offset.to_string());
        self.done(member, request).await
    }

    /// Asks for a consumer offset.
    pub async fn committed(&self, member: Member, group: &str, queue: u32) -> Ended {
        let request = RemotingCommand::request(RequestCode::QueryConsumerOffset)
            .with_ext("consumerGroup", group)
            .with_ext("topic", &self.plan.topic)
            .with_ext("queueId", &queue.to_string())
            .with_ext("setZeroIfNotFound", "false");
        match self.call(member, request).await {
            Ok(answer) if answer.code == SUCCESS => match number(&answer, "offset") {
                Some(offset) => Ended::Ok(Answer::Value(Some(offset))),
                None => Ended::Unknown("the answer has no offset".to_owned()),
            },
            Ok(answer) if answer.code == QUERY_NOT_FOUND => Ended::Ok(Answer::Value(None)),
            Ok(answer) => refused(&answer),
            Err(ended) => ended,
        }
    }

    /// Sets the number of queues of a topic, making it if it is new.
    pub async fn set_topic(&self, member: Member, topic: &str, queues: u64) -> Ended {
        let queues = queues.to_string();
        let request = RemotingCommand::request(RequestCode::UpdateAndCreateTopic)
            .with_ext("topic", topic)
            .with_ext("defaultTopic", "TBW102")
            .with_ext("readQueueNums", &queues)
            .with_ext("writeQueueNums", &queues)
            .with_ext("perm", "6")
            .with_ext("topicFilterType", "SINGLE_TAG")
            .with_ext("topicSysFlag", "0")
            .with_ext("order", "false");
        self.done(member, request).await
    }

    /// Asks for the number of queues of a topic.
    pub async fn get_topic(&self, member: Member, topic: &str) -> Ended {
        let request = RemotingCommand::request(RequestCode::GetTopicConfig).with_ext("topic", topic);
        match self.call(member, request).await {
            Ok(answer) if answer.code == SUCCESS => {
                let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
                let config = body.as_ref().map(|body| body.get("topicConfig").unwrap_or(body));
                match config.and_then(|config| config.get("readQueueNums")?.as_u64()) {
                    Some(queues) => Ended::Ok(Answer::Value(Some(queues))),
                    None => Ended::Unknown("the answer has no topic configuration".to_owned()),
                }
            }
            Ok(answer) if answer.code == TOPIC_NOT_EXIST => Ended::Ok(Answer::Value(None)),
            Ok(answer) => refused(&answer),
            Err(ended) => ended,
        }
    }

    /// Makes a consumer group.
    pub async fn make_group(&self, member: Member, group: &str) -> Ended {
        let body = json!({
            "groupName": group, "consumeEnable": true, "consumeFromMinEnable": true, "consumeBroadcastEnable": true,
            "retryQueueNums": 1, "retryMaxTimes": 16, "brokerId": 0, "whichBrokerWhenConsumeSlowly": 1,
            "notifyConsumerIdsChangedEnable": true,
        });
        let request = RemotingCommand::request(RequestCode::UpdateAndCreateSubscriptionGroup);
        self.done(member, request.with_body(body.to_string().into_bytes())).await
    }

    /// Says that a consumer is alive and what it subscribes to.
    pub async fn heartbeat(&self, member: Member, client: &str, group: &str) -> Ended {
        let subscription = json!({
            "topic": self.plan.topic, "subString": "*", "tagsSet": [], "codeSet": [], "subVersion": 1,
            "classFilterMode": false, "expressionType": "TAG",
        });
        let consumer = json!({
            "groupName": group, "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING",
            "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET", "subscriptionDataSet": [subscription], "unitMode": false,
        });
        let body = json!({ "clientID": client, "consumerDataSet": [consumer], "producerDataSet": [] });
        let request = RemotingCommand::request(RequestCode::HeartBeat);
        self.done(member, request.with_body(body.to_string().into_bytes())).await
    }

    /// The members of a group, in order; `None` if the broker does not say.
    pub async fn group_members(&self, member: Member, group: &str) -> Option<Vec<String>> {
        let request =
            RemotingCommand::request(RequestCode::GetConsumerListByGroup).with_ext("consumerGroup", group);
        let answer = self.call(member, request).await.ok().filter(|answer| answer.code == SUCCESS)?;
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let ids = body.get("consumerIdList")?.as_array()?;
        let mut ids: Vec<String> = ids.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect();
        ids.sort();
        Some(ids)
    }

    /// Tries to lock queues for an orderly consumer; the ones that it holds now.
    pub async fn lock(&self, member: Member, client: &str, group: &str, queues: &[u32]) -> Option<Vec<u32>> {
        let answer = self
            .call(member, self.lock_request(RequestCode::LockBatchMq, client, group, queues))
            .await
            .ok()?;
        if answer.code != SUCCESS {
            return None;
        }
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let held = body.get("lockOKMQSet")?.as_array()?;
        Some(held.iter().filter_map(|queue| u32::try_from(queue.get("queueId")?.as_u64()?).ok()).collect())
    }

    /// Gives locks back.
    pub async fn unlock(&self, member: Member, client: &str, group: &str, queues: &[u32]) {
        let _ = self.call(member, self.lock_request(RequestCode::UnlockBatchMq, client, group, queues)).await;
    }

    fn lock_request(&self, code: RequestCode, client: &str, group: &str, queues: &[u32]) -> RemotingCommand {
        let queue =
            |queue: &u32| json!({ "topic": self.plan.topic, "brokerName": Plan::BROKER, "queueId": queue });
        let queues: Vec<Value> = queues.iter().map(queue).collect();
        let body =
            json!({ "clientId": client, "consumerGroup": group, "mqSet": queues, "onlyThisBroker": false });
        RemotingCommand::request(code).with_body(body.to_string().into_bytes())
    }

    async fn done(&self, member: Member, request: RemotingCommand) -> Ended {
        match self.call(member, request).await {
            Ok(answer) if answer.code == SUCCESS => Ended::Ok(Answer::Done),
            Ok(answer) => refused(&answer),
            Err(ended) => ended,
        }
    }
}

/// An answer that is not a success.
fn refused(answer: &RemotingCommand) -> Ended {
    let why = format!("{} {}", answer.code, answer.remark.as_deref().unwrap_or_default());
    if REFUSALS.contains(&answer.code) { Ended::Fail(why) } else { Ended::Unknown(why) }
}

fn number(answer: &RemotingCommand, key: &str) -> Option<u64> {
    answer.ext_fields.get(key)?.parse().ok()
}

/// Queue, offset and the physical offset in the last 16 digits of the id.
fn placed(answer: &RemotingCommand) -> Option<Placed> {
    let id = answer.ext_fields.get("msgId")?;
    let physical = u64::from_str_radix(id.get(id.len().checked_sub(16)?..)?, 16).ok()?;
    let queue = u32::try_from(number(answer, "queueId")?).ok()?;
    Some(Placed { queue, offset: number(answer, "queueOffset")?, physical })
}

#[cfg(test)]
mod tests {
    use protocol::ResponseCode;

    use super::*;

    #[test]
    fn a_place_is_read_from_an_acknowledgement() {
        let answer = RemotingCommand::response(ResponseCode::Success)
            .with_ext("msgId", "0A4E050A00002A9F00000000000001F4")
            .with_ext("queueId", "3")
            .with_ext("queueOffset", "7");
        assert_eq!(placed(&answer), Some(Placed { queue: 3, offset: 7, physical: 500 }));
        assert_eq!(placed(&RemotingCommand::response(ResponseCode::Success)), None);
    }

    #[test]
    fn only_refusals_are_failures() {
        let ended = |code| refused(&RemotingCommand::response(code));
        assert!(matches!(ended(ResponseCode::ServiceNotAvailable), Ended::Fail(_)));
        assert!(matches!(ended(ResponseCode::SystemBusy), Ended::Fail(_)));
        assert!(matches!(ended(ResponseCode::SystemError), Ended::Unknown(_)));
        assert!(matches!(ended(ResponseCode::FlushSlaveTimeout), Ended::Unknown(_)));
        assert!(matches!(ended(ResponseCode::FlushDiskTimeout), Ended::Unknown(_)));
    }
}
