//! What this room costs beyond a bare echo: CPU time of a server process per message, ours against a plain tokio
//! loop that writes back what it reads. Run it with `cargo run --release -p remoting --example echo_cost`.
//!
//! The server is a process of its own, so that its CPU time is its own; the load comes from this one.
#![allow(clippy::print_stdout, reason = "a program that prints its figures")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use protocol::{RemotingCommand, RequestCode, ResponseCode, frame};
use remoting::{Connection, Handler, Server, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

const BODY_BYTES: usize = 1024;
const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("serve") => serve(arguments.get(1).map_or("ours", String::as_str)),
        _ => measure(),
    }
}

struct Echo {
    /// Replies come from another thread, as the store's do.
    elsewhere: Option<std::sync::mpsc::Sender<(Arc<Connection>, Vec<RemotingCommand>)>>,
}

fn reply(connection: &Connection, request: &RemotingCommand) {
    let response = RemotingCommand::response(ResponseCode::Success).answers(request);
    connection.send(response.with_body(request.body.clone()));
}

impl Handler for Echo {
    fn handle(&self, connection: &Arc<Connection>, requests: &mut Vec<RemotingCommand>) {
        match &self.elsewhere {
            None => requests.drain(..).for_each(|request| reply(connection, &request)),
            Some(worker) => {
                worker.send((connection.clone(), std::mem::take(requests))).expect("the worker lives")
            }
        }
    }
}

fn serve(kind: &str) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let server = match kind {
            "raw" => {
                println!("{}", raw_echo().await);
                None
            }
            kind => {
                let elsewhere = match kind {
                    "other-thread" => Some(answering_thread(false)),
                    "other-thread-burst" => Some(answering_thread(true)),
                    _ => None,
                };
                let server = Server::bind(ServerConfig::new(ANYWHERE), Arc::new(Echo { elsewhere }));
                let server = server.expect("a free port");
                println!("{}", server.local_addr());
                Some(server)
            }
        };
        // The parent closes our input when it is done.
        let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await;
        drop(server);
    });
}

fn answering_thread(is_burst: bool) -> std::sync::mpsc::Sender<(Arc<Connection>, Vec<RemotingCommand>)> {
    let (sender, work) = std::sync::mpsc::channel::<(Arc<Connection>, Vec<RemotingCommand>)>();
    std::thread::spawn(move || {
        let answer = |(connection, requests): (Arc<Connection>, Vec<RemotingCommand>)| {
            requests.iter().for_each(|request| reply(&connection, request));
        };
        while let Ok(first) = work.recv() {
            if is_burst {
                remoting::burst::of(|| std::iter::once(first).chain(work.try_iter()).for_each(answer));
            } else {
                std::iter::once(first).chain(work.try_iter()).for_each(answer);
            }
        }
    });
    sender
}

async fn raw_echo() -> SocketAddr {
    let listener = TcpListener::bind(ANYWHERE).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("a socket option");
            tokio::spawn(async move {
                let mut buffer = vec![0; 128 * 1024];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    if stream.write_all(&buffer[..count]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

fn measure() {
    println!("{:<20} {:>6} {:>9} {:>10} {:>9}", "server", "conns", "in flight", "msg/s", "CPU µs");
    for (connections, in_flight) in [(64, 1), (16, 16), (1, 1)] {
        let mut bare = None;
        for kind in ["raw", "ours", "other-thread", "other-thread-burst"] {
            let (rate, cpu) = run(kind, connections, in_flight);
            let bare = *bare.get_or_insert(cpu);
            println!(
                "{kind:<20} {connections:>6} {in_flight:>9} {rate:>10.0} {cpu:>9.2} {:>6.2}",
                cpu / bare
            );
        }
    }
}

fn run(kind: &str, connections: usize, in_flight: usize) -> (f64, f64) {
    let (mut child, address) = start(kind);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (messages, elapsed, cpu) = runtime.block_on(load(address, connections, in_flight, child.id()));
    drop(child.stdin.take());
    child.wait().expect("the server ends");
    (messages as f64 / elapsed.as_secs_f64(), cpu.as_secs_f64() * 1e6 / messages as f64)
}

fn start(kind: &str) -> (Child, SocketAddr) {
    let this = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(this)
        .args(["serve", kind])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped"))
        .read_line(&mut line)
        .expect("the server tells its address");
    (child, line.trim().parse().expect("an address"))
}

async fn load(
    address: SocketAddr,
    connections: usize,
    in_flight: usize,
    server: u32,
) -> (u64, Duration, Duration) {
    let (count, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let tasks: Vec<_> = (0..connections)
        .map(|_| tokio::spawn(ask(address, in_flight, count.clone(), over.clone())))
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (messages, cpu, started) = (count.load(Ordering::Relaxed), cpu_of(server), Instant::now());
    tokio::time::sleep(Duration::from_secs(4)).await;
    let figures = (count.load(Ordering::Relaxed) - messages, started.elapsed(), cpu_of(server) - cpu);
    over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("no panic");
    }
    figures
}

/// Keeps `in_flight` frames under way on one connection. Any frame back is a message, whatever its length.
async fn ask(address: SocketAddr, in_flight: usize, count: Arc<AtomicU64>, over: Arc<AtomicBool>) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket option");
    let mut question = BytesMut::new();
    let command = RemotingCommand::request(RequestCode::SendMessageV2).with_body(vec![b'x'; BODY_BYTES]);
    let fields = [("a", "PG"), ("b", "TopicA"), ("c", "TBW102"), ("d", "4"), ("e", "1"), ("f", "0")];
    let command = fields.into_iter().fold(command, |command, (key, value)| command.with_ext(key, value));
    frame::encode(&command, &mut question);
    let many = question.repeat(in_flight);
    stream.write_all(&many).await.expect("written");
    let mut buffer = BytesMut::with_capacity(256 * 1024);
    while !over.load(Ordering::Relaxed) {
        if stream.read_buf(&mut buffer).await.expect("read") == 0 {
            return;
        }
        let mut back = 0;
        while let Ok(Some(len)) = frame::frame_len(&buffer)
            && buffer.len() >= len
        {
            let _ = buffer.split_to(len);
            back += 1;
        }
        count.fetch_add(back, Ordering::Relaxed);
        let back = usize::try_from(back).expect("few");
        stream.write_all(&many[..question.len() * back]).await.expect("written");
        buffer.reserve(64 * 1024);
    }
}

/// CPU time of a process so far, user and system.
fn cpu_of(process: u32) -> Duration {
    let stat =
        std::fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux tells a process's times");
    let after_name = stat.rsplit(')').next().expect("a name in parentheses");
    let ticks = |field: usize| -> u64 {
        after_name.split_whitespace().nth(field).and_then(|text| text.parse().ok()).expect("a number")
    };
    // Fields 14 and 15 of the line, in ticks of 10 ms.
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}
