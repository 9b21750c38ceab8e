//! A replica whose disk was set back, as by an old copy of its machine: it lacks what it acknowledged and does not know it.

use std::collections::BTreeSet;
use std::time::Duration;

use raft_log::FlushMode;

use crate::group::{Group, Shape};
use crate::numbers;

fn sync() -> Shape {
    Shape { flush: FlushMode::Sync, ..Shape::default() }
}

/// Sets a follower's disk back to before these records; the third replica does not run meanwhile, so that leader and
/// follower alone acknowledge them.
async fn set_back(group: &mut Group, follower: u64, sleeper: u64, from: u64) {
    group.replica(follower).kill();
    let copy = group.replica(follower).copy();
    group.replica(follower).start();
    group.replica(sleeper).kill();
    group.write_many(from, 50, 300).await;
    group.converge().await;
    group.replica(follower).kill();
    group.replica(follower).set_back(&copy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_follower_whose_disk_was_set_back_is_brought_up_to_date() {
    for flush in [FlushMode::Sync, FlushMode::Async] {
        let mut group = Group::formed(3, &Shape { flush, ..Shape::default() }).await;
        group.write_many(0, 50, 300).await;
        group.converge().await;
        let leader = group.leader().await;
        let (follower, sleeper) = (leader % 3 + 1, (leader + 1) % 3 + 1);
        set_back(&mut group, follower, sleeper, 100).await;
        group.replica(follower).start();
        group.write_many(200, 50, 300).await;
        group.replica(sleeper).start();
        group.converge().await;
        group.assert_identical();
        let what = "it votes again";
        group.until(what, || (!group.replicas[&follower].status().on_probation).then_some(())).await;
        // It counts again: the group goes on with it alone beside one other.
        let leader = group.leader().await;
        let other = (1..=3).find(|node| *node != leader && *node != follower).unwrap();
        group.replica(other).kill();
        group.write_many(300, 50, 300).await;
        group.replica(other).start();
        group.converge().await;
        group.assert_identical();
        let found: BTreeSet<u64> = group.numbers(follower).into_iter().collect();
        for from in [0, 100, 200, 300] {
            assert!(numbers(from, 50).iter().all(|number| found.contains(number)), "{flush:?} {from}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_replica_whose_disk_was_set_back_does_not_help_to_elect_a_leader_without_what_it_acknowledged() {
    let mut group = Group::formed(3, &sync()).await;
    group.write_many(0, 50, 300).await;
    group.converge().await;
    let leader = group.leader().await;
    let (follower, sleeper) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    set_back(&mut group, follower, sleeper, 100).await;
    // The old leader can be called and calls nobody: the other two alone are a majority, and neither has the records.
    let follower_is_at = group.replica(follower).move_away();
    let sleeper_is_at = group.replica(sleeper).move_away();
    group.replica(follower).peer_addresses.insert(sleeper, sleeper_is_at);
    group.replica(sleeper).peer_addresses.insert(follower, follower_is_at);
    group.replica(follower).start();
    group.until("it knows", || group.replicas[&follower].status().on_probation.then_some(())).await;
    // It stays so over a restart in which nobody can tell it.
    group.replica(follower).kill();
    group.replica(leader).kill();
    group.replica(follower).start();
    group.replica(sleeper).start();
    let watched = std::time::Instant::now();
    while watched.elapsed() < Duration::from_millis(2500) {
        assert!(
            group.running().all(|replica| !replica.status().ready),
            "a leader without acknowledged records"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(group.replicas[&follower].status().on_probation);
    for node in [follower, sleeper] {
        let address = group.replicas[&node].address.clone();
        group.replica(leader).peer_addresses.insert(node, address);
    }
    group.replica(leader).start();
    group.write_many(200, 50, 300).await;
    group.converge().await;
    group.assert_identical();
    let found: BTreeSet<u64> = group.numbers(follower).into_iter().collect();
    assert!(numbers(100, 50).iter().all(|number| found.contains(number)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_replica_whose_vote_is_older_than_its_log_does_not_vote_before_it_has_caught_up() {
    for is_lost in [true, false] {
        let mut group = Group::formed(3, &sync()).await;
        group.write_many(0, 50, 300).await;
        group.converge().await;
        let leader = group.leader().await;
        let follower = leader % 3 + 1;
        let vote = group.replica(follower).home.join("raft/vote");
        group.replica(follower).kill();
        let old = std::fs::read(&vote).unwrap();
        group.replica(follower).start();
        // A later term leaves its entries on the follower.
        group.replica(leader).kill();
        group.write_many(100, 50, 300).await;
        group.replica(leader).start();
        group.converge().await;
        for node in 1..=3 {
            group.replica(node).kill();
        }
        if is_lost {
            std::fs::remove_file(&vote).unwrap();
        } else {
            std::fs::write(&vote, &old).unwrap();
        }
        group.replica(follower).start();
        assert!(group.replicas[&follower].status().on_probation);
        // It is so over a second start as well, although the vote is repaired by then.
        group.replica(follower).kill();
        group.replica(follower).start();
        assert!(group.replicas[&follower].status().on_probation);
        for node in (1..=3).filter(|node| *node != follower) {
            group.replica(node).start();
        }
        group.write_many(200, 50, 300).await;
        group.converge().await;
        group.assert_identical();
        let what = "it votes again";
        group.until(what, || (!group.replicas[&follower].status().on_probation).then_some(())).await;
        for from in [0, 100, 200] {
            group.assert_holds(follower, &numbers(from, 50));
        }
    }
}
