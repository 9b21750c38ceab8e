//! Power cuts and kills at every step, with losses by seed: what was acknowledged is kept, nothing is served twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use disk::MemDisk;
use proptest::prelude::*;
use store::{FlushDiskType, GetStatus, PutResult, StoreError};

use crate::rig::{PATIENCE, Rig, record};

type Answer = Receiver<Result<PutResult, StoreError>>;

/// Queue, offset and body of every acknowledged message.
type Kept = BTreeMap<(u32, u64), Vec<u8>>;

/// Puts a few messages of varied sizes and collects what is acknowledged; the disk may die on the way.
fn work(rig: &Rig, round: u64, count: u64, kept: &mut Kept) {
    let mut waiting: Vec<(u32, Vec<u8>, Answer)> = Vec::new();
    for n in 0..count {
        let queue_id = (n % 3) as u32;
        let mut body = format!("round {round} message {n} ").into_bytes();
        body.resize(body.len() + ((n * 37 + round * 11) % 400) as usize, b'.');
        let records = record("T", queue_id, &body, &format!("KEYS\u{1}k{round}-{n}\u{2}"));
        match rig.try_put("T", queue_id, records, true) {
            Ok(answer) => waiting.push((queue_id, body, answer)),
            Err(_) => break,
        }
        if n % 4 == 3 {
            collect(&mut waiting, kept);
        }
        if n % 10 == 9 {
            let _ = rig.store().write_out_queues();
        }
        if n % 16 == 15 && rig.store().checkpoint().is_err() {
            break;
        }
    }
    collect(&mut waiting, kept);
}

fn collect(waiting: &mut Vec<(u32, Vec<u8>, Answer)>, kept: &mut Kept) {
    for (queue_id, body, answer) in waiting.drain(..) {
        if let Ok(Ok(result)) = answer.recv_timeout(PATIENCE) {
            let known = kept.insert((queue_id, result.queue_offset), body);
            assert!(known.is_none(), "queue {queue_id} gave offset {} twice", result.queue_offset);
        }
    }
}

/// Every acknowledged message is where it was, no offset is missing, no body is there twice.
fn check(rig: &Rig, kept: &mut Kept, must_keep: bool, context: &str) {
    let mut bodies = std::collections::HashSet::new();
    for queue_id in 0..3 {
        let found = rig.drain("T", queue_id);
        assert_eq!(found.len() as u64, rig.store().max_offset("T", queue_id), "{context}: dense");
        for (at, (offset, body)) in found.iter().enumerate() {
            assert_eq!(at as u64, *offset, "{context}: dense");
            assert!(bodies.insert(body.clone()), "{context}: served twice");
            if let Some(expected) = kept.get(&(queue_id, *offset)) {
                assert_eq!(expected, body, "{context}: another message at queue {queue_id} offset {offset}");
            }
        }
        if must_keep {
            let missing = kept.range((queue_id, found.len() as u64)..(queue_id + 1, 0)).next();
            assert_eq!(missing, None, "{context}: an acknowledged message is missing");
        }
        for (offset, body) in found {
            kept.insert((queue_id, offset), body);
        }
        kept.retain(|(queue, offset), _| {
            *queue != queue_id || *offset < rig.store().max_offset("T", queue_id)
        });
    }
}

#[test]
fn sync_flush_keeps_what_it_acknowledged_whenever_the_power_goes() {
    for seed in 0..150 {
        let mut rig = Rig::new(FlushDiskType::Sync);
        let mut kept = Kept::new();
        for round in 0..4 {
            rig.disk.power_off_after(seed * 7 % 190 + round * 13);
            work(&rig, round, 40, &mut kept);
            rig.power_cut(seed * 4 + round);
            check(&rig, &mut kept, true, &format!("seed {seed} round {round}"));
        }
    }
}

#[test]
fn async_flush_keeps_what_it_acknowledged_whenever_the_process_is_killed() {
    for seed in 0..60 {
        let mut rig = Rig::new(FlushDiskType::Async);
        let mut kept = Kept::new();
        for round in 0..4 {
            work(&rig, round, 20 + seed % 17, &mut kept);
            rig.kill();
            check(&rig, &mut kept, true, &format!("seed {seed} round {round}"));
        }
    }
}

