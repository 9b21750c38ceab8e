//! The store on a log that somebody else writes: a slave's bytes, a Raft log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::Instant;

use bytes::Bytes;
use disk::{Disk, MemDisk, Segments};
use protocol::message::patch_record;
use store::{ConsumeQueue, FlushDiskType, KeyQuery, MessageStore, ReadRequest, StoreError};

use crate::rig::{PATIENCE, Rig, record};

fn append_raw(rig: &Rig, position: u64, bytes: &[u8]) -> Result<u64, StoreError> {
    let (sender, receiver) = channel();
    let done = Box::new(move |result| sender.send(result).unwrap());
    // In two parts: what a master sends comes in as many.
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    rig.store().append_raw(position, [head, tail].map(Bytes::copy_from_slice).to_vec(), done)?;
    receiver.recv_timeout(PATIENCE).unwrap()
}

/// Confirmed bytes become visible a moment later.
fn until_visible(rig: &Rig, end: u64) {
    let deadline = Instant::now() + PATIENCE;
    while rig.store().applied() < end {
        assert!(Instant::now() < deadline, "{} of {end} is visible", rig.store().applied());
        std::thread::yield_now();
    }
}

#[test]
fn a_slave_that_gets_the_log_in_pieces_of_any_size_becomes_its_masters_twin() {
    for (piece, flush) in [(1, FlushDiskType::Async), (77, FlushDiskType::Sync), (5000, FlushDiskType::Async)]
    {
        let master = Rig::new(FlushDiskType::Async);
        let count = if piece == 1 { 30 } else { 150 };
        for n in 0..count {
            let records = record("T", n % 2, &[n as u8; 90], &format!("KEYS\u{1}k{n}\u{2}"));
            master.put("T", n % 2, records).recv_timeout(PATIENCE).unwrap().unwrap();
        }
        let end = master.store().commit_log_max();
        let mut slave = Rig::new(flush);
        let mut position = 0;
        while position < end {
            let bytes = master.store().read_log(position, piece).unwrap();
            position = append_raw(&slave, position, &bytes).unwrap();
        }
        until_visible(&slave, end);
        for round in 0..3 {
            assert_eq!(slave.log(end), master.log(end));
            for queue_id in 0..2 {
                assert_eq!(
                    slave.drain("T", queue_id),
                    master.drain("T", queue_id),
                    "pieces of {piece}, round {round}"
                );
            }
            let query = KeyQuery { topic: "T", key: "k9", count_max: 9, begin: 0, end: i64::MAX };
            assert_eq!(slave.store().query(&query).unwrap().messages.len(), 1);
            if round == 0 { slave.restart() } else { slave.kill() }
        }
        assert_eq!(slave.send("T", 0, b"now a master").queue_offset, master.store().max_offset("T", 0));
    }
}

#[test]
fn bytes_that_do_not_continue_the_log_are_refused() {
    let slave = Rig::new(FlushDiskType::Async);
    assert!(matches!(append_raw(&slave, 5, b"x"), Err(StoreError::NotContiguous { position: 5, end: 0 })));
    assert_eq!(append_raw(&slave, 0, &[1, 2, 3]).unwrap(), 3);
    assert!(matches!(append_raw(&slave, 0, b"x"), Err(StoreError::NotContiguous { position: 0, end: 3 })));
}

#[test]
fn a_slave_may_begin_in_the_middle_of_its_masters_log() {
    let master = Rig::new(FlushDiskType::Async);
    for _ in 0..150 {
        master.send("T", 0, &[3; 90]);
    }
    let (begin, end) = (8192, master.store().commit_log_max());
    let mut slave = Rig::new(FlushDiskType::Async);
    slave.store = None;
    slave.disk.create_dir_all("/store/commitlog".as_ref()).unwrap();
    let segments = Segments::open(Arc::new(slave.disk.clone()), "/store/commitlog".into(), 4096).unwrap();
    let mut position = begin;
    while position < end {
        let bytes = master.store().read_log(position, 100_000).unwrap();
        segments.write_at(position, &[std::io::IoSlice::new(&bytes)]).unwrap();
        position += bytes.len() as u64;
    }
    drop(segments);
    for _ in 0..2 {
        slave.open();
        let first = master.drain("T", 0)[slave.store().min_offset("T", 0) as usize].clone();
        assert_eq!(slave.drain("T", 0)[0], first);
        assert_eq!(slave.store().max_offset("T", 0), 150);
        assert_eq!(slave.store().commit_log_min(), begin);
        slave.store().close().unwrap();
    }
}

