//! What readers get: statuses, limits, filters, slices, times.

use std::sync::atomic::Ordering;

use protocol::message::MessageView;
use store::{Boundary, FlushDiskType, GetStatus, ReadRequest};

use crate::rig::{PATIENCE, Rig, record, request};

#[test]
fn every_offset_has_rocketmqs_status() {
    let rig = Rig::new(FlushDiskType::Async);
    let status = |offset| {
        let result = rig.read("T", 0, offset);
        (result.status, result.next_begin_offset)
    };
    assert_eq!(status(0), (GetStatus::NoMatchedLogicQueue, 0));
    rig.store().queue("T", 0).unwrap();
    assert_eq!(status(0), (GetStatus::NoMessageInQueue, 0));
    assert_eq!(status(7), (GetStatus::NoMessageInQueue, 0));
    for _ in 0..5 {
        rig.send("T", 0, b"x");
    }
    assert_eq!(status(0), (GetStatus::Found, 5));
    assert_eq!(status(4), (GetStatus::Found, 5));
    assert_eq!(status(5), (GetStatus::OffsetOverflowOne, 5));
    assert_eq!(status(6), (GetStatus::OffsetOverflowBadly, 5));
    assert_eq!(status(u64::MAX), (GetStatus::OffsetOverflowBadly, 5));
}

#[test]
fn neighbours_in_the_log_are_one_slice_and_strangers_are_not() {
    let rig = Rig::new(FlushDiskType::Async);
    for queue_id in [0, 0, 0, 1, 0, 0] {
        rig.send("T", queue_id, b"x");
    }
    let result = rig.read("T", 0, 0);
    assert_eq!((result.count, result.slices.len()), (5, 2));
    assert_eq!(result.bytes, result.slices.iter().map(|slice| slice.len()).sum::<usize>());
    assert_eq!(MessageView::iter(&result.slices[0]).count(), 3);
    for _ in 0..60 {
        rig.send("U", 0, b"over a segment's end");
    }
    assert_eq!(rig.drain("U", 0).len(), 60);
}

#[test]
fn a_read_returns_no_more_than_its_limits_but_always_the_first() {
    let rig = Rig::new(FlushDiskType::Async);
    for _ in 0..200 {
        rig.send("T", 0, &[5; 100]);
    }
    let len = record("T", 0, &[5; 100], "").len();
    let count = |count_max, bytes_max| {
        let result = rig.store().read(&ReadRequest { count_max, bytes_max, ..request("T", 0, 0) }).unwrap();
        assert_eq!(result.next_begin_offset, result.count as u64);
        result.count
    };
    assert_eq!(count(10, None), 10);
    assert_eq!(count(1000, None), 32);
    assert_eq!(count(32, Some(len * 3)), 3);
    assert_eq!(count(32, Some(len * 3 - 1)), 2);
    assert_eq!(count(32, Some(1)), 1);
    assert_eq!(count(0, None), 1);
    let mut limits = rig.config.read.clone();
    limits.memory_span = len as u64 * 10;
    rig.store().reconfigure(limits, rig.config.retention.clone());
    assert_eq!(count(32, None), 8, "far behind the end the limits of the disk hold");
    assert!(rig.read("T", 0, 0).is_slow);
    assert!(!rig.read("T", 0, 195).is_slow);
    assert_eq!(rig.read("T", 0, 188).count, 12);
}

#[test]
fn a_reader_is_slow_while_more_is_left_behind_it_than_fits_in_memory() {
    let rig = Rig::new(FlushDiskType::Async);
    for n in 0..100 {
        rig.put("T", 0, record("T", 0, &[5; 100], &format!("TAGS\u{1}T{}\u{2}", n % 2)));
    }
    let end = rig.send("T", 0, &[5; 100]).physical_offsets[0] + record("T", 0, &[5; 100], "").len() as u64;
    let physical =
        |offset| rig.store().find_queue("T", 0).unwrap().unit(offset).unwrap().unwrap().physical_offset;
    let mut limits = rig.config.read.clone();
    // What is left counts from the last message that the read looked at. Source: RocketMQ `DefaultMessageStore.getMessage`.
    limits.memory_span = end - physical(40);
    rig.store().reconfigure(limits, rig.config.retention.clone());
    let one = |offset| ReadRequest { count_max: 1, ..request("T", 0, offset) };
    assert!(rig.store().read(&one(39)).unwrap().is_slow, "one byte more than fits");
    assert!(!rig.store().read(&one(40)).unwrap().is_slow, "just what fits");
    assert!(rig.store().read(&one(0)).unwrap().is_slow);
    let nobody = |_: i64| false;
    let none = |offset, bytes| {
        let mut limits = rig.config.read.clone();
        (limits.memory_span, limits.scan_bytes) = (end - physical(40), bytes);
        rig.store().reconfigure(limits, rig.config.retention.clone());
        let result = rig.store().read(&ReadRequest { tags: Some(&nobody), ..one(offset) }).unwrap();
        assert_eq!(result.status, GetStatus::NoMatchedMessage);
        result.is_slow
    };
    assert!(none(0, 20 * 20), "a filter that refuses everything does not make a reader fast");
    assert!(!none(40, 20 * 20));
    assert!(!rig.read("T", 0, 101).is_slow, "nor does a queue without more make it slow");
    assert!(!rig.read("U", 0, 0).is_slow);
}

