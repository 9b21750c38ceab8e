//! Promises of the server and its connections, through real sockets.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use protocol::{RemotingCommand, RequestCode, SerializeType, frame};
use remoting::{Connection, ConnectionLimits, RemotingError, Server, ServerConfig};
use smallvec::smallvec;
use support::{Bare, Desk, PATIENCE, answer, bytes_of, config, request, serve, serve_with, until};

#[tokio::test]
async fn requests_written_at_once_are_all_answered() {
    let desk = Desk::echo();
    let server = serve(&desk);
    let mut bare = Bare::to(&server).await;
    let mut all = Vec::new();
    for opaque in 0..1000 {
        all.extend_from_slice(&bytes_of(&request(opaque, vec![b'x'; 10 + opaque as usize])));
    }
    bare.write(&all).await;
    for opaque in 0..1000 {
        let reply = bare.next().await.unwrap();
        assert_eq!((reply.opaque, reply.body.len()), (opaque, 10 + opaque as usize));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_leave_in_the_order_in_which_they_are_ready_from_any_thread() {
    let (work, todo) = std::sync::mpsc::channel::<(Arc<Connection>, RemotingCommand)>();
    let worker = std::thread::spawn(move || {
        let all: Vec<_> = todo.iter().take(50).collect();
        for (connection, request) in all.iter().rev() {
            assert!(connection.send(answer(request)));
        }
    });
    let desk = Desk::new(move |connection, requests| {
        for request in requests.drain(..) {
            work.send((connection.clone(), request)).unwrap();
        }
    });
    let server = serve(&desk);
    let mut bare = Bare::to(&server).await;
    for opaque in 0..50 {
        bare.send(&request(opaque, "late")).await;
    }
    for opaque in (0..50).rev() {
        assert_eq!(bare.next().await.unwrap().opaque, opaque);
    }
    worker.join().unwrap();
    server.stop().await;
}

#[tokio::test]
async fn one_way_requests_are_not_waited_for() {
    let desk = Desk::echo();
    let server = serve(&desk);
    let mut bare = Bare::to(&server).await;
    let mut oneway = request(1, "go");
    oneway.mark_oneway();
    bare.send(&oneway).await;
    bare.send(&request(2, "ask")).await;
    assert_eq!(bare.next().await.unwrap().opaque, 2);
    // Nothing is owed, so stopping waits for nothing.
    let started = Instant::now();
    server.stop().await;
    assert!(started.elapsed() < config().drain_max);
}

#[tokio::test]
async fn slices_leave_in_order_and_whole_between_copied_replies() {
    let desk = Desk::new(|connection, requests| {
        for request in requests.drain(..) {
            let body: [Bytes; 3] = [vec![1; 70_000].into(), Bytes::new(), vec![2; 5].into()];
            let reply = answer(&request);
            let mut head = bytes::BytesMut::new();
            assert!(frame::encode_head(
                &RemotingCommand { body: Bytes::new(), ..reply.clone() },
                70_005,
                &mut head
            ));
            connection.send(reply);
            connection
                .send_slices(head.freeze(), smallvec![body[0].clone(), body[1].clone(), body[2].clone()]);
        }
    });
    let server = serve(&desk);
    let mut bare = Bare::to(&server).await;
    for opaque in 0..40 {
        bare.send(&request(opaque, vec![9; 3000 * (opaque as usize % 3)])).await;
    }
    for opaque in 0..40 {
        let copied = bare.next().await.unwrap();
        assert_eq!((copied.opaque, copied.body.len()), (opaque, 3000 * (opaque as usize % 3)));
        let sliced = bare.next().await.unwrap();
        assert_eq!((sliced.opaque, sliced.body.len()), (opaque, 70_005));
        assert!(sliced.body[..70_000].iter().all(|byte| *byte == 1) && sliced.body[70_000..] == [2; 5]);
    }
    server.stop().await;
}

#[tokio::test]
async fn malformed_and_oversized_frames_close_their_connection_and_no_other() {
    let desk = Desk::echo();
    let server = serve(&desk);
    let mut healthy = Bare::to(&server).await;
    healthy.send(&request(1, "before")).await;
    assert_eq!(healthy.next().await.unwrap().opaque, 1);
    let hostile: [&[u8]; 6] = [
        &[0x16, 0x03, 0x01, 0x02],                      // a TLS hello
        &[0x01, 0x00, 0x00, 0x01],                      // one byte more than allowed
        &[0xFF, 0xFF, 0xFF, 0xFF],                      // a negative length
        &[0, 0, 0, 8, 0, 0, 0, 200, 1, 2, 3, 4],        // a header longer than its frame
        &[0, 0, 0, 8, 7, 0, 0, 4, b'{', b'}', b' ', 0], // an unknown serialize type
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    for bytes in hostile {
        let mut bare = Bare::to(&server).await;
        bare.write(bytes).await;
        assert!(bare.next().await.is_none(), "{bytes:?} must end the connection");
    }
    until("hostile connections are gone", || server.connections() == 1).await;
    assert_eq!(desk.closed(), 6);
    healthy.send(&request(2, "after")).await;
    assert_eq!(healthy.next().await.unwrap().opaque, 2);
    server.stop().await;
}

#[tokio::test]
async fn what_came_before_a_malformed_frame_is_still_answered_or_closed_but_never_stuck() {
    let desk = Desk::echo();
    let server = serve(&desk);
    let mut bare = Bare::to(&server).await;
    let mut bytes = bytes_of(&request(1, "good")).to_vec();
    bytes.extend_from_slice(&[0xFF; 16]);
    bare.write(&bytes).await;
    while bare.next().await.is_some() {}
    assert_eq!(desk.seen.lock().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_not_read_from_and_then_closed() {
    let handled = Arc::new(AtomicUsize::new(0));
    let count = handled.clone();
    let desk = Desk::new(move |connection, requests| {
        for request in requests.drain(..) {
            count.fetch_add(1, Ordering::SeqCst);
            connection.send(answer(&request).with_body(vec![0; 256 * 1024]));
        }
    });
    let limits = ConnectionLimits {
        stall_max: Duration::from_millis(400),
        pause_bytes: 512 * 1024,
        ..ConnectionLimits::default()
    };
    let server = serve_with(&desk, limits);
    let mut bare = Bare::to(&server).await;
    let mut sent = 0;
    // The peer goes on asking and never reads; at some point its own writes meet a closed door.
    let asking = async {
        loop {
            if tokio::io::AsyncWriteExt::write_all(&mut bare.stream, &bytes_of(&request(sent, vec![1; 1024])))
                .await
                .is_err()
            {
                break;
            }
            sent += 1;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("the slow reader is closed");
    until("the connection is gone", || server.connections() == 0).await;
    // The socket's own buffers take some megabytes; far more requests than replies would fit were never read.
    assert!(handled.load(Ordering::SeqCst) < 400, "{} of {sent} handled", handled.load(Ordering::SeqCst));
    server.stop().await;
}

#[tokio::test]
async fn many_large_frames_that_never_end_are_bounded_together() {
    const FRAME: usize = 3 << 20;
    let desk = Desk::echo();
    let limits = ConnectionLimits { unfinished_bytes_max: 16 << 20, ..ConnectionLimits::default() };
    let server = serve_with(&desk, limits);
    let whole = bytes_of(&request(1, vec![7; FRAME]));
    let mut bares = Vec::new();
    for _ in 0..20 {
        let mut bare = Bare::to(&server).await;
        // Whoever is one too many may learn it while it writes.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut bare.stream, &whole[..FRAME]).await;
        bares.push(bare);
    }
    until("not all of them are borne", || server.connections() < 6).await;
    drop(bares);
    until("they are gone", || server.connections() == 0).await;
    let mut bare = Bare::to(&server).await;
    bare.write(&whole).await;
    assert_eq!(bare.next().await.unwrap().body.len(), FRAME, "a frame that ends is served");
    server.stop().await;
}

#[tokio::test]
async fn replies_beyond_the_limit_close_the_connection() {
    let desk = Desk::new(|connection, requests| {
        for request in requests.drain(..) {
            let mut taken = 0;
            while connection.send(answer(&request).with_body(vec![0; 100_000])) {
                taken += 1;
                assert!(taken < 100, "the limit is never met");
            }
        }
    });
    let limits = ConnectionLimits { queued_bytes_max: 1 << 20, ..ConnectionLimits::default() };
    let server = serve_with(&desk, limits);
    let mut bare = Bare::to(&server).await;
    bare.send(&request(1, "flood me")).await;
    until("the connection is gone", || desk.closed() == 1).await;
    server.stop().await;
}

#[tokio::test]
async fn a_silent_connection_is_closed_and_a_busy_one_is_not() {
    let desk = Desk::echo();
    let limits = ConnectionLimits { idle_max: Duration::from_millis(300), ..ConnectionLimits::default() };
    let server = serve_with(&desk, limits);
    let mut silent = Bare::to(&server).await;
    let mut busy = Bare::to(&server).await;
    let started = Instant::now();
    let chatter = async {
        let mut opaque = 0;
        loop {
            opaque += 1;
            busy.send(&request(opaque, "still here")).await;
            assert_eq!(busy.next().await.unwrap().opaque, opaque);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        end = silent.next() => assert!(end.is_none()),
        () = chatter => {}
    }
    assert!(started.elapsed() >= Duration::from_millis(250));
    // The chatter may have been cut off between a request and its answer.
    busy.send(&request(-1, "and after")).await;
    while busy.next().await.expect("the busy connection is still served").opaque != -1 {}
    server.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_until_there_is_room() {
    let desk = Desk::echo();
    let server = Server::bind(ServerConfig { connections_max: 2, ..config() }, desk.clone()).unwrap();
    let mut first = Bare::to(&server).await;
    let mut second = Bare::to(&server).await;
    for bare in [&mut first, &mut second] {
        bare.send(&request(1, "in")).await;
        assert!(bare.next().await.is_some());
    }
    let mut third = Bare::to(&server).await;
    assert!(third.next().await.is_none());
    drop(first);
    until("there is room", || server.connections() < 2).await;
    let mut fourth = Bare::to(&server).await;
    fourth.send(&request(4, "in")).await;
    assert_eq!(fourth.next().await.unwrap().opaque, 4);
    second.send(&request(2, "still in")).await;
    assert_eq!(second.next().await.unwrap().opaque, 2);
    server.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let server = serve(&Desk::echo());
    let taken = ServerConfig::new(server.local_addr());
    let error = Server::bind(taken, Desk::echo()).unwrap_err();
    assert!(matches!(error, RemotingError::Bind { address, .. } if address == server.local_addr()));
}

#[tokio::test]
async fn unanswered_requests_beyond_the_limit_are_not_read() {
    let held = Arc::new(Mutex::new(Vec::new()));
    let shelf = held.clone();
    let desk = Desk::new(move |_, requests| shelf.lock().append(requests));
    let limits = ConnectionLimits { unanswered_max: 10, ..ConnectionLimits::default() };
    let server = serve_with(&desk, limits);
    let mut bare = Bare::to(&server).await;
    for opaque in 0..200 {
        bare.send(&request(opaque, vec![0; 4000])).await;
    }
    until("the first are held", || held.lock().len() >= 10).await;
    let mut answered = 0;
    while answered < 200 {
        until("more is read", || !held.lock().is_empty()).await;
        let connection = desk.seen.lock()[0].clone();
        let batch = std::mem::take(&mut *held.lock());
        // One read may bring more than the limit, never more than fits into one read.
        assert!(batch.len() <= 10 + 128 * 1024 / 4000);
        for request in &batch {
            connection.send(answer(request));
            answered += 1;
        }
    }
    for opaque in 0..200 {
        assert_eq!(bare.next().await.unwrap().opaque, opaque);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_call_to_the_peer_gets_its_answer_in_its_own_opaque_space() {
    let desk = Desk::echo();
    let server = serve(&desk);
    let mut bare = Bare::to(&server).await;
    let mut hello = request(0, "hello");
    hello.serialize_type = SerializeType::RocketMq;
    bare.send(&hello).await;
    assert!(bare.next().await.is_some());
    let connection = desk.seen.lock()[0].clone();
    let push = RemotingCommand::request(RequestCode::GetConsumerRunningInfo);
    let call = tokio::spawn(connection.call(push, PATIENCE));
    let asked = bare.next().await.unwrap();
    assert!(!asked.is_response());
    assert_eq!(asked.serialize_type, SerializeType::RocketMq, "pushed as the peer speaks");
    // The peer's own request with the same opaque is another thing.
    bare.send(&request(asked.opaque, "mine")).await;
    assert_eq!(bare.next().await.unwrap().body, "mine");
    bare.send(&answer(&asked).with_body("yours")).await;
    assert_eq!(call.await.unwrap().unwrap().body, "yours");
    server.stop().await;
}

#[tokio::test]
async fn a_call_that_is_not_answered_times_out_and_its_late_answer_is_dropped() {
    let desk = Desk::echo();
    let server = serve(&desk);
    let mut bare = Bare::to(&server).await;
    bare.send(&request(0, "hello")).await;
    assert!(bare.next().await.is_some());
    let connection = desk.seen.lock()[0].clone();
    let push = RemotingCommand::request(RequestCode::GetConsumerRunningInfo);
    let outcome = connection.call(push.clone(), Duration::from_millis(50)).await;
    assert!(matches!(outcome, Err(RemotingError::Timeout { .. })));
    let late = bare.next().await.unwrap();
    let call = tokio::spawn(connection.call(push, PATIENCE));
    let asked = bare.next().await.unwrap();
    bare.send(&answer(&late).with_body("late")).await;
    bare.send(&answer(&asked).with_body("right")).await;
    assert_eq!(call.await.unwrap().unwrap().body, "right");
    server.stop().await;
}

#[tokio::test]
async fn a_closing_peer_fails_the_calls_to_it_at_once() {
    let desk = Desk::echo();
    let server = serve(&desk);
    let mut bare = Bare::to(&server).await;
    bare.send(&request(0, "hello")).await;
    assert!(bare.next().await.is_some());
    let connection = desk.seen.lock()[0].clone();
    let call = connection.call(RemotingCommand::request(RequestCode::GetConsumerRunningInfo), PATIENCE);
    drop(bare);
    assert!(matches!(call.await, Err(RemotingError::Closed { .. })));
    assert!(!connection.send(answer(&request(0, "nobody"))));
    let again = connection.call(RemotingCommand::request(RequestCode::GetConsumerRunningInfo), PATIENCE);
    assert!(matches!(again.await, Err(RemotingError::Closed { .. })));
    server.stop().await;
}

#[tokio::test]
async fn stop_answers_what_was_read_and_then_closes() {
    let held = Arc::new(Mutex::new(Vec::new()));
    let shelf = held.clone();
    let desk = Desk::new(move |_, requests| shelf.lock().append(requests));
    let server = serve(&desk);
    let address = server.local_addr();
    let mut bare = Bare::to(&server).await;
    bare.send(&request(7, "in work")).await;
    until("the request is in work", || held.lock().len() == 1).await;
    let connection = desk.seen.lock()[0].clone();
    let stopping = tokio::spawn(server.stop());
    until("nothing is accepted any more", || std::net::TcpStream::connect(address).is_err()).await;
    assert!(!stopping.is_finished());
    connection.send(answer(&held.lock()[0]));
    assert_eq!(bare.next().await.unwrap().opaque, 7);
    assert!(bare.next().await.is_none());
    stopping.await.unwrap();
    assert_eq!(desk.closed(), 1);
}

#[tokio::test]
async fn stop_does_not_wait_forever_for_an_answer() {
    let desk = Desk::new(|_, requests| requests.clear());
    let server =
        Server::bind(ServerConfig { drain_max: Duration::from_millis(50), ..config() }, desk.clone())
            .unwrap();
    let mut bare = Bare::to(&server).await;
    bare.send(&request(7, "lost")).await;
    until("the request is read", || desk.seen.lock().len() == 1).await;
    tokio::time::timeout(PATIENCE, server.stop()).await.unwrap();
    assert!(bare.next().await.is_none());
}

#[tokio::test]
async fn a_connection_keeps_what_is_attached_to_it() {
    let desk = Desk::echo();
    let server = serve(&desk);
    let mut bare = Bare::to(&server).await;
    bare.send(&request(0, "hello")).await;
    assert!(bare.next().await.is_some());
    let connection = desk.seen.lock()[0].clone();
    assert!(connection.attached::<String>().is_none());
    connection.attach(Arc::new("client-1".to_owned()));
    assert_eq!(*connection.attached::<String>().unwrap(), "client-1");
    assert!(connection.attached::<u64>().is_none());
    server.stop().await;
}
