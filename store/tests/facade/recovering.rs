//! What a store finds when it opens: after a clean stop, after a kill, after somebody else worked on it.

use bytes::Bytes;
use disk::{Disk, DiskError, MemDisk, OpenHow};
use store::{FlushDiskType, GetStatus, KeyQuery, StoreError, Unit};

use crate::rig::{PATIENCE, Rig, exists, record};

fn bodies(rig: &Rig, topic: &str, queue_id: u32) -> Vec<String> {
    rig.drain(topic, queue_id).into_iter().map(|(_, body)| String::from_utf8(body).unwrap()).collect()
}

#[test]
fn after_a_clean_stop_everything_is_as_it_was() {
    let mut rig = Rig::new(FlushDiskType::Async);
    for n in 0..150 {
        rig.send(["TopicA", "TopicB"][n % 2], (n % 3) as u32, format!("message {n}").as_bytes());
    }
    let before: Vec<_> = (0..6).map(|q| rig.drain(["TopicA", "TopicB"][q % 2], (q / 2) as u32)).collect();
    let log = rig.log(rig.store().commit_log_max());
    rig.store().close().unwrap();
    assert!(!exists(&rig.disk, "/store/abort"));
    rig.open();
    assert!(exists(&rig.disk, "/store/abort"));
    let after: Vec<_> = (0..6).map(|q| rig.drain(["TopicA", "TopicB"][q % 2], (q / 2) as u32)).collect();
    assert_eq!(before, after);
    assert_eq!(log, rig.log(rig.store().commit_log_max()));
    let next = rig.send("TopicA", 0, b"next");
    assert_eq!(next.queue_offset, before[0].len() as u64);
    assert_eq!(next.physical_offsets[0], log.len() as u64);
}

#[test]
fn a_clean_restart_reads_nothing_of_the_log_again_and_arrivals_are_not_repeated() {
    let mut rig = Rig::new(FlushDiskType::Async);
    for _ in 0..100 {
        rig.send("T", 0, b"once");
    }
    rig.restart();
    assert_eq!(rig.arrivals.0.lock().unwrap().len(), 100);
    let changes = rig.disk.changes();
    assert_eq!(bodies(&rig, "T", 0).len(), 100);
    assert_eq!(rig.disk.changes(), changes);
}

#[test]
fn a_second_process_on_the_same_store_is_refused() {
    let rig = Rig::new(FlushDiskType::Async);
    let refused = rig.try_open().err().unwrap();
    assert!(
        matches!(&refused, StoreError::Disk(error) if matches!(**error, DiskError::Locked { .. })),
        "{refused}"
    );
    assert_eq!(rig.send("T", 0, b"undisturbed").queue_offset, 0);
}

#[test]
fn a_log_torn_at_any_byte_of_its_last_record_loses_that_record_and_no_other() {
    let properties = "TAGS\u{1}TagA\u{2}KEYS\u{1}k1 k2\u{2}UNIQ_KEY\u{1}0A0B\u{2}";
    for body in [&b"the last body"[..], b""] {
        let last = record("TopicA", 0, body, properties);
        for keep in 0..=last.len() {
            let mut rig = Rig::new(FlushDiskType::Async);
            for n in 0..3 {
                rig.send("TopicA", 0, format!("kept {n}").as_bytes());
            }
            let result = rig.put("TopicA", 0, last.clone()).recv_timeout(PATIENCE).unwrap().unwrap();
            let at = result.physical_offsets[0];
            let file =
                rig.disk.open("/store/commitlog/00000000000000000000".as_ref(), OpenHow::Write).unwrap();
            file.zero(at + keep as u64, (last.len() - keep) as u64).unwrap();
            rig.kill();
            let found = rig.drain("TopicA", 0).len();
            assert_eq!(found, if keep == last.len() { 4 } else { 3 }, "{keep} of {} bytes kept", last.len());
            let next = rig.send("TopicA", 0, b"next");
            assert_eq!(next.queue_offset, found as u64);
            rig.kill();
            assert_eq!(rig.drain("TopicA", 0).len(), found + 1);
        }
    }
}

