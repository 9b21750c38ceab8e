//! What a group of replicas promises, shown on real sockets and real files.

mod catching_up;
mod damage;
mod forming;
mod group;
mod links;
mod stale;

use std::collections::BTreeSet;
use std::time::Duration;

use group::{Group, Replica, Shape};
use raft_log::{FlushMode, Founding, GroupError, LogError, ProposeError, Role};

fn numbers(from: u64, count: u64) -> Vec<u64> {
    (from..from + count).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn three_replicas_elect_one_leader_and_hold_the_same_bytes_across_segments() {
    for flush in [FlushMode::Async, FlushMode::Sync] {
        let group = Group::formed(3, &Shape { flush, ..Shape::default() }).await;
        let repeated = group.write_many(0, 600, 700).await;
        group.leading().await.command(b"topic a").await.unwrap();
        group.converge().await;
        group.assert_identical();
        for node in 1..=3 {
            let mut found = group.numbers(node);
            found.sort_unstable();
            found.dedup_by(|one, other| one == other && repeated.contains(one));
            assert_eq!(found, numbers(0, 600));
            assert_eq!(group.replicas[&node].applications.lock().unwrap().commands, [b"topic a"]);
        }
        assert!(group.replicas[&1].status().last_position > 4 * group.shape.segment_bytes);
        assert_eq!(group.running().filter(|replica| replica.status().role == Role::Leader).count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_acknowledged_is_lost_when_leaders_are_killed_and_come_back() {
    let mut group = Group::formed(3, &Shape::default()).await;
    for round in 0..4 {
        group.write_many(round * 100, 100, 300).await;
        let leader = group.leader().await;
        group.replicas.get_mut(&leader).unwrap().kill();
        group.write_many(1000 + round * 100, 50, 300).await;
        assert_ne!(group.leader().await, leader);
        group.replicas.get_mut(&leader).unwrap().start();
    }
    group.converge().await;
    group.assert_identical();
    for node in 1..=3 {
        let found: BTreeSet<u64> = group.numbers(node).into_iter().collect();
        for round in 0..4 {
            assert!(numbers(round * 100, 100).iter().all(|number| found.contains(number)));
            assert!(numbers(1000 + round * 100, 50).iter().all(|number| found.contains(number)));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn all_replicas_killed_at_once_come_back_with_everything() {
    let mut group = Group::formed(3, &Shape { flush: FlushMode::Sync, ..Shape::default() }).await;
    group.write_many(0, 300, 500).await;
    for replica in group.replicas.values_mut() {
        replica.kill();
    }
    for replica in group.replicas.values_mut() {
        replica.start();
    }
    group.write_many(300, 50, 500).await;
    group.converge().await;
    group.assert_identical();
    let mut found = group.numbers(2);
    found.sort_unstable();
    assert_eq!(found, numbers(0, 350));
}

/// Until the consensus had run once, a replica said of itself that it was in term 0 and in no group.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_replica_knows_its_term_and_its_group_from_its_first_moment() {
    let mut group = Group::formed(1, &Shape::default()).await;
    let replica = group.replica(1);
    let term = replica.status().term;
    assert!(term > 0);
    for _ in 0..10 {
        replica.kill();
        replica.start();
        let status = replica.status();
        assert!(status.term >= term, "{status:?}");
        assert_eq!(status.peers.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn leadership_is_handed_over_on_request_and_on_a_graceful_stop() {
    let mut group = Group::formed(3, &Shape::default()).await;
    group.write_many(0, 50, 100).await;
    let leader = group.leader().await;
    let next = leader % 3 + 1;
    group.replicas[&leader].log().transfer_leader(next, group::PATIENCE).await.unwrap();
    group.until("the new leader is ready", || group.replicas[&next].status().ready.then_some(())).await;
    assert!(matches!(group.replicas[&leader].propose(b"late").await, Err(ProposeError::NotLeader { .. })));
    group.write_many(50, 50, 100).await;
    let log = group.replicas.get_mut(&next).unwrap().log.take().unwrap();
    let before = std::time::Instant::now();
    log.stop(Duration::from_secs(5)).await.unwrap();
    assert!(before.elapsed() < Duration::from_secs(5));
    assert!(group.running().any(|replica| replica.status().leader.is_some_and(|leader| leader != next)));
    group.write_many(100, 50, 100).await;
    group.replicas.get_mut(&next).unwrap().start();
    group.converge().await;
    group.assert_identical();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_leader_learns_which_voters_could_lead() {
    let mut group = Group::formed(3, &Shape::default()).await;
    let leader = group.leader().await;
    let (full, roomy) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    assert_eq!(group.replicas[&leader].log().able_to_lead().await.unwrap().len(), 2);
    group.replicas[&full].log().set_room(false);
    assert!(!group.replicas[&full].log().has_room());
    assert_eq!(group.replicas[&leader].log().able_to_lead().await.unwrap(), [roomy]);
    group.replica(roomy).kill();
    assert!(group.replicas[&leader].log().able_to_lead().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_learner_catches_up_gets_a_vote_and_another_member_leaves() {
    let mut group = Group::formed(3, &Shape::default()).await;
    group.write_many(0, 300, 400).await;
    let mut fourth = Replica::new(group.root(), 4, &group.shape);
    fourth.start();
    group.leading().await.log().add_learner(4, &fourth.address).await.unwrap();
    group.replicas.insert(4, fourth);
    group.converge().await;
    let leader = group.leader().await;
    let leaving = (1..=3).find(|node| *node != leader).unwrap();
    let voters: BTreeSet<u64> = (1..=4).filter(|node| *node != leaving).collect();
    group.leading().await.log().change_membership(voters.clone()).await.unwrap();
    group.replicas.get_mut(&leaving).unwrap().kill();
    group.write_many(300, 100, 400).await;
    group.converge().await;
    group.assert_identical();
    let mut found = group.numbers(4);
    found.sort_unstable();
    assert_eq!(found, numbers(0, 400));
    let members: BTreeSet<u64> = group
        .leading()
        .await
        .status()
        .peers
        .iter()
        .filter(|peer| peer.is_voter)
        .map(|peer| peer.node)
        .collect();
    assert_eq!(members, voters);
}

/// Changes the voters as an operator does: a leader whose lease ran out for a moment refuses, and is asked again.
async fn change_voters(group: &Group, voters: BTreeSet<u64>) {
    let deadline = std::time::Instant::now() + group::PATIENCE;
    while let Err(error) = group.leading().await.log().change_membership(voters.clone()).await {
        assert!(std::time::Instant::now() < deadline, "{error}");
    }
}

/// Takes a wiped node out of the group and in again, as an operator does: its vote from before is worth nothing.
async fn readmit(group: &Group, node: u64) {
    let others: BTreeSet<u64> = group.replicas.keys().copied().filter(|other| *other != node).collect();
    let everybody = group.replicas.keys().copied().collect();
    let address = group.replicas[&node].address.clone();
    change_voters(group, others).await;
    let deadline = std::time::Instant::now() + group::PATIENCE;
    while let Err(error) = group.leading().await.log().add_learner(node, &address).await {
        assert!(std::time::Instant::now() < deadline, "{error}");
    }
    change_voters(group, everybody).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_wiped_replica_is_not_taken_for_the_old_voter_and_catches_up_once_readmitted() {
    let mut group = Group::formed(3, &Shape::default()).await;
    group.write_many(0, 300, 500).await;
    let leader = group.leader().await;
    let wiped = leader % 3 + 1;
    group.replicas.get_mut(&wiped).unwrap().wipe();
    group.replicas.get_mut(&wiped).unwrap().start();
    group.write_many(300, 50, 500).await;
    assert_eq!(group.replicas[&wiped].applied(), None, "nobody replicates to a stranger");
    let refused = group.replicas[&wiped].log().initialize(group.addresses(), Founding::Everybody).await;
    assert!(matches!(refused, Err(GroupError::AlreadyFormed)), "{refused:?}");
    readmit(&group, wiped).await;
    group.converge().await;
    group.assert_identical();
    let mut found = group.numbers(wiped);
    found.sort_unstable();
    assert_eq!(found, numbers(0, 350));
}

/// Runs retention on a node until this many segments are gone; the snapshots at boundaries are written by a thread of their
/// own and may come a moment later.
async fn expire(group: &Group, node: u64, segments: usize) -> Vec<u64> {
    let log = group.replicas[&node].log();
    let wanted = segments as u64 * group.shape.segment_bytes;
    let deadline = std::time::Instant::now() + group::PATIENCE;
    let mut dropped = Vec::new();
    while log.first_position() < wanted {
        assert!(
            std::time::Instant::now() < deadline,
            "{dropped:?} of {wanted}: {:?}",
            group.replicas[&node].status()
        );
        dropped.extend(log.expire_before(wanted).await.unwrap());
        tokio::task::yield_now().await;
    }
    dropped
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn retention_does_not_wait_for_a_dead_replica_which_begins_at_the_boundary_when_it_is_back() {
    let mut group = Group::formed(3, &Shape::default()).await;
    group.write_many(0, 50, 700).await;
    group.converge().await;
    let leader = group.leader().await;
    let dead = leader % 3 + 1;
    group.replicas.get_mut(&dead).unwrap().kill();
    group.write_many(50, 500, 700).await;
    let leader = group.leader().await;
    assert_eq!(expire(&group, leader, 3).await[0], 0);
    group.replicas.get_mut(&dead).unwrap().start();
    group.write_many(550, 50, 700).await;
    group.converge().await;
    group.assert_identical();
    let state = group.replicas[&dead].applications.lock().unwrap();
    assert_eq!(state.restored, [(3 * group.shape.segment_bytes, 3 * group.shape.segment_bytes)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn after_retention_a_wiped_replica_begins_at_the_boundary_with_the_system_state_of_then() {
    let mut group = Group::formed(3, &Shape::default()).await;
    group.leading().await.command(b"[early]").await.unwrap();
    group.write_many(0, 600, 700).await;
    group.leading().await.command(b"[late]").await.unwrap();
    group.write_many(600, 100, 700).await;
    group.converge().await;
    let segment_bytes = group.shape.segment_bytes;
    for node in 1..=3 {
        let dropped = expire(&group, node, 2).await;
        assert_eq!(dropped[..2], [0, segment_bytes]);
        assert!(group.replicas[&node].log().first_position() >= 2 * segment_bytes);
    }
    group.write_many(700, 50, 700).await;
    group.assert_identical();
    // Everybody restarts on the shortened log.
    for node in 1..=3 {
        group.replicas.get_mut(&node).unwrap().kill();
        group.replicas.get_mut(&node).unwrap().start();
    }
    let leader = group.leader().await;
    let wiped = leader % 3 + 1;
    group.replicas.get_mut(&wiped).unwrap().wipe();
    group.replicas.get_mut(&wiped).unwrap().start();
    readmit(&group, wiped).await;
    group.write_many(750, 50, 700).await;
    group.converge().await;
    group.assert_identical();
    let state = group.replicas[&wiped].applications.lock().unwrap();
    assert_eq!(state.restored.len(), 1);
    assert_eq!(state.commands.concat(), b"[early][late]");
    assert!(state.records.iter().all(|(_, position, _)| *position >= state.restored[0].1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_classic_store_becomes_the_first_replica_and_the_others_copy_its_records() {
    use disk::{RealDisk, Segments};
    let shape = Shape::default();
    let mut group = Group::unformed(3, &shape);
    let first = group.replicas.get_mut(&1).unwrap();
    first.wipe();
    let classic: Vec<u8> = (0..shape.segment_bytes * 2 + 12_345).map(|at| (at % 251) as u8).collect();
    {
        let segments =
            Segments::open(std::sync::Arc::new(RealDisk), first.home.join("commitlog"), shape.segment_bytes)
                .unwrap();
        for (number, chunk) in classic.chunks(4096).enumerate() {
            segments.write_at(number as u64 * 4096, &[std::io::IoSlice::new(chunk)]).unwrap();
        }
    }
    first.try_start(classic.len() as u64).unwrap();
    group.replicas[&1].log().initialize(group.addresses(), Founding::Everybody).await.unwrap();
    group.write_many(0, 200, 500).await;
    group.converge().await;
    group.assert_identical();
    for node in 1..=3 {
        let log = group.replicas[&node].log();
        let copied: Vec<u8> = (0..classic.len() as u64)
            .step_by(1024)
            .flat_map(|at| log.read(at, 1024.min(classic.len() - at as usize)).unwrap().to_vec())
            .collect();
        assert!(copied == classic, "node {node} lacks classic records");
        let voters = group.leading().await.status().peers.iter().filter(|peer| peer.is_voter).count();
        assert_eq!(voters, 3);
    }
    let state = group.replicas[&2].applications.lock().unwrap();
    assert_eq!(state.restored.len(), 1);
    assert_eq!(state.restored[0].0, 0);
    assert!(state.restored[0].1 > classic.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_store_with_other_segments_is_refused_with_both_sizes() {
    let mut group = Group::formed(1, &Shape::default()).await;
    let other = Shape { segment_bytes: 128 * 1024, ..Shape::default() };
    let mut second = Replica::new(group.root(), 2, &other);
    second.start();
    let refused = group.leading().await.log().add_learner(2, &second.address).await.unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("131072") && text.contains("65536"), "{text}");
    let replica = group.replicas.get_mut(&1).unwrap();
    replica.kill();
    std::fs::remove_dir_all(replica.home.join("commitlog")).unwrap();
    let mut changed = Replica::new(group.root(), 1, &other);
    assert!(matches!(changed.try_start(0), Err(LogError::Mismatch { what: "segment size", .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_leader_without_a_majority_commits_nothing_until_the_majority_is_back() {
    let mut group = Group::formed(3, &Shape::default()).await;
    let leader = group.leader().await;
    for node in (1..=3).filter(|node| *node != leader) {
        group.replicas.get_mut(&node).unwrap().kill();
    }
    let outcome =
        tokio::time::timeout(Duration::from_secs(1), group.replicas[&leader].propose(b"lonely")).await;
    assert!(!matches!(outcome, Ok(Ok(_))), "{outcome:?}");
    let barrier =
        tokio::time::timeout(Duration::from_secs(1), group.replicas[&leader].log().read_barrier()).await;
    assert!(!matches!(barrier, Ok(Ok(()))), "a leader without a majority does not know what is committed");
    for node in (1..=3).filter(|node| *node != leader) {
        group.replicas.get_mut(&node).unwrap().start();
    }
    group.write_many(0, 20, 100).await;
    group.converge().await;
    group.assert_identical();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_leader_acknowledges_what_its_followers_have_synced_although_its_own_disk_takes_its_time() {
    let shape = Shape { flush: FlushMode::Sync, in_memory: true, ..Shape::default() };
    let mut group = Group::formed(3, &shape).await;
    group.write_many(0, 20, 100).await;
    for attempt in 0.. {
        let leader = group.leader().await;
        group.replica(leader).hold_syncs(true);
        let deed = group.replicas[&leader].propose(b"quick");
        let outcome = tokio::time::timeout(Duration::from_secs(2), deed).await;
        group.replica(leader).hold_syncs(false);
        // A busy machine may take the lead away meanwhile; then another leader is asked.
        match outcome {
            Ok(Ok(_)) => break,
            outcome => assert!(attempt < 10, "{outcome:?}"),
        }
    }
    group.write_many(20, 20, 100).await;
    group.converge().await;
    group.assert_identical();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn with_sync_flush_everything_acknowledged_survives_all_machines_losing_power() {
    let shape = Shape { flush: FlushMode::Sync, in_memory: true, ..Shape::default() };
    let mut group = Group::formed(3, &shape).await;
    for round in 0..4 {
        group.write_many(round * 100, 100, 400).await;
        for (node, replica) in &mut group.replicas {
            replica.lose_power(round * 10 + node);
        }
        for replica in group.replicas.values_mut() {
            replica.start();
        }
    }
    group.converge().await;
    group.assert_identical();
    for node in 1..=3 {
        group.assert_holds(node, &numbers(0, 400));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn with_async_flush_everything_acknowledged_survives_any_one_machine_losing_power() {
    let shape = Shape { in_memory: true, flush_interval: Duration::from_secs(3600), ..Shape::default() };
    let mut group = Group::formed(3, &shape).await;
    for round in 0..4 {
        group.write_many(round * 100, 100, 400).await;
        let leader = group.leader().await;
        let victim = if round % 2 == 0 { leader } else { leader % 3 + 1 };
        let replica = group.replicas.get_mut(&victim).unwrap();
        replica.lose_power(round);
        replica.start();
        group
            .until("the probation is over", || (!group.replicas[&victim].status().on_probation).then_some(()))
            .await;
    }
    group.converge().await;
    group.assert_identical();
    for node in 1..=3 {
        group.assert_holds(node, &numbers(0, 400));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn with_async_flush_a_group_whose_machines_all_lost_power_goes_on_with_what_survived_anywhere() {
    let shape = Shape { in_memory: true, flush_interval: Duration::from_secs(3600), ..Shape::default() };
    let mut group = Group::formed(3, &shape).await;
    group.write_many(0, 50, 100).await;
    group.converge().await;
    for replica in group.running() {
        replica.log().flush().unwrap();
    }
    group.write_many(50, 50, 100).await;
    group.converge().await;
    // The last records reach one disk of three, and not the leader's.
    let survivor = group.leader().await % 3 + 1;
    group.replicas[&survivor].log().flush().unwrap();
    for node in 1..=3 {
        group.replica(node).lose_power(node);
    }
    // Two of them alone do not know what the third holds.
    let (early, late): (Vec<u64>, Vec<u64>) = (1..=3).partition(|node| *node != survivor);
    for node in early {
        group.replica(node).start();
    }
    let watched = std::time::Instant::now();
    while watched.elapsed() < Duration::from_millis(1500) {
        assert!(group.running().all(|replica| !replica.status().ready), "a leader without what survived");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    group.replica(late[0]).start();
    group.write_many(200, 50, 100).await;
    group.converge().await;
    group.assert_identical();
    for node in 1..=3 {
        let what = "it votes again";
        group.until(what, || (!group.replicas[&node].status().on_probation).then_some(())).await;
        group.assert_holds(node, &numbers(0, 100));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_replica_that_lost_its_tail_does_not_help_to_elect_a_leader_without_it() {
    let shape = Shape { in_memory: true, flush_interval: Duration::from_secs(3600), ..Shape::default() };
    let mut group = Group::formed(3, &shape).await;
    group.write_many(0, 20, 100).await;
    group.converge().await;
    let leader = group.leader().await;
    let (amnesiac, sleeper) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    group.replicas.get_mut(&sleeper).unwrap().kill();
    group.write_many(100, 50, 100).await;
    group.replicas.get_mut(&leader).unwrap().kill();
    // The only other holder of what was just acknowledged forgets it, and the two that lack it are a majority.
    group.replicas.get_mut(&amnesiac).unwrap().lose_power(1);
    group.replicas.get_mut(&amnesiac).unwrap().start();
    group.replicas.get_mut(&sleeper).unwrap().start();
    let watched = std::time::Instant::now();
    while watched.elapsed() < Duration::from_millis(2500) {
        assert!(
            group.running().all(|replica| !replica.status().ready),
            "a leader without acknowledged records"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(group.replicas[&amnesiac].status().on_probation);
    group.replicas.get_mut(&leader).unwrap().start();
    group.write_many(200, 20, 100).await;
    group.converge().await;
    group.assert_identical();
    for node in 1..=3 {
        group.assert_holds(node, &numbers(100, 50));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn replicas_that_lost_power_elect_nobody_without_the_third_until_an_operator_trusts_them() {
    let shape = Shape { in_memory: true, flush_interval: Duration::from_secs(3600), ..Shape::default() };
    let mut group = Group::formed(3, &shape).await;
    group.write_many(0, 50, 100).await;
    group.converge().await;
    for replica in group.running() {
        replica.log().flush().unwrap();
    }
    for node in 1..=3 {
        group.replica(node).lose_power(node);
    }
    for node in 1..=2 {
        group.replica(node).start();
    }
    let watched = std::time::Instant::now();
    while watched.elapsed() < Duration::from_millis(1500) {
        assert!(group.running().all(|replica| !replica.status().ready && replica.status().on_probation));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for node in 1..=2 {
        group.replica(node).log().trust().await.unwrap();
    }
    group.write_many(50, 20, 100).await;
    group.converge().await;
    for node in 1..=2 {
        group.assert_holds(node, &numbers(0, 50));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_flipped_bit_below_the_durable_end_is_repaired_from_a_peer() {
    let mut group = Group::formed(3, &Shape { flush: FlushMode::Sync, ..Shape::default() }).await;
    group.write_many(0, 300, 500).await;
    group.converge().await;
    let broken = group.leader().await % 3 + 1;
    let peers: Vec<(u64, String)> =
        group.addresses().into_iter().filter(|(node, _)| *node != broken).collect();
    let segment_bytes = group.shape.segment_bytes;
    let replica = group.replicas.get_mut(&broken).unwrap();
    replica.log().flush().unwrap();
    let before = replica.log().read(segment_bytes, 4096).unwrap().to_vec();
    replica.kill();
    // What a landmark describes is not read by a start, and how far landmarks reach by now depends on the threads.
    std::fs::remove_dir_all(replica.home.join("raft/landmarks")).unwrap();
    {
        let segments = replica.segments().unwrap();
        for position in [segment_bytes + 700, segment_bytes + 2500] {
            let byte = segments.read(position, 1).unwrap()[0] ^ 1;
            segments.write_at(position, &[std::io::IoSlice::new(&[byte])]).unwrap();
        }
    }
    assert!(matches!(replica.try_start(0), Err(LogError::Damaged { .. })));
    let segments = std::sync::Arc::new(replica.segments().unwrap());
    let (config, disk) = (replica.config(0), replica.disk());
    let (position, durable) = raft_log::damage(&config, &disk, &segments).unwrap().unwrap();
    assert!(position <= segment_bytes + 700 && durable > segment_bytes + 2500, "{position} {durable}");
    let repaired = raft_log::repair(&config, disk.clone(), segments.clone(), &peers).await.unwrap();
    assert_eq!(raft_log::damage(&config, &disk, &segments).unwrap(), None);
    assert!(repaired.entries >= 1, "{repaired:?}");
    drop(config);
    replica.start();
    assert_eq!(replica.log().read(segment_bytes, 4096).unwrap(), before);
    group.write_many(300, 20, 500).await;
    group.converge().await;
    group.assert_identical();
}
