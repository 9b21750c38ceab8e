//! A store on the machine's own disk, with its keeper at work; and its files as a Java broker finds them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use disk::{Disk, RealDisk};
use store::{FlushDiskType, Hooks, MessageStore, NoListener, Put, StoreConfig, StoreError, UNIT_BYTES, Unit};

use crate::rig::{PATIENCE, Rig, add_record, record};

/// Waits until something holds, which the keeper brings about in its own time.
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::yield_now();
    }
}

fn open(config: &StoreConfig) -> Result<Arc<MessageStore>, StoreError> {
    let hooks = Hooks::new(Arc::new(NoListener), Arc::new(|error: &StoreError| panic!("{error}")));
    MessageStore::open(config.clone(), Arc::new(RealDisk), hooks)
}

#[test]
fn the_keeper_flushes_writes_out_checkpoints_and_prepares_by_itself() {
    let root = tempfile::tempdir().unwrap();
    let mut config = StoreConfig::new(root.path());
    config.segment_bytes = 1 << 16;
    config.flush_interval = Duration::from_millis(5);
    config.queue_flush_interval = Duration::from_millis(5);
    config.checkpoint_interval = Duration::from_millis(10);
    config.clean_interval = Duration::from_millis(10);
    let store = open(&config).unwrap();
    let queue = store.queue("T", 3).unwrap();
    for _ in 0..200 {
        let mut records = BytesMut::new();
        add_record(&mut records, "T", 3, &[1; 200], "", 0);
        store.put(Put { queue: queue.clone(), records, wait: true, done: Box::new(|_| {}) }).unwrap();
    }
    eventually("a flush", || store.flushed() == store.commit_log_max() && store.max_offset("T", 3) == 200);
    let file = root.path().join("consumequeue/T/3/00000000000000000000");
    eventually("the queue's file", || RealDisk.exists(&file));
    eventually("a checkpoint", || RealDisk.exists(&root.path().join("checkpoint")));
    let next = root.path().join("commitlog").join(format!("{:020}", 1 << 16));
    eventually("the next segment", || RealDisk.exists(&next));
    assert!(matches!(open(&config), Err(StoreError::Disk(_))), "a second process is refused");
    let figures = store.figures().unwrap();
    assert_eq!((figures.put_messages, figures.put_times.iter().sum::<u64>()), (200, 200));
    store.close().unwrap();
    drop(store);
    let store = open(&config).unwrap();
    assert_eq!(store.max_offset("T", 3), 200);
    store.close().unwrap();
}

#[test]
fn a_queues_file_is_what_a_java_broker_would_have_written() {
    let mut rig = Rig::new(FlushDiskType::Async);
    rig.config.queue_file_bytes = 6_000_000;
    rig.config.segment_bytes = 1 << 20;
    rig.disk = disk::MemDisk::new();
    rig.open();
    let mut expected = Vec::new();
    for tag in ["TagA", "TagB"] {
        let one = record("TopicA", 2, b"hello", &format!("TAGS\u{1}{tag}\u{2}"));
        let bytes = one.len() as u32;
        let at = rig.put("TopicA", 2, one).recv_timeout(PATIENCE).unwrap().unwrap().physical_offsets[0];
        let code: i64 = if tag == "TagA" { 2_598_919 } else { 2_598_920 };
        expected.extend(at.to_be_bytes());
        expected.extend(bytes.to_be_bytes());
        expected.extend(code.to_be_bytes());
    }
    rig.store().close().unwrap();
    let path = "/store/consumequeue/TopicA/2/00000000000000000000";
    let file = disk::read_whole(&rig.disk, path.as_ref()).unwrap().unwrap();
    assert_eq!(file.len(), 6_000_000);
    assert_eq!(file[..expected.len()], expected);
    assert!(file[expected.len()..].iter().all(|byte| *byte == 0));
    let checkpoint = disk::read_whole(&rig.disk, "/store/checkpoint".as_ref()).unwrap().unwrap();
    assert_eq!(checkpoint.len(), 4096);
}

#[test]
fn a_queue_that_begins_later_has_rocketmqs_blanks_before_its_first_message() {
    let rig = Rig::new(FlushDiskType::Async);
    for _ in 0..25 {
        rig.send("T", 0, b"x");
    }
    let log = rig.log(rig.store().commit_log_max());
    let first = rig.store().queue("T", 0).unwrap().unit(23).unwrap().unwrap();
    // A slave that begins with the 24th message.
    let mut slave = Rig::new(FlushDiskType::Async);
    slave.store = None;
    slave.config.segment_bytes = first.physical_offset;
    slave.disk = disk::MemDisk::new();
    let segment = first.physical_offset;
    let segments =
        disk::Segments::open(Arc::new(slave.disk.clone()), "/store/commitlog".into(), segment).unwrap();
    let rest = &log[segment as usize..];
    segments.write_at(segment, &[std::io::IoSlice::new(rest)]).unwrap();
    drop(segments);
    slave.open();
    assert_eq!((slave.store().min_offset("T", 0), slave.store().max_offset("T", 0)), (23, 25));
    slave.store().close().unwrap();
    // 20 units a file: the queue begins in the second.
    let file = disk::read_whole(&slave.disk, "/store/consumequeue/T/0/00000000000000000400".as_ref())
        .unwrap()
        .unwrap();
    let units: Vec<_> = file.as_chunks::<{ UNIT_BYTES as usize }>().0.iter().map(Unit::decode).collect();
    assert_eq!(units[..3], [Unit::PREFILL; 3]);
    assert_eq!(units[3], first);
}

#[test]
fn a_topic_deleted_under_load_comes_back_empty_every_time() {
    let rig = Arc::new(Rig::new(FlushDiskType::Async));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 0..200u32 {
                    let answer = rig.put("T", 0, record("T", 0, &n.to_be_bytes(), ""));
                    match answer.recv_timeout(PATIENCE).unwrap() {
                        Ok(_) | Err(StoreError::QueueDeleted { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                    if n % 10 == 0 {
                        rig.store().write_out_queues().unwrap();
                    }
                }
            });
        }
        for _ in 0..30 {
            rig.store().delete_topic("T").unwrap();
            std::thread::yield_now();
        }
    });
    let found = rig.drain("T", 0);
    assert!(found.iter().enumerate().all(|(at, (offset, _))| at as u64 == *offset));
    rig.store().delete_topic("T").unwrap();
    assert_eq!(rig.send("T", 0, b"first").queue_offset, 0);
}

#[test]
fn who_waits_too_long_for_a_slave_is_answered_by_itself() {
    let root = tempfile::tempdir().unwrap();
    let mut config = StoreConfig::new(root.path());
    config.segment_bytes = 1 << 16;
    config.slave_timeout = Duration::from_millis(1);
    config.flush = FlushDiskType::Sync;
    let store = open(&config).unwrap();
    store.set_replication(store::Replication::Awaited);
    let (sender, receiver) = std::sync::mpsc::channel();
    let done = Box::new(move |result| sender.send(result).unwrap());
    let queue = store.queue("T", 0).unwrap();
    store.put(Put { queue, records: record("T", 0, b"x", ""), wait: true, done }).unwrap();
    let answer = receiver.recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(answer.status, store::PutStatus::FlushSlaveTimeout);
    assert_eq!(store.max_offset("T", 0), 1);
    store.close().unwrap();
}
