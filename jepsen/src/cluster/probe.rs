//! Questions to servers that are not part of any workload: who leads, is it ready, make a topic.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::{RemotingCommand, RequestCode};
use remoting::{ClientConfig, NoRequests, RemotingClient};
use serde_json::Value;

use super::plan::{Plan, Service};
use crate::history::{Answer, Call, Ended, Recorder};
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

/// What a replica says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The term that it is in.
    pub term: u64,
    /// Whether it was elected.
    pub leads: bool,
    /// Whether it serves as the master.
    pub serves: bool,
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
        let standing = self.standing(member).await?;
        Some((if standing.serves { Role::Leader } else { Role::Follower }, standing.term))
    }

    /// What a replica of a group says of itself; `None` if it does not answer.
    pub async fn standing(&self, member: Member) -> Option<Standing> {
        let request = RemotingCommand::request(RequestCode::RaftStatus);
        let answer = self.ask(self.plan.broker(member), request).await?;
        standing(&serde_json::from_slice(&answer.body).ok()?)
    }

    /// What all replicas of a group say of themselves, asked at the same time.
    pub async fn standings(&self) -> Vec<(Member, Standing)> {
        let mut asked = tokio::task::JoinSet::new();
        for member in self.plan.brokers() {
            let probe = self.clone();
            asked.spawn(async move { (member, probe.standing(member).await) });
        }
        let answers = asked.join_all().await;
        answers.into_iter().filter_map(|(member, standing)| Some((member, standing?))).collect()
    }

    /// Notes in the history what a replica says of its term.
    pub async fn note_standing(&self, recorder: &Recorder, process: u32, member: Member) {
        let op = recorder.invoke(process, Call::Standing { node: member });
        let ended = match self.standing(member).await {
            Some(standing) => Ended::Ok(Answer::Standing { term: standing.term, leads: standing.serves }),
            None => Ended::Unknown("no answer".to_owned()),
        };
        recorder.complete(process, op, &ended);
    }

    /// The replica with the highest term among those that say that they lead.
    pub async fn leader(&self) -> Option<Member> {
        if !self.plan.mode.is_raft() {
            return Some(0);
        }
        let masters = self.standings().await.into_iter().filter(|(_, standing)| standing.serves);
        masters.max_by_key(|(_, standing)| standing.term).map(|(member, _)| member)
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

/// Reads a replica's status. A leader that is not ready does not serve yet.
fn standing(status: &Value) -> Option<Standing> {
    let term = status.get("term").and_then(Value::as_u64).unwrap_or(0);
    let ready = status.get("ready").and_then(Value::as_bool).unwrap_or(true);
    let leads = status.get("role")?.as_str()? == "LEADER";
    Some(Standing { term, leads, serves: leads && ready })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_standing_is_read_with_its_term() {
        let status = |role: &str, ready| json!({ "role": role, "term": 7, "ready": ready });
        let read = |leads, serves| Some(Standing { term: 7, leads, serves });
        assert_eq!(standing(&status("LEADER", true)), read(true, true));
        assert_eq!(standing(&status("LEADER", false)), read(true, false));
        assert_eq!(standing(&status("CANDIDATE", false)), read(false, false));
        assert_eq!(standing(&json!({})), None);
    }
}
