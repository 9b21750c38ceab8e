//! Promises of the producer, against the cluster of `support`.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use client::{Admin, ClientError, Message, Producer, ProducerConfig, SendStatus};
use parking_lot::Mutex;
use protocol::ResponseCode;
use protocol::body::TopicConfig;
use protocol::sys_flag;
use support::{Cluster, PATIENCE, until};

fn producer(cluster: &Cluster) -> Producer {
    Producer::start(&cluster.client(), ProducerConfig::new("PG")).unwrap()
}

#[tokio::test]
async fn messages_go_to_all_queues_of_all_brokers_in_turn() {
    let cluster = Cluster::start(2, &[("T", 4)]);
    let producer = producer(&cluster);
    let mut places = std::collections::BTreeMap::new();
    for n in 0..16 {
        let result = producer.send(Message::new("T", format!("{n:02}"))).await.unwrap();
        assert_eq!((result.status, result.offset_message_ids.len()), (SendStatus::Ok, 1));
        *places.entry(result.queue).or_insert(0) += 1;
    }
    assert_eq!(places.len(), 8);
    assert!(places.values().all(|count| *count == 2));
    assert_eq!(cluster.bodies(), (0..16).map(|n| format!("{n:02}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_arrives_with_all_that_was_put_into_it() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    let client = cluster.client();
    let producer = Producer::start(&client, ProducerConfig::new("PG")).unwrap();
    let message =
        Message::new("T", "hello").with_tag("TagA").with_keys(&["k1", "k2"]).with_property("color", "red");
    let result = producer.send(message).await.unwrap();
    let seen = Admin::new(&client).view_message("T", &result.offset_message_ids[0]).await.unwrap();
    assert_eq!((seen.body.as_ref(), seen.tags()), (b"hello".as_slice(), Some("TagA")));
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["k1", "k2"]);
    assert_eq!(seen.properties.get("color"), Some("red"));
    assert_eq!(seen.message_id(), result.message_id());
}

#[tokio::test]
async fn large_bodies_travel_compressed_and_small_ones_as_they_are() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    let producer = producer(&cluster);
    let large = "compressible ".repeat(1000);
    producer.send(Message::new("T", "small")).await.unwrap();
    producer.send(Message::new("T", large.clone())).await.unwrap();
    let records = cluster.brokers[0].records("T");
    assert_eq!(records[0].sys_flag & sys_flag::COMPRESSED, 0);
    assert_ne!(records[1].sys_flag & sys_flag::COMPRESSED, 0);
    assert!(records[1].store_size < large.len() / 2);
    assert_eq!(records[1].body, large);
}

#[tokio::test]
async fn a_dead_broker_is_passed_over_within_the_same_send() {
    let mut cluster = Cluster::start(2, &[("T", 2)]);
    let producer = producer(&cluster);
    for n in 0..4 {
        producer.send(Message::new("T", format!("before {n}"))).await.unwrap();
    }
    cluster.kill(0).await;
    for n in 0..8 {
        let result = producer.send(Message::new("T", format!("after {n}"))).await.unwrap();
        assert_eq!(result.queue.broker_name, "broker-b");
    }
}

#[tokio::test]
async fn a_failover_of_the_only_broker_is_not_seen_by_the_application() {
    let mut cluster = Cluster::start(1, &[("T", 2)]);
    let producer = producer(&cluster);
    producer.send(Message::new("T", "before")).await.unwrap();
    let store = cluster.brokers[0].store.clone();
    cluster.kill(0).await;
    cluster.names.set_no_master("broker-a");
    let names = cluster.names.clone();
    let message = Message::new("T", "during");
    let (outcome, ()) = tokio::join!(producer.send(message), async {
        // The election takes a moment in which nobody can send.
        until("the producer has asked in vain", || names.asked.load(Ordering::SeqCst) >= 4).await;
        cluster.add("broker-a", store);
    });
    assert_eq!(outcome.unwrap().queue.broker_name, "broker-a");
    let mut bodies = cluster.brokers[1].bodies();
    bodies.sort();
    assert_eq!(bodies, ["before", "during"]);
}

#[tokio::test]
async fn refusals_that_pass_are_retried_and_others_are_told_at_once() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    let producer = producer(&cluster);
    let refuse = |codes: &[ResponseCode]| cluster.brokers[0].refuse.lock().extend(codes.iter().copied());
    refuse(&[ResponseCode::ServiceNotAvailable; 6]);
    producer.send(Message::new("T", "patient")).await.unwrap();
    refuse(&[ResponseCode::MessageIllegal]);
    let error = producer.send(Message::new("T", "illegal")).await.unwrap_err();
    assert_eq!(error.response_code(), Some(ResponseCode::MessageIllegal));
    assert!(matches!(error, ClientError::Refused { .. }));
    refuse(&[ResponseCode::SystemError; 3]);
    let error = producer.send(Message::new("T", "unlucky")).await.unwrap_err();
    assert!(matches!(error, ClientError::BudgetSpent { attempts: 3, .. }), "{error}");
    assert_eq!(cluster.bodies(), ["patient"]);
}

#[tokio::test]
async fn a_send_whose_answer_is_lost_is_sent_again() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    let producer = producer(&cluster);
    cluster.brokers[0].cut.store(1, Ordering::SeqCst);
    let result = producer.send(Message::new("T", "twice")).await.unwrap();
    let records = cluster.brokers[0].records("T");
    assert_eq!(records.len(), 2);
    // Whoever wants to can tell that it is the same message.
    assert!(records.iter().all(|record| record.message_id() == result.message_id()));
}

