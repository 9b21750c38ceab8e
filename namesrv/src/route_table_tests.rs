//! The rules of reference sections 8.2 to 8.5, one test a rule, and Trireme's own for Raft groups.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::body::DataVersion;
use protocol::json::Json;

use super::*;
use crate::registration::{Master, Registered, Registration};
use crate::route::keep_zone;
use crate::topics::UnitTopics;

const RW: Queues = Queues { read_nums: 8, write_nums: 8, perm: 6, sys_flag: 0 };

fn version(state_version: i64, counter: i64) -> DataVersion {
    DataVersion { counter, state_version, timestamp: 1 }
}

/// A 5.x broker of group `broker-a` with topics `T` and `TBW102`, over connection `port`.
fn broker(id: i64, port: u64) -> Registration {
    Registration {
        broker: BrokerAddress { cluster: "C".to_owned(), address: format!("10.0.0.1:{port}") },
        broker_name: "broker-a".to_owned(),
        broker_id: id,
        ha_address: format!("10.0.0.1:{}", port + 1),
        zone: None,
        silence_max: None,
        acting_master: Some(false),
        raft_group: false,
        data_version: version(0, 1),
        topics: topics(&["T", "TBW102"]),
        mappings: BTreeMap::new(),
        filter_servers: Some(Vec::new()),
        connection: port,
    }
}

fn topics(names: &[&str]) -> BTreeMap<String, Queues> {
    names.iter().map(|name| ((*name).to_owned(), RW)).collect()
}

fn raft(id: i64, port: u64, term: i64) -> Registration {
    Registration { raft_group: true, data_version: version(term, 1), ..broker(id, port) }
}

fn named(name: &str, registration: Registration) -> Registration {
    Registration { broker_name: name.to_owned(), ..registration }
}

fn table_with(registrations: impl IntoIterator<Item = Registration>) -> RouteTable {
    table_under(RouteRules::default(), registrations)
}

fn table_under(rules: RouteRules, registrations: impl IntoIterator<Item = Registration>) -> RouteTable {
    let mut table = RouteTable::new(rules);
    for registration in registrations {
        accept(&mut table, registration);
    }
    table
}

fn accept(table: &mut RouteTable, registration: Registration) {
    let registered = table.register(registration, Instant::now());
    assert!(matches!(registered, Registered::Accepted { .. }), "{registered:?}");
    check(table);
}

/// What the header of `route_table.rs` promises.
fn check(table: &RouteTable) {
    let mut entries = 0;
    for (name, topic) in &table.topics {
        assert!(!topic.queues.is_empty(), "{name} is held by nobody");
        assert!(topic.queues.keys().all(|broker| table.brokers.contains_key(broker)), "{name}");
        entries += topic.queues.len();
    }
    assert_eq!(entries, table.queue_entries);
    for (name, broker) in &table.brokers {
        assert!(table.clusters[&broker.cluster].contains(name));
        assert!(!broker.addresses.is_empty());
        for address in broker.addresses.values() {
            let key = BrokerAddress { cluster: broker.cluster.clone(), address: address.clone() };
            assert!(table.live.contains_key(&key), "{address} is not alive");
        }
    }
}

fn addresses(table: &RouteTable, topic: &str) -> Vec<(i64, String)> {
    let route = table.route(topic).unwrap();
    route.broker_datas.into_iter().flat_map(|data| data.broker_addrs).collect()
}

fn ports(table: &RouteTable, topic: &str) -> Vec<(i64, u64)> {
    let port = |address: String| address.rsplit_once(':').unwrap().1.parse().unwrap();
    addresses(table, topic).into_iter().map(|(id, address)| (id, port(address))).collect()
}

fn perm_of(table: &RouteTable, topic: &str) -> i32 {
    table.route(topic).unwrap().queue_datas[0].perm
}

// --- 8.2 registration ---------------------------------------------------------------------------

