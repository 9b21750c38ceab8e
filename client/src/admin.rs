//! Administration as far as tests, benches and tools need it: topics, groups, offsets, messages found by id and key.

use std::time::Duration;

use protocol::body::{
    Body, BrokerData, ClusterInfo, ConsumerConnection, MessageQueue, SubscriptionGroupConfig, TopicConfig,
    TopicRouteData, TopicStatsTable,
};
use protocol::header::{
    CreateTopicRequestHeader, DeleteTopicRequestHeader, GetConsumerConnectionListRequestHeader,
    GetTopicStatsInfoRequestHeader, QueryMessageRequestHeader, ViewMessageRequestHeader,
};
use protocol::message::{MessageExt, decode_all};
use protocol::message_id::OffsetMessageId;
use protocol::{RemotingCommand, RequestCode, ResponseCode, topic};

use crate::client::{Client, refused};
use crate::consumer::assigned::signed;
use crate::error::ClientError;
use crate::queue_offsets::{self, Which};
use crate::route::MASTER_ID;

/// Time for requests that a broker may have to search for.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Administration through a client.
#[derive(Debug, Clone)]
pub struct Admin {
    client: Client,
}

impl Admin {
    /// Administration through this client.
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    /// Brokers and clusters as a name server knows them.
    pub async fn cluster_info(&self) -> Result<ClusterInfo, ClientError> {
        let request = RemotingCommand::request(RequestCode::GetBrokerClusterInfo);
        let answer = self.client.core().routes.ask_name_server(request).await?;
        if answer.code != ResponseCode::Success.number() {
            return Err(refused("name server", answer));
        }
        read("name server", &answer)
    }

    /// The route of a topic, asked anew.
    pub async fn topic_route(&self, topic: &str) -> Result<TopicRouteData, ClientError> {
        Ok(self.client.core().routes.refresh(topic).await?.data.clone())
    }

    /// Creates or changes a topic at every master of a cluster.
    pub async fn create_topic(&self, cluster: &str, config: &TopicConfig) -> Result<(), ClientError> {
        for address in self.masters(cluster).await? {
            self.create_topic_at(&address, config).await?;
        }
        Ok(())
    }

    /// Creates or changes a topic at one broker.
    pub async fn create_topic_at(&self, address: &str, config: &TopicConfig) -> Result<(), ClientError> {
        let attributes: Vec<String> =
            config.attributes.iter().map(|(name, value)| format!("+{name}={value}")).collect();
        let header = CreateTopicRequestHeader {
            topic: config.topic_name.as_str().into(),
            default_topic: topic::AUTO_CREATE.into(),
            read_queue_nums: config.read_queue_nums,
            write_queue_nums: config.write_queue_nums,
            perm: config.perm,
            topic_filter_type: config.topic_filter_type.name().into(),
            topic_sys_flag: config.topic_sys_flag,
            order: config.order,
            attributes: (!attributes.is_empty()).then(|| attributes.join(",").into()),
            force: None,
        };
        self.do_at(address, RemotingCommand::request_with(RequestCode::UpdateAndCreateTopic, &header)).await
    }

    /// Deletes a topic at one broker.
    pub async fn delete_topic_at(&self, address: &str, topic: &str) -> Result<(), ClientError> {
        let header = DeleteTopicRequestHeader { topic: topic.into() };
        self.do_at(address, RemotingCommand::request_with(RequestCode::DeleteTopicInBroker, &header)).await
    }

    /// Creates or changes a consumer group at one broker.
    pub async fn create_group_at(
        &self,
        address: &str,
        config: &SubscriptionGroupConfig,
    ) -> Result<(), ClientError> {
        let request = RemotingCommand::request(RequestCode::UpdateAndCreateSubscriptionGroup);
        self.do_at(address, request.with_body(config.encode())).await
    }

    /// The offsets of all queues of a topic at one broker.
    pub async fn topic_stats_at(&self, address: &str, topic: &str) -> Result<TopicStatsTable, ClientError> {
        let header = GetTopicStatsInfoRequestHeader { topic: topic.into() };
        self.ask_at(address, RemotingCommand::request_with(RequestCode::GetTopicStatsInfo, &header)).await
    }

