//! Promises of bursts: replies of one thread to many connections, written by that thread.

mod support;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use protocol::RemotingCommand;
use remoting::{Connection, ConnectionLimits, Server, burst};
use support::{Bare, Desk, answer, request, serve_with, until};

type Work = (Arc<Connection>, RemotingCommand);

/// A server whose requests are answered by whoever reads the channel.
fn serve_elsewhere(limits: ConnectionLimits) -> (Arc<Desk>, Server, Receiver<Work>) {
    let (work, todo) = channel::<Work>();
    let desk = Desk::new(move |connection, requests| {
        for request in requests.drain(..) {
            work.send((connection.clone(), request)).unwrap();
        }
    });
    let server = serve_with(&desk, limits);
    (desk, server, todo)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_of_a_burst_reach_every_connection_in_order() {
    let (_desk, server, todo) = serve_elsewhere(ConnectionLimits::default());
    let worker = std::thread::spawn(move || {
        let mut left = 300 * 4;
        while left > 0 {
            let first = todo.recv().unwrap();
            burst::of(|| {
                for (connection, request) in std::iter::once(first).chain(todo.try_iter()) {
                    assert!(connection.send(answer(&request)));
                    left -= 1;
                }
            });
        }
    });
    let mut bares = Vec::new();
    for _ in 0..300 {
        let mut bare = Bare::to(&server).await;
        for opaque in 0..4 {
            bare.send(&request(opaque, "x")).await;
        }
        bares.push(bare);
    }
    for bare in &mut bares {
        for opaque in 0..4 {
            assert_eq!(bare.next().await.unwrap().opaque, opaque);
        }
    }
    worker.join().unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_socket_does_not_take_in_a_burst_follows() {
    let (_desk, server, todo) = serve_elsewhere(ConnectionLimits::default());
    let mut bare = Bare::to(&server).await;
    for opaque in 0..20 {
        bare.send(&request(opaque, "large")).await;
    }
    let worker = std::thread::spawn(move || {
        let all: Vec<_> = todo.iter().take(20).collect();
        burst::of(|| {
            for (connection, request) in all {
                connection.send(answer(&request).with_body(vec![7; 1 << 20]));
            }
        });
    });
    worker.join().unwrap();
    for opaque in 0..20 {
        let reply = bare.next().await.unwrap();
        assert_eq!((reply.opaque, reply.body.len()), (opaque, 1 << 20));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_wakes_a_connection_that_stopped_reading_for_want_of_answers() {
    let limits = ConnectionLimits { unanswered_max: 2, ..ConnectionLimits::default() };
    let (desk, server, todo) = serve_elsewhere(limits);
    let worker = std::thread::spawn(move || {
        let mut answered = 0;
        while answered < 100 {
            let (connection, request) = todo.recv().unwrap();
            burst::of(|| connection.send(answer(&request)));
            answered += 1;
        }
    });
    let mut bare = Bare::to(&server).await;
    for opaque in 0..100 {
        bare.send(&request(opaque, vec![0; 3000])).await;
    }
    for opaque in 0..100 {
        assert_eq!(bare.next().await.unwrap().opaque, opaque);
    }
    worker.join().unwrap();
    drop(bare);
    until("the connection is gone", || desk.closed() == 1).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_closed_does_not_keep_a_burst_from_the_others() {
    let (desk, server, todo) = serve_elsewhere(ConnectionLimits::default());
    let (mut stays, mut goes) = (Bare::to(&server).await, Bare::to(&server).await);
    stays.send(&request(1, "stay")).await;
    goes.send(&request(1, "go")).await;
    let (step, stepped) = channel::<()>();
    let (done, finished) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let all: Vec<_> = todo.iter().take(2).collect();
        burst::begin();
        burst::begin();
        for (connection, request) in &all {
            connection.send(answer(request));
        }
        stepped.recv().unwrap();
        burst::end();
        burst::end();
        done.send(()).unwrap();
    });
    drop(goes);
    until("one connection is gone", || desk.closed() == 1).await;
    step.send(()).unwrap();
    assert_eq!(stays.next().await.unwrap().opaque, 1);
    finished.await.unwrap();
    server.stop().await;
}
