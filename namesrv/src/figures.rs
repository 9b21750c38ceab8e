//! What a name server counts about itself, for `/metrics`.

use std::collections::HashMap;
use std::sync::Arc;

use daemon::metrics::{Counter, Gauge, Metrics};
use protocol::{RequestCode, ResponseCode};

/// The requests that a name server knows.
pub(crate) const REQUESTS: &[RequestCode] = &[
    RequestCode::PutKvConfig,
    RequestCode::GetKvConfig,
    RequestCode::DeleteKvConfig,
    RequestCode::QueryDataVersion,
    RequestCode::RegisterBroker,
    RequestCode::UnregisterBroker,
    RequestCode::BrokerHeartbeat,
    RequestCode::GetBrokerMemberGroup,
    RequestCode::GetRouteInfoByTopic,
    RequestCode::GetBrokerClusterInfo,
    RequestCode::WipeWritePermOfBroker,
    RequestCode::AddWritePermOfBroker,
    RequestCode::GetAllTopicListFromNameServer,
    RequestCode::DeleteTopicInNamesrv,
    RequestCode::RegisterTopicInNamesrv,
    RequestCode::GetKvListByNamespace,
    RequestCode::GetTopicsByCluster,
    RequestCode::GetSystemTopicListFromNs,
    RequestCode::GetUnitTopicList,
    RequestCode::GetHasUnitSubTopicList,
    RequestCode::GetHasUnitSubUnunitTopicList,
    RequestCode::UpdateNamesrvConfig,
    RequestCode::GetNamesrvConfig,
];

/// Counters by request, and the sizes of the tables.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) metrics: Arc<Metrics>,
    requests: HashMap<i32, Arc<Counter>>,
    unknown: Arc<Counter>,
    pub(crate) routes_cached: Arc<Counter>,
    pub(crate) brokers: Arc<Gauge>,
    pub(crate) topics: Arc<Gauge>,
    pub(crate) connections: Arc<Gauge>,
}

impl Figures {
    pub(crate) fn new() -> Self {
        let metrics = Arc::new(Metrics::new());
        let help = "requests by their code's name";
        let counter =
            |name| metrics.counter("rocketmq_namesrv_requests_total", help, &[("request_code", name)]);
        Self {
            requests: REQUESTS.iter().map(|code| (code.number(), counter(code.name()))).collect(),
            unknown: counter("unknown"),
            routes_cached: metrics.counter(
                "rocketmq_namesrv_routes_cached_total",
                "route answers that needed no encoding",
                &[],
            ),
            brokers: metrics.gauge("rocketmq_namesrv_brokers", "broker processes that are registered", &[]),
            topics: metrics.gauge("rocketmq_namesrv_topics", "topics in the route table", &[]),
            connections: metrics.gauge("rocketmq_namesrv_connections", "open connections", &[]),
            metrics,
        }
    }

    pub(crate) fn request(&self, code: i32) {
        self.requests.get(&code).unwrap_or(&self.unknown).increment();
    }

    /// A request was refused with this code.
    pub(crate) fn refused(&self, code: ResponseCode) {
        let help = "refused requests by the answer's code";
        self.metrics
            .counter("rocketmq_namesrv_refused_total", help, &[("response_code", code.name())])
            .increment();
    }
}
