//! Replicas whose links are slow: every byte arrives late, and in order.

use std::time::{Duration, Instant};

use raft_log::Founding;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::group::{Group, Shape};
use crate::numbers;

/// More than a heartbeat's interval there and back, less than the shortest time until an election.
const ONE_WAY: Duration = Duration::from_millis(60);

/// Listens for those who want to reach `target` and lets what they say, and what they hear, arrive late.
async fn slow_link(target: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(&target).await else { continue };
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            carry(near_in, far_out);
            carry(far_in, near_out);
        }
    });
    address
}

fn carry(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf) {
    let (sent, mut arriving) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let _ = sent.send((Instant::now() + ONE_WAY, buffer[..read].to_vec()));
        }
    });
    tokio::spawn(async move {
        while let Some((due, bytes)) = arriving.recv().await {
            tokio::time::sleep_until(due.into()).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
}

/// Three replicas that reach each other over slow links only.
async fn apart() -> Group {
    let mut group = Group::unformed(3, &Shape::default());
    for from in 1..=3 {
        group.replica(from).kill();
        for to in (1..=3).filter(|to| *to != from) {
            let address = slow_link(group.replicas[&to].address.clone()).await;
            group.replica(from).peer_addresses.insert(to, address);
        }
    }
    for replica in group.replicas.values_mut() {
        replica.start();
    }
    group.replicas[&1].log().initialize(group.addresses(), Founding::Everybody).await.unwrap();
    group.leader().await;
    group
}

/// A vote and a heartbeat are given up before the connection that they need is there: it must be there for the next ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn replicas_that_are_far_apart_elect_a_leader_and_another_when_it_is_gone() {
    let mut group = apart().await;
    group.write_many(0, 50, 100).await;
    let leader = group.outlive_the_leader(50, 50, 100).await;
    group.assert_holds(leader, &numbers(0, 100));
}

/// Answers to heartbeats come too late for the heartbeat that asked; they count all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_leader_far_away_keeps_the_lead_while_nobody_writes() {
    let group = apart().await;
    group.write_many(0, 10, 100).await;
    let (leader, term) = (group.leader().await, group.leading().await.status().term);
    let watched = Instant::now();
    while watched.elapsed() < Duration::from_secs(3) {
        for replica in group.running() {
            assert_eq!((replica.status().term, replica.status().leader), (term, Some(leader)));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Its lease is not over either: it takes the first record that comes.
    group.replicas[&leader].propose(b"after a silence").await.unwrap();
}
