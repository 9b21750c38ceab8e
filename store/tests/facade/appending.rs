//! What a put does: places, order, bytes in the log, answers.

use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use disk::{Disk, OpenHow};
use protocol::message::{MAGIC_FILLER, MessageView};
use store::{FlushDiskType, Put, PutResult, PutStatus, Replication, StoreError};

use crate::rig::{FULL, HOUR, PATIENCE, Rig, add_record, record};

#[test]
fn a_stored_message_knows_its_places() {
    let rig = Rig::new(FlushDiskType::Async);
    for n in 0..5u64 {
        let result = rig.send("TopicA", 1, b"body");
        assert_eq!((result.status, result.queue_offset), (PutStatus::Ok, n));
        let message = rig.store().message_at(result.physical_offsets[0]).unwrap().unwrap();
        let view = MessageView::parse(&message).unwrap();
        assert_eq!((view.queue_offset, view.physical_offset), (n, result.physical_offsets[0]));
        assert_eq!(view.store_timestamp, result.store_timestamp);
        view.verify_crc().unwrap();
    }
    assert_eq!(rig.arrivals.0.lock().unwrap().len(), 5);
    assert_eq!(rig.store().figures().unwrap().put_messages, 5);
}

#[test]
fn the_records_of_one_put_get_consecutive_offsets() {
    let rig = Rig::new(FlushDiskType::Sync);
    rig.send("TopicA", 0, b"before");
    let mut records = BytesMut::new();
    for body in [b"one", b"two"] {
        add_record(&mut records, "TopicA", 0, body, "", 0);
    }
    let result = rig.put("TopicA", 0, records).recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(result.queue_offset, 1);
    assert_eq!(result.physical_offsets.len(), 2);
    let bodies: Vec<_> = rig.drain("TopicA", 0).into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, [b"before".to_vec(), b"one".to_vec(), b"two".to_vec()]);
}

#[test]
fn a_segment_ends_with_a_filler_and_the_message_begins_the_next() {
    let rig = Rig::new(FlushDiskType::Async);
    let len = record("T", 0, &[7; 1000], "").len();
    let mut positions = Vec::new();
    for _ in 0..5 {
        positions.push(rig.send("T", 0, &[7; 1000]).physical_offsets[0]);
    }
    let end_of_third = 3 * len as u64;
    assert_eq!(positions[2..], [2 * len as u64, 4096, 4096 + len as u64]);
    let log = rig.log(8192);
    let left = 4096 - end_of_third as u32;
    assert_eq!(log[end_of_third as usize..][..4], left.to_be_bytes());
    assert_eq!(log[end_of_third as usize + 4..][..4], MAGIC_FILLER.to_be_bytes());
    assert_eq!(rig.drain("T", 0).len(), 5);
}

#[test]
fn a_record_that_leaves_exactly_a_filler_fits_and_one_byte_more_does_not() {
    let empty = record("T", 0, b"", "").len();
    for (body, second) in [(4096 - 8 - empty, 4096), (4096 - 9 - empty, 4096)] {
        let rig = Rig::new(FlushDiskType::Async);
        assert_eq!(rig.send("T", 0, &vec![1; body]).physical_offsets[0], 0);
        assert_eq!(rig.send("T", 0, b"next").physical_offsets[0], second);
    }
    let rig = Rig::new(FlushDiskType::Async);
    let too_large = rig.put("T", 0, record("T", 0, &vec![1; 4096 - 7 - empty], ""));
    assert!(matches!(too_large.recv_timeout(PATIENCE).unwrap(), Err(StoreError::TooLarge { .. })));
    assert_eq!(rig.send("T", 0, b"goes on").queue_offset, 0);
}

#[test]
fn who_appends_what_it_put_is_told_there() {
    for flush in [FlushDiskType::Async, FlushDiskType::Sync] {
        let rig = Rig::new(flush);
        let (told, tells) = channel();
        for n in 0..3u8 {
            let told = told.clone();
            let done = Box::new(move |result: Result<PutResult, StoreError>| {
                let _ = told.send((std::thread::current().id(), result.unwrap().queue_offset));
            });
            let queue = rig.store().queue("T", 0).unwrap();
            rig.store()
                .put_to_append(Put { queue, records: record("T", 0, &[n], ""), wait: true, done })
                .unwrap();
        }
        assert!(tells.try_recv().is_err(), "nobody appends before it is asked to");
        rig.store().append_here();
        for n in 0..3 {
            let (thread, offset) = tells.recv_timeout(PATIENCE).unwrap();
            assert_eq!(offset, n);
            // With SYNC_FLUSH it is the disk's thread that knows, unless it was so quick that this one learned it first.
            assert!(thread == std::thread::current().id() || flush == FlushDiskType::Sync);
        }
        assert_eq!(rig.drain("T", 0).len(), 3);
    }
}

