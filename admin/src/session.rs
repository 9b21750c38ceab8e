//! The way to brokers and name servers: one [`Session`] a run of mqadmin.
//!
//! A name server is asked one after the other until one answers. Nothing is cached: an operator wants what is true now.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use protocol::body::{Body, BrokerData, ClusterInfo, TopicRouteData};
use protocol::header::GetRouteInfoRequestHeader;
use protocol::{Header, RemotingCommand, RequestCode, ResponseCode};
use remoting::{ClientConfig, NoRequests, RemotingClient};

use crate::error::AdminError;

/// The id of a master. Source: RocketMQ `MixAll.MASTER_ID`.
pub(crate) const MASTER_ID: i64 = 0;

/// Time for one answer. Source: RocketMQ `DefaultMQAdminExt`, 5 s, and more for what a broker has to search for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Where name servers are named when `-n` is not given.
const NAME_SERVERS_VARIABLE: &str = "NAMESRV_ADDR";

/// The connections of one run.
pub(crate) struct Session {
    client: RemotingClient,
    name_servers: Vec<String>,
    /// The zone in which times are shown and read.
    pub zone: TimeZone,
}

impl Session {
    /// A session with these name servers (`host:port;host:port`), or those of the environment. Must be called on a runtime.
    pub fn start(name_servers: Option<&str>) -> Self {
        let from_environment = || std::env::var(NAME_SERVERS_VARIABLE).unwrap_or_default();
        let text = name_servers.map_or_else(from_environment, str::to_owned);
        Self {
            client: RemotingClient::new(ClientConfig::default(), Arc::new(NoRequests)),
            name_servers: addresses(&text),
            zone: TimeZone::system(),
        }
    }

    /// Closes the connections.
    pub async fn stop(&self) {
        self.client.stop().await;
    }

    /// All name servers.
    pub fn name_servers(&self) -> Result<&[String], AdminError> {
        if self.name_servers.is_empty() { Err(AdminError::NoNameServer) } else { Ok(&self.name_servers) }
    }

    /// Asks one server; every answer but success is an error.
    pub async fn ask(&self, address: &str, command: RemotingCommand) -> Result<RemotingCommand, AdminError> {
        let answer = self.exchange(address, command).await?;
        if answer.code == ResponseCode::Success.number() {
            return Ok(answer);
        }
        Err(AdminError::refused(address, answer))
    }

    /// Asks one server, whatever it answers.
    pub async fn exchange(
        &self,
        address: &str,
        command: RemotingCommand,
    ) -> Result<RemotingCommand, AdminError> {
        Ok(self.client.call(address, command, ANSWER_TIMEOUT).await?)
    }

    /// Asks one server for a body.
    pub async fn body_of<B: Body>(&self, address: &str, command: RemotingCommand) -> Result<B, AdminError> {
        read_body(address, &self.ask(address, command).await?)
    }

    /// Asks one server for a header.
    pub async fn header_of<H: Header>(
        &self,
        address: &str,
        command: RemotingCommand,
    ) -> Result<H, AdminError> {
        let answer = self.ask(address, command).await?;
        answer.header().map_err(|source| AdminError::Header { peer: address.to_owned(), source })
    }

    /// Asks the name servers until one answers.
    pub async fn ask_name_server(&self, command: RemotingCommand) -> Result<RemotingCommand, AdminError> {
        let mut last = AdminError::NoNameServer;
        for address in self.name_servers()? {
            match self.ask(address, command.clone()).await {
                Err(AdminError::Remoting(error)) => last = error.into(),
                answer => return answer,
            }
        }
        Err(last)
    }

    /// Asks the name servers for a body.
    pub async fn name_server_body<B: Body>(&self, command: RemotingCommand) -> Result<B, AdminError> {
        read_body("the name server", &self.ask_name_server(command).await?)
    }

    /// The route of a topic.
    pub async fn route(&self, topic: &str) -> Result<TopicRouteData, AdminError> {
        let header = GetRouteInfoRequestHeader { topic: topic.into(), accept_standard_json_only: None };
        self.name_server_body(RemotingCommand::request_with(RequestCode::GetRouteInfoByTopic, &header)).await
    }

    /// The masters (or whoever stands in) of the brokers that have a topic, by broker name.
    pub async fn brokers_of(&self, topic: &str) -> Result<BTreeMap<String, String>, AdminError> {
        Ok(reachable(&self.route(topic).await?))
    }

