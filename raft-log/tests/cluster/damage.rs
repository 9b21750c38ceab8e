//! Disks that give back other bytes than they were given, while the log runs.

use std::time::Duration;

use raft_log::FlushMode;

use crate::group::{Group, Shape};

fn sync() -> Shape {
    Shape { flush: FlushMode::Sync, ..Shape::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_bit_that_flips_under_a_running_replica_is_found_and_mended_from_another() {
    let shape = Shape { scrub_interval: Duration::from_millis(20), ..sync() };
    let group = Group::formed(3, &shape).await;
    group.write_many(0, 300, 500).await;
    group.converge().await;
    let leader = group.leader().await;
    for victim in [leader, leader % 3 + 1] {
        let log = group.replicas[&victim].log();
        log.flush().unwrap();
        // A body, and an envelope.
        for position in [700, shape.segment_bytes + 20] {
            let before = log.read(0, 4096).unwrap().to_vec();
            let other = log.read(shape.segment_bytes, 4096).unwrap().to_vec();
            group.replicas[&victim].damage(position);
            let is_mended = || {
                let is_good = log.read(0, 4096).unwrap() == before;
                (is_good && log.read(shape.segment_bytes, 4096).unwrap() == other).then_some(())
            };
            group.until("it is mended", is_mended).await;
        }
    }
    group.write_many(300, 20, 500).await;
    group.converge().await;
    group.assert_identical();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_leader_mends_what_it_is_about_to_send() {
    let mut group = Group::formed(3, &sync()).await;
    group.write_many(0, 20, 500).await;
    group.converge().await;
    let leader = group.leader().await;
    let behind = leader % 3 + 1;
    group.replica(behind).kill();
    let damaged = group.replicas[&leader].log().applied().1 + 3000;
    group.write_many(100, 500, 500).await;
    group.converge().await;
    assert_eq!(group.leader().await, leader);
    group.replicas[&leader].log().flush().unwrap();
    group.replicas[&leader].damage(damaged);
    group.replica(behind).start();
    group.converge().await;
    group.assert_identical();
    assert!(group.running().all(|replica| replica.fatal.lock().unwrap().is_none()));
}