#[test]
fn a_slave_says_so_when_its_masters_bytes_make_no_sense_and_keeps_what_came_before() {
    let master = Rig::new(FlushDiskType::Async);
    for _ in 0..10 {
        master.send("T", 0, &[3; 90]);
    }
    let end = master.store().commit_log_max();
    let good = master.log(end);
    let record_bytes = end as usize / 10;
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut torn = good.clone();
    torn[5 * record_bytes..6 * record_bytes].fill(0);
    for (what, bytes) in [
        ("a body's bit", flipped(5 * record_bytes + 100)),
        ("a magic's bit", flipped(5 * record_bytes + 5)),
        ("a position's bit", flipped(5 * record_bytes + 30)),
        ("a size beyond the file", flipped(5 * record_bytes)),
        ("nothing", torn),
    ] {
        let mut slave = Rig::new(FlushDiskType::Async);
        let half = 5 * record_bytes + 40;
        append_raw(&slave, 0, &bytes[..half]).unwrap();
        until_visible(&slave, 5 * record_bytes as u64);
        // Some of it makes no sense already, some only when the rest is there.
        let mut position = append_raw(&slave, half as u64, &bytes[half..]).unwrap_or(half as u64);
        let deadline = Instant::now() + PATIENCE;
        while let Ok(next) = append_raw(&slave, position, &[0]) {
            position = next;
            assert!(Instant::now() < deadline, "{what} is never noticed");
        }
        let refused = append_raw(&slave, position, &[0]);
        let at = 5 * record_bytes as u64;
        assert!(matches!(refused, Err(StoreError::RecordDamaged { position }) if position == at), "{what}");
        assert_eq!(slave.drain("T", 0).len(), 5, "{what}");
        slave.kill();
        assert_eq!(slave.store().commit_log_max(), at, "{what}");
        append_raw(&slave, at, &good[at as usize..]).unwrap();
        until_visible(&slave, end);
        assert_eq!(slave.drain("T", 0).len(), 10);
    }
}

#[test]
fn a_slave_whose_files_have_another_size_than_its_masters_says_so() {
    let master = Rig::new(FlushDiskType::Async);
    for _ in 0..100 {
        master.send("T", 0, &[3; 90]);
    }
    for segment_bytes in [2048, 8192] {
        let mut config = master.config.clone();
        config.segment_bytes = segment_bytes;
        let slave = Rig::with(config, MemDisk::new());
        let deadline = Instant::now() + PATIENCE;
        let mut position = 0;
        let error = loop {
            let bytes = master.store().read_log(position, 700).unwrap();
            match append_raw(&slave, position, if bytes.is_empty() { &[0] } else { &bytes }) {
                Ok(next) => position = next,
                Err(error) => break error,
            }
            assert!(Instant::now() < deadline, "nobody notices");
        };
        assert!(matches!(error, StoreError::RecordDamaged { .. }), "{segment_bytes}: {error}");
        assert!(!slave.drain("T", 0).is_empty(), "what came before is served");
    }
}