#[test]
fn a_close_appends_what_its_pusher_did_not() {
    let mut rig = Rig::new(FlushDiskType::Async);
    let queue = rig.store().queue("T", 0).unwrap();
    let (told, tells) = channel();
    let done = Box::new(move |result: Result<PutResult, StoreError>| _ = told.send(result.is_ok()));
    rig.store().put_to_append(Put { queue, records: record("T", 0, b"left", ""), wait: true, done }).unwrap();
    rig.restart();
    assert!(tells.try_recv().unwrap());
    assert_eq!(rig.drain("T", 0), [(0, b"left".to_vec())]);
}

#[test]
fn threads_that_append_by_turns_leave_no_hole() {
    const EACH: u64 = 200;
    let rig = Rig::new(FlushDiskType::Async);
    let (told, tells) = channel();
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let (store, told) = (rig.store().clone(), told.clone());
            scope.spawn(move || {
                for n in 0..EACH {
                    let told = told.clone();
                    let done = Box::new(move |result: Result<PutResult, StoreError>| {
                        let _ = told.send(result.unwrap().queue_offset);
                    });
                    let queue = store.queue("T", 0).unwrap();
                    let put = Put { queue, records: record("T", 0, &[thread; 40], ""), wait: true, done };
                    if thread == 0 {
                        store.put(put).unwrap();
                    } else {
                        store.put_to_append(put).unwrap();
                        if n % 3 == 2 || n + 1 == EACH {
                            store.append_here();
                        }
                    }
                }
            });
        }
    });
    let mut offsets: Vec<_> = (0..4 * EACH).map(|_| tells.recv_timeout(PATIENCE).unwrap()).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, (0..4 * EACH).collect::<Vec<_>>());
    assert_eq!(rig.drain("T", 0).len() as u64, 4 * EACH);
}

#[test]
fn a_put_that_is_not_whole_records_is_refused_and_leaves_no_hole() {
    let rig = Rig::new(FlushDiskType::Async);
    let good = record("T", 0, b"good", "");
    let mut torn = good.clone();
    torn.truncate(good.len() - 1);
    let mut second_torn = good;
    second_torn.extend_from_slice(&torn);
    let foreign = record("T", 1, b"other queue", "");
    for records in [torn, second_torn, foreign, BytesMut::new()] {
        let answer = rig.put("T", 0, records).recv_timeout(PATIENCE).unwrap();
        assert!(matches!(answer, Err(StoreError::NotRecords { .. })), "{answer:?}");
    }
    let result = rig.send("T", 0, b"good");
    assert_eq!((result.queue_offset, result.physical_offsets[0]), (0, 0));
}

#[test]
fn half_and_rolled_back_messages_are_in_the_log_and_in_no_queue() {
    let rig = Rig::new(FlushDiskType::Async);
    rig.send("T", 0, b"first");
    for sys_flag in [4, 12] {
        let mut half = BytesMut::new();
        add_record(&mut half, "T", 0, b"half", "", sys_flag);
        let result = rig.put("T", 0, half).recv_timeout(PATIENCE).unwrap().unwrap();
        let message = rig.store().message_at(result.physical_offsets[0]).unwrap().unwrap();
        assert_eq!(MessageView::parse(&message).unwrap().queue_offset, 0);
    }
    assert_eq!(rig.send("T", 0, b"second").queue_offset, 1);
    assert_eq!(rig.drain("T", 0).len(), 2);
}

#[test]
fn store_times_never_go_back() {
    let rig = Rig::new(FlushDiskType::Async);
    let first = rig.send("T", 0, b"1").store_timestamp;
    rig.clock.0.fetch_sub(10_000, Ordering::Relaxed);
    assert_eq!(rig.send("T", 0, b"2").store_timestamp, first);
    rig.clock.0.fetch_add(10_005, Ordering::Relaxed);
    assert_eq!(rig.send("T", 0, b"3").store_timestamp, first + 5);
}