#[test]
fn a_flipped_bit_behind_the_checkpoint_cuts_the_log_there() {
    for (field, flipped) in
        [("size", 1), ("magic", 5), ("crc", 9), ("position", 35), ("body", 90), ("topic length", 98)]
    {
        let mut rig = Rig::new(FlushDiskType::Async);
        for _ in 0..4 {
            rig.send("T", 0, b"ten bytes.");
        }
        rig.store().checkpoint().unwrap();
        let second = rig.store().queue("T", 0).unwrap().unit(1).unwrap().unwrap();
        let hit = rig.send("T", 0, b"ten bytes.").physical_offsets[0];
        rig.send("T", 0, b"follower");
        rig.store().checkpoint().unwrap();
        let file = "/store/commitlog/00000000000000000000".as_ref();
        let checkpoint = disk::read_whole(&rig.disk, "/store/checkpoint.bak".as_ref()).unwrap().unwrap();
        disk::replace_file(&rig.disk, "/store/checkpoint".as_ref(), &checkpoint).unwrap();
        rig.disk.damage(file, hit + flipped);
        rig.kill();
        assert_eq!(rig.drain("T", 0).len(), 4, "{field}");
        assert_eq!(rig.store().commit_log_max(), hit, "{field}");
        assert!(second.end() <= hit);
        assert_eq!(rig.send("T", 0, b"next").queue_offset, 4);
    }
}

#[test]
fn a_recovery_starts_at_the_checkpoint() {
    let mut rig = Rig::new(FlushDiskType::Async);
    for n in 0..60 {
        rig.send("T", n % 2, format!("before {n}").as_bytes());
    }
    rig.store().checkpoint().unwrap();
    let covered = rig.store().applied();
    for n in 0..10 {
        rig.send("T", n % 2, format!("after {n}").as_bytes());
    }
    let first = rig.store().queue("T", 0).unwrap().unit(3).unwrap().unwrap();
    // A recovery that read what the checkpoint covers would cut the log here.
    rig.disk.damage("/store/commitlog/00000000000000000000".as_ref(), first.physical_offset + 4);
    rig.kill();
    assert!(rig.store().commit_log_max() > covered);
    assert_eq!(rig.store().max_offset("T", 0), 35);
    assert_eq!(rig.store().max_offset("T", 1), 35);
}

#[test]
fn without_queues_all_of_them_are_built_from_the_log() {
    let mut rig = Rig::new(FlushDiskType::Async);
    for n in 0..100 {
        rig.send("T", n % 3, format!("{n}").as_bytes());
    }
    let before: Vec<_> = (0..3).map(|q| rig.drain("T", q)).collect();
    rig.store().close().unwrap();
    rig.store = None;
    rig.disk.remove_dir_all("/store/consumequeue".as_ref()).unwrap();
    rig.open();
    assert_eq!(before, (0..3).map(|q| rig.drain("T", q)).collect::<Vec<_>>());
}

#[test]
fn without_a_checkpoint_the_whole_log_is_read() {
    let mut rig = Rig::new(FlushDiskType::Async);
    for n in 0..100 {
        rig.send("T", n % 3, format!("{n}").as_bytes());
    }
    let before: Vec<_> = (0..3).map(|q| rig.drain("T", q)).collect();
    rig.store().close().unwrap();
    for name in ["/store/checkpoint", "/store/checkpoint.bak"] {
        let _ = rig.disk.remove(name.as_ref());
    }
    rig.open();
    assert_eq!(before, (0..3).map(|q| rig.drain("T", q)).collect::<Vec<_>>());
}

