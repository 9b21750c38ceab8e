//! Promises of the client, against our own server and against bare sockets.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use protocol::{RemotingCommand, RequestCode};
use remoting::{ClientConfig, ConnectionLimits, NoRequests, RemotingClient, RemotingError};
use support::{Desk, PATIENCE, answer, request, serve, until};
use tokio::net::TcpListener;

fn client() -> RemotingClient {
    RemotingClient::new(ClientConfig::default(), Arc::new(NoRequests))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_share_one_connection_and_each_gets_its_own_answer() {
    let desk = Desk::echo();
    let server = serve(&desk);
    let address = server.local_addr().to_string();
    let client = Arc::new(client());
    let calls: Vec<_> = (0..500)
        .map(|n: i32| {
            let (client, address) = (client.clone(), address.clone());
            tokio::spawn(async move {
                let body = format!("body of {n}");
                let answer = client.call(&address, request(0, body.clone()), PATIENCE).await.unwrap();
                assert_eq!(answer.body, body);
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    client.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn a_closed_connection_fails_all_its_calls_at_once_and_the_next_use_connects_anew() {
    let held = Arc::new(AtomicUsize::new(0));
    let count = held.clone();
    let desk = Desk::new(move |_, requests| {
        count.fetch_add(requests.len(), Ordering::SeqCst);
        requests.clear();
    });
    let server = serve(&desk);
    let address = server.local_addr().to_string();
    let client = client();
    let connection = client.connect(&address).await.unwrap();
    let calls: Vec<_> = (0..20).map(|_| connection.call(request(0, "held"), PATIENCE)).collect();
    until("all are in work", || held.load(Ordering::SeqCst) == 20).await;
    let started = Instant::now();
    desk.seen.lock()[0].close();
    for call in calls {
        assert!(matches!(call.await, Err(RemotingError::Closed { .. })));
    }
    assert!(started.elapsed() < PATIENCE / 2);
    let again = client.connect(&address).await.unwrap();
    assert_ne!(again.id(), connection.id());
    server.stop().await;
}

#[tokio::test]
async fn a_refused_connection_is_told_at_once_and_tried_again_at_the_next_use() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = client();
    for _ in 0..2 {
        let outcome = client.call(&address.to_string(), request(0, "x"), PATIENCE).await;
        assert!(
            matches!(&outcome, Err(error @ RemotingError::Connect { .. }) if error.is_unsent()),
            "{outcome:?}"
        );
    }
    let listener = TcpListener::bind(address).await.unwrap();
    assert!(client.connect(&address.to_string()).await.is_ok());
    drop(listener);
}

#[tokio::test]
async fn the_time_of_a_call_ends_it_although_the_peer_never_answers() {
    let desk = Desk::new(|_, requests| requests.clear());
    let server = serve(&desk);
    let client = client();
    let address = server.local_addr().to_string();
    let (short, long) = (Duration::from_millis(30), Duration::from_millis(120));
    let started = Instant::now();
    let (first, second) = tokio::join!(
        client.call(&address, request(0, "x"), long),
        client.call(&address, request(0, "x"), short)
    );
    assert!(matches!(first, Err(RemotingError::Timeout { .. })));
    assert!(matches!(second, Err(RemotingError::Timeout { .. })));
    assert!(started.elapsed() >= long);
}

#[tokio::test]
async fn calls_beyond_the_limit_are_refused_and_nothing_of_them_is_sent() {
    let handled = Arc::new(AtomicUsize::new(0));
    let count = handled.clone();
    let desk = Desk::new(move |_, requests| {
        count.fetch_add(requests.len(), Ordering::SeqCst);
        requests.clear();
    });
    let server = serve(&desk);
    let limits = ConnectionLimits { calls_max: 3, ..ConnectionLimits::default() };
    let config = ClientConfig { limits, ..ClientConfig::default() };
    let client = RemotingClient::new(config, Arc::new(NoRequests));
    let connection = client.connect(&server.local_addr().to_string()).await.unwrap();
    let calls: Vec<_> = (0..3).map(|_| connection.call(request(0, "x"), PATIENCE)).collect();
    let refused = connection.call(request(0, "x"), PATIENCE).await;
    assert!(matches!(refused, Err(RemotingError::TooManyCalls { limit: 3, .. })));
    until("three are in work", || handled.load(Ordering::SeqCst) == 3).await;
    drop(calls);
    assert_eq!(connection.calls_waiting(), 0);
}

#[tokio::test]
async fn requests_to_a_peer_that_does_not_read_are_refused_before_memory_runs_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let limits = ConnectionLimits { queued_bytes_max: 8 << 20, ..ConnectionLimits::default() };
    let client =
        RemotingClient::new(ClientConfig { limits, ..ClientConfig::default() }, Arc::new(NoRequests));
    let connection = client.connect(&address).await.unwrap();
    let (_unread, _) = listener.accept().await.unwrap();
    let refused = loop {
        if let Err(error) = connection.oneway(request(0, vec![0; 1 << 20])) {
            break error;
        }
    };
    assert!(matches!(refused, RemotingError::PeerSlow { .. }), "{refused:?}");
    assert!(!connection.is_closed());
}

#[tokio::test]
async fn callbacks_are_told_each_outcome_once() {
    let desk = Desk::echo();
    let server = serve(&desk);
    let client = client();
    let connection = client.connect(&server.local_addr().to_string()).await.unwrap();
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let tell = |outcomes: &Arc<Mutex<Vec<bool>>>| {
        let outcomes = outcomes.clone();
        move |outcome: Result<RemotingCommand, RemotingError>| outcomes.lock().push(outcome.is_ok())
    };
    for _ in 0..10 {
        connection.call_with(request(0, "x"), PATIENCE, tell(&outcomes));
    }
    until("all are answered", || outcomes.lock().len() == 10).await;
    connection.close();
    until("the connection is closed", || desk.closed() == 1).await;
    connection.call_with(request(0, "x"), PATIENCE, tell(&outcomes));
    assert_eq!(outcomes.lock().iter().filter(|ok| **ok).count(), 10);
    assert_eq!(outcomes.lock().len(), 11);
}

#[tokio::test]
async fn requests_of_the_server_reach_the_clients_handler() {
    let desk = Desk::echo();
    let server = serve(&desk);
    let client = RemotingClient::new(
        ClientConfig::default(),
        Desk::new(|connection, requests| {
            for request in requests.drain(..) {
                connection.send(answer(&request).with_body("from the client"));
            }
        }),
    );
    client.call(&server.local_addr().to_string(), request(0, "hello"), PATIENCE).await.unwrap();
    let connection = desk.seen.lock()[0].clone();
    let asked = RemotingCommand::request(RequestCode::GetConsumerRunningInfo);
    assert_eq!(connection.call(asked, PATIENCE).await.unwrap().body, "from the client");
}

#[tokio::test]
async fn a_stopped_client_fails_its_calls_and_takes_no_new_ones() {
    let desk = Desk::new(|_, requests| requests.clear());
    let server = serve(&desk);
    let client = client();
    let address = server.local_addr().to_string();
    let connection = client.connect(&address).await.unwrap();
    let call = connection.call(request(0, "x"), PATIENCE);
    client.stop().await;
    assert!(matches!(call.await, Err(RemotingError::Closed { .. })));
    assert!(matches!(client.connect(&address).await, Err(RemotingError::Stopped)));
}