#[test]
fn a_delayed_message_has_its_due_time_as_tags_code() {
    let rig = Rig::new(FlushDiskType::Async);
    let topic = protocol::topic::SCHEDULE;
    for (delay, seconds) in [("1", 1), ("18", 7200), ("99", 7200)] {
        let records = record(topic, 0, b"later", &format!("DELAY\u{1}{delay}\u{2}TAGS\u{1}TagA\u{2}"));
        let result = rig.put(topic, 0, records).recv_timeout(PATIENCE).unwrap().unwrap();
        let unit = rig.store().queue(topic, 0).unwrap().unit(result.queue_offset).unwrap().unwrap();
        assert_eq!(unit.tags_code, result.store_timestamp + seconds * 1000);
    }
    let records = record("T", 0, b"now", "DELAY\u{1}3\u{2}TAGS\u{1}TagA\u{2}");
    rig.put("T", 0, records).recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(rig.store().queue("T", 0).unwrap().unit(0).unwrap().unwrap().tags_code, 2_598_919);
}

#[test]
fn a_message_is_answered_and_shown_only_once_it_is_on_the_disk() {
    let rig = Rig::new(FlushDiskType::Sync);
    let before = rig.disk.syncs();
    let result = rig.send("T", 0, b"kept");
    assert!(rig.disk.syncs() > before);
    assert_eq!(rig.store().flushed(), rig.store().commit_log_max());
    assert_eq!(result.queue_offset, 0);
    assert_eq!(rig.store().max_offset("T", 0), 1);
}

#[test]
fn a_failed_sync_is_fatal_and_nothing_waiting_is_acknowledged() {
    let mut rig = Rig::new(FlushDiskType::Sync);
    rig.send("T", 0, b"kept");
    rig.disk.fail_sync(1);
    let answer = rig.put("T", 0, record("T", 0, b"who knows", "")).recv_timeout(PATIENCE).unwrap();
    assert!(matches!(answer, Err(StoreError::Failed)), "{answer:?}");
    let deadline = Instant::now() + PATIENCE;
    while rig.fatal.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < deadline, "the process is to be ended");
        std::thread::yield_now();
    }
    assert!(rig.try_put("T", 0, record("T", 0, b"more", ""), true).is_err());
    assert_eq!(rig.drain("T", 0).len(), 1);
    rig.power_cut(1);
    assert_eq!(rig.drain("T", 0)[0].1, b"kept");
}

#[test]
fn a_full_disk_refuses_messages_and_what_was_refused_never_appears() {
    let mut rig = Rig::new(FlushDiskType::Async);
    rig.send("T", 0, b"before");
    rig.disk.fail_write(1, FULL);
    let answer = rig.put("T", 0, record("T", 0, b"refused", "")).recv_timeout(PATIENCE).unwrap();
    assert!(matches!(answer, Err(StoreError::DiskFull { .. })), "{answer:?}");
    assert!(matches!(rig.try_put("T", 0, record("T", 0, b"x", ""), true), Err(StoreError::DiskFull { .. })));
    rig.kill();
    assert_eq!(rig.drain("T", 0), [(0, b"before".to_vec())]);
    assert_eq!(rig.send("T", 0, b"after").queue_offset, 1);
}

#[test]
fn the_gate_opens_again_when_space_returns() {
    let rig = Rig::new(FlushDiskType::Async);
    rig.send("T", 0, b"before");
    rig.disk.set_capacity(Some(6_000));
    assert!(!rig.store().is_disk_full());
    rig.disk.set_capacity(Some(4_400));
    rig.store().clean(false).unwrap();
    assert!(rig.store().is_disk_full());
    let refused = rig.try_put("T", 0, record("T", 0, b"x", ""), true).err().unwrap();
    assert!(matches!(refused, StoreError::DiskFull { .. }), "{refused}");
    rig.disk.set_capacity(None);
    rig.store().clean(false).unwrap();
    assert_eq!(rig.send("T", 0, b"after").queue_offset, 1);
}

#[test]
fn who_does_not_want_to_wait_is_answered_before_the_slave_and_who_does_after() {
    let rig = Rig::new(FlushDiskType::Async);
    rig.store().set_replication(Replication::Awaited);
    let waits = rig.put("T", 0, record("T", 0, b"waits", ""));
    let hurries = rig.try_put("T", 0, record("T", 0, b"hurries", ""), false).unwrap();
    let hurried = hurries.recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(hurried.status, PutStatus::Ok);
    assert_eq!(rig.drain("T", 0).len(), 2, "consumers do not wait for the slave");
    assert!(waits.try_recv().is_err());
    assert_eq!(hurried.queue_offset, 1);
    rig.store().replicated(hurried.physical_offsets[0] - 1);
    assert!(waits.try_recv().is_err());
    rig.store().replicated(hurried.physical_offsets[0]);
    assert_eq!(waits.recv_timeout(PATIENCE).unwrap().unwrap().status, PutStatus::Ok);
}

