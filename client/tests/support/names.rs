//! The name server of the tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use protocol::body::{Body, BrokerData, ClusterInfo, QueueData, TopicRouteData};
use protocol::header::GetRouteInfoRequestHeader;
use protocol::{RemotingCommand, RequestCode, ResponseCode};
use remoting::{Connection, Handler};

/// Broker name → queues, permission.
type QueuesAt = BTreeMap<String, (i32, i32)>;

#[derive(Default)]
pub struct Names {
    topics: Mutex<BTreeMap<String, QueuesAt>>,
    /// Broker name → address of its master, if it has one.
    masters: Mutex<BTreeMap<String, Option<String>>>,
    pub asked: AtomicUsize,
}

impl Names {
    pub fn set_master(&self, broker: &str, address: &str) {
        self.masters.lock().insert(broker.to_owned(), Some(address.to_owned()));
    }

    pub fn set_no_master(&self, broker: &str) {
        self.masters.lock().insert(broker.to_owned(), None);
    }

    pub fn set_topic(&self, topic: &str, broker: &str, queues: i32, perm: i32) {
        self.topics.lock().entry(topic.to_owned()).or_default().insert(broker.to_owned(), (queues, perm));
    }

    fn brokers(&self) -> Vec<BrokerData> {
        let masters = self.masters.lock();
        let data = masters.iter().map(|(name, address)| BrokerData {
            broker_name: name.clone(),
            cluster: "DefaultCluster".to_owned(),
            broker_addrs: address.iter().map(|address| (0, address.clone())).collect(),
            ..BrokerData::default()
        });
        data.collect()
    }

    fn route(&self, topic: &str) -> Option<TopicRouteData> {
        let topics = self.topics.lock();
        let queues = topics.get(topic)?;
        let data = queues.iter().map(|(broker, (count, perm))| QueueData {
            broker_name: broker.clone(),
            perm: *perm,
            read_queue_nums: *count,
            write_queue_nums: *count,
            topic_sys_flag: 0,
        });
        let broker_datas = self.brokers().into_iter().filter(|data| queues.contains_key(&data.broker_name));
        Some(TopicRouteData {
            queue_datas: data.collect(),
            broker_datas: broker_datas.collect(),
            ..TopicRouteData::default()
        })
    }

    fn answer(&self, request: &RemotingCommand) -> RemotingCommand {
        match request.request_code() {
            Some(RequestCode::GetRouteInfoByTopic) => {
                self.asked.fetch_add(1, Ordering::SeqCst);
                let header: GetRouteInfoRequestHeader = request.header().unwrap();
                match self.route(&header.topic) {
                    Some(route) => RemotingCommand::response(ResponseCode::Success)
                        .with_body(route.encode_for(request.version, true)),
                    None => RemotingCommand::response(ResponseCode::TopicNotExist).with_remark("no route"),
                }
            }
            Some(RequestCode::GetBrokerClusterInfo) => {
                let brokers = self.brokers();
                let names = brokers.iter().map(|data| data.broker_name.clone()).collect();
                let info = ClusterInfo {
                    broker_addr_table: brokers
                        .into_iter()
                        .map(|data| (data.broker_name.clone(), data))
                        .collect(),
                    cluster_addr_table: [("DefaultCluster".to_owned(), names)].into(),
                };
                RemotingCommand::response(ResponseCode::Success).with_body(info.encode())
            }
            _ => RemotingCommand::response(ResponseCode::RequestCodeNotSupported),
        }
    }
}

impl Handler for Names {
    fn handle(&self, connection: &Arc<Connection>, requests: &mut Vec<RemotingCommand>) {
        for request in requests.drain(..) {
            connection.send(self.answer(&request).answers(&request));
        }
    }
}
