//! A follower that was away gets what it missed.

use raft_log::FlushMode;

use super::group::{Group, Shape};
use super::numbers;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_follower_far_behind_catches_up_while_others_go_on_writing() {
    for flush in [FlushMode::Async, FlushMode::Sync] {
        let shape = Shape { flush, segment_bytes: 1024 * 1024, ..Shape::default() };
        let mut group = Group::formed(3, &shape).await;
        let follower = group.leader().await % 3 + 1;
        group.replica(follower).kill();
        group.write_many(0, 400, 50_000).await;
        let missed = group.leading().await.status().last_position;
        group.replica(follower).start();
        let mut written = 400;
        while group.replica(follower).status().last_position < missed {
            group.write_many(written, 5, 500).await;
            written += 5;
        }
        group.converge().await;
        group.assert_identical();
        group.assert_holds(follower, &numbers(0, written));
    }
}