#[test]
fn a_checkpoint_that_the_log_contradicts_is_not_believed() {
    let mut rig = Rig::new(FlushDiskType::Async);
    for n in 0..20 {
        rig.send("T", 0, format!("{n}").as_bytes());
    }
    rig.store().close().unwrap();
    rig.store = None;
    let checkpoint = disk::read_whole(&rig.disk, "/store/checkpoint".as_ref()).unwrap().unwrap();
    // An operator brings back an older log and forgets the checkpoint.
    let log = rig.disk.open("/store/commitlog/00000000000000000000".as_ref(), OpenHow::Write).unwrap();
    log.zero(1000, 3096).unwrap();
    disk::replace_file(&rig.disk, "/store/checkpoint".as_ref(), &checkpoint).unwrap();
    rig.open();
    let kept = rig.drain("T", 0);
    assert!((5..15).contains(&kept.len()), "{}", kept.len());
    assert!(rig.store().commit_log_max() <= 1000);
    assert_eq!(rig.send("T", 0, b"next").queue_offset, kept.len() as u64);
}

#[test]
fn a_java_brokers_checkpoint_is_believed_as_far_as_its_times_reach() {
    let mut rig = Rig::new(FlushDiskType::Async);
    let mut times = Vec::new();
    for n in 0..200 {
        rig.clock.0.fetch_add(1000, std::sync::atomic::Ordering::Relaxed);
        times.push(rig.send("T", n % 3, format!("{n}").as_bytes()).store_timestamp);
    }
    let before: Vec<_> = (0..3).map(|q| rig.drain("T", q)).collect();
    rig.store().close().unwrap();
    rig.store = None;
    let mut java = vec![0; 4096];
    for at in [0, 8, 16] {
        java[at..at + 8].copy_from_slice(&times[150].to_be_bytes());
    }
    disk::replace_file(&rig.disk, "/store/checkpoint".as_ref(), &java).unwrap();
    // What lies in segments before that time is not read again.
    rig.disk.damage("/store/commitlog/00000000000000000000".as_ref(), 4);
    rig.open();
    assert_eq!(before[1..], (1..3).map(|q| rig.drain("T", q)).collect::<Vec<_>>());
    assert_eq!(rig.store().max_offset("T", 0), 67);
}

#[test]
fn a_topic_that_was_deleted_and_made_again_begins_at_zero_after_every_kind_of_end() {
    for keep_checkpoint in [true, false] {
        let mut rig = Rig::new(FlushDiskType::Async);
        for _ in 0..30 {
            rig.send("T", 0, b"old");
        }
        rig.store().delete_topic("T").unwrap();
        assert_eq!(rig.read("T", 0, 0).status, GetStatus::NoMatchedLogicQueue);
        assert!(!exists(&rig.disk, "/store/consumequeue/T"));
        assert_eq!(rig.send("T", 0, b"new 0").queue_offset, 0);
        rig.send("T", 0, b"new 1");
        if !keep_checkpoint {
            rig.store().write_out_queues().unwrap();
            rig.disk.remove("/store/checkpoint".as_ref()).unwrap();
        }
        rig.kill();
        assert_eq!(bodies(&rig, "T", 0), ["new 0", "new 1"], "checkpoint kept: {keep_checkpoint}");
        assert_eq!(rig.send("T", 0, b"new 2").queue_offset, 2);
    }
}

#[test]
fn a_put_into_a_deleted_queue_is_refused() {
    let rig = Rig::new(FlushDiskType::Async);
    let queue = rig.store().queue("T", 0).unwrap();
    rig.send("T", 0, b"old");
    rig.store().delete_topic("T").unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let done = Box::new(move |result| sender.send(result).unwrap());
    rig.store().put(store::Put { queue, records: record("T", 0, b"x", ""), wait: true, done }).unwrap();
    assert!(matches!(receiver.recv_timeout(PATIENCE).unwrap(), Err(StoreError::QueueDeleted { .. })));
}

