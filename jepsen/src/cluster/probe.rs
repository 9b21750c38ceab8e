//! Questions to servers that are not part of any history: who leads, is it ready, make a topic.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::{RemotingCommand, RequestCode};
use remoting::{ClientConfig, NoRequests, RemotingClient};
use serde_json::Value;

use super::plan::{Plan, Service};
use crate::net::Member;

/// A question that is not answered in this time is not answered.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// A command that changes a group waits for the group.
const COMMAND_PATIENCE: Duration = Duration::from_secs(20);

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

    /// What a broker says that it is, with its term; `None` if it does not answer.
    pub async fn role(&self, member: Member) -> Option<(Role, u64)> {
        if !self.plan.mode.is_raft() {
            let request = RemotingCommand::request(RequestCode::GetBrokerRuntimeInfo);
            self.ask(self.plan.broker(member), request).await?;
            return Some((if member == 0 { Role::Leader } else { Role::Follower }, 0));
        }
        let answer =
            self.ask(self.plan.broker(member), RemotingCommand::request(RequestCode::RaftStatus)).await?;
        role(&serde_json::from_slice(&answer.body).ok()?)
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

    /// Asks the master to hand over; says whether it takes the command.
    pub async fn transfer(&self, leader: Member, to: Member) -> bool {
        let request = RemotingCommand::request(RequestCode::RaftTransferLeader);
        self.command(leader, request.with_ext("node", &self.plan.name(to))).await
    }

    /// Asks the master to go on without a replica.
    pub async fn remove_replica(&self, leader: Member, gone: Member) -> bool {
        let request = RemotingCommand::request(RequestCode::RaftRemoveReplica);
        self.command(leader, request.with_ext("node", &self.plan.name(gone))).await
    }

    /// Asks the master to take a replica, which it reaches through their own link.
    pub async fn add_replica(&self, leader: Member, new: Member) -> bool {
        let address = self.plan.route(leader, new, Service::Raft).listen.to_string();
        let request = RemotingCommand::request(RequestCode::RaftAddReplica)
            .with_ext("node", &self.plan.name(new))
            .with_ext("address", &address);
        self.command(leader, request).await
    }

    async fn command(&self, member: Member, request: RemotingCommand) -> bool {
        let address = self.plan.broker(member).to_string();
        let answer = self.client.call(&address, request, COMMAND_PATIENCE).await;
        answer.is_ok_and(|answer| answer.code == 0)
    }

    /// Asks a broker to delete the files that retention allows.
    pub async fn delete_expired(&self, member: Member) -> bool {
        let request = RemotingCommand::request(RequestCode::DeleteExpiredCommitLog);
        self.ask(self.plan.broker(member), request).await.is_some_and(|answer| answer.code == 0)
    }
}

/// Reads role and term out of a replica's status. A leader that is not ready does not serve yet.
fn role(status: &Value) -> Option<(Role, u64)> {
    let term = status.get("term").and_then(Value::as_u64).unwrap_or(0);
    let ready = status.get("ready").and_then(Value::as_bool).unwrap_or(true);
    match status.get("role")?.as_str()? {
        "LEADER" if ready => Some((Role::Leader, term)),
        _ => Some((Role::Follower, term)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_role_is_read_with_its_term() {
        let status = |role: &str, ready| json!({ "role": role, "term": 7, "ready": ready });
        assert_eq!(role(&status("LEADER", true)), Some((Role::Leader, 7)));
        assert_eq!(role(&status("LEADER", false)), Some((Role::Follower, 7)));
        assert_eq!(role(&status("CANDIDATE", false)), Some((Role::Follower, 7)));
        assert_eq!(role(&json!({})), None);
    }
}
