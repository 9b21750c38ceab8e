//! What the registry promises, as tables.

use super::*;
use protocol::body::{ConsumeFromWhere, ConsumeType, MessageModel};

const PUSH: ConsumerSettings = ConsumerSettings {
    consume_type: ConsumeType::ConsumePassively,
    message_model: MessageModel::Clustering,
    consume_from_where: ConsumeFromWhere::ConsumeFromLastOffset,
};

fn client(connection_id: u64, now: Instant) -> Client<u64> {
    Client {
        connection_id,
        connection: connection_id,
        client_id: format!("10.0.0.1@{connection_id}").into(),
        language: LanguageCode::Java,
        version: 479,
        last_heartbeat: now,
        last_heartbeat_ms: 0,
    }
}

fn subscribe(topic: &str, expression: &str, version: i64) -> SubscriptionData {
    SubscriptionData {
        topic: topic.into(),
        sub_string: expression.into(),
        sub_version: version,
        ..SubscriptionData::default()
    }
}

fn registry() -> ClientRegistry<u64> {
    ClientRegistry::new(RegistryLimits { groups: 3, groups_of_connection: 2, topics_of_group: 2 })
}

#[test]
fn a_new_member_or_another_topic_changes_the_group_and_a_repeated_heartbeat_does_not() {
    let now = Instant::now();
    let mut registry = registry();
    let beat = |registry: &mut ClientRegistry<u64>, id, subs| {
        registry.register_consumer("G", PUSH, subs, &client(id, now))
    };
    assert_eq!(beat(&mut registry, 1, vec![subscribe("T", "*", 1)]), Registered::Changed);
    assert_eq!(beat(&mut registry, 1, vec![subscribe("T", "*", 1)]), Registered::Known);
    assert_eq!(beat(&mut registry, 2, vec![subscribe("T", "*", 1)]), Registered::Changed);
    assert_eq!(
        beat(&mut registry, 2, vec![subscribe("T", "TagA", 0)]),
        Registered::Known,
        "older versions are ignored"
    );
    assert_eq!(beat(&mut registry, 2, vec![subscribe("T", "TagA", 2)]), Registered::Changed);
    assert_eq!(beat(&mut registry, 2, vec![subscribe("U", "*", 2)]), Registered::Changed);
    let group = registry.consumer_group("G").expect("two members");
    assert_eq!(group.subscriptions.len(), 1);
    assert_eq!(group.client_ids().len(), 2);
}

#[test]
fn a_closed_connection_leaves_all_its_groups_and_empty_groups_vanish() {
    let now = Instant::now();
    let mut registry = registry();
    registry.register_consumer("G", PUSH, vec![subscribe("T", "*", 1)], &client(1, now));
    registry.register_consumer("G", PUSH, vec![subscribe("T", "*", 1)], &client(2, now));
    registry.register_producer("P", &client(1, now));
    assert_eq!(registry.closed(1), BTreeSet::from(["G".to_owned()]));
    assert!(registry.producers_of("P").is_empty());
    assert_eq!(registry.closed(1), BTreeSet::new());
    assert!(registry.consumer_group("G").is_some());
    assert!(registry.unregister_consumer("G", 2));
    assert!(!registry.unregister_consumer("G", 2));
    assert!(registry.consumer_group("G").is_none());
    assert_eq!(registry.group_counts(), (0, 0));
}

#[test]
fn a_client_that_is_silent_for_too_long_is_forgotten_and_its_connection_named() {
    let now = Instant::now();
    let silence_max = Duration::from_secs(120);
    let mut registry = registry();
    registry.register_consumer("G", PUSH, vec![], &client(1, now));
    registry.register_producer("P", &client(2, now + Duration::from_secs(10)));
    assert!(registry.expire(now + silence_max, silence_max).connections.is_empty());
    let expired = registry.expire(now + silence_max + Duration::from_secs(1), silence_max);
    assert_eq!(expired.connections, [1]);
    assert_eq!(expired.changed_groups, BTreeSet::from(["G".to_owned()]));
    assert_eq!(registry.producers_of("P").len(), 1);
}

#[test]
fn heartbeats_cannot_grow_the_registry_beyond_its_limits() {
    let now = Instant::now();
    let mut registry = registry();
    assert_eq!(registry.register_producer("P1", &client(1, now)), Registered::Changed);
    assert_eq!(registry.register_producer("P2", &client(1, now)), Registered::Changed);
    assert_eq!(
        registry.register_producer("P3", &client(1, now)),
        Registered::Full,
        "groups of one connection"
    );
    assert_eq!(registry.register_producer("P3", &client(2, now)), Registered::Changed);
    assert_eq!(registry.register_producer("P4", &client(3, now)), Registered::Full, "groups");
    assert_eq!(registry.register_producer("P1", &client(3, now)), Registered::Changed);
    let topics = vec![subscribe("A", "*", 1), subscribe("B", "*", 1), subscribe("C", "*", 1)];
    assert_eq!(registry.register_consumer("G", PUSH, topics, &client(4, now)), Registered::Full, "topics");
}

#[test]
fn a_topic_finds_the_groups_that_consume_it() {
    let now = Instant::now();
    let mut registry = registry();
    registry.register_consumer("G", PUSH, vec![subscribe("T", "*", 1)], &client(1, now));
    registry.register_consumer("H", PUSH, vec![subscribe("U", "*", 1)], &client(2, now));
    assert_eq!(registry.groups_consuming("T"), BTreeSet::from(["G".to_owned()]));
    assert!(registry.subscription("G", "U").is_some_and(|(_, subscription)| subscription.is_none()));
    assert!(registry.subscription("none", "T").is_none());
}

#[test]
fn the_producer_inside_a_consumer_is_no_producer() {
    let mut registry = registry();
    let now = Instant::now();
    registry.register_producer("CLIENT_INNER_PRODUCER", &client(1, now));
    assert!(!registry.has_producers());
    registry.register_producer("P", &client(1, now));
    assert!(registry.has_producers());
    registry.closed(1);
    assert!(!registry.has_producers());
}