#[test]
fn keys_are_found_before_and_after_every_kind_of_end() {
    let mut rig = Rig::new(FlushDiskType::Async);
    let put = |rig: &Rig, n: usize| {
        let properties = format!("KEYS\u{1}order{} all\u{2}UNIQ_KEY\u{1}UNIQ{n}\u{2}", n % 10);
        rig.put("T", 0, record("T", 0, n.to_string().as_bytes(), &properties))
            .recv_timeout(PATIENCE)
            .unwrap()
            .unwrap();
    };
    let found = |rig: &Rig, key: &str| -> Vec<String> {
        let query = KeyQuery { topic: "T", key, count_max: 64, begin: 0, end: i64::MAX };
        let messages: Vec<Bytes> = rig.store().query(&query).unwrap().messages;
        let views = messages.iter().map(|message| protocol::message::MessageView::parse(message).unwrap());
        views.map(|view| String::from_utf8(view.body.to_vec()).unwrap()).collect()
    };
    (0..50).for_each(|n| put(&rig, n));
    rig.store().checkpoint().unwrap();
    (50..80).for_each(|n| put(&rig, n));
    let expected = ["73", "63", "53", "43", "33", "23", "13", "3"];
    for round in 0..4 {
        assert_eq!(found(&rig, "order3"), expected, "round {round}");
        assert_eq!(found(&rig, "UNIQ77"), ["77"]);
        assert_eq!(found(&rig, "order"), [""; 0]);
        assert_eq!(found(&rig, "all").len(), 64);
        if round % 2 == 0 { rig.kill() } else { rig.restart() }
    }
    rig.power_cut(3);
    assert_eq!(found(&rig, "order3"), expected, "recovery made everything durable");
}

#[test]
fn a_foreign_file_in_the_log_or_in_a_queue_is_one_clear_error() {
    let mut rig = Rig::new(FlushDiskType::Async);
    rig.send("T", 0, b"x");
    rig.store().close().unwrap();
    rig.store = None;
    rig.disk.open("/store/commitlog/notes.txt".as_ref(), OpenHow::Create).unwrap();
    let refused = rig.try_open().err().unwrap().to_string();
    assert!(refused.contains("notes.txt"), "{refused}");
    rig.disk.remove("/store/commitlog/notes.txt".as_ref()).unwrap();
    rig.disk.open("/store/consumequeue/T/0/core".as_ref(), OpenHow::Create).unwrap();
    let refused = rig.try_open().err().unwrap().to_string();
    assert!(refused.contains("core"), "{refused}");
}

/// Puts bytes into the log as a writer does that dies before it could sync them.
fn write_behind(rig: &Rig, position: u64, bytes: &[u8]) {
    let name = format!("/store/commitlog/{:020}", position / 4096 * 4096);
    let file = rig.disk.open(name.as_ref(), OpenHow::Write).unwrap();
    file.write_at(position % 4096, bytes).unwrap();
}

/// A record as the append thread would have stored it.
fn stored(position: u64, queue_offset: u64, body: &[u8]) -> bytes::BytesMut {
    let mut one = record("T", 0, body, "");
    protocol::message::patch_record(&mut one, queue_offset, position, 1_000 * crate::rig::HOUR);
    one
}

#[test]
fn what_a_recovery_shows_survives_the_next_power_cut() {
    let mut rig = Rig::new(FlushDiskType::Sync);
    rig.send("T", 0, b"acknowledged");
    let end = rig.store().commit_log_max();
    write_behind(&rig, end, &stored(end, 1, b"written, never synced"));
    // The same in two segments: both must be synced.
    let written = stored(end, 1, b"written, never synced");
    let filler_at = end + written.len() as u64;
    let filler =
        [((4096 - filler_at) as u32).to_be_bytes(), protocol::message::MAGIC_FILLER.to_be_bytes()].concat();
    write_behind(&rig, filler_at, &filler);
    let name = "/store/commitlog/00000000000000004096".as_ref();
    let next = rig.disk.open(name, OpenHow::Create).unwrap();
    next.set_len(4096).unwrap();
    next.write_at(0, &stored(4096, 2, b"in the next segment")).unwrap();
    rig.disk.sync_dir("/store/commitlog".as_ref()).unwrap();
    rig.kill();
    assert_eq!(rig.drain("T", 0).len(), 3);
    rig.disk.crash();
    rig.open();
    assert_eq!(rig.drain("T", 0).len(), 3);
}

