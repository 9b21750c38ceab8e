//! What a slave fetches from its master: topics, groups, consumer offsets, delay progress.
//!
//! At once when the master becomes known, and every 10 s after. Each table is fetched by itself: a master that does not
//! answer for one still gives the others. What was fetched goes through the journal, so that it is in the files too, and a
//! slave that is started as a master knows what its master knew. Source: reference 4.3, RocketMQ `SlaveSynchronize`.

use crate::error::BrokerError;
use crate::node::Node;
use daemon::{Shutdown, Tasks};
use protocol::body::{
    ConsumerOffsetSerializeWrapper, DelayOffsetSerializeWrapper, SubscriptionGroupWrapper,
    TopicConfigSerializeWrapper,
};
use protocol::json::Json;
use protocol::{RemotingCommand, RequestCode, ResponseCode};
use remoting::{ClientConfig, Connection, Handler, RemotingClient};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Source: RocketMQ 4.9.7 `BrokerController.handleSlaveSynchronize`.
const PERIOD: Duration = Duration::from_secs(10);
/// A master that did not answer is asked again after so long.
const RETRY: Duration = Duration::from_secs(1);
/// How long one answer may take. Source: RocketMQ `BrokerOuterAPI.getAllTopicConfig`.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// A master asks its slaves for nothing.
#[derive(Debug)]
struct Nothing;

impl Handler for Nothing {
    fn handle(&self, connection: &Arc<Connection>, requests: &mut Vec<RemotingCommand>) {
        for request in requests.drain(..).filter(|request| !request.is_oneway()) {
            let refusal = RemotingCommand::response(ResponseCode::RequestCodeNotSupported);
            connection.send(refusal.answers(&request));
        }
    }
}

/// The tables as a master sent them.
enum Fetched {
    Topics(TopicConfigSerializeWrapper),
    Groups(SubscriptionGroupWrapper),
    Offsets(ConsumerOffsetSerializeWrapper),
    Delays(DelayOffsetSerializeWrapper),
}

/// Brings a slave's tables up to date.
pub(super) struct MetadataSync {
    node: Arc<Node>,
    client: RemotingClient,
}

impl MetadataSync {
    /// Fetches from whatever master `address` names, until the tasks are stopped.
    pub(super) fn start(tasks: &Tasks, node: &Arc<Node>, address: watch::Receiver<Option<String>>) {
        let client = RemotingClient::new(ClientConfig::default(), Arc::new(Nothing));
        let sync = Self { node: Arc::clone(node), client };
        tasks.spawn("metadata sync", move |shutdown| async move { sync.run(address, shutdown).await });
    }

    async fn run(self, mut address: watch::Receiver<Option<String>>, shutdown: Shutdown) {
        // A master that is away for hours is told once, not every second.
        let mut was_whole = true;
        loop {
            let master = address.borrow_and_update().clone();
            let pause = tokio::select! {
                () = shutdown.requested() => return,
                is_whole = self.fetch_all(master.as_deref(), was_whole) => {
                    was_whole = is_whole;
                    if is_whole { PERIOD } else { RETRY }
                }
            };
            tokio::select! {
                () = shutdown.requested() => return,
                // The sender lives as long as the node does.
                _ = address.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Fetches every table; false when one is missing, which is told when it is news.
    async fn fetch_all(&self, master: Option<&str>, is_news: bool) -> bool {
        let Some(master) = master else { return true };
        let mut is_whole = true;
        for code in [
            RequestCode::GetAllTopicConfig,
            RequestCode::GetAllSubscriptionGroupConfig,
            RequestCode::GetAllConsumerOffset,
            RequestCode::GetAllDelayOffset,
        ] {
            is_whole &= match self.fetch(master, code).await {
                Ok(Some(fetched)) => self.adopt(fetched).await,
                Ok(None) => false,
                Err(error) => {
                    if is_news {
                        tracing::warn!(master, ?code, %error, "the master's metadata could not be fetched");
                    }
                    false
                }
            };
        }
        is_whole
    }

    async fn fetch(&self, master: &str, code: RequestCode) -> Result<Option<Fetched>, BrokerError> {
        let request = RemotingCommand::request(code);
        let answer = self.client.call(master, request, ANSWER_WITHIN).await.map_err(BrokerError::Remoting)?;
        if ResponseCode::Success != answer.code {
            let remark = answer.remark.unwrap_or_default();
            tracing::warn!(master, ?code, answered = answer.code, remark, "the master gives no metadata");
            return Ok(None);
        }
        let body = &answer.body;
        Ok(Some(match code {
            RequestCode::GetAllTopicConfig => Fetched::Topics(Json::from_json(body)?),
            RequestCode::GetAllSubscriptionGroupConfig => Fetched::Groups(Json::from_json(body)?),
            RequestCode::GetAllConsumerOffset => Fetched::Offsets(Json::from_json(body)?),
            _ => Fetched::Delays(Json::from_json(body)?),
        }))
    }

    /// Puts a table in the place of ours; false when it could not be kept.
    async fn adopt(&self, fetched: Fetched) -> bool {
        let node = Arc::clone(&self.node);
        let adopted = tokio::task::spawn_blocking(move || adopt(&node, fetched)).await;
        match adopted {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(%error, "the master's metadata could not be kept");
                false
            }
            Err(_) => false,
        }
    }
}

fn adopt(node: &Node, fetched: Fetched) -> Result<(), BrokerError> {
    match fetched {
        Fetched::Topics(topics) => {
            if node.journal.adopt_topics(topics)? {
                node.rounds.ask();
            }
            Ok(())
        }
        Fetched::Groups(groups) => node.journal.adopt_groups(groups),
        Fetched::Offsets(offsets) => {
            node.journal.adopt_offsets(&offsets);
            Ok(())
        }
        Fetched::Delays(delays) => {
            node.journal.adopt_delays(&delays);
            Ok(())
        }
    }
}