#[test]
fn async_flush_loses_only_the_end_when_the_power_goes() {
    for seed in 0..150 {
        let mut rig = Rig::new(FlushDiskType::Async);
        let mut kept = Kept::new();
        for round in 0..4 {
            rig.disk.power_off_after(seed * 7 % 120 + round * 13);
            work(&rig, round, 40, &mut kept);
            rig.power_cut(seed * 4 + round);
            check(&rig, &mut kept, false, &format!("seed {seed} round {round}"));
        }
    }
}

#[test]
fn a_power_cut_during_recovery_loses_nothing() {
    for step in 0..60 {
        let mut rig = Rig::new(FlushDiskType::Sync);
        let mut kept = Kept::new();
        work(&rig, 0, 60, &mut kept);
        rig.disk.crash_with(step);
        rig.store = None;
        rig.disk.power_off_after(step);
        let opened = rig.try_open();
        drop(opened);
        rig.power_cut(step + 1000);
        check(&rig, &mut kept, true, &format!("step {step}"));
    }
}

#[test]
fn a_power_cut_while_a_topic_is_deleted_leaves_it_whole_or_gone() {
    for step in 0..40 {
        let mut rig = Rig::new(FlushDiskType::Sync);
        for _ in 0..50 {
            rig.send("Gone", 0, b"old");
            rig.send("T", 0, b"stays");
        }
        rig.disk.power_off_after(step);
        let _ = rig.store().delete_topic("Gone");
        rig.power_cut(step);
        assert_eq!(rig.drain("T", 0).len(), 50, "step {step}");
        let left = rig.store().max_offset("Gone", 0);
        assert!(left == 0 || left == 50, "step {step}: {left}");
        rig.store().delete_topic("Gone").unwrap();
        assert_eq!(rig.send("Gone", 0, b"new").queue_offset, 0);
        rig.power_cut(step);
        assert_eq!(rig.drain("Gone", 0), [(0, b"new".to_vec())], "step {step}");
    }
}

#[test]
fn a_power_cut_during_retention_keeps_what_is_kept() {
    for step in 0..30 {
        let mut rig = Rig::new(FlushDiskType::Sync);
        for n in 0..200u32 {
            rig.send("T", n % 2, &[1; 50]);
        }
        rig.store().checkpoint().unwrap();
        rig.clock.0.store(i64::MAX / 2, std::sync::atomic::Ordering::Relaxed);
        rig.disk.power_off_after(step);
        let _ = rig.store().clean(true);
        rig.power_cut(step);
        for queue_id in 0..2 {
            let store = rig.store();
            assert_eq!(store.max_offset("T", queue_id), 100, "step {step}");
            let found = rig.drain("T", queue_id);
            assert_eq!(found.len() as u64, 100 - store.min_offset("T", queue_id), "step {step}");
        }
    }
}

#[test]
fn readers_beside_writers_see_a_growing_prefix() {
    let rig = Arc::new(Rig::new(FlushDiskType::Async));
    std::thread::scope(|scope| {
        for writer in 0..3u32 {
            let rig = rig.clone();
            scope.spawn(move || {
                let answers: Vec<_> = (0..300u32)
                    .map(|n| {
                        let body = [writer.to_be_bytes(), n.to_be_bytes()].concat();
                        rig.put("T", 0, record("T", 0, &body, ""))
                    })
                    .collect();
                for answer in answers {
                    answer.recv_timeout(PATIENCE).unwrap().unwrap();
                }
            });
        }
        scope.spawn(|| {
            let mut seen = 0;
            while seen < 900 {
                let result = rig.read("T", 0, seen);
                let is_end = matches!(
                    result.status,
                    GetStatus::OffsetOverflowOne
                        | GetStatus::NoMessageInQueue
                        | GetStatus::NoMatchedLogicQueue
                );
                if is_end {
                    std::thread::yield_now();
                    continue;
                }
                assert_eq!(result.status, GetStatus::Found);
                for slice in &result.slices {
                    for view in protocol::message::MessageView::iter(slice) {
                        let view = view.unwrap();
                        view.verify_crc().unwrap();
                        assert_eq!(view.queue_offset, seen);
                        seen += 1;
                    }
                }
                if seen % 7 == 0 {
                    rig.store().write_out_queues().unwrap();
                }
            }
        });
    });
    // Of one writer the order is kept.
    let mut next = [0u32; 3];
    for (_, body) in rig.drain("T", 0) {
        let writer = u32::from_be_bytes(body[..4].try_into().unwrap()) as usize;
        assert_eq!(u32::from_be_bytes(body[4..].try_into().unwrap()), next[writer]);
        next[writer] += 1;
    }
    assert_eq!(next, [300; 3]);
}