#[test]
fn filters_choose_and_the_next_offset_passes_what_they_refused() {
    let rig = Rig::new(FlushDiskType::Async);
    for n in 0..1000 {
        let tag = if n % 10 == 9 { "TagB" } else { "TagA" };
        let records = record("T", 0, n.to_string().as_bytes(), &format!("TAGS\u{1}{tag}\u{2}n\u{1}{n}\u{2}"));
        rig.put("T", 0, records).recv_timeout(PATIENCE).unwrap().unwrap();
    }
    let is_b = |code: i64| code == 2_598_920;
    let with_tags = ReadRequest { tags: Some(&is_b), ..request("T", 0, 0) };
    let result = rig.store().read(&with_tags).unwrap();
    assert_eq!((result.count, result.next_begin_offset), (32, 320));
    let is_77 = |record: &[u8]| MessageView::parse(record).unwrap().property("n") == Some("77");
    let both = ReadRequest { record: Some(&is_77), ..request("T", 0, 0) };
    let result = rig.store().read(&both).unwrap();
    assert_eq!((result.count, result.next_begin_offset), (1, 800), "one read looks at 800 units");
    let nobody = |_: i64| false;
    let result = rig.store().read(&ReadRequest { tags: Some(&nobody), ..request("T", 0, 0) }).unwrap();
    assert_eq!((result.status, result.next_begin_offset), (GetStatus::NoMatchedMessage, 800));
    let result = rig.store().read(&ReadRequest { tags: Some(&nobody), ..request("T", 0, 800) }).unwrap();
    assert_eq!((result.status, result.next_begin_offset), (GetStatus::NoMatchedMessage, 1000));
}

#[test]
fn an_offset_is_found_by_time() {
    let rig = Rig::new(FlushDiskType::Async);
    let base = rig.clock.0.load(Ordering::Relaxed);
    // Store times base + 10, 10, 20, 20, 20, 30.
    for at in [10, 10, 20, 20, 20, 30] {
        rig.clock.0.store(base + at, Ordering::Relaxed);
        rig.send("T", 0, b"x");
    }
    let find = |at, boundary| rig.store().offset_by_time("T", 0, base + at, boundary).unwrap();
    let cases = [(0, 0, 0), (10, 0, 1), (15, 2, 1), (20, 2, 4), (25, 5, 4), (30, 5, 5), (31, 6, 5)];
    for (at, lower, upper) in cases {
        assert_eq!(find(at, Boundary::Lower), lower, "lower {at}");
        assert_eq!(find(at, Boundary::Upper), upper, "upper {at}");
    }
    assert_eq!(rig.store().offset_by_time("none", 0, base, Boundary::Lower).unwrap(), 0);
    assert_eq!(rig.store().earliest_time("T", 0).unwrap(), Some(base + 10));
    assert_eq!(rig.store().store_time("T", 0, 5).unwrap(), Some(base + 30));
    assert_eq!(rig.store().store_time("T", 0, 6).unwrap(), None);
    assert_eq!(rig.store().earliest_log_time().unwrap(), Some(base + 10));
}

#[test]
fn a_message_is_found_only_where_one_begins() {
    let rig = Rig::new(FlushDiskType::Async);
    let inner = record("T", 0, b"a body that looks like a message", "");
    let at = rig.send("T", 0, &inner).physical_offsets[0];
    for position in 0..rig.store().commit_log_max() + 200 {
        let found = rig.store().message_at(position).unwrap();
        assert_eq!(found.is_some(), position == at, "{position}");
    }
    assert!(rig.store().message_at(u64::MAX).unwrap().is_none());
    assert!(rig.store().message_in_queue("T", 0, 0).unwrap().is_some());
    assert!(rig.store().message_in_queue("T", 0, 1).unwrap().is_none());
}

#[test]
fn units_are_read_from_memory_and_from_files_alike() {
    let rig = Rig::new(FlushDiskType::Async);
    for n in 0..90u32 {
        rig.send("T", 0, &n.to_be_bytes());
        if n % 25 == 0 {
            rig.store().write_out_queues().unwrap();
        }
    }
    let expected: Vec<_> = (0..90u32).map(|n| (u64::from(n), n.to_be_bytes().to_vec())).collect();
    assert_eq!(rig.drain("T", 0), expected);
    rig.store().write_out_queues().unwrap();
    assert_eq!(rig.drain("T", 0), expected);
}

#[test]
fn topics_that_nobody_uses_are_deleted() {
    let rig = Rig::new(FlushDiskType::Async);
    for topic in ["A", "B", "C"] {
        rig.send(topic, 0, b"x");
    }
    let deleted = rig.store().delete_unused_topics(&|topic| topic == "B").unwrap();
    assert_eq!(deleted.len(), 2);
    assert_eq!(rig.store().topics(), [std::sync::Arc::from("B")]);
    for name in ["", ".", "..", "a/b", "a\0b"] {
        assert!(rig.store().queue(name, 0).is_err(), "{name:?}");
    }
}