#[test]
fn a_registered_broker_is_in_the_route_of_its_topics() {
    let table = table_with([broker(0, 1), broker(1, 2)]);
    assert_eq!(
        table.route("T").unwrap().to_json(),
        r#"{"brokerDatas":[{"brokerAddrs":{0:"10.0.0.1:1",1:"10.0.0.1:2"},"brokerName":"broker-a","cluster":"C","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":8,"topicSysFlag":0,"writeQueueNums":8}]}"#
    );
    assert_eq!(table.route("unknown"), None);
}

#[test]
fn acting_master_and_zone_are_those_of_the_last_registration() {
    let first = Registration { acting_master: Some(true), zone: Some("z1".to_owned()), ..broker(0, 1) };
    let mut table = table_with([first]);
    let data = table.route("T").unwrap().broker_datas.remove(0);
    assert_eq!((data.enable_acting_master, data.zone_name.as_deref()), (true, Some("z1")));
    accept(&mut table, Registration { acting_master: None, ..broker(0, 1) });
    let data = table.route("T").unwrap().broker_datas.remove(0);
    assert_eq!((data.enable_acting_master, data.zone_name), (false, None));
}

#[test]
fn a_process_that_switches_its_role_has_one_id() {
    let mut table = table_with([broker(0, 1), broker(1, 2)]);
    accept(&mut table, Registration { data_version: version(1, 1), ..broker(0, 2) });
    assert_eq!(ports(&table, "T"), [(0, 2)]);
}

#[test]
fn an_older_state_version_does_not_take_an_id_and_an_equal_or_newer_one_does() {
    let at = |state, port| Registration { data_version: version(state, 1), ..broker(0, port) };
    let mut table = table_with([at(5, 1)]);
    let generation = table.generation();
    assert_eq!(table.register(at(4, 2), Instant::now()), Registered::Fenced { by: 5 });
    assert_eq!(ports(&table, "T"), [(0, 1)]);
    assert_eq!(table.address_count(), 1, "the loser is not alive");
    assert_eq!(table.generation(), generation);
    accept(&mut table, at(5, 2));
    assert_eq!(ports(&table, "T"), [(0, 2)]);
    accept(&mut table, at(6, 3));
    assert_eq!(ports(&table, "T"), [(0, 3)]);
}

#[test]
fn a_state_version_fences_only_while_its_holder_lives() {
    let at = |state, port| Registration { data_version: version(state, 1), ..broker(0, port) };
    let mut table = table_with([at(5, 1), broker(1, 9)]);
    table.connection_closed(1);
    accept(&mut table, at(4, 2));
    assert_eq!(ports(&table, "T"), [(0, 2), (1, 9)]);
}

#[test]
fn the_same_address_may_come_back_with_an_older_state_version() {
    let at = |state| Registration { data_version: version(state, 1), ..broker(0, 1) };
    let mut table = table_with([at(5)]);
    accept(&mut table, at(4));
    assert_eq!(ports(&table, "T"), [(0, 1)]);
}

