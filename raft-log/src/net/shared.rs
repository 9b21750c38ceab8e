//! What all connections of one replica share: who we are, whom we know, what we refuse.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::envelope::FORMAT_VERSION;
use crate::error::NetError;
use crate::net::frame::{self, FrameKind};
use crate::types::Peer;
use crate::wire::{Hello, Lane};

/// A connect to a dead machine must not outlast an election. A refused one fails at once.
const CONNECT_MAX: Duration = Duration::from_millis(500);
/// Unacknowledged bytes for this long mean that the peer is gone, whatever TCP hopes.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(2);

/// Shared by every client and server connection of a replica.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) node: u64,
    pub(crate) group: String,
    pub(crate) store: [u8; 16],
    pub(crate) segment_bytes: u64,
    /// What we tell peers of ourselves.
    pub(crate) about: String,
    /// Addresses from our own configuration; they win over those in the membership, because
    /// each replica may see its peers through another network.
    pub(crate) addresses: HashMap<u64, String>,
    /// While shut, votes are refused: after a power loss an asynchronous log may have forgotten
    /// what it acknowledged, and must not help to elect anybody before it has caught up.
    pub(crate) votes_allowed: AtomicBool,
    known: Mutex<HashMap<u64, Known>>,
}

/// What a peer said of itself when it last connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) about: String,
    pub(crate) store: [u8; 16],
}

impl Shared {
    pub(crate) fn new(
        node: u64,
        group: String,
        store: [u8; 16],
        segment_bytes: u64,
        about: String,
        addresses: HashMap<u64, String>,
    ) -> Self {
        let known = Mutex::new(HashMap::from([(node, Known { about: about.clone(), store })]));
        let votes_allowed = AtomicBool::new(true);
        Self { node, group, store, segment_bytes, about, addresses, votes_allowed, known }
    }

    /// What a peer last said of itself.
    pub(crate) fn known(&self, node: u64) -> Option<Known> {
        self.known.lock().get(&node).cloned()
    }

    /// Whether this replica may take part in elections.
    pub(crate) fn may_vote(&self) -> bool {
        self.votes_allowed.load(Ordering::Acquire)
    }

    fn hello(&self, lane: Lane) -> Hello {
        Hello {
            format: FORMAT_VERSION,
            group: self.group.clone(),
            node: self.node,
            store: self.store,
            segment_bytes: self.segment_bytes,
            lane,
            about: self.about.clone(),
        }
    }

    /// Connects to a peer and shakes hands.
    pub(crate) async fn connect(&self, target: u64, peer: &Peer, lane: Lane) -> Result<TcpStream, NetError> {
        let address = self.addresses.get(&target).unwrap_or(&peer.address);
        let timed_out = NetError::TimedOut { millis: CONNECT_MAX.as_millis() as u64 };
        let handshake = async {
            let mut stream = TcpStream::connect(address.as_str()).await?;
            prepare(&stream)?;
            frame::write_control(&mut stream, FrameKind::Hello, &self.hello(lane)).await?;
            let welcome: Hello = frame::read(&mut stream).await?.control(FrameKind::Welcome)?;
            if let Some(reason) = self.objection(&welcome).or_else(|| stranger(target, &welcome)) {
                return Err(NetError::Refused { reason });
            }
            self.remember(&welcome);
            Ok(stream)
        };
        tokio::time::timeout(CONNECT_MAX, handshake).await.map_err(|_| timed_out)?
    }

    /// Shakes hands with whoever connected.
    pub(crate) async fn accept(&self, stream: &mut TcpStream, from: SocketAddr) -> Result<Hello, NetError> {
        prepare(stream)?;
        let timed_out = NetError::TimedOut { millis: CONNECT_MAX.as_millis() as u64 };
        let hello = tokio::time::timeout(CONNECT_MAX, frame::read(stream)).await.map_err(|_| timed_out)??;
        let hello: Hello = hello.control(FrameKind::Hello)?;
        if let Some(reason) = self.objection(&hello) {
            tracing::error!(peer = hello.node, %from, reason, "refused a replica");
            frame::write_control(stream, FrameKind::Refused, &reason).await?;
            return Err(NetError::Refused { reason });
        }
        self.remember(&hello);
        frame::write_control(stream, FrameKind::Welcome, &self.hello(hello.lane)).await?;
        Ok(hello)
    }

    fn remember(&self, hello: &Hello) {
        let known = Known { about: hello.about.clone(), store: hello.store };
        self.known.lock().insert(hello.node, known);
    }

    /// Why this peer cannot be a replica of our group, in one clear line.
    fn objection(&self, hello: &Hello) -> Option<String> {
        if hello.format != FORMAT_VERSION {
            return Some(format!("log format {} differs from {FORMAT_VERSION}", hello.format));
        }
        if hello.group != self.group {
            return Some(format!("group {} is not {}", hello.group, self.group));
        }
        if hello.segment_bytes != self.segment_bytes {
            let (theirs, ours) = (hello.segment_bytes, self.segment_bytes);
            return Some(format!("mappedFileSizeCommitLog {theirs} differs from {ours}"));
        }
        None
    }
}

fn stranger(target: u64, welcome: &Hello) -> Option<String> {
    (welcome.node != target).then(|| format!("node {} answers where {target} should", welcome.node))
}

fn prepare(stream: &TcpStream) -> Result<(), NetError> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    Ok(())
}