#[tokio::test]
async fn a_send_never_takes_longer_than_its_budget() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    let budget = Duration::from_millis(300);
    let config = ProducerConfig { send_timeout: budget, ..ProducerConfig::new("PG") };
    let producer = Producer::start(&cluster.client(), config).unwrap();
    producer.send(Message::new("T", "warm")).await.unwrap();
    cluster.brokers[0].silent.store(true, Ordering::SeqCst);
    let started = Instant::now();
    assert!(producer.send(Message::new("T", "lost")).await.is_err());
    assert!(started.elapsed() >= budget && started.elapsed() < budget + PATIENCE / 4);
}

#[tokio::test]
async fn a_batch_gets_neighbouring_places_and_an_id_for_each() {
    let cluster = Cluster::start(1, &[("T", 4)]);
    let producer = producer(&cluster);
    let messages = (0..5).map(|n| Message::new("T", format!("batch {n}")).with_tag("B")).collect();
    let result = producer.send_batch(messages).await.unwrap();
    assert_eq!((result.message_ids.len(), result.offset_message_ids.len()), (5, 5));
    let records = cluster.brokers[0].records("T");
    let offsets: Vec<_> = records.iter().map(|record| record.queue_offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4]);
    assert!(
        records.iter().all(|record| record.queue_id == result.queue.queue_id && record.tags() == Some("B"))
    );
}

#[tokio::test]
async fn batches_that_break_the_rules_are_refused_here() {
    let cluster = Cluster::start(1, &[("T", 1), ("U", 1)]);
    let producer = producer(&cluster);
    let message = |topic: &str| Message::new(topic, "x");
    for batch in [
        vec![],
        vec![message("T"), message("U")],
        vec![message("T").with_delay_level(3)],
        vec![message("%RETRY%CG")],
    ] {
        assert!(matches!(producer.send_batch(batch).await, Err(ClientError::Batch { .. })));
    }
    let huge = Message::new("T", vec![0; 5 << 20]);
    assert!(matches!(producer.send(huge).await, Err(ClientError::MessageSize { .. })));
    assert!(matches!(producer.send(message("no spaces")).await, Err(ClientError::Name(_))));
    assert_eq!(cluster.brokers[0].sends.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn ordered_messages_stay_in_the_selected_queue() {
    let cluster = Cluster::start(2, &[("T", 4)]);
    let producer = producer(&cluster);
    for n in 0..10 {
        let result =
            producer.send_ordered(Message::new("T", format!("{n}")), |queues| 5 % queues.len()).await;
        assert_eq!(result.unwrap().queue_offset, n);
    }
    let error = producer.send_ordered(Message::new("T", "x"), |queues| queues.len()).await.unwrap_err();
    assert!(matches!(error, ClientError::Selected { chosen: 8, queues: 8 }));
}

#[tokio::test]
async fn sends_by_callback_are_all_told_and_bounded() {
    let cluster = Cluster::start(1, &[("T", 2)]);
    let config = ProducerConfig { sends_max: 5, ..ProducerConfig::new("PG") };
    let producer = Producer::start(&cluster.client(), config).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let send = |n: i32| {
        let told = told.clone();
        producer
            .send_async(Message::new("T", format!("{n}")), move |outcome| told.lock().push(outcome.is_ok()))
    };
    // Nothing runs on this single thread before we wait, so the sixth finds five under way.
    for n in 0..5 {
        send(n).unwrap();
    }
    assert!(matches!(send(5), Err(ClientError::TooManySends { limit: 5 })));
    until("all are told", || told.lock().len() == 5).await;
    send(6).unwrap();
    producer.stop().await;
    assert_eq!(*told.lock(), [true; 6]);
}

#[tokio::test]
async fn one_way_messages_are_stored() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    let producer = producer(&cluster);
    for n in 0..10 {
        producer.send_oneway(Message::new("T", format!("{n}"))).await.unwrap();
    }
    until("all are stored", || cluster.bodies().len() == 10).await;
}

#[tokio::test]
async fn a_topic_that_does_not_exist_is_made_after_the_default_one() {
    let cluster = Cluster::start(1, &[("TBW102", 8)]);
    let producer = producer(&cluster);
    for n in 0..8 {
        let result = producer.send(Message::new("New", format!("{n}"))).await.unwrap();
        assert!(result.queue.queue_id < 4);
    }
    assert_eq!(cluster.brokers[0].records("New").len(), 8);
}

#[tokio::test]
async fn without_any_route_a_send_fails_by_saying_so() {
    let cluster = Cluster::start(1, &[]);
    let config = ProducerConfig { send_timeout: Duration::from_millis(200), ..ProducerConfig::new("PG") };
    let producer = Producer::start(&cluster.client(), config).unwrap();
    let error = producer.send(Message::new("Nowhere", "x")).await.unwrap_err();
    let ClientError::BudgetSpent { last, .. } = error else { panic!("{error}") };
    assert!(matches!(*last, ClientError::NoRoute { .. }));
}

#[tokio::test]
async fn topics_can_be_created_in_a_whole_cluster() {
    let cluster = Cluster::start(2, &[]);
    let client = cluster.client();
    let config = TopicConfig::new("Made", 3, 3, 6);
    Admin::new(&client).create_topic("DefaultCluster", &config).await.unwrap();
    let producer = Producer::start(&client, ProducerConfig::new("PG")).unwrap();
    assert_eq!(producer.queues("Made").await.unwrap().len(), 6);
}

#[tokio::test]
async fn brokers_learn_of_a_producer_by_heartbeat() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    let producer = producer(&cluster);
    producer.send(Message::new("T", "x")).await.unwrap();
    until("the broker has heard of us", || cluster.brokers[0].beats.load(Ordering::SeqCst) > 0).await;
}
