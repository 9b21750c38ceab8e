//! A cluster for the tests of this room: name server and brokers in this process, as little of them as clients see.
#![allow(dead_code, reason = "each test file uses its part")]

mod broker;
mod names;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use client::{Client, ClientConfig, ConsumerConfig, MessageExt};
use parking_lot::Mutex;
use remoting::{Handler, Server, ServerConfig};

pub use broker::{Broker, Store};
pub use names::Names;

/// Nothing in these tests takes longer, however busy the machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain until {what}");
}

pub fn serve(handler: Arc<dyn Handler>) -> Server {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = ServerConfig { drain_max: Duration::from_millis(100), ..ServerConfig::new(free) };
    Server::bind(config, handler).unwrap()
}

/// One name server and its brokers.
pub struct Cluster {
    pub names: Arc<Names>,
    pub brokers: Vec<Arc<Broker>>,
    servers: Vec<Option<Server>>,
    name_server: Server,
}

impl Cluster {
    /// A cluster of masters `broker-a`, `broker-b`, … in which each of these topics has so many queues at each.
    pub fn start(brokers: usize, topics: &[(&str, i32)]) -> Self {
        let names = Arc::new(Names::default());
        let name_server = serve(names.clone());
        let mut cluster = Self { names, brokers: Vec::new(), servers: Vec::new(), name_server };
        for index in 0..brokers {
            let letter = char::from(b'a' + u8::try_from(index).unwrap());
            cluster.add(&format!("broker-{letter}"), Arc::default());
        }
        for (topic, queues) in topics {
            cluster.brokers.iter().for_each(|broker| broker.create_topic(topic, *queues));
        }
        cluster
    }

    /// Starts another broker on this store and makes it master of its name.
    pub fn add(&mut self, name: &str, store: Arc<Mutex<Store>>) -> Arc<Broker> {
        let broker = Arc::new(Broker::new(name, store, self.names.clone()));
        let server = serve(broker.clone());
        broker.set_address(server.local_addr());
        self.names.set_master(name, &server.local_addr().to_string());
        self.brokers.push(broker.clone());
        self.servers.push(Some(server));
        broker
    }

    /// Ends a broker; its store stays.
    pub async fn kill(&mut self, index: usize) {
        if let Some(server) = self.servers[index].take() {
            server.stop().await;
        }
    }

    pub fn client(&self) -> Client {
        Client::start(ClientConfig::new(&self.name_server.local_addr().to_string())).unwrap()
    }

    pub fn bodies(&self) -> Vec<String> {
        let mut bodies: Vec<_> = self.brokers.iter().flat_map(|broker| broker.bodies()).collect();
        bodies.sort();
        bodies
    }
}

/// A consumer that loses no time.
pub fn quick(group: &str) -> ConsumerConfig {
    ConsumerConfig {
        from_where: client::ConsumeFromWhere::ConsumeFromFirstOffset,
        persist: Duration::from_millis(50),
        hold_max: Duration::from_millis(300),
        suspend: Duration::from_millis(5),
        ..ConsumerConfig::new(group)
    }
}

pub fn text(message: &MessageExt) -> String {
    String::from_utf8(message.body.to_vec()).unwrap()
}

/// Bodies that a listener saw.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    pub fn note(&self, messages: &[MessageExt]) {
        self.0.lock().extend(messages.iter().map(text));
    }

    pub fn count(&self) -> usize {
        self.0.lock().len()
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    pub fn sorted(&self) -> Vec<String> {
        let mut all = self.all();
        all.sort();
        all
    }
}