    /// The members of a consumer group at one broker.
    pub async fn consumer_connection_at(
        &self,
        address: &str,
        group: &str,
    ) -> Result<ConsumerConnection, ClientError> {
        let header = GetConsumerConnectionListRequestHeader { consumer_group: group.into() };
        self.ask_at(address, RemotingCommand::request_with(RequestCode::GetConsumerConnectionList, &header))
            .await
    }

    /// An offset of a queue.
    pub async fn offset(&self, queue: &MessageQueue, which: Which) -> Result<u64, ClientError> {
        self.client.core().routes.route(&queue.topic).await?;
        queue_offsets::of(self.client.core(), queue, which).await
    }

    /// How far a group is in a queue, if the broker knows.
    pub async fn consumed(&self, group: &str, queue: &MessageQueue) -> Result<Option<u64>, ClientError> {
        self.client.core().routes.route(&queue.topic).await?;
        queue_offsets::consumed(self.client.core(), group, queue).await
    }

    /// The message with this offset message id, asked of the broker that the id names.
    pub async fn view_message(
        &self,
        topic: &str,
        offset_message_id: &str,
    ) -> Result<MessageExt, ClientError> {
        let id = OffsetMessageId::parse(offset_message_id)?;
        let header =
            ViewMessageRequestHeader { topic: Some(topic.into()), offset: signed(id.physical_offset) };
        let request = RemotingCommand::request_with(RequestCode::ViewMessageById, &header);
        let answer = self.client.core().ask(&id.store_host.to_string(), request, QUERY_TIMEOUT).await?;
        Ok(MessageExt::decode(&answer.body)?)
    }

    /// Up to `max` messages of a topic that have this key, stored between the two times (milliseconds since 1970).
    pub async fn query_by_key(
        &self,
        topic: &str,
        key: &str,
        max: i32,
        begin: i64,
        end: i64,
    ) -> Result<Vec<MessageExt>, ClientError> {
        self.query(topic, key, max, (begin, end), false).await
    }

    /// The messages of a topic that have this unique key.
    pub async fn query_by_unique_key(&self, topic: &str, key: &str) -> Result<Vec<MessageExt>, ClientError> {
        self.query(topic, key, 32, (0, i64::MAX), true).await
    }

    async fn query(
        &self,
        topic: &str,
        key: &str,
        max: i32,
        (begin, end): (i64, i64),
        is_unique: bool,
    ) -> Result<Vec<MessageExt>, ClientError> {
        let header = QueryMessageRequestHeader {
            topic: topic.into(),
            key: key.into(),
            max_num: max,
            begin_timestamp: begin,
            end_timestamp: end,
        };
        let core = self.client.core();
        let mut found = Vec::new();
        for broker in &core.routes.route(topic).await?.data.broker_datas {
            let address = core.replica(&broker.broker_name, topic).await?;
            let request = RemotingCommand::request_with(RequestCode::QueryMessage, &header)
                .with_ext("_UNIQUE_KEY_QUERY", if is_unique { "true" } else { "false" });
            match core.ask(&address, request, QUERY_TIMEOUT).await {
                Ok(answer) => found.extend(decode_all(&answer.body)?),
                Err(error) if error.response_code() == Some(ResponseCode::QueryNotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Any request to one broker, for what has no function here.
    pub async fn ask_raw(
        &self,
        address: &str,
        request: RemotingCommand,
    ) -> Result<RemotingCommand, ClientError> {
        self.client.core().ask(address, request, QUERY_TIMEOUT).await
    }

    async fn masters(&self, cluster: &str) -> Result<Vec<String>, ClientError> {
        let info = self.cluster_info().await?;
        let names = info.cluster_addr_table.get(cluster).into_iter().flatten();
        let master = |broker: &BrokerData| broker.broker_addrs.get(&MASTER_ID).cloned();
        Ok(names.filter_map(|name| info.broker_addr_table.get(name).and_then(master)).collect())
    }

    async fn do_at(&self, address: &str, request: RemotingCommand) -> Result<(), ClientError> {
        self.client.core().ask(address, request, QUERY_TIMEOUT).await.map(drop)
    }

    async fn ask_at<B: Body>(&self, address: &str, request: RemotingCommand) -> Result<B, ClientError> {
        let answer = self.client.core().ask(address, request, QUERY_TIMEOUT).await?;
        read(address, &answer)
    }
}

fn read<B: Body>(peer: &str, answer: &RemotingCommand) -> Result<B, ClientError> {
    B::decode(&answer.body).map_err(|source| ClientError::Body { peer: peer.to_owned(), source })
}