#[test]
fn a_first_registration_with_a_single_topic_is_refused() {
    let single = || Registration { topics: topics(&["T"]), ..broker(0, 1) };
    let mut table = RouteTable::default();
    assert_eq!(table.register(single(), Instant::now()), Registered::SingleTopic);
    assert_eq!(table.route("T"), None);
    assert_eq!(table.cluster_info().to_json(), r#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#);
    accept(&mut table, broker(0, 1));
    accept(
        &mut table,
        Registration { topics: topics(&["New"]), data_version: version(0, 2), ..broker(0, 1) },
    );
    assert!(table.route("New").is_some() && table.route("T").is_some());
    let mut none = RouteTable::default();
    accept(&mut none, Registration { topics: BTreeMap::new(), ..broker(0, 1) });
}

#[test]
fn topics_come_from_the_master_alone_while_it_is_there() {
    let slave = Registration { topics: topics(&["S", "T"]), data_version: version(0, 9), ..broker(1, 2) };
    let table = table_with([broker(0, 1), slave]);
    assert_eq!(table.all_topics(), ["T", "TBW102"]);
}

#[test]
fn without_a_master_topics_come_from_the_smallest_id_of_a_new_broker_only() {
    let table = table_with([broker(2, 2)]);
    assert_eq!(ports(&table, "T"), [(2, 2)]);
    let table = table_with([broker(1, 1), Registration { topics: topics(&["S", "T"]), ..broker(2, 2) }]);
    assert!(table.route("S").is_none());
    let old = Registration { acting_master: None, ..broker(1, 2) };
    assert_eq!(table_with([old]).topic_count(), 0, "a 4.x slave brings no topics");
}

#[test]
fn a_slave_that_may_act_brings_its_topics_without_write_permission() {
    let acting = Registration { acting_master: Some(true), ..broker(1, 2) };
    let table = table_with([acting]);
    assert_eq!(perm_of(&table, "T"), perm::READ);
}

#[test]
fn topics_change_only_with_the_data_version() {
    let mut table = table_with([broker(0, 1)]);
    let narrow = |counter| Registration {
        topics: BTreeMap::from([("T".to_owned(), Queues { read_nums: 1, ..RW }), ("U".to_owned(), RW)]),
        data_version: version(0, counter),
        ..broker(0, 1)
    };
    accept(&mut table, narrow(1));
    assert_eq!(
        table.route("T").unwrap().queue_datas[0].read_queue_nums,
        8,
        "same version: known topics stay"
    );
    assert!(table.route("U").is_some(), "an unknown topic is taken all the same");
    accept(&mut table, narrow(2));
    assert_eq!(table.route("T").unwrap().queue_datas[0].read_queue_nums, 1);
}

#[test]
fn topics_that_are_no_longer_named_stay_unless_the_configuration_says_otherwise() {
    let without =
        || Registration { topics: topics(&["A", "B"]), data_version: version(0, 2), ..broker(0, 1) };
    let mut table = table_with([broker(0, 1)]);
    accept(&mut table, without());
    assert_eq!(table.all_topics(), ["A", "B", "T", "TBW102"]);
    let rules = RouteRules { delete_missing_topics: true, ..RouteRules::default() };
    let mut table = table_under(rules, [broker(0, 1)]);
    accept(&mut table, without());
    assert_eq!(table.all_topics(), ["A", "B"]);
}

#[test]
fn a_slave_is_told_its_live_master() {
    let mut table = table_with([broker(0, 1)]);
    let registered = table.register(broker(1, 2), Instant::now());
    let master = Master { address: "10.0.0.1:1".to_owned(), ha_address: "10.0.0.1:2".to_owned() };
    assert!(matches!(registered, Registered::Accepted { master: Some(told), .. } if told == master));
    let registered = table.register(broker(0, 1), Instant::now());
    assert!(matches!(registered, Registered::Accepted { master: None, .. }));
}

#[test]
fn members_are_told_when_a_smaller_id_comes() {
    let mut table = table_with([broker(2, 2)]);
    let registered = table.register(broker(1, 1), Instant::now());
    let expected = MinIdChange {
        broker_name: "broker-a".to_owned(),
        id: 1,
        address: "10.0.0.1:1".to_owned(),
        offline_address: None,
        ha_address: Some("10.0.0.1:2".to_owned()),
        tell: vec!["10.0.0.1:2".to_owned()],
    };
    assert!(
        matches!(registered, Registered::Accepted { min_id_change: Some(ref change), .. } if *change == expected),
        "{registered:?}"
    );
    let again = table.register(broker(1, 1), Instant::now());
    assert!(matches!(again, Registered::Accepted { min_id_change: None, .. }));
}

#[test]
fn a_registration_that_changes_nothing_keeps_encoded_answers_valid() {
    let mut table = table_with([broker(0, 1), broker(1, 2)]);
    let generation = table.generation();
    accept(&mut table, broker(0, 1));
    accept(&mut table, broker(1, 2));
    assert_eq!(table.generation(), generation);
    accept(&mut table, Registration { zone: Some("z".to_owned()), ..broker(0, 1) });
    assert!(table.generation() > generation);
}

#[test]
fn a_broker_that_comes_back_under_another_name_leaves_the_old_one() {
    let mut table = table_with([broker(0, 1)]);
    accept(&mut table, named("broker-b", broker(0, 1)));
    assert_eq!(table.route("T").unwrap().broker_datas.len(), 1);
    let moved = Registration {
        broker: BrokerAddress { cluster: "D".to_owned(), address: "10.0.0.1:1".to_owned() },
        ..named("broker-b", broker(0, 1))
    };
    accept(&mut table, moved);
    let clusters = table.cluster_info().cluster_addr_table;
    assert_eq!(clusters.keys().collect::<Vec<_>>(), ["D"]);
    assert_eq!(table.address_count(), 1);
}

#[test]
fn names_and_tables_have_limits() {
    let mut table = RouteTable::default();
    let long = "n".repeat(NAME_BYTES_MAX + 1);
    assert_eq!(table.register(named(&long, broker(0, 1)), Instant::now()), Registered::TooMuch);
    let topic = Registration { topics: topics(&["T", &long]), ..broker(0, 1) };
    assert_eq!(table.register(topic, Instant::now()), Registered::TooMuch);
    accept(&mut table, broker(0, 1));
    table.queue_entries = QUEUE_ENTRIES_MAX;
    let more = Registration { topics: topics(&["T", "U"]), ..broker(0, 1) };
    assert_eq!(table.register(more, Instant::now()), Registered::TooMuch);
    let same = table.register(broker(0, 1), Instant::now());
    assert!(matches!(same, Registered::Accepted { .. }), "what is known stays welcome");
    assert!(!table.register_topic("U", &[("broker-a".to_owned(), RW)]));
}

#[test]
fn static_topics_are_passed_on_as_they_came() {
    let mapping =
        protocol::json::parse(br#"{"bname":"broker-a","currIdMap":{0:0},"epoch":1,"topic":"T"}"#).unwrap();
    let with = Registration { mappings: BTreeMap::from([("T".to_owned(), mapping.clone())]), ..broker(0, 1) };
    let table = table_with([with]);
    let shown = table.route("T").unwrap().topic_queue_mapping_by_broker.unwrap();
    assert_eq!(shown.get("broker-a"), Some(&mapping));
    assert_eq!(table.route("TBW102").unwrap().topic_queue_mapping_by_broker, None);
}

#[test]
fn filter_servers_stand_in_the_route_under_their_broker() {
    let mut table =
        table_with([Registration { filter_servers: Some(vec!["f:1".to_owned()]), ..broker(0, 1) }]);
    assert_eq!(table.route("T").unwrap().filter_server_table["10.0.0.1:1"], ["f:1"]);
    accept(&mut table, broker(0, 1));
    assert!(table.route("T").unwrap().filter_server_table.is_empty());
}

// --- 8.4 liveness and removal -------------------------------------------------------------------

#[test]
fn the_last_address_takes_name_cluster_and_topics_with_it() {
    let mut table = table_with([broker(0, 1), named("broker-b", broker(0, 5))]);
    let gone = table.unregister(&broker(0, 1).broker);
    assert_eq!(gone.gone, [broker(0, 1).broker]);
    check(&table);
    assert_eq!(ports(&table, "T"), [(0, 5)]);
    table.unregister(&broker(0, 5).broker);
    assert_eq!((table.route("T"), table.topic_count(), table.address_count()), (None, 0, 0));
    assert_eq!(table.cluster_info().to_json(), r#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#);
    assert_eq!(table.unregister(&broker(0, 5).broker), crate::removal::Removal::default());
}

#[test]
fn slaves_keep_the_queues_of_a_master_that_left() {
    let mut table = table_with([broker(0, 1), broker(1, 2)]);
    table.unregister(&broker(0, 1).broker);
    assert_eq!(ports(&table, "T"), [(1, 2)]);
    assert_eq!(perm_of(&table, "T"), 6);
}

#[test]
fn a_group_that_may_act_loses_its_write_bits_with_its_master() {
    let acting = |id, port| Registration { acting_master: Some(true), ..broker(id, port) };
    let mut table = table_with([acting(0, 1), acting(1, 2)]);
    assert_eq!(perm_of(&table, "T"), 6);
    table.unregister(&acting(0, 1).broker);
    assert_eq!(perm_of(&table, "T"), perm::READ);
}

#[test]
fn a_closed_connection_removes_whoever_registered_over_it_last() {
    let mut table =
        table_with([broker(0, 1), named("broker-b", Registration { connection: 1, ..broker(0, 5) })]);
    accept(&mut table, Registration { connection: 77, ..broker(0, 1) });
    let removal = table.connection_closed(1);
    assert_eq!(removal.gone, [broker(0, 5).broker], "the other one came back over a new connection");
    assert_eq!(table.connection_closed(77).gone, [broker(0, 1).broker]);
    assert_eq!(table.connection_closed(77).gone, []);
}

#[test]
fn a_silent_broker_is_removed_after_120_seconds() {
    let start = Instant::now();
    let mut table = RouteTable::default();
    table.register(broker(0, 1), start);
    assert_eq!(table.expire(start + SILENCE_MAX).gone, []);
    let removal = table.expire(start + SILENCE_MAX + Duration::from_millis(1));
    assert_eq!((removal.gone, removal.connections), (vec![broker(0, 1).broker], vec![1]));
    assert_eq!(table.route("T"), None);
}

#[test]
fn a_registration_may_ask_for_another_silence() {
    let start = Instant::now();
    let mut table = RouteTable::default();
    table.register(Registration { silence_max: Some(Duration::from_secs(10)), ..broker(0, 1) }, start);
    assert_eq!(table.expire(start + Duration::from_secs(10)).gone.len(), 0);
    assert_eq!(table.expire(start + Duration::from_millis(10_001)).gone.len(), 1);
}

#[test]
fn a_heartbeat_keeps_a_broker_and_registers_nobody() {
    let start = Instant::now();
    let mut table = RouteTable::default();
    table.register(broker(0, 1), start);
    assert!(table.heartbeat(&broker(0, 1).broker, start + SILENCE_MAX));
    assert_eq!(table.expire(start + SILENCE_MAX * 2).gone, []);
    assert!(!table.heartbeat(&broker(0, 9).broker, start));
    assert_eq!(table.address_count(), 1);
}

#[test]
fn members_are_told_when_the_smallest_id_goes() {
    let mut table = table_with([broker(0, 1), broker(1, 2), broker(2, 3)]);
    let removal = table.unregister(&broker(0, 1).broker);
    let change = &removal.min_id_changes[0];
    assert_eq!((change.id, change.address.as_str()), (1, "10.0.0.1:2"));
    assert_eq!(change.offline_address.as_deref(), Some("10.0.0.1:1"));
    assert_eq!(change.tell, ["10.0.0.1:2", "10.0.0.1:3"]);
    assert_eq!(table.unregister(&broker(2, 3).broker).min_id_changes, []);
}

// --- 8.5 routes ---------------------------------------------------------------------------------

#[test]
fn an_acting_master_is_shown_as_id_0_where_it_is_supported() {
    let acting = |id, port| Registration { acting_master: Some(true), ..broker(id, port) };
    let rules = RouteRules { support_acting_master: true, ..RouteRules::default() };
    let mut table = table_under(rules, [acting(0, 1), acting(1, 2), acting(2, 3)]);
    table.unregister(&acting(0, 1).broker);
    assert_eq!(ports(&table, "T"), [(0, 2), (2, 3)]);
    assert_eq!(perm_of(&table, "T"), perm::READ);
    assert_eq!(table.member_group("C", "broker-a").broker_addrs.into_keys().collect::<Vec<_>>(), [1, 2]);
    table.set_rules(RouteRules::default());
    assert_eq!(ports(&table, "T"), [(1, 2), (2, 3)]);
}

#[test]
fn nobody_acts_for_a_master_whose_queues_may_be_written() {
    let rules = RouteRules { support_acting_master: true, ..RouteRules::default() };
    let mut table = table_under(rules, [broker(0, 1), broker(1, 2)]);
    table.unregister(&broker(0, 1).broker);
    assert_eq!(ports(&table, "T"), [(1, 2)]);
}

#[test]
fn member_group_topics_show_no_acting_master() {
    let topic = "rmq_sys_SYNC_BROKER_MEMBER_broker-a";
    let acting = |id, port| Registration {
        acting_master: Some(true),
        topics: topics(&["T", topic]),
        ..broker(id, port)
    };
    let rules = RouteRules { support_acting_master: true, ..RouteRules::default() };
    let table = table_under(rules, [acting(1, 2)]);
    assert_eq!(ports(&table, topic), [(1, 2)]);
    assert_eq!(ports(&table, "T"), [(0, 2)]);
}

#[test]
fn a_zone_keeps_its_own_brokers_and_those_without_a_master() {
    let zoned = |name, zone: &str, id, port| {
        named(name, Registration { zone: Some(zone.to_owned()), ..broker(id, port) })
    };
    let table = table_with([zoned("a", "z1", 0, 1), zoned("b", "z2", 0, 2), zoned("c", "z2", 1, 3)]);
    let mut route = table.route("T").unwrap();
    keep_zone(&mut route, "Z1");
    let names: Vec<_> = route.broker_datas.iter().map(|data| data.broker_name.as_str()).collect();
    assert_eq!(names, ["a", "c"]);
    let queues: Vec<_> = route.queue_datas.iter().map(|data| data.broker_name.as_str()).collect();
    assert_eq!(queues, ["a", "c"]);
}

// --- Raft groups (docs/adr/0002) ----------------------------------------------------------------

#[test]
fn in_a_raft_group_a_survivor_stands_as_id_0_with_all_permissions() {
    let mut table = table_with([raft(0, 1, 5), raft(1, 2, 5), raft(2, 3, 5)]);
    table.connection_closed(1);
    assert_eq!(ports(&table, "T"), [(0, 2), (2, 3)]);
    assert_eq!(perm_of(&table, "T"), 6);
    let shown = table.cluster_info().brokers_shown();
    assert_eq!(shown, [0, 2], "tools see it too");
    table.connection_closed(2);
    assert_eq!(ports(&table, "T"), [(0, 3)]);
    table.connection_closed(3);
    assert_eq!(table.route("T"), None);
}

#[test]
fn the_new_leader_of_a_raft_group_takes_id_0_from_the_one_that_stands_there() {
    let mut table = table_with([raft(0, 1, 5), raft(1, 2, 5), raft(2, 3, 5)]);
    table.connection_closed(1);
    accept(&mut table, raft(0, 3, 6));
    assert_eq!(ports(&table, "T"), [(0, 3), (1, 2)]);
    // The one that died comes back as a follower.
    accept(&mut table, raft(3, 1, 6));
    assert_eq!(ports(&table, "T"), [(0, 3), (1, 2), (3, 1)]);
}

#[test]
fn in_a_raft_group_an_older_term_never_comes_back_as_id_0() {
    let mut table = table_with([raft(0, 1, 5), raft(1, 2, 5)]);
    accept(&mut table, raft(0, 2, 6));
    table.connection_closed(2);
    assert_eq!(table.route("T"), None, "the deposed leader was not a member any more");
    let mut table = table_with([raft(0, 1, 6), raft(1, 2, 6), raft(2, 3, 6)]);
    table.connection_closed(1);
    assert_eq!(table.register(raft(0, 1, 5), Instant::now()), Registered::Fenced { by: 6 });
    assert_eq!(table.register(raft(0, 2, 5), Instant::now()), Registered::Fenced { by: 6 });
    assert_eq!(ports(&table, "T"), [(0, 2), (2, 3)], "a refused follower stays what it was");
    check(&table);
    accept(&mut table, raft(0, 1, 6));
    assert_eq!(ports(&table, "T"), [(0, 1), (1, 2), (2, 3)]);
}

#[test]
fn followers_alone_make_a_route_after_a_restart_of_the_name_server() {
    let table = table_with([raft(2, 3, 0), raft(1, 2, 0)]);
    assert_eq!(ports(&table, "T"), [(0, 2), (2, 3)]);
    assert_eq!(perm_of(&table, "T"), 6);
}

#[test]
fn a_raft_group_that_was_wholly_gone_starts_anew() {
    let mut table = table_with([raft(0, 1, 9)]);
    table.connection_closed(1);
    accept(&mut table, raft(0, 1, 1));
    assert_eq!(ports(&table, "T"), [(0, 1)]);
}

// --- what tools ask and change ------------------------------------------------------------------

#[test]
fn topics_are_listed_whole_by_cluster_and_by_unit() {
    let mut second = named("broker-b", broker(0, 5));
    second.broker.cluster = "D".to_owned();
    second.topics = BTreeMap::from([
        ("T".to_owned(), RW),
        ("Unit".to_owned(), Queues { sys_flag: 1, ..RW }),
        ("Both".to_owned(), Queues { sys_flag: 3, ..RW }),
        ("Sub".to_owned(), Queues { sys_flag: 2, ..RW }),
    ]);
    let table = table_with([broker(0, 1), second]);
    assert_eq!(table.all_topics(), ["Both", "Sub", "T", "TBW102", "Unit"]);
    assert_eq!(table.topics_of_cluster("C"), ["T", "TBW102"]);
    assert_eq!(table.topics_of_cluster("D"), ["Both", "Sub", "T", "Unit"]);
    assert_eq!(table.topics_of_cluster("E"), [""; 0]);
    assert_eq!(table.unit_topics(UnitTopics::Unit), ["Both", "Unit"]);
    assert_eq!(table.unit_topics(UnitTopics::HasUnitSubscription), ["Both", "Sub"]);
    assert_eq!(table.unit_topics(UnitTopics::HasUnitSubscriptionAndNoUnit), ["Sub"]);
    let (names, address) = table.system_topics();
    assert_eq!(names, ["C", "D", "broker-a", "broker-b"]);
    assert_eq!(address.as_deref(), Some("10.0.0.1:1"));
}

#[test]
fn a_topic_is_deleted_everywhere_or_in_one_cluster() {
    let mut second = named("broker-b", broker(0, 5));
    second.broker.cluster = "D".to_owned();
    let mut table = table_with([broker(0, 1), second]);
    table.delete_topic("T", Some("D"));
    assert_eq!(ports(&table, "T"), [(0, 1)]);
    table.delete_topic("T", Some("nowhere"));
    assert_eq!(ports(&table, "T"), [(0, 1)]);
    table.delete_topic("TBW102", None);
    assert_eq!(table.all_topics(), ["T"]);
    check(&table);
}

#[test]
fn a_topic_registered_by_hand_needs_known_brokers() {
    let mut table = table_with([broker(0, 1)]);
    assert!(!table.register_topic("U", &[("broker-a".to_owned(), RW), ("nobody".to_owned(), RW)]));
    assert_eq!(table.route("U"), None);
    assert!(table.register_topic("U", &[("broker-a".to_owned(), RW)]));
    assert_eq!(ports(&table, "U"), [(0, 1)]);
    assert!(table.register_topic("V", &[]), "nothing to do");
    assert_eq!(table.route("V"), None);
    check(&table);
}

#[test]
fn write_permission_is_taken_until_the_next_changed_registration() {
    let mut table = table_with([broker(0, 1)]);
    let generation = table.generation();
    assert_eq!(table.wipe_write_perm("broker-a"), 2);
    assert!(table.generation() > generation);
    assert_eq!(perm_of(&table, "T"), perm::READ);
    accept(&mut table, broker(0, 1));
    assert_eq!(perm_of(&table, "T"), perm::READ);
    accept(&mut table, Registration { data_version: version(0, 2), ..broker(0, 1) });
    assert_eq!(perm_of(&table, "T"), 6);
    table.wipe_write_perm("broker-a");
    assert_eq!(table.add_write_perm("broker-a"), 2);
    assert_eq!(perm_of(&table, "T"), 6);
    assert_eq!(table.wipe_write_perm("nobody"), 0);
}

trait Shown {
    fn brokers_shown(&self) -> Vec<i64>;
}

impl Shown for protocol::body::ClusterInfo {
    fn brokers_shown(&self) -> Vec<i64> {
        self.broker_addr_table["broker-a"].broker_addrs.keys().copied().collect()
    }
}