#[derive(Debug, Clone)]
enum Step {
    Send(u32, usize),
    Batch(u32, usize),
    WriteOut,
    Checkpoint,
    Kill,
    Restart,
    Delete,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3u32, 0..900usize).prop_map(|(queue, len)| Step::Send(queue, len)),
        2 => (0..3u32, 1..5usize).prop_map(|(queue, count)| Step::Batch(queue, count)),
        1 => Just(Step::WriteOut),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Kill),
        1 => Just(Step::Restart),
        1 => Just(Step::Delete),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_store_behaves_as_lists_of_bodies_do(steps in prop::collection::vec(step(), 1..80), sync: bool) {
        let flush = if sync { FlushDiskType::Sync } else { FlushDiskType::Async };
        let mut rig = Rig::new(flush);
        let mut model: [Vec<Vec<u8>>; 3] = Default::default();
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send(queue, len) => {
                    let mut body = at.to_be_bytes().to_vec();
                    body.resize(len.max(8), 1);
                    let result = rig.send("T", queue, &body);
                    prop_assert_eq!(result.queue_offset, model[queue as usize].len() as u64);
                    model[queue as usize].push(body);
                }
                Step::Batch(queue, count) => {
                    let mut records = bytes::BytesMut::new();
                    for n in 0..count {
                        let body = [at.to_be_bytes(), n.to_be_bytes()].concat();
                        crate::rig::add_record(&mut records, "T", queue, &body, "", 0);
                        model[queue as usize].push(body);
                    }
                    rig.put("T", queue, records).recv_timeout(PATIENCE).unwrap().unwrap();
                }
                Step::WriteOut => rig.store().write_out_queues().unwrap(),
                Step::Checkpoint => rig.store().checkpoint().unwrap(),
                Step::Kill => rig.kill(),
                Step::Restart => rig.restart(),
                Step::Delete => {
                    rig.store().delete_topic("T").unwrap();
                    model = Default::default();
                }
            }
        }
        for (queue, bodies) in model.iter().enumerate() {
            let expected: Vec<_> = (0u64..).zip(bodies.iter().cloned()).collect();
            prop_assert_eq!(rig.drain("T", queue as u32), expected);
        }
    }
}

#[test]
fn no_properties_that_a_producer_can_send_make_a_recovery_cut_the_log() {
    for zeros in [0, 1, 500, 511, 512, 513, 5000] {
        let mut config = Rig::new(FlushDiskType::Async).config.clone();
        config.segment_bytes = 65_536;
        let mut rig = Rig::with(config, MemDisk::new());
        rig.send("T", 0, b"before");
        let hole = format!("A\u{1}{}\u{2}B\u{1}b\u{2}", "\0".repeat(zeros));
        let stored = rig.put("T", 0, record("T", 0, b"hole", &hole)).recv_timeout(PATIENCE).unwrap();
        match stored {
            Ok(_) => assert!(zeros < 512),
            Err(error) => assert!(matches!(error, StoreError::PropertiesHole { at: 0, .. }), "{error}"),
        }
        rig.send("T", 0, b"after");
        let kept = rig.drain("T", 0);
        rig.kill();
        assert_eq!(rig.drain("T", 0), kept, "{zeros} zeros");
        assert_eq!(kept.last().unwrap().1, b"after");
    }
}
