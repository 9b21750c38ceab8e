//! The promises of `raft_log` that take a look inside.

use std::collections::BTreeMap;

use super::*;
use crate::config::FlushMode;
use crate::lone::{Lone, SEGMENT_BYTES, until};

/// Two other members, which nobody can call.
fn others() -> BTreeMap<u64, Node> {
    let member = |node| (node, Node { address: "127.0.0.1:1".to_owned(), store: u128::from(node) });
    [1, 3].map(member).into()
}

/// A replica whose last life had this mode and was killed; the machine is up again.
fn killed(flush: FlushMode) -> Lone {
    let lone = Lone::new(2);
    lone.set_boot("boot 1");
    lone.make(others(), 10);
    drop(lone.start(flush).unwrap());
    lone.set_boot("boot 2");
    lone
}

#[test]
fn a_start_that_failed_half_way_does_not_forget_that_the_power_was_lost() {
    for step in 0.. {
        let lone = killed(FlushMode::Async);
        lone.disk.power_off_after(step);
        let is_started = lone.start(FlushMode::Async).is_ok();
        lone.disk.crash();
        lone.set_boot("boot 2");
        let (log, _) = lone.start(FlushMode::Async).unwrap();
        assert!(log.shared.probation.is_behind(), "step {step}");
        if is_started {
            break;
        }
    }
}

#[test]
fn what_lost_power_may_have_taken_depends_on_the_mode_that_it_was_written_in() {
    for now in [FlushMode::Sync, FlushMode::Async] {
        for (before, is_behind) in [(FlushMode::Async, true), (FlushMode::Sync, false)] {
            let (log, _) = killed(before).start(now).unwrap();
            assert_eq!(log.shared.probation.is_behind(), is_behind, "{before:?} {now:?}");
        }
    }
}

#[tokio::test]
async fn a_group_of_one_votes_for_itself_after_its_power_was_lost() {
    let lone = Lone::new(2);
    lone.set_boot("boot 1");
    lone.make(BTreeMap::new(), 10);
    drop(lone.start(FlushMode::Async).unwrap());
    lone.set_boot("boot 2");
    let (log, _) = lone.start(FlushMode::Async).unwrap();
    until("it leads", || (log.status().borrow().role == Role::Leader).then_some(())).await;
}

/// Where the tests of retention cut.
const CUT: u64 = 2 * SEGMENT_BYTES;

/// A replica with a few segments, and a boundary kept for each.
async fn segmented(lone: &Lone) -> RaftLog {
    let (log, _) = lone.start(FlushMode::Sync).unwrap();
    let newest = log.shared.log.segments().segment_start(log.shared.log.end());
    let kept = || Some(log.shared.snapshots.boundaries_before(newest).first()?.snapshot.next_position);
    until("everything is applied", || (log.applied().0 == Some(60)).then_some(())).await;
    until("the boundaries are kept", || kept().filter(|kept| *kept == newest)).await;
    log
}

fn made() -> Lone {
    let lone = Lone::new(2);
    lone.make(others(), 60);
    lone
}

#[tokio::test]
async fn retention_hides_what_an_earlier_call_left_visible_before_it_unlinks_segments() {
    let log = segmented(&made()).await;
    // As if that call had ended between the snapshot and the purge.
    let boundary = log.shared.snapshots.boundaries_before(CUT).remove(0);
    log.shared.snapshots.save(&boundary).unwrap();
    log.expire_before(CUT).await.unwrap();
    assert_eq!((log.first_position(), log.shared.log.beginning().position), (CUT, CUT));
}

#[tokio::test]
async fn retention_cut_short_anywhere_leaves_a_log_that_starts_and_expires_what_it_should_have() {
    for step in 0.. {
        let lone = made();
        let log = segmented(&lone).await;
        lone.disk.power_off_after(step);
        let is_done = log.expire_before(CUT).await.is_ok();
        drop(log);
        lone.disk.crash();
        let log = segmented(&lone).await;
        assert!(log.shared.log.beginning().position >= log.first_position(), "step {step}");
        log.expire_before(CUT).await.unwrap();
        assert_eq!((log.first_position(), log.shared.log.beginning().position), (CUT, CUT), "step {step}");
        if is_done {
            break;
        }
    }
}

#[tokio::test]
async fn a_disk_without_room_for_retentions_snapshot_ends_nothing() {
    let lone = made();
    let log = segmented(&lone).await;
    lone.disk.fail_write(1, std::io::ErrorKind::StorageFull);
    assert!(log.expire_before(CUT).await.is_err());
    assert_ne!(log.status().borrow().role, Role::Stopped);
    log.expire_before(CUT).await.unwrap();
    assert_eq!(log.first_position(), CUT);
}