#[test]
fn an_empty_slave_begins_at_the_start_of_any_file_and_nowhere_else() {
    let master = Rig::new(FlushDiskType::Async);
    for _ in 0..150 {
        master.send("T", 0, &[3; 90]);
    }
    let (mut position, end) = (8192, master.store().readable());
    let mut slave = Rig::new(FlushDiskType::Async);
    assert!(append_raw(&slave, 100, b"x").is_err());
    while position < end {
        let bytes = master.store().read_log(position, 700).unwrap();
        position = append_raw(&slave, position, &bytes).unwrap();
    }
    assert!(append_raw(&slave, 0, b"x").is_err());
    until_visible(&slave, end);
    for _ in 0..2 {
        let first = master.drain("T", 0)[slave.store().min_offset("T", 0) as usize].clone();
        assert_eq!(slave.drain("T", 0)[0], first);
        assert_eq!(slave.store().max_offset("T", 0), 150);
        assert_eq!((slave.store().commit_log_min(), slave.store().commit_log_max()), (8192, end));
        slave.restart();
    }
}

#[test]
fn who_streams_the_log_hears_of_every_confirmed_byte_and_of_no_other() {
    for flush in [FlushDiskType::Async, FlushDiskType::Sync] {
        let rig = Rig::new(flush);
        let heard = Arc::new(AtomicU64::new(u64::MAX));
        let there = heard.clone();
        rig.store().on_readable(move |end| there.store(end, Ordering::SeqCst));
        assert_eq!(heard.load(Ordering::SeqCst), 0);
        for _ in 0..3 {
            rig.send("T", 0, b"x");
            let end = rig.store().commit_log_max();
            assert_eq!(heard.load(Ordering::SeqCst), end);
            assert_eq!(rig.store().readable(), end);
        }
    }
}

/// Writes records behind an envelope of 16 bytes, as a Raft log does.
fn write_entry(
    segments: &Segments,
    store: &MessageStore,
    position: u64,
    queue_id: u32,
    count: u64,
) -> (u64, Vec<u8>) {
    let queue = store.queue("T", queue_id).unwrap();
    write_entry_of(segments, store, position, &queue, count)
}

/// The same for whoever looked the queue up before.
fn write_entry_of(
    segments: &Segments,
    store: &MessageStore,
    position: u64,
    queue: &ConsumeQueue,
    count: u64,
) -> (u64, Vec<u8>) {
    let queue_id = queue.queue_id();
    let first = store.queue_offsets().assign(queue, count);
    let mut bytes = Vec::new();
    for n in 0..count {
        let mut one = record("T", queue_id, b"replicated", "");
        patch_record(&mut one, first + n, position + 16 + bytes.len() as u64, 1_000);
        bytes.extend_from_slice(&one);
    }
    let envelope = [0xEE; 16];
    segments.write_at(position, &[std::io::IoSlice::new(&envelope), std::io::IoSlice::new(&bytes)]).unwrap();
    (position + 16, bytes)
}

/// The log of a replica, which is not the store's own.
fn raft_log(rig: &Rig) -> Arc<Segments> {
    Arc::new(Segments::open(Arc::new(rig.disk.clone()), "/raft/log".into(), 1 << 20).unwrap())
}

/// A store beside it.
fn open_on(rig: &Rig, segments: &Arc<Segments>) -> Arc<MessageStore> {
    let mut config = rig.config.clone();
    config.root = "/raft".into();
    MessageStore::open_on(segments.clone(), config, Arc::new(rig.disk.clone()), rig.hooks()).unwrap()
}

