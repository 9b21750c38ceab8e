//! What stays when a broker goes and comes back, and what keeps it from starting.

use crate::support::{properties, start, start_in, try_start_in};
use broker::config::BrokerRole;
use broker::{Broker, BrokerError, Config, Start};
use protocol::RequestCode;
use protocol::header::UpdateConsumerOffsetRequestHeader;
use std::sync::Arc;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn messages_topics_groups_and_offsets_outlive_the_process() {
    let served = start(&[]).await;
    let client = served.client();
    client.consume("c1", "G", "TopicA", "*").await;
    client.send("TopicA", 0, "kept", "").await;
    let header = UpdateConsumerOffsetRequestHeader {
        consumer_group: "G".into(),
        topic: "TopicA".into(),
        queue_id: 0,
        commit_offset: 1,
    };
    client.ask(RequestCode::UpdateConsumerOffset, &header).await;
    let directory = served.stop().await;
    let served = start_in(&directory, &[]).await;
    let metadata = &served.broker.node().metadata;
    assert!(metadata.topic("%RETRY%G").is_some() && metadata.group("G").is_some());
    assert_eq!(metadata.offsets.get("G", "TopicA", 0), Some(1));
    let pulled = served.client().pull("G", "TopicA", 0, 0).await;
    assert_eq!(pulled.bodies(), ["kept"]);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_and_a_store_in_use_are_one_clear_line() {
    let served = start(&[]).await;
    let port = served.broker.local_addr().port().to_string();
    let other = Arc::new(TempDir::new().expect("a directory"));
    let error = try_start_in(&other, &[("listenPort", &port)]).await.err().expect("the port is taken");
    assert!(matches!(error, BrokerError::Bind { .. }), "{error}");
    assert!(error.to_string().contains(&port) && !error.to_string().contains('\n'));

    let error = try_start_in(&served.directory, &[]).await.err().expect("the store is locked");
    let store = served.directory.path().display().to_string();
    assert!(error.to_string().contains(&store) && !error.to_string().contains('\n'), "{error}");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_one_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("store");
    std::fs::write(&file, "not a directory").expect("written");
    let (config, _) = Config::parse(&properties(&directory, &[])).expect("valid");
    let error = Broker::start(Start { config, config_file: None }).await.expect_err("no directory");
    assert!(error.to_string().contains("store"), "{error}");

    let directory = Arc::new(TempDir::new().expect("a directory"));
    let log = directory.path().join("store/commitlog");
    std::fs::create_dir_all(&log).expect("made");
    std::fs::write(log.join("readme.txt"), "foreign").expect("written");
    let error = try_start_in(&directory, &[]).await.err().expect("a foreign file");
    assert!(error.to_string().contains("readme.txt"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_table_without_a_copy_keeps_the_broker_from_forgetting() {
    let served = start(&[]).await;
    let directory = served.stop().await;
    let config = directory.path().join("store/config");
    for name in ["topics.json", "topics.json.bak"] {
        std::fs::write(config.join(name), "{\"topicConfigTable\":{").expect("written");
    }
    let error = try_start_in(&directory, &[]).await.err().expect("unreadable");
    assert!(error.to_string().contains("topics.json"), "{error}");
}

#[test]
fn the_shipped_configurations_can_be_started() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf");
    for (name, broker, port) in [
        ("broker.conf", "broker-a", 10911),
        ("2m-noslave/broker-a.properties", "broker-a", 10911),
        ("2m-noslave/broker-b.properties", "broker-b", 10921),
        ("2m-2s-async/broker-a.properties", "broker-a", 10911),
        ("2m-2s-async/broker-a-s.properties", "broker-a", 10931),
        ("2m-2s-async/broker-b.properties", "broker-b", 10921),
        ("2m-2s-async/broker-b-s.properties", "broker-b", 10941),
        ("2m-2s-sync/broker-a.properties", "broker-a", 10911),
        ("2m-2s-sync/broker-a-s.properties", "broker-a", 10931),
        ("2m-2s-sync/broker-b.properties", "broker-b", 10921),
        ("2m-2s-sync/broker-b-s.properties", "broker-b", 10941),
    ] {
        let properties = daemon::config::read_file(&root.join(name)).expect("readable");
        let (config, bound) = Config::parse(&properties).expect(name);
        assert_eq!((config.broker.broker_name.as_str(), config.broker.listen_port), (broker, port), "{name}");
        assert!(bound.unknown.is_empty(), "{name}: {:?}", bound.unknown);
        assert_eq!(config.is_slave(), name.ends_with("-s.properties"), "{name}");
        let is_sync = config.store.broker_role == BrokerRole::SyncMaster;
        assert_eq!(is_sync, name.starts_with("2m-2s-sync") && !config.is_slave(), "{name}");
    }
}
