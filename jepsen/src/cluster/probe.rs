//! Questions to servers that are not part of any history: who leads, is it ready, make a topic.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::{RemotingCommand, RequestCode};
use remoting::{ClientConfig, NoRequests, RemotingClient};
use serde_json::Value;

use super::plan::Plan;
use crate::net::Member;

/// A question that is not answered in this time is not answered.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// What a broker says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It leads its group.
    Leader,
    /// It follows.
    Follower,
}

/// Asks servers from outside.
#[derive(Clone, Debug)]
pub struct Probe {
    plan: Arc<Plan>,
    client: Arc<RemotingClient>,
}

impl Probe {
    /// A probe with connections of its own. Must be called on a tokio runtime.
    pub fn new(plan: Arc<Plan>) -> Self {
        let config = ClientConfig { connect_timeout: PATIENCE, ..ClientConfig::default() };
        Self { plan, client: Arc::new(RemotingClient::new(config, Arc::new(NoRequests))) }
    }

    /// Sends one command; `None` if there is no answer.
    pub async fn ask(&self, address: SocketAddr, command: RemotingCommand) -> Option<RemotingCommand> {
        self.client.call(&address.to_string(), command, PATIENCE).await.ok()
    }

    /// The runtime figures of a broker.
    pub async fn figures(&self, member: Member) -> Option<BTreeMap<String, String>> {
        let answer = self.ask(self.plan.broker(member), RemotingCommand::request(RequestCode::GetBrokerRuntimeInfo)).await?;
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let table = body.get("table")?.as_object()?;
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(table.iter().map(|(key, value)| (key.clone(), text(value))).collect())
    }

    /// What a broker says that it is, with its term.
    pub async fn role(&self, member: Member) -> Option<(Role, u64)> {
        let figures = self.figures(member).await?;
        role(&figures)
    }

    /// The replica with the highest term among those that say that they lead.
    pub async fn leader(&self) -> Option<Member> {
        if !self.plan.mode.is_raft() {
            return Some(0);
        }
        let mut roles = tokio::task::JoinSet::new();
        for member in self.plan.brokers() {
            let probe = self.clone();
            roles.spawn(async move { (member, probe.role(member).await) });
        }
        let mut best = None;
        while let Some(Ok((member, role))) = roles.join_next().await {
            if let Some((Role::Leader, term)) = role {
                best = best.max(Some((term, member)));
            }
        }
        best.map(|(_, member)| member)
    }

    /// The address that a name server gives for id 0 of the topic's broker.
    pub async fn master_in_route(&self, name_server: Member) -> Option<String> {
        let request = RemotingCommand::request(RequestCode::GetRouteInfoByTopic)
            .with_ext("topic", &self.plan.topic)
            .with_ext("acceptStandardJsonOnly", "true");
        let answer = self.ask(self.plan.name_server(name_server), request).await?;
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let brokers = body.get("brokerDatas")?.as_array()?;
        let address = brokers.first()?.get("brokerAddrs")?.get("0")?.as_str()?;
        Some(address.to_owned())
    }

    /// Makes or changes a topic; says whether the broker did it.
    pub async fn make_topic(&self, member: Member, topic: &str, queues: u32) -> bool {
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
        self.ask(self.plan.broker(member), request).await.is_some_and(|answer| answer.code == 0)
    }

    /// Asks a broker to delete the files that retention allows.
    pub async fn delete_expired(&self, member: Member) -> bool {
        let request = RemotingCommand::request(RequestCode::DeleteExpiredCommitLog);
        self.ask(self.plan.broker(member), request).await.is_some_and(|answer| answer.code == 0)
    }
}

/// Reads the role out of a broker's runtime figures.
fn role(figures: &BTreeMap<String, String>) -> Option<(Role, u64)> {
    let role = figures.get("raftRole").or_else(|| figures.get("brokerRole"))?;
    let term = figures.get("raftTerm").and_then(|term| term.parse().ok()).unwrap_or(0);
    match role.to_ascii_uppercase().as_str() {
        "LEADER" | "SYNC_MASTER" | "ASYNC_MASTER" => Some((Role::Leader, term)),
        _ => Some((Role::Follower, term)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_read_with_its_term() {
        let figures = |role: &str| BTreeMap::from([("raftRole".to_owned(), role.to_owned()), ("raftTerm".to_owned(), "7".to_owned())]);
        assert_eq!(role(&figures("LEADER")), Some((Role::Leader, 7)));
        assert_eq!(role(&figures("Candidate")), Some((Role::Follower, 7)));
        assert_eq!(role(&BTreeMap::new()), None);
    }
}