#[test]
fn on_a_raft_log_the_store_only_applies_and_goes_on_from_its_checkpoint() {
    let rig = Rig::new(FlushDiskType::Async);
    let segments = raft_log(&rig);
    let open = || open_on(&rig, &segments);
    let store = open();
    assert_eq!(store.applied(), 0);
    let mut position = 0;
    let mut entries = Vec::new();
    for n in 0..40 {
        let (base, bytes) = write_entry(&segments, &store, position, n % 2, 3);
        position = base + bytes.len() as u64;
        store.apply(base, &bytes).unwrap();
        entries.push((base, bytes));
        if n == 25 {
            store.log_flushed(position);
            store.checkpoint().unwrap();
        }
    }
    assert_eq!((store.applied(), store.max_offset("T", 0)), (position, 60));
    let refused = store.put(store::Put {
        queue: store.queue("T", 0).unwrap(),
        records: record("T", 0, b"x", ""),
        wait: true,
        done: Box::new(|_| {}),
    });
    assert!(matches!(refused, Err(StoreError::ForeignLog)));
    drop(store);
    let store = open();
    let (base, bytes) = &entries[25];
    assert_eq!(store.applied(), base + bytes.len() as u64);
    assert_eq!((store.max_offset("T", 0), store.max_offset("T", 1)), (39, 39));
    // What was assigned and never committed is forgotten with the leadership.
    store.queue_offsets().assign(&store.queue("T", 0).unwrap(), 5);
    for (base, bytes) in &entries[26..] {
        store.apply(*base, bytes).unwrap();
    }
    store.queue_offsets().reset();
    assert_eq!(store.queue_offsets().assign(&store.queue("T", 0).unwrap(), 1), 60);
    assert!(store.apply(position + 500, &entries[0].1).is_err(), "records know where they belong");
    store.close().unwrap();
}

#[test]
fn on_a_raft_log_a_message_that_does_not_follow_its_queue_is_an_error_and_changes_nothing() {
    let rig = Rig::new(FlushDiskType::Async);
    let segments = raft_log(&rig);
    let store = open_on(&rig, &segments);
    let (base, bytes) = write_entry(&segments, &store, 0, 0, 3);
    store.apply(base, &bytes).unwrap();
    store.apply(base, &bytes).expect("what is known already is no difference");
    let end = base + bytes.len() as u64;
    // Backwards, and past a hole that a restored log would be forgiven.
    for found in [1, 5] {
        let mut one = record("T", 0, b"replicated", "");
        patch_record(&mut one, found, end, 1_000);
        let refused = store.apply(end, &one);
        assert!(
            matches!(refused, Err(StoreError::QueueDiverged { expected: 3, found: at, .. }) if at == found),
            "{refused:?}"
        );
        assert_eq!((store.max_offset("T", 0), store.applied()), (3, end));
    }
    let mut one = record("T", 0, b"replicated", "");
    patch_record(&mut one, 1, end, 1_000);
    store.apply_again(end, &one).unwrap();
    assert_eq!(store.max_offset("T", 0), 2);
    store.close().unwrap();
}

#[test]
fn messages_that_are_applied_together_are_found_by_key_at_the_time_of_each() {
    let rig = Rig::new(FlushDiskType::Async);
    let segments = raft_log(&rig);
    let store = open_on(&rig, &segments);
    let mut bytes = Vec::new();
    for n in 0..3 {
        let mut one = record("T", n, b"replicated", &format!("KEYS\u{1}k{n}\u{2}"));
        patch_record(&mut one, 0, bytes.len() as u64, 1_000 * i64::from(n));
        bytes.extend_from_slice(&one);
    }
    segments.write_at(0, &[std::io::IoSlice::new(&bytes)]).unwrap();
    store.apply(0, &bytes).unwrap();
    for n in 0..3 {
        let (key, time) = (format!("k{n}"), 1_000 * n);
        let query = KeyQuery { topic: "T", key: &key, count_max: 9, begin: time, end: time };
        assert_eq!(store.query(&query).unwrap().messages.len(), 1, "{key}");
    }
    store.close().unwrap();
}

#[test]
fn a_topic_that_comes_and_goes_between_others_is_dispatched_like_them() {
    // More queues than a stretch meets in turn, and more records than one stretch takes.
    let master = Rig::new(FlushDiskType::Async);
    let queue_of = |n: u32| (["T", "U", "LONGER"][(n % 7 % 3) as usize], n % 5);
    for n in 0..3000u32 {
        let (topic, queue_id) = queue_of(n);
        master
            .put(topic, queue_id, record(topic, queue_id, &n.to_be_bytes(), ""))
            .recv_timeout(PATIENCE)
            .unwrap()
            .unwrap();
    }
    let end = master.store().commit_log_max();
    let mut slave = Rig::new(FlushDiskType::Async);
    append_raw(&slave, 0, &master.log(end)).unwrap();
    until_visible(&slave, end);
    for _ in 0..2 {
        for n in 0..35 {
            let (topic, queue_id) = queue_of(n);
            assert_eq!(slave.drain(topic, queue_id), master.drain(topic, queue_id), "{topic} {queue_id}");
        }
        slave.kill();
    }
}