#[test]
fn records_behind_the_cut_never_come_back() {
    let mut rig = Rig::new(FlushDiskType::Sync);
    rig.send("T", 0, b"kept");
    let end = rig.store().commit_log_max();
    let lost = stored(end, 1, b"lost in the power cut");
    // The disk kept the second record and not the first.
    write_behind(&rig, end + lost.len() as u64, &stored(end + lost.len() as u64, 2, b"stale"));
    rig.kill();
    assert_eq!(rig.drain("T", 0).len(), 1);
    rig.send("T", 0, b"takes the same place.");
    assert_eq!(rig.store().commit_log_max(), end + lost.len() as u64);
    rig.kill();
    assert_eq!(bodies(&rig, "T", 0), ["kept", "takes the same place."]);
}

#[test]
fn units_that_the_log_does_not_confirm_are_not_believed() {
    let mut rig = Rig::new(FlushDiskType::Async);
    for n in 0..5 {
        rig.send("T", 0, format!("{n}").as_bytes());
        rig.send("U", 0, b"another queue");
    }
    rig.store().checkpoint().unwrap();
    let stale = rig.store().queue("U", 0).unwrap().unit(4).unwrap().unwrap();
    let path = "/store/consumequeue/T/0/00000000000000000000";
    let file = rig.disk.open(path.as_ref(), OpenHow::Write).unwrap();
    for at in 5..15 {
        file.write_at(at * 20, &stale.encode()).unwrap();
    }
    rig.kill();
    assert_eq!(bodies(&rig, "T", 0), ["0", "1", "2", "3", "4"]);
    assert_eq!(rig.send("T", 0, b"5").queue_offset, 5);
    rig.restart();
    assert_eq!(bodies(&rig, "T", 0).len(), 6);
    let file = disk::read_whole(&rig.disk, path.as_ref()).unwrap().unwrap();
    assert!(file[6 * 20..].iter().all(|byte| *byte == 0), "a Java broker would believe them");
}

/// A store whose queue has 5 units, and after a gap some that lie behind the log's end: the disk kept a later piece of the
/// queue's file in a power cut, and not the one before it. Then it was killed.
fn torn_queue() -> Rig {
    let mut config = Rig::new(FlushDiskType::Async).config.clone();
    config.queue_file_bytes = 64 * 20;
    let mut rig = Rig::with(config, MemDisk::new());
    (0..5).for_each(|_| _ = rig.send("T", 0, b"kept"));
    rig.store().checkpoint().unwrap();
    let end = rig.store().commit_log_max();
    let file = rig.disk.open(TORN_QUEUE.as_ref(), OpenHow::Write).unwrap();
    for at in 30..40 {
        let stale = Unit { physical_offset: end + 1000 + at * 100, bytes: 100, tags_code: 0 };
        file.write_at(at * 20, &stale.encode()).unwrap();
    }
    file.sync_data().unwrap();
    rig.kill();
    rig
}

const TORN_QUEUE: &str = "/store/consumequeue/T/0/00000000000000000000";

/// Lets the log grow past the units behind the gap, and sees whether they are believed then.
fn check_torn_queue(mut rig: Rig) {
    rig.send("T", 0, b"new");
    while rig.store().commit_log_max() < 8192 {
        rig.send("U", 0, &[1; 500]);
    }
    rig.restart();
    assert_eq!(rig.store().max_offset("T", 0), 6);
    assert_eq!(bodies(&rig, "T", 0), ["kept", "kept", "kept", "kept", "kept", "new"]);
    let file = disk::read_whole(&rig.disk, TORN_QUEUE.as_ref()).unwrap().unwrap();
    assert_eq!(file.len(), 64 * 20);
    assert!(file[6 * 20..].iter().all(|byte| *byte == 0), "a Java broker would believe them");
}

#[test]
fn units_behind_a_gap_do_not_come_alive_when_the_log_has_grown_past_them() {
    check_torn_queue(torn_queue());
}

#[test]
fn what_a_recovery_blanked_stays_blank_after_a_clean_stop_and_a_power_cut() {
    let mut rig = torn_queue();
    rig.store().close().unwrap();
    rig.disk.crash();
    rig.open();
    check_torn_queue(rig);
}
