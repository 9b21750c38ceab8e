//! Promises of push and pull consumers, against the cluster of `support`.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use client::{
    Client, ConsumeFromWhere, ConsumeOutcome, ConsumerConfig, Message, MessageModel, MessageQueue, Producer,
    ProducerConfig, PullConsumer, PullStatus, PushConsumer, Which,
};
use parking_lot::Mutex;
use protocol::body::{
    Body, CMResult, ConsumeMessageDirectlyResult, ConsumerRunningInfo, GetConsumerStatusBody, ResetOffsetBody,
};
use protocol::header::{
    ConsumeMessageDirectlyResultRequestHeader, GetConsumerRunningInfoRequestHeader,
    GetConsumerStatusRequestHeader, ResetOffsetRequestHeader,
};
use protocol::{RemotingCommand, RequestCode, ResponseCode};
use support::{Cluster, PATIENCE, Seen, quick, text, until};

async fn send(cluster: &Cluster, bodies: impl IntoIterator<Item = String>) {
    let producer = Producer::start(&cluster.client(), ProducerConfig::new("PG")).unwrap();
    for body in bodies {
        producer.send(Message::new("T", body)).await.unwrap();
    }
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("{n:04}")).collect()
}

/// A concurrent consumer that notes what it sees.
async fn noting(client: &Client, config: ConsumerConfig, seen: &Seen) -> PushConsumer {
    let seen = seen.clone();
    PushConsumer::start_concurrent(client, config, move |delivery| {
        seen.note(&delivery);
        async { ConsumeOutcome::Success }
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_consumed_and_its_offset_told() {
    let cluster = Cluster::start(2, &[("T", 4)]);
    send(&cluster, numbered(0..100)).await;
    let (client, seen) = (cluster.client(), Seen::default());
    let consumer = noting(&client, quick("CG").subscribe("T", "*"), &seen).await;
    until("the old ones are consumed", || seen.count() == 100).await;
    send(&cluster, numbered(100..200)).await;
    until("the new ones are consumed", || seen.count() == 200).await;
    consumer.stop().await;
    assert_eq!(seen.sorted(), numbered(0..200));
    let told =
        cluster.brokers.iter().flat_map(|broker| (0..4).map(|id| broker.offset("CG", "T", id).unwrap()));
    assert_eq!(told.sum::<i64>(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_where_its_group_stopped() {
    let cluster = Cluster::start(1, &[("T", 4)]);
    send(&cluster, numbered(0..50)).await;
    let first = Seen::default();
    let consumer = noting(&cluster.client(), quick("CG").subscribe("T", "*"), &first).await;
    until("all are consumed", || first.count() == 50).await;
    consumer.stop().await;
    send(&cluster, numbered(50..60)).await;
    let second = Seen::default();
    let consumer = noting(&cluster.client(), quick("CG").subscribe("T", "*"), &second).await;
    until("the rest is consumed", || second.count() == 10).await;
    consumer.stop().await;
    assert_eq!(second.sorted(), numbered(50..60));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_group_begins_where_it_is_told_to() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    send(&cluster, numbered(0..5)).await;
    let seen = Seen::default();
    let config = ConsumerConfig { from_where: ConsumeFromWhere::ConsumeFromLastOffset, ..quick("CG") };
    let consumer = noting(&cluster.client(), config.subscribe("T", "*"), &seen).await;
    until("the queue is ours", || consumer.queues().iter().any(|queue| queue.topic == "T")).await;
    send(&cluster, numbered(5..8)).await;
    until("the new ones are consumed", || seen.count() == 3).await;
    consumer.stop().await;
    assert_eq!(seen.sorted(), numbered(5..8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_subscribed_tags_are_consumed_even_when_their_hashes_collide() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    let producer = Producer::start(&cluster.client(), ProducerConfig::new("PG")).unwrap();
    // "Aa" and "BB" have the same Java hash.
    for tag in ["Aa", "BB", "C", "Aa", "D"] {
        producer.send(Message::new("T", tag).with_tag(tag)).await.unwrap();
    }
    let seen = Seen::default();
    let consumer = noting(&cluster.client(), quick("CG").subscribe("T", "Aa || D"), &seen).await;
    until("the wanted ones are consumed", || seen.count() == 3).await;
    until("the offset passes what was filtered", || cluster.brokers[0].offset("CG", "T", 0) == Some(5)).await;
    consumer.stop().await;
    assert_eq!(seen.sorted(), ["Aa", "Aa", "D"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_are_shared_anew_when_a_member_joins_and_when_it_leaves() {
    let cluster = Cluster::start(2, &[("T", 4)]);
    let seen = Seen::default();
    let first = noting(&cluster.client(), quick("CG").subscribe("T", "*"), &seen).await;
    let of_topic = |consumer: &PushConsumer| -> BTreeSet<MessageQueue> {
        consumer.queues().into_iter().filter(|queue| queue.topic == "T").collect()
    };
    until("the first has all", || of_topic(&first).len() == 8).await;
    let second = noting(&cluster.client(), quick("CG").subscribe("T", "*"), &seen).await;
    until("they share", || of_topic(&first).len() == 4 && of_topic(&second).len() == 4).await;
    assert!(of_topic(&first).is_disjoint(&of_topic(&second)));
    send(&cluster, numbered(0..80)).await;
    until("all are consumed", || seen.count() >= 80).await;
    second.stop().await;
    until("the first has all again", || of_topic(&first).len() == 8).await;
    send(&cluster, numbered(80..100)).await;
    let distinct = || seen.all().into_iter().collect::<BTreeSet<_>>().len();
    until("all are consumed", || distinct() == 100).await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_comes_again_under_its_own_topic_until_the_dead_letters() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    let tries = Arc::new(Mutex::new(BTreeMap::<String, Vec<i32>>::new()));
    let noted = tries.clone();
    let config = ConsumerConfig { reconsume_times_max: 3, ..quick("CG") };
    let consumer =
        PushConsumer::start_concurrent(&cluster.client(), config.subscribe("T", "*"), move |delivery| {
            let mut outcome = ConsumeOutcome::Success;
            for message in delivery.iter() {
                assert_eq!(message.topic, "T");
                noted.lock().entry(text(message)).or_default().push(message.reconsume_times);
                if message.body == "bad" || (message.body == "shy" && message.reconsume_times < 2) {
                    outcome = ConsumeOutcome::LATER;
                }
            }
            async move { outcome }
        })
        .await
        .unwrap();
    send(&cluster, ["good", "shy", "bad"].map(str::to_owned)).await;
    until("the bad one is dead", || cluster.brokers[0].records("%DLQ%CG").len() == 1).await;
    until("the retries are consumed", || cluster.brokers[0].offset("CG", "%RETRY%CG", 0) == Some(5)).await;
    consumer.stop().await;
    let tries = tries.lock();
    assert_eq!(tries["good"], [0]);
    assert_eq!(tries["shy"], [0, 1, 2]);
    assert_eq!(tries["bad"], [0, 1, 2, 3]);
    assert_eq!(cluster.brokers[0].offset("CG", "T", 0), Some(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_does_not_take_back_is_sent_as_a_copy() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    cluster.brokers[0].refuse_back.store(true, Ordering::SeqCst);
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = times.clone();
    let consumer =
        PushConsumer::start_concurrent(&cluster.client(), quick("CG").subscribe("T", "*"), move |delivery| {
            noted.lock().push((delivery[0].topic.clone(), delivery[0].reconsume_times));
            let outcome = if delivery[0].reconsume_times == 0 {
                ConsumeOutcome::LATER
            } else {
                ConsumeOutcome::Success
            };
            async move { outcome }
        })
        .await
        .unwrap();
    send(&cluster, ["again".to_owned()]).await;
    until("it came again", || times.lock().len() == 2).await;
    consumer.stop().await;
    assert_eq!(*times.lock(), [("T".to_owned(), 0), ("T".to_owned(), 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_queue_keeps_its_order_across_failures() {
    let cluster = Cluster::start(1, &[("T", 2)]);
    let producer = Producer::start(&cluster.client(), ProducerConfig::new("PG")).unwrap();
    for n in 0..40 {
        producer.send_ordered(Message::new("T", format!("{n:04}")), |_| n % 2).await.unwrap();
    }
    let (seen, busy) =
        (Arc::new(Mutex::new(BTreeMap::<i32, Vec<String>>::new())), Arc::new(AtomicUsize::new(0)));
    let (noted, stumbled) = (seen.clone(), Arc::new(AtomicBool::new(false)));
    let consumer =
        PushConsumer::start_orderly(&cluster.client(), quick("CG").subscribe("T", "*"), move |delivery| {
            let (noted, stumbled, busy) = (noted.clone(), stumbled.clone(), busy.clone());
            async move {
                assert!(busy.fetch_add(1, Ordering::SeqCst) < 2, "one call a queue at a time");
                tokio::task::yield_now().await;
                busy.fetch_sub(1, Ordering::SeqCst);
                if delivery[0].body == "0010" && !stumbled.swap(true, Ordering::SeqCst) {
                    return ConsumeOutcome::LATER;
                }
                noted.lock().entry(delivery[0].queue_id).or_default().push(text(&delivery[0]));
                ConsumeOutcome::Success
            }
        })
        .await
        .unwrap();
    until("all are consumed", || seen.lock().values().map(Vec::len).sum::<usize>() == 40).await;
    for (queue, bodies) in &*seen.lock() {
        let expected: Vec<_> =
            (0..40).filter(|n| n % 2 == *queue as usize).map(|n| format!("{n:04}")).collect();
        assert_eq!(*bodies, expected);
    }
    let queue = MessageQueue::new("T", "broker-a", 0);
    assert!(cluster.brokers[0].lock_owner("CG", &queue).is_some());
    consumer.stop().await;
    until("the lock is given back", || cluster.brokers[0].lock_owner("CG", &queue).is_none()).await;
    assert_eq!(cluster.brokers[0].offset("CG", "T", 0), Some(20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orderly_messages_that_fail_too_often_make_way_for_the_rest() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    send(&cluster, ["stuck", "free"].map(str::to_owned)).await;
    let seen = Seen::default();
    let noted = seen.clone();
    let config = ConsumerConfig { reconsume_times_max: 2, ..quick("CG") };
    let consumer =
        PushConsumer::start_orderly(&cluster.client(), config.subscribe("T", "*"), move |delivery| {
            noted.note(&delivery);
            let outcome =
                if delivery[0].body == "stuck" { ConsumeOutcome::LATER } else { ConsumeOutcome::Success };
            async move { outcome }
        })
        .await
        .unwrap();
    until("the queue goes on", || seen.all().contains(&"free".to_owned())).await;
    consumer.stop().await;
    assert_eq!(seen.all()[..3], ["stuck", "stuck", "stuck"]);
    assert_eq!(cluster.brokers[0].records("%DLQ%CG").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broadcasting_gives_everything_to_everyone_and_keeps_offsets_in_a_file() {
    let cluster = Cluster::start(1, &[("T", 2)]);
    let directory = tempfile::tempdir().unwrap();
    send(&cluster, numbered(0..20)).await;
    let config = |name: &str| ConsumerConfig {
        model: MessageModel::Broadcasting,
        offset_directory: directory.path().join(name),
        ..quick("CG").subscribe("T", "*")
    };
    let client = |name: &str| {
        let address = cluster.client().routes().name_servers()[0].clone();
        let config =
            client::ClientConfig { client_id: name.to_owned(), ..client::ClientConfig::new(&address) };
        Client::start(config).unwrap()
    };
    let (one, other) = (Seen::default(), Seen::default());
    let first = noting(&client("one"), config("one"), &one).await;
    let second = noting(&client("other"), config("other"), &other).await;
    until("both have all", || one.count() == 20 && other.count() == 20).await;
    first.stop().await;
    second.stop().await;
    send(&cluster, numbered(20..25)).await;
    let again = Seen::default();
    let first = noting(&client("one"), config("one"), &again).await;
    until("the rest is consumed", || again.count() == 5).await;
    first.stop().await;
    assert_eq!(again.sorted(), numbered(20..25));
    assert_eq!(cluster.brokers[0].offset("CG", "T", 0), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_is_not_pulled_while_too_much_of_it_waits() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    send(&cluster, numbered(0..200)).await;
    let (gate, seen) = (Arc::new(tokio::sync::Semaphore::new(0)), Seen::default());
    let (door, noted) = (gate.clone(), seen.clone());
    let config = ConsumerConfig { cached_messages_max: 10, pull_batch: 5, concurrency: 2, ..quick("CG") };
    let client = cluster.client();
    let consumer = PushConsumer::start_concurrent(&client, config.subscribe("T", "*"), move |delivery| {
        let (door, noted) = (door.clone(), noted.clone());
        async move {
            door.acquire().await.unwrap().forget();
            noted.note(&delivery);
            ConsumeOutcome::Success
        }
    })
    .await
    .unwrap();
    let asked = GetConsumerRunningInfoRequestHeader {
        consumer_group: "CG".into(),
        client_id: client.id().into(),
        jstack_enable: false,
    };
    let queue = MessageQueue::new("T", "broker-a", 0);
    let cached = async || {
        let member = cluster.brokers[0].members.lock()["CG"][client.id()].clone();
        let request = RemotingCommand::request_with(RequestCode::GetConsumerRunningInfo, &asked);
        let answer = member.call(request, PATIENCE).await.unwrap();
        ConsumerRunningInfo::decode(&answer.body)
            .unwrap()
            .mq_table
            .get(&queue)
            .map_or(0, |info| info.cached_msg_count)
    };
    let filled = async {
        while cached().await < 10 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, filled).await.unwrap();
    assert!(cached().await <= 10);
    gate.add_permits(1000);
    until("all are consumed", || seen.count() == 200).await;
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumption_goes_on_after_a_failover() {
    let mut cluster = Cluster::start(1, &[("T", 2)]);
    send(&cluster, numbered(0..10)).await;
    let seen = Seen::default();
    let consumer = noting(&cluster.client(), quick("CG").subscribe("T", "*"), &seen).await;
    until("the first ones are consumed", || seen.count() == 10).await;
    let store = cluster.brokers[0].store.clone();
    cluster.kill(0).await;
    cluster.add("broker-a", store);
    send(&cluster, numbered(10..20)).await;
    let distinct = || seen.all().into_iter().collect::<BTreeSet<_>>().len();
    until("the rest is consumed", || distinct() == 20).await;
    until("the new broker knows the consumer", || cluster.brokers[1].members.lock().contains_key("CG")).await;
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offset_that_the_broker_has_lost_is_corrected() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    send(&cluster, numbered(0..10)).await;
    cluster.brokers[0].expire("T", 0, 6);
    let seen = Seen::default();
    let consumer = noting(&cluster.client(), quick("CG").subscribe("T", "*"), &seen).await;
    until("what is left is consumed", || seen.count() == 4).await;
    consumer.stop().await;
    assert_eq!(seen.sorted(), numbered(6..10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_can_look_into_a_consumer_and_set_it_back() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    send(&cluster, numbered(0..10)).await;
    let (client, seen) = (cluster.client(), Seen::default());
    let consumer = noting(&client, quick("CG").subscribe("T", "*"), &seen).await;
    until("all are consumed", || seen.count() == 10).await;
    let member = cluster.brokers[0].members.lock()["CG"][client.id()].clone();

    let header = GetConsumerStatusRequestHeader { topic: "T".into(), group: "CG".into(), client_addr: None };
    let request = RemotingCommand::request_with(RequestCode::GetConsumerStatusFromClient, &header);
    let status = GetConsumerStatusBody::decode(&member.call(request, PATIENCE).await.unwrap().body).unwrap();
    let queue = MessageQueue::new("T", "broker-a", 0);
    assert_eq!(status.message_queue_table[&queue], 10);

    let header = ResetOffsetRequestHeader {
        group: "CG".into(),
        topic: "T".into(),
        queue_id: -1,
        offset: None,
        timestamp: 0,
        is_force: true,
    };
    let body = ResetOffsetBody { offset_table: [(queue, 7)].into() };
    let reset = RemotingCommand::request_with(RequestCode::ResetConsumerClientOffset, &header)
        .with_body(body.encode());
    member.oneway(reset).unwrap();
    until("the last ones come again", || seen.count() == 13).await;
    assert_eq!(seen.all()[10..].iter().collect::<BTreeSet<_>>(), numbered(7..10).iter().collect());

    let header = ConsumeMessageDirectlyResultRequestHeader {
        consumer_group: "CG".into(),
        broker_name: Some("broker-a".into()),
        ..ConsumeMessageDirectlyResultRequestHeader::default()
    };
    let record = cluster.brokers[0].store.clone();
    let record = {
        let store = record.lock();
        store.record("T", 0, 3)
    };
    let directly =
        RemotingCommand::request_with(RequestCode::ConsumeMessageDirectly, &header).with_body(record);
    let answer = member.call(directly, PATIENCE).await.unwrap();
    let result = ConsumeMessageDirectlyResult::decode(&answer.body).unwrap();
    assert_eq!(result.consume_result, Some(CMResult::CrSuccess));
    assert_eq!(seen.all()[13], "0003");

    let unknown = member.call(RemotingCommand::request(RequestCode::PullMessage), PATIENCE).await.unwrap();
    assert_eq!(unknown.response_code(), Some(ResponseCode::RequestCodeNotSupported));
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_consumer_shares_its_topic_and_commits_what_was_polled() {
    let cluster = Cluster::start(1, &[("T", 4)]);
    send(&cluster, numbered(0..50)).await;
    let consumer = PullConsumer::start(&cluster.client(), quick("CG").subscribe("T", "*")).await.unwrap();
    let mut bodies = Vec::new();
    while bodies.len() < 50 {
        let messages = consumer.poll(PATIENCE).await;
        assert!(!messages.is_empty(), "polled in vain after {}", bodies.len());
        bodies.extend(messages.iter().map(text));
    }
    assert!(consumer.poll(Duration::from_millis(20)).await.is_empty());
    consumer.stop().await;
    bodies.sort();
    assert_eq!(bodies, numbered(0..50));
    let told: i64 = (0..4).map(|id| cluster.brokers[0].offset("CG", "T", id).unwrap()).sum();
    assert_eq!(told, 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_consumer_with_queues_by_hand_can_seek_and_commit_by_hand() {
    let cluster = Cluster::start(1, &[("T", 2)]);
    let producer = Producer::start(&cluster.client(), ProducerConfig::new("PG")).unwrap();
    for n in 0..10 {
        producer.send_ordered(Message::new("T", format!("{n:04}")), |_| 0).await.unwrap();
    }
    let config = ConsumerConfig { auto_commit: false, ..quick("CG") };
    let consumer = PullConsumer::start(&cluster.client(), config).await.unwrap();
    let queue = MessageQueue::new("T", "broker-a", 0);
    assert!(consumer.seek(&queue, 5).is_err());
    consumer.assign([queue.clone()]).await.unwrap();
    consumer.seek(&queue, 7).unwrap();
    let mut bodies = Vec::new();
    while bodies.last().map(String::as_str) != Some("0009") {
        bodies.extend(consumer.poll(PATIENCE).await.iter().map(text));
    }
    assert!(bodies.ends_with(&numbered(7..10)));
    consumer.commit().await;
    assert_eq!(consumer.consumed(&queue).await.unwrap(), Some(10));
    assert_eq!(consumer.offset(&queue, Which::End).await.unwrap(), 10);
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_pull_reads_any_place() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    send(&cluster, numbered(0..10)).await;
    let consumer = PullConsumer::start(&cluster.client(), quick("CG")).await.unwrap();
    let queue = MessageQueue::new("T", "broker-a", 0);
    let found = consumer.pull(&queue, 4, 3, None).await.unwrap();
    assert_eq!((found.status, found.next_offset, found.offset_max), (PullStatus::Found, 7, 10));
    assert_eq!(found.messages.iter().map(text).collect::<Vec<_>>(), numbered(4..7));
    let none = consumer.pull(&queue, 10, 3, None).await.unwrap();
    assert_eq!((none.status, none.next_offset), (PullStatus::NoNewMessage, 10));
    let moved = consumer.pull(&queue, 99, 3, None).await.unwrap();
    assert_eq!((moved.status, moved.next_offset), (PullStatus::OffsetIllegal, 10));
    consumer.stop().await;
}

/// Whether consumers may read a topic at `broker-a`; producers may always write it.
async fn set_readable(cluster: &Cluster, client: &Client, topic: &str, is_readable: bool) {
    cluster.names.set_topic(topic, "broker-a", 1, if is_readable { 6 } else { 2 });
    client.routes().refresh(topic).await.unwrap();
}

fn has(consumer: &PushConsumer, topic: &str) -> bool {
    consumer.queues().iter().any(|queue| queue.topic == topic)
}

/// A broadcasting consumer that begins at the end, so that what it forgets is missed.
fn broadcasting(directory: &tempfile::TempDir) -> ConsumerConfig {
    ConsumerConfig {
        model: MessageModel::Broadcasting,
        from_where: ConsumeFromWhere::ConsumeFromLastOffset,
        offset_directory: directory.path().to_owned(),
        ..quick("CG").subscribe("T", "*").subscribe("U", "*")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcasting_member_goes_on_in_a_queue_that_comes_back() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    let (client, directory, seen) = (cluster.client(), tempfile::tempdir().unwrap(), Seen::default());
    let consumer = noting(&client, broadcasting(&directory), &seen).await;
    until("the queue is ours", || has(&consumer, "T")).await;
    send(&cluster, numbered(0..5)).await;
    let queue = MessageQueue::new("T", "broker-a", 0);
    until("the first ones are consumed", || consumer.offset(&queue) == Some(5)).await;
    set_readable(&cluster, &client, "T", false).await;
    until("the queue is gone", || !has(&consumer, "T")).await;
    send(&cluster, numbered(5..8)).await;
    set_readable(&cluster, &client, "T", true).await;
    until("the rest is consumed", || seen.count() == 8).await;
    consumer.stop().await;
    assert_eq!(seen.sorted(), numbered(0..8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcasting_member_keeps_the_place_where_it_began_before_its_first_message() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    let (client, directory, seen) = (cluster.client(), tempfile::tempdir().unwrap(), Seen::default());
    // Nothing is learnt from a pull, for it is held until the queue is gone.
    let config = ConsumerConfig { hold_max: PATIENCE, ..broadcasting(&directory) };
    let consumer = noting(&client, config, &seen).await;
    until("the queue is ours", || has(&consumer, "T")).await;
    set_readable(&cluster, &client, "T", false).await;
    until("the queue is gone", || !has(&consumer, "T")).await;
    send(&cluster, numbered(0..3)).await;
    set_readable(&cluster, &client, "T", true).await;
    until("all are consumed", || seen.count() == 3).await;
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_of_a_broadcasting_member_keeps_queues_that_are_gone() {
    let cluster = Cluster::start(1, &[("T", 1), ("U", 1)]);
    let (directory, seen) = (tempfile::tempdir().unwrap(), Seen::default());
    let named = || {
        let address = cluster.client().routes().name_servers()[0].clone();
        let config =
            client::ClientConfig { client_id: "one".to_owned(), ..client::ClientConfig::new(&address) };
        Client::start(config).unwrap()
    };
    let client = named();
    set_readable(&cluster, &client, "U", false).await;
    let consumer = noting(&client, broadcasting(&directory), &seen).await;
    until("the queue is ours", || has(&consumer, "T")).await;
    send(&cluster, numbered(0..5)).await;
    let offset = |topic: &str| consumer.offset(&MessageQueue::new(topic, "broker-a", 0));
    until("the first ones are consumed", || offset("T") == Some(5)).await;
    set_readable(&cluster, &client, "T", false).await;
    until("the queue is gone", || !has(&consumer, "T")).await;
    // Another queue, taken after the first was left for good, goes on: the file is written again.
    set_readable(&cluster, &client, "U", true).await;
    until("the other queue is ours", || has(&consumer, "U")).await;
    let producer = Producer::start(&cluster.client(), ProducerConfig::new("PG")).unwrap();
    producer.send(Message::new("U", "other")).await.unwrap();
    until("the other queue went on", || offset("U") == Some(1)).await;
    consumer.stop().await;
    send(&cluster, numbered(5..8)).await;
    cluster.names.set_topic("T", "broker-a", 1, 6);
    let again = Seen::default();
    let consumer = noting(&named(), broadcasting(&directory), &again).await;
    until("the rest is consumed", || again.count() == 3).await;
    consumer.stop().await;
    assert_eq!(again.sorted(), numbered(5..8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_of_one_client_that_stop_together_all_leave() {
    let cluster = Cluster::start(1, &[("T", 1)]);
    let (client, seen) = (cluster.client(), Seen::default());
    let first = noting(&client, quick("CG1").subscribe("T", "*"), &seen).await;
    let second = noting(&client, quick("CG2").subscribe("T", "*"), &seen).await;
    tokio::join!(first.stop(), second.stop());
    until("both groups are left", || {
        let members = cluster.brokers[0].members.lock();
        members.values().all(|members| !members.contains_key(client.id()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_queue_is_not_taken_back_while_its_listener_still_runs() {
    let cluster = Cluster::start(1, &[("T", 1), ("U", 1)]);
    send(&cluster, numbered(0..5)).await;
    let (client, gate, seen) = (cluster.client(), Arc::new(tokio::sync::Semaphore::new(0)), Seen::default());
    let (busy, busy_max) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (door, noted, calls, calls_max) = (gate.clone(), seen.clone(), busy.clone(), busy_max.clone());
    let config = quick("CG").subscribe("T", "*").subscribe("U", "*");
    let consumer = PushConsumer::start_orderly(&client, config, move |delivery| {
        let (door, noted, calls, calls_max) = (door.clone(), noted.clone(), calls.clone(), calls_max.clone());
        async move {
            calls_max.fetch_max(calls.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            door.acquire().await.unwrap().forget();
            noted.note(&delivery);
            calls.fetch_sub(1, Ordering::SeqCst);
            ConsumeOutcome::Success
        }
    })
    .await
    .unwrap();
    until("the listener is called", || busy.load(Ordering::SeqCst) == 1).await;
    for topic in ["T", "U"] {
        set_readable(&cluster, &client, topic, false).await;
    }
    until("the queues are gone", || !has(&consumer, "T") && !has(&consumer, "U")).await;
    for topic in ["T", "U"] {
        set_readable(&cluster, &client, topic, true).await;
    }
    // Topics are shared out in their order: whoever took U has looked at T.
    until("queues are shared again", || has(&consumer, "U")).await;
    assert!(!has(&consumer, "T"), "taken while its listener runs");
    gate.add_permits(1000);
    until("the rest is consumed", || seen.all().contains(&"0004".to_owned())).await;
    assert_eq!(busy_max.load(Ordering::SeqCst), 1);
    let queue = MessageQueue::new("T", "broker-a", 0);
    assert!(cluster.brokers[0].lock_owner("CG", &queue).is_some(), "the lock is ours as long as the queue");
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_that_were_lost_on_the_way_are_told_again_by_whoever_leaves() {
    let cluster = Cluster::start(1, &[("T", 2)]);
    let broker = &cluster.brokers[0];
    broker.lose_offsets.store(true, Ordering::SeqCst);
    let producer = Producer::start(&cluster.client(), ProducerConfig::new("PG")).unwrap();
    for n in 0..10 {
        producer.send_ordered(Message::new("T", format!("{n:04}")), |_| n % 2).await.unwrap();
    }
    let consumer = PullConsumer::start(&cluster.client(), quick("CG")).await.unwrap();
    let queue = |id| MessageQueue::new("T", "broker-a", id);
    consumer.assign([queue(0), queue(1)]).await.unwrap();
    let mut polled = 0;
    while polled < 10 {
        polled += consumer.poll(PATIENCE).await.len();
    }
    until("the offsets are lost", || *broker.lost_offsets.lock() == [(0, 5), (1, 5)].into()).await;
    assert_eq!(broker.offset("CG", "T", 0), None);
    consumer.assign([queue(1)]).await.unwrap();
    assert_eq!(broker.offset("CG", "T", 0), Some(5));
    consumer.stop().await;
    assert_eq!(broker.offset("CG", "T", 1), Some(5));
}