#[test]
fn a_slave_that_does_not_answer_costs_a_timeout_and_a_missing_one_nothing() {
    let rig = Rig::new(FlushDiskType::Async);
    rig.store().set_replication(Replication::Awaited);
    let waits = rig.put("T", 0, record("T", 0, b"waits", ""));
    let hurries = rig.try_put("T", 0, record("T", 0, b"marks the end", ""), false).unwrap();
    hurries.recv_timeout(PATIENCE).unwrap().unwrap();
    rig.store().expire(Instant::now());
    assert!(waits.try_recv().is_err());
    rig.store().expire(Instant::now() + Duration::from_secs(3));
    assert_eq!(waits.recv_timeout(PATIENCE).unwrap().unwrap().status, PutStatus::FlushSlaveTimeout);
    rig.store().set_replication(Replication::Unavailable);
    assert_eq!(rig.send("T", 0, b"alone").status, PutStatus::SlaveNotAvailable);
    rig.store().set_replication(Replication::Off);
    assert_eq!(rig.send("T", 0, b"single").status, PutStatus::Ok);
}

#[test]
fn a_closed_store_refuses_and_has_answered_everybody() {
    let rig = Rig::new(FlushDiskType::Sync);
    let answers: Vec<_> = (0..50).map(|_| rig.put("T", 0, record("T", 0, b"in time", ""))).collect();
    rig.store().close().unwrap();
    for answer in answers {
        answer.recv_timeout(PATIENCE).unwrap().unwrap();
    }
    let late = rig.try_put("T", 0, record("T", 0, b"late", ""), true);
    assert!(matches!(late, Err(StoreError::ShuttingDown)));
    rig.store().close().unwrap();
}

#[test]
fn a_refused_write_leaves_neither_bytes_nor_a_hole_in_the_offsets() {
    let mut rig = Rig::new(FlushDiskType::Async);
    rig.send("T", 0, b"before");
    let end = rig.store().commit_log_max();
    // The disk took the bytes of the record and then said that it is full.
    let mut partial = record("T", 0, b"refused", "");
    protocol::message::patch_record(&mut partial, 1, end, 1);
    let file = rig.disk.open("/store/commitlog/00000000000000000000".as_ref(), OpenHow::Write).unwrap();
    file.write_at(end, &partial).unwrap();
    rig.disk.fail_write(1, FULL);
    let answer = rig.put("T", 0, record("T", 0, b"refused", "")).recv_timeout(PATIENCE).unwrap();
    assert!(matches!(answer, Err(StoreError::DiskFull { .. })), "{answer:?}");
    rig.kill();
    assert_eq!(rig.drain("T", 0).len(), 1);
    rig.disk.fail_write(1, FULL);
    let answer = rig.put("T", 0, record("T", 0, b"refused", "")).recv_timeout(PATIENCE).unwrap();
    assert!(answer.is_err());
    rig.store().clean(false).unwrap();
    let after = rig.send("T", 0, b"after");
    assert_eq!((after.queue_offset, after.physical_offsets[0]), (1, end));
    assert_eq!(rig.drain("T", 0).len(), 2);
}

#[test]
fn when_the_clock_is_set_back_store_times_stand_still_and_delays_are_counted_on() {
    let rig = Rig::new(FlushDiskType::Async);
    let before = rig.send("T", 0, b"x").store_timestamp;
    rig.clock.0.store(before - HOUR, Ordering::Relaxed);
    let records = record("SCHEDULE_TOPIC_XXXX", 0, b"later", "DELAY\u{1}1\u{2}");
    let put = rig.put("SCHEDULE_TOPIC_XXXX", 0, records).recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(put.store_timestamp, before, "queues are searched by them");
    let unit = rig.store().queue("SCHEDULE_TOPIC_XXXX", 0).unwrap().unit(0).unwrap().unwrap();
    assert_eq!(unit.tags_code, before - HOUR + 1_000, "it is due in a second");
}
