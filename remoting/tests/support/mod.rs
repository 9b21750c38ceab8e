//! A server and bare sockets for the tests of this room.
#![allow(dead_code, reason = "each test file uses its part")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use protocol::{RemotingCommand, RequestCode, ResponseCode, frame};
use remoting::{Connection, ConnectionLimits, Handler, Server, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nothing in these tests takes longer, however busy the machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn request(opaque: i32, body: impl Into<Bytes>) -> RemotingCommand {
    let mut command = RemotingCommand::request(RequestCode::SendMessageV2).with_body(body);
    command.opaque = opaque;
    command
}

pub fn answer(request: &RemotingCommand) -> RemotingCommand {
    RemotingCommand::response(ResponseCode::Success).answers(request).with_body(request.body.clone())
}

pub fn bytes_of(command: &RemotingCommand) -> BytesMut {
    let mut out = BytesMut::new();
    frame::encode(command, &mut out);
    out
}

type Answering = Box<dyn Fn(&Arc<Connection>, &mut Vec<RemotingCommand>) + Send + Sync>;

/// Answers as the test says, and remembers connections.
pub struct Desk {
    answering: Answering,
    pub seen: Mutex<Vec<Arc<Connection>>>,
    pub closed: AtomicUsize,
}

impl Desk {
    pub fn new(
        answering: impl Fn(&Arc<Connection>, &mut Vec<RemotingCommand>) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { answering: Box::new(answering), seen: Mutex::default(), closed: AtomicUsize::new(0) })
    }

    /// Sends every request back.
    pub fn echo() -> Arc<Self> {
        Self::new(|connection, requests| {
            for request in requests.drain(..) {
                if !request.is_oneway() {
                    connection.send(answer(&request));
                }
            }
        })
    }

    pub fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }
}

impl Handler for Desk {
    fn handle(&self, connection: &Arc<Connection>, requests: &mut Vec<RemotingCommand>) {
        {
            let mut seen = self.seen.lock();
            if !seen.iter().any(|known| known.id() == connection.id()) {
                seen.push(connection.clone());
            }
        }
        (self.answering)(connection, requests);
    }

    fn closed(&self, _connection: &Arc<Connection>) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

pub fn config() -> ServerConfig {
    ServerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)))
}

pub fn serve(desk: &Arc<Desk>) -> Server {
    Server::bind(config(), desk.clone()).unwrap()
}

pub fn serve_with(desk: &Arc<Desk>, limits: ConnectionLimits) -> Server {
    Server::bind(ServerConfig { limits, ..config() }, desk.clone()).unwrap()
}

/// A peer that speaks frames by hand.
pub struct Bare {
    pub stream: TcpStream,
    buffer: BytesMut,
}

impl Bare {
    pub async fn to(server: &Server) -> Self {
        let stream = TcpStream::connect(server.local_addr()).await.unwrap();
        Self { stream, buffer: BytesMut::new() }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub async fn send(&mut self, command: &RemotingCommand) {
        self.write(&bytes_of(command)).await;
    }

    /// The next frame; `None` when the other end closed.
    pub async fn next(&mut self) -> Option<RemotingCommand> {
        let read = async {
            loop {
                if let Some(command) = frame::decode(&mut self.buffer).unwrap() {
                    return Some(command);
                }
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("a frame or the end")
    }
}

/// Waits until `condition` holds.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain until {what}");
}