    /// All clusters and brokers.
    pub async fn cluster_info(&self) -> Result<ClusterInfo, AdminError> {
        self.name_server_body(RemotingCommand::request(RequestCode::GetBrokerClusterInfo)).await
    }

    /// The brokers of a cluster, by name.
    pub async fn cluster(&self, cluster: &str) -> Result<Vec<BrokerData>, AdminError> {
        brokers_in(&self.cluster_info().await?, cluster)
    }

    /// The masters of a cluster.
    pub async fn masters(&self, cluster: &str) -> Result<Vec<String>, AdminError> {
        let brokers = self.cluster(cluster).await?;
        Ok(brokers.iter().filter_map(|broker| broker.broker_addrs.get(&MASTER_ID).cloned()).collect())
    }

    /// Every broker process of a cluster, masters before their slaves.
    pub async fn replicas(&self, cluster: &str) -> Result<Vec<String>, AdminError> {
        let brokers = self.cluster(cluster).await?;
        Ok(brokers.iter().flat_map(|broker| broker.broker_addrs.values().cloned()).collect())
    }

    /// The master of a broker name, or whoever stands in.
    pub async fn address_of(&self, broker: &str) -> Result<String, AdminError> {
        let info = self.cluster_info().await?;
        let found = info.broker_addr_table.get(broker).and_then(address_in);
        found.ok_or_else(|| AdminError::BrokerUnknown { broker: broker.to_owned() })
    }

    /// The name of the broker with this address.
    pub async fn name_of(&self, address: &str) -> Result<String, AdminError> {
        let info = self.cluster_info().await?;
        let has = |broker: &&BrokerData| broker.broker_addrs.values().any(|known| known == address);
        let found = info.broker_addr_table.values().find(has).map(|broker| broker.broker_name.clone());
        found.ok_or_else(|| AdminError::BrokerUnknown { broker: address.to_owned() })
    }
}

/// Reads a body.
pub(crate) fn read_body<B: Body>(peer: &str, answer: &RemotingCommand) -> Result<B, AdminError> {
    B::decode(&answer.body).map_err(|source| AdminError::Body { peer: peer.to_owned(), source })
}

/// The master of each broker in a route, or whoever stands in.
pub(crate) fn reachable(route: &TopicRouteData) -> BTreeMap<String, String> {
    let entry = |broker: &BrokerData| Some((broker.broker_name.clone(), address_in(broker)?));
    route.broker_datas.iter().filter_map(entry).collect()
}

/// The master's address, else the first of all.
fn address_in(broker: &BrokerData) -> Option<String> {
    broker.broker_addrs.get(&MASTER_ID).or_else(|| broker.broker_addrs.values().next()).cloned()
}

fn brokers_in(info: &ClusterInfo, cluster: &str) -> Result<Vec<BrokerData>, AdminError> {
    match info.cluster_addr_table.get(cluster) {
        Some(names) => {
            Ok(names.iter().filter_map(|name| info.broker_addr_table.get(name).cloned()).collect())
        }
        None => Err(AdminError::ClusterUnknown {
            cluster: cluster.to_owned(),
            known: info.cluster_addr_table.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        }),
    }
}

fn addresses(text: &str) -> Vec<String> {
    text.split([';', ',']).map(str::trim).filter(|address| !address.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_separated_by_semicolons() {
        assert_eq!(addresses(" a:1; b:2 ;;"), ["a:1", "b:2"]);
        assert!(addresses("").is_empty());
    }

    #[test]
    fn an_unknown_cluster_is_told_with_those_that_exist() {
        let info = ClusterInfo {
            cluster_addr_table: [("C1".to_owned(), ["b".to_owned()].into())].into(),
            ..ClusterInfo::default()
        };
        let error = brokers_in(&info, "C2").unwrap_err();
        assert_eq!(error.to_string(), "cluster C2 is unknown to the name server; known: C1");
    }

    #[test]
    fn a_broker_without_master_is_reached_through_its_first_slave() {
        let mut broker = BrokerData { broker_name: "b".to_owned(), ..BrokerData::default() };
        broker.broker_addrs.insert(2, "two".to_owned());
        broker.broker_addrs.insert(1, "one".to_owned());
        assert_eq!(address_in(&broker).as_deref(), Some("one"));
        broker.broker_addrs.insert(MASTER_ID, "zero".to_owned());
        assert_eq!(address_in(&broker).as_deref(), Some("zero"));
    }
}
