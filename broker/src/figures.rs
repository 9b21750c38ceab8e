//! The page that Prometheus reads, under RocketMQ's metric names (reference 6.20), filled from figures that are kept
//! anyway: nothing is counted twice, and the hot paths know nothing of it.

use crate::config::{Config, MetricsExporter};
use crate::error::BrokerError;
use crate::ha::Part;
use crate::node::Node;
use daemon::metrics::{Counter, Metrics};
use daemon::{MetricsServer, Tasks};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;
use store::Figures;

/// How often the totals are brought up to date.
const REFRESH: Duration = Duration::from_secs(1);

/// Serves the page, if the configuration asks for it.
pub async fn start(tasks: &Tasks, node: &Arc<Node>) -> Result<(), BrokerError> {
    let config = node.config.get();
    let Some(address) = address(&config) else { return Ok(()) };
    let metrics = Arc::new(Metrics::new());
    add_gauges(&metrics, node);
    let totals = Totals::new(&metrics, node);
    let there = Arc::downgrade(node);
    let slaves = SlaveFigures { metrics: Arc::clone(&metrics), seen: Mutex::default() };
    tasks.every("figures", REFRESH, move || {
        totals.refresh(&there);
        slaves.refresh(&there);
    });
    let server = MetricsServer::start(address, metrics, tasks).await?;
    tracing::info!(address = %server.local_addr(), "serving figures");
    Ok(())
}

fn address(config: &Config) -> Option<SocketAddr> {
    let keys = &config.broker;
    match keys.metrics_exporter {
        MetricsExporter::Disable => None,
        MetricsExporter::Prom => {
            let host = keys.metrics_host.trim().parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            Some(SocketAddr::new(host, keys.metrics_port))
        }
    }
}

/// One gauge: its name, what it means, how it is read.
type Gauge = (&'static str, &'static str, fn(&Node) -> f64);

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
const GAUGES: &[Gauge] = &[
    ("rocketmq_broker_permission", "what the broker permits: 4 read, 2 write", |node| {
        f64::from(node.config.get().broker.broker_permission)
    }),
    ("rocketmq_topic_number", "topics", |node| node.metadata.topics.read().len() as f64),
    ("rocketmq_consumer_group_number", "consumer groups", |node| node.metadata.groups.read().len() as f64),
    ("rocketmq_producer_connections", "producer groups with a live member", |node| {
        node.clients.read().group_counts().0 as f64
    }),
    ("rocketmq_consumer_connections", "consumer groups with a live member", |node| {
        node.clients.read().group_counts().1 as f64
    }),
    ("rocketmq_storage_size", "bytes of the commit log", |node| {
        node.store.commit_log_max().saturating_sub(node.store.commit_log_min()) as f64
    }),
    ("rocketmq_storage_flush_behind_bytes", "bytes written and not yet on the disk", |node| {
        node.store.commit_log_max().saturating_sub(node.store.flushed()) as f64
    }),
    ("rocketmq_storage_dispatch_behind_bytes", "bytes written and not yet visible", |node| {
        node.store.commit_log_max().saturating_sub(node.store.applied()) as f64
    }),
    ("rocketmq_ha_slaves", "slaves that are connected", |node| match &*node.part {
        Part::Master(master) => master.slaves.views().len() as f64,
        Part::None | Part::Slave(_) => 0.0,
    }),
    ("rocketmq_ha_master_connected", "1 on a slave whose master is connected", |node| {
        f64::from(u8::from(node.part.slave().is_some_and(|slave| slave.status.is_connected())))
    }),
    ("rocketmq_broker_held_pulls", "pulls that wait for a message", |node| node.arrivals.len() as f64),
];

fn add_gauges(metrics: &Metrics, node: &Arc<Node>) {
    let (cluster, broker) = (node.identity.cluster.to_string(), node.identity.broker.to_string());
    let labels = [("cluster", cluster.as_str()), ("node_type", "broker"), ("node_id", broker.as_str())];
    for &(name, help, read) in GAUGES {
        let there = Arc::downgrade(node);
        metrics.gauge_read(name, help, &labels, move || there.upgrade().map_or(0.0, |node| read(&node)));
    }
}

/// What each slave has acknowledged, and how far behind it is.
const SLAVE_OFFSET: &str = "rocketmq_ha_slave_offset";
const SLAVE_LAG: &str = "rocketmq_ha_slave_lag_bytes";

/// The figures of slaves, which come and go.
struct SlaveFigures {
    metrics: Arc<Metrics>,
    seen: Mutex<BTreeSet<String>>,
}

impl SlaveFigures {
    fn refresh(&self, node: &Weak<Node>) {
        let Some(node) = node.upgrade() else { return };
        let Part::Master(master) = &*node.part else { return };
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let end = node.store.commit_log_max();
        let mut now = BTreeSet::new();
        for slave in master.slaves.views() {
            let address = slave.address.to_string();
            let labels = [("node_id", &*node.identity.broker), ("slave", address.as_str())];
            let gauge = |name, help| self.metrics.gauge(name, help, &labels);
            gauge(SLAVE_OFFSET, "end of the log that the slave acknowledged").set(signed(slave.acknowledged));
            let lag = end.saturating_sub(slave.acknowledged);
            gauge(SLAVE_LAG, "bytes that the slave has not acknowledged").set(signed(lag));
            now.insert(address);
        }
        let before = std::mem::replace(&mut *self.seen.lock(), now.clone());
        for gone in before.difference(&now) {
            self.metrics.forget(SLAVE_OFFSET, ("slave", gone));
            self.metrics.forget(SLAVE_LAG, ("slave", gone));
        }
    }
}

/// Totals, and what they were when they were looked at last.
struct Totals {
    messages_in: Arc<Counter>,
    bytes_in: Arc<Counter>,
    messages_out: Arc<Counter>,
    bytes_out: Arc<Counter>,
    seen: Mutex<Figures>,
}

impl Totals {
    fn new(metrics: &Metrics, node: &Node) -> Self {
        let (cluster, broker) = (&*node.identity.cluster, &*node.identity.broker);
        let labels = [("cluster", cluster), ("node_type", "broker"), ("node_id", broker)];
        let counter = |name, help| metrics.counter(name, help, &labels);
        Self {
            messages_in: counter("rocketmq_messages_in_total", "messages stored"),
            bytes_in: counter("rocketmq_throughput_in_total", "bytes of messages stored"),
            messages_out: counter("rocketmq_messages_out_total", "messages read"),
            bytes_out: counter("rocketmq_throughput_out_total", "bytes of messages read"),
            seen: Mutex::default(),
        }
    }

    fn refresh(&self, node: &Weak<Node>) {
        let Some(Ok(now)) = node.upgrade().map(|node| node.store.figures()) else { return };
        let mut seen = self.seen.lock();
        self.messages_in.add(now.put_messages.saturating_sub(seen.put_messages));
        self.bytes_in.add(now.put_bytes.saturating_sub(seen.put_bytes));
        self.messages_out.add(now.get_messages.saturating_sub(seen.get_messages));
        self.bytes_out.add(now.get_bytes.saturating_sub(seen.get_bytes));
        *seen = now;
    }
}