/// The messages of a leader whose topic is deleted: `before` are appended before the deletion is applied, `late` after it by
/// whoever looked the queue up before, and then one by somebody who comes anew. All of it applies.
fn deleted_under_way(before: u64, late: u64) -> u64 {
    let rig = Rig::new(FlushDiskType::Async);
    let segments = raft_log(&rig);
    let store = open_on(&rig, &segments);
    let mut position = 0;
    let mut append = |queue: &ConsumeQueue, count: u64| {
        let (base, bytes) = write_entry_of(&segments, &store, position, queue, count);
        position = base + bytes.len() as u64;
        (base, bytes)
    };
    let old = store.queue("T", 0).unwrap();
    let (base, bytes) = append(&old, 3);
    store.apply(base, &bytes).unwrap();
    let mut waiting: Vec<_> = (0..before).map(|_| append(&old, 1)).collect();
    store.delete_topic("T").unwrap();
    waiting.extend((0..late).map(|_| append(&old, 1)));
    let new = store.queue("T", 0).unwrap();
    waiting.push(append(&new, 1));
    for (base, bytes) in waiting.drain(..1) {
        store.apply(base, &bytes).unwrap();
    }
    waiting.push(append(&new, 2));
    for (base, bytes) in waiting {
        store.apply(base, &bytes).unwrap();
    }
    store.max_offset("T", 0)
}

#[test]
fn a_topic_that_is_deleted_under_a_leader_gives_no_offset_out_twice() {
    assert_eq!(deleted_under_way(0, 0), 3, "nothing was under way, the queue begins anew");
    assert_eq!(deleted_under_way(0, 2), 5);
    assert_eq!(deleted_under_way(1, 0), 7);
    assert_eq!(deleted_under_way(2, 2), 10);
}

#[test]
fn queues_end_where_a_snapshot_says_also_after_a_restart() {
    let rig = Rig::new(FlushDiskType::Async);
    let segments = raft_log(&rig);
    let store = open_on(&rig, &segments);
    let mut position = 0;
    for queue_id in [0, 1, 2] {
        let (base, bytes) = write_entry(&segments, &store, position, queue_id, 3);
        store.apply(base, &bytes).unwrap();
        position = base + bytes.len() as u64;
    }
    let ends = [("T", BTreeMap::from([(0, 3), (1, 100)])), ("expired", BTreeMap::from([(7, 9)]))];
    store.settle_queues(&ends.map(|(topic, ends)| (topic.to_owned(), ends)).into()).unwrap();
    let seen = |store: &MessageStore| {
        [("T", 0), ("T", 1), ("T", 2), ("expired", 7)].map(|(topic, id)| store.max_offset(topic, id))
    };
    assert_eq!(seen(&store), [3, 100, 0, 9]);
    store.log_flushed(position);
    store.checkpoint().unwrap();
    store.close().unwrap();
    drop(store);
    let store = open_on(&rig, &segments);
    assert_eq!(seen(&store), [3, 100, 0, 9]);
    store.queue_offsets().reset();
    let (base, bytes) = write_entry(&segments, &store, position, 1, 2);
    store.apply(base, &bytes).unwrap();
    assert_eq!(store.max_offset("T", 1), 102);
    let (tags, record, bytes_max) = (None, None, None);
    let from =
        ReadRequest { topic: "T", queue_id: 1, queue_offset: 100, count_max: 9, bytes_max, tags, record };
    assert_eq!(store.read(&from).unwrap().count, 2);
}
