//! What goes when its time is over, and what stays.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use disk::Disk;
use protocol::message::MessageView;
use store::{FlushDiskType, GetStatus, KeyQuery, ReadRequest, ReadResult, StoreError};

use crate::rig::{HOUR, PATIENCE, Rig, exists, record, request};

fn filled() -> Rig {
    let rig = Rig::new(FlushDiskType::Async);
    for n in 0..300 {
        let records = record("T", n % 2, &[1; 50], &format!("KEYS\u{1}k{n}\u{2}"));
        rig.put("T", n % 2, records).recv_timeout(PATIENCE).unwrap().unwrap();
    }
    rig.store().checkpoint().unwrap();
    rig
}

/// The files' times are the machine's: ours is set so that all of them have expired.
fn expire(rig: &Rig) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    rig.clock.0.store(now.as_millis() as i64 + 73 * HOUR, Ordering::Relaxed);
}

#[test]
fn expired_segments_go_and_queues_and_index_follow() {
    let mut rig = filled();
    let last = rig.store().max_offset("T", 0);
    assert_eq!(rig.store().clean(true).unwrap(), 0, "nothing has expired");
    expire(&rig);
    assert_eq!(rig.store().clean(false).unwrap(), 0, "it is not the hour");
    let gone = rig.store().clean(true).unwrap();
    assert!(gone >= 5, "{gone}");
    let start = rig.store().commit_log_min();
    assert_eq!(start, gone as u64 * 4096);
    for queue_id in 0..2 {
        let min = rig.store().min_offset("T", queue_id);
        let queue = rig.store().queue("T", queue_id).unwrap();
        assert!(queue.unit(min).unwrap().unwrap().physical_offset >= start);
        let before = queue.unit(min - 1).unwrap();
        assert!(before.is_none_or(|unit| unit.physical_offset < start));
        let result = rig.read("T", queue_id, 0);
        assert_eq!((result.status, result.next_begin_offset), (GetStatus::OffsetTooSmall, min));
        assert!(!rig.drain("T", queue_id).is_empty());
    }
    assert!(!exists(&rig.disk, "/store/consumequeue/T/0/00000000000000000000"));
    let query = |key| rig.store().query(&KeyQuery { topic: "T", key, count_max: 9, begin: 0, end: i64::MAX });
    assert!(query("k0").unwrap().messages.is_empty());
    assert_eq!(query("k299").unwrap().messages.len(), 1);
    let before = (rig.store().min_offset("T", 0), rig.drain("T", 0));
    rig.restart();
    assert_eq!(before, (rig.store().min_offset("T", 0), rig.drain("T", 0)));
    rig.kill();
    assert_eq!(before, (rig.store().min_offset("T", 0), rig.drain("T", 0)));
    assert_eq!(rig.send("T", 0, b"next").queue_offset, last);
}

#[test]
fn a_queue_whose_messages_are_all_gone_goes_on_where_it_was() {
    let mut rig = Rig::new(FlushDiskType::Async);
    for _ in 0..47 {
        rig.send("Old", 0, b"gone");
    }
    for _ in 0..100 {
        rig.send("New", 0, &[1; 60]);
    }
    rig.store().checkpoint().unwrap();
    expire(&rig);
    rig.store().clean(true).unwrap();
    for round in 0..3 {
        assert_eq!(
            (rig.store().min_offset("Old", 0), rig.store().max_offset("Old", 0)),
            (47, 47),
            "round {round}"
        );
        assert_eq!(rig.read("Old", 0, 47).status, GetStatus::OffsetOverflowOne);
        assert_eq!(rig.read("Old", 0, 3).next_begin_offset, 47);
        if round == 0 { rig.restart() } else { rig.kill() }
    }
    assert_eq!(rig.send("Old", 0, b"next").queue_offset, 47);
}

#[test]
fn a_topic_made_again_is_built_anew_from_a_log_whose_start_is_gone() {
    let mut rig = Rig::new(FlushDiskType::Async);
    for _ in 0..100 {
        rig.send("T", 0, b"old");
        rig.send("Filler", 0, &[1; 300]);
    }
    rig.store().checkpoint().unwrap();
    expire(&rig);
    rig.store().clean(true).unwrap();
    let (min, max) = (rig.store().min_offset("T", 0), rig.store().max_offset("T", 0));
    assert!(0 < min && min < max, "the log holds some of the old messages, {min}..{max}");
    rig.store().delete_topic("T").unwrap();
    assert_eq!(rig.send("T", 0, b"new").queue_offset, 0);
    rig.store().close().unwrap();
    rig.store = None;
    rig.disk.remove_dir_all("/store/consumequeue".as_ref()).unwrap();
    rig.open();
    assert_eq!(rig.drain("T", 0), [(0, b"new".to_vec())]);
}

#[test]
fn what_was_handed_out_stays_readable_after_its_segment_went() {
    let rig = filled();
    let held = rig.read("T", 0, 0);
    let copy: Vec<Vec<u8>> = held.slices.iter().map(|slice| slice.to_vec()).collect();
    expire(&rig);
    assert!(rig.store().clean(true).unwrap() > 0);
    assert_eq!(copy, held.slices.iter().map(|slice| slice.to_vec()).collect::<Vec<_>>());
}

/// The queue's last message before a position of the log.
fn last_before(rig: &Rig, queue_id: u32, position: u64) -> u64 {
    let queue = rig.store().queue("T", queue_id).unwrap();
    let lies_before = |at: &u64| queue.unit(*at).unwrap().unwrap().physical_offset < position;
    (0..queue.max_offset()).rfind(lies_before).unwrap()
}

/// Reads while retention removes what was looked at first.
fn read_while_cleaned(rig: &Rig, offset: u64) -> ReadResult {
    let looks = Cell::new(0);
    let clean_at_second = |_| {
        looks.set(looks.get() + 1);
        if looks.get() == 2 {
            assert!(rig.store().clean(true).unwrap() > 0);
        }
        true
    };
    let request = ReadRequest { tags: Some(&clean_at_second), ..request("T", 0, offset) };
    rig.store().read(&request).unwrap()
}

#[test]
fn a_read_that_meets_retention_counts_what_it_hands_out() {
    let twin = filled();
    expire(&twin);
    twin.store().clean(true).unwrap();
    let start = twin.store().commit_log_min();
    let rig = filled();
    expire(&rig);
    let last_gone = last_before(&rig, 0, start);
    let result = read_while_cleaned(&rig, last_gone);
    assert_eq!(rig.store().commit_log_min(), start);
    assert_eq!(result.status, GetStatus::Found);
    assert_eq!(result.bytes, result.slices.iter().map(|slice| slice.len()).sum::<usize>());
    let messages = result.slices.iter().flat_map(|slice| MessageView::iter(slice));
    let offsets: Vec<u64> = messages.map(|message| message.unwrap().queue_offset).collect();
    assert_eq!(offsets, (last_gone + 1..result.next_begin_offset).collect::<Vec<_>>());
    assert_eq!(result.count, offsets.len());
}

#[test]
fn a_nearly_full_disk_deletes_what_has_not_expired() {
    let rig = filled();
    let used: u64 = [
        "/store/commitlog",
        "/store/consumequeue/T/0",
        "/store/consumequeue/T/1",
        "/store/keyindex",
        "/store",
    ]
    .iter()
    .flat_map(|path| rig.disk.list(path.as_ref()).unwrap())
    .map(|entry| entry.bytes)
    .sum();
    rig.disk.set_capacity(Some(used * 100 / 87));
    assert!(rig.store().clean(false).unwrap() > 0);
    assert!(!rig.store().is_disk_full());
    assert_eq!(rig.send("T", 0, b"goes on").queue_offset, 150);
}

#[test]
fn a_full_disk_has_room_again_after_one_look_at_it() {
    let rig = Rig::new(FlushDiskType::Async);
    for _ in 0..300 {
        rig.send("T", 0, &[1; 500]);
    }
    let space = rig.disk.space("/store".as_ref()).unwrap();
    let used = space.total - space.available;
    rig.disk.set_capacity(Some(used * 100 / 92));
    assert!(rig.store().clean(false).unwrap() > 0, "the checkpoint that it needs is made first");
    assert!(!rig.store().is_disk_full(), "what was deleted counts at once");
    assert_eq!(rig.send("T", 0, b"goes on").queue_offset, 300);
}

#[test]
fn what_no_checkpoint_covers_is_not_deleted() {
    let rig = Rig::new(FlushDiskType::Async);
    for _ in 0..200 {
        rig.send("T", 0, &[1; 50]);
    }
    expire(&rig);
    assert_eq!(rig.store().clean(true).unwrap(), 0);
    rig.store().checkpoint().unwrap();
    assert!(rig.store().clean(true).unwrap() > 0);
}

#[test]
fn a_store_opens_on_a_full_disk_serves_what_it_has_and_is_cleaned() {
    for is_clean in [true, false] {
        let mut rig = filled();
        let all = rig.drain("T", 0);
        rig.send("T", 0, b"not covered by the checkpoint");
        if is_clean {
            rig.store().close().unwrap();
        }
        rig.store = None;
        rig.disk.set_capacity(Some(1));
        rig.open();
        assert!(rig.drain("T", 0).starts_with(&all));
        assert!(rig.store().clean(false).unwrap() > 0, "the oldest go");
        let refused = rig.try_put("T", 0, record("T", 0, b"no room", ""), true);
        assert!(matches!(refused, Err(StoreError::DiskFull { .. })), "{refused:?}");
        rig.disk.set_capacity(None);
        rig.store().clean(false).unwrap();
        let next = rig.send("T", 0, b"goes on").queue_offset;
        assert_eq!(next, all.len() as u64 + 1);
        rig.store().checkpoint().unwrap();
        rig.kill();
        assert_eq!(rig.drain("T", 0).last().map(|(offset, _)| *offset), Some(next));
    }
}
