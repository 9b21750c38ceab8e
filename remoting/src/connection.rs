//! One socket as the rest of the house sees it: a cheap shared handle that any thread may send through.
//!
//! It holds the line (bytes on their way out) and the calls (answers on their way in); the connection's task, in
//! `driver`, moves both. A sender wakes the task only if the task sleeps and nobody woke it yet, so that a burst of
//! replies costs one wake-up and leaves in one write. A thread that makes replies for many connections at a time
//! declares a `burst` and writes them itself at its end, without any wake-up.

mod call;
mod writing;

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use parking_lot::{Mutex, RwLock};
use protocol::{RemotingCommand, SerializeType};
use smallvec::SmallVec;
use tokio::net::tcp::OwnedWriteHalf;

use crate::burst;
use crate::calls::{Callback, Calls, Refused, Told};
use crate::error::RemotingError;
use crate::limits::ConnectionLimits;
use crate::outbound::Batch;

pub use call::Call;
use call::CallState;
pub(crate) use writing::Flush;
use writing::Writing;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Which end made the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The peer connected to us.
    Accepted,
    /// We connected to the peer.
    Made,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Open,
    /// Nothing is read any more; the connection ends when everything read has been answered.
    Draining,
    /// Nothing is read or queued any more; what is queued leaves if the socket takes it at once.
    Closing,
    Closed,
}

/// What the task must know before it reads on or sleeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) phase: Phase,
    /// Bytes that wait to leave.
    pub(crate) queued: usize,
    /// Requests that wait for our reply.
    pub(crate) unanswered: usize,
}

#[derive(Debug)]
struct Line {
    batch: Batch,
    /// Bytes that the task took and the socket did not take yet.
    writing: usize,
    unanswered: usize,
    phase: Phase,
    /// Whether the task sleeps and wants to know of new bytes.
    wake_wanted: bool,
    /// Whether the task sleeps although it might read: fewer unanswered requests are news to it.
    paused: bool,
    /// Whether a burst will write what is queued, or wake the task.
    in_burst: bool,
    waker: Option<Waker>,
}

/// A connection. Shared by `Arc`; its identity is [`Connection::id`].
pub struct Connection {
    id: u64,
    peer: SocketAddr,
    local: SocketAddr,
    side: Side,
    limits: ConnectionLimits,
    this: Weak<Self>,
    line: Mutex<Line>,
    writing: Mutex<Writing>,
    calls: Mutex<Calls>,
    /// Whether a call was ever made, so that most connections never lock the table.
    called: AtomicBool,
    serialize_type: AtomicU8,
    attached: RwLock<Option<Arc<dyn Any + Send + Sync>>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn new(socket: OwnedWriteHalf, side: Side, limits: ConnectionLimits) -> io::Result<Arc<Self>> {
        let (peer, local) = (socket.peer_addr()?, socket.local_addr()?);
        let calls = Calls::new(limits.calls_max);
        Ok(Arc::new_cyclic(|this| Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            peer,
            local,
            side,
            limits,
            this: this.clone(),
            writing: Mutex::new(Writing { batch: Batch::default(), socket: Some(socket), wrote: false }),
            line: Mutex::new(Line {
                batch: Batch::default(),
                writing: 0,
                unanswered: 0,
                phase: Phase::Open,
                wake_wanted: false,
                paused: false,
                in_burst: false,
                waker: None,
            }),
            calls: Mutex::new(calls),
            called: AtomicBool::new(false),
            serialize_type: AtomicU8::new(0),
            attached: RwLock::new(None),
        }))
    }

    /// Unique in this process, never used again.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The other end's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Our end's address.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// How the peer wrote the header of its last request; JSON before the first.
    pub fn serialize_type(&self) -> SerializeType {
        if self.serialize_type.load(Ordering::Relaxed) == 0 {
            SerializeType::Json
        } else {
            SerializeType::RocketMq
        }
    }

    /// Queues a command, usually the reply to a request. `false`: the connection is closed and the command is
    /// dropped. A peer that leaves more than the limit unread is closed.
    pub fn send(&self, command: RemotingCommand) -> bool {
        let answers = usize::from(command.is_response());
        self.queue(answers, false, |batch| batch.push(&command))
    }

    /// Queues a reply whose head is encoded already and whose body is in slices, without copying them.
    pub fn send_slices(&self, head: Bytes, body: SmallVec<[Bytes; 4]>) -> bool {
        self.queue(1, false, |batch| batch.push_slices(&head, body))
    }

    /// Queues a reply that `encode` writes, as a whole frame, behind what is queued already.
    pub fn send_encoded(&self, encode: impl FnOnce(&mut BytesMut)) -> bool {
        self.queue(1, false, |batch| batch.push_encoded(encode))
    }

    /// Sends a request and waits for its answer. The opaque is ours to choose. To an accepted connection the
    /// header is written as the peer writes its own.
    pub fn call(self: &Arc<Self>, command: RemotingCommand, timeout: Duration) -> Call {
        let state = match self.enter(command, timeout, None) {
            Ok(opaque) => CallState::Waiting(opaque),
            Err((error, _)) => CallState::Failed(error),
        };
        Call { connection: self.clone(), state }
    }

    /// Sends a request; `callback` is told the outcome, on the connection's task (so it must not block), or at
    /// once if the request cannot be sent.
    pub fn call_with(
        &self,
        command: RemotingCommand,
        timeout: Duration,
        callback: impl FnOnce(Result<RemotingCommand, RemotingError>) + Send + 'static,
    ) {
        if let Err((error, Some(callback))) = self.enter(command, timeout, Some(Box::new(callback))) {
            callback(Err(error));
        }
    }

    /// Sends a request that is never answered.
    pub fn oneway(&self, mut command: RemotingCommand) -> Result<(), RemotingError> {
        command.mark_oneway();
        self.speak_like_peer(&mut command);
        self.room_for_request()?;
        if self.queue(0, false, |batch| batch.push(&command)) { Ok(()) } else { Err(self.closed_error()) }
    }

    /// Closes: nothing more is read or queued, calls fail; what is queued leaves if the socket takes it at once.
    pub fn close(&self) {
        self.enter_phase(Phase::Closing);
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        self.line.lock().phase >= Phase::Closing
    }

    /// Bytes that wait for the peer to read.
    pub fn queued_bytes(&self) -> usize {
        let line = self.line.lock();
        line.batch.len() + line.writing
    }

    /// Our own calls that wait for an answer of the peer.
    pub fn calls_waiting(&self) -> usize {
        self.calls.lock().waiting()
    }

    /// Keeps a value with the connection, in the place of the one kept before.
    pub fn attach<T: Any + Send + Sync>(&self, value: Arc<T>) {
        *self.attached.write() = Some(value);
    }

    /// The value kept with the connection, if it is of this type.
    pub fn attached<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.attached.read().clone()?.downcast().ok()
    }

    fn queue(&self, answers: usize, wake_anyway: bool, fill: impl FnOnce(&mut Batch)) -> bool {
        let mut line = self.line.lock();
        if line.phase >= Phase::Closing {
            return false;
        }
        fill(&mut line.batch);
        line.unanswered = line.unanswered.saturating_sub(answers);
        let queued = line.batch.len() + line.writing;
        let overflows = queued > self.limits.queued_bytes_max;
        if overflows {
            line.phase = Phase::Closing;
            line.batch.clear();
        }
        let is_urgent = overflows || wake_anyway;
        if line.wake_wanted && !is_urgent && !line.in_burst && burst::is_open() {
            line.in_burst = true;
            drop(line);
            burst::add(self.this.upgrade().expect("a connection in use is alive"));
            return true;
        }
        let waker = if (line.wake_wanted && !line.in_burst) || is_urgent {
            line.wake_wanted = false;
            line.waker.clone()
        } else {
            None
        };
        drop(line);
        if overflows {
            tracing::warn!(peer = %self.peer, queued, "closing connection: peer does not read its replies");
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        !overflows
    }

    fn enter(
        &self,
        mut command: RemotingCommand,
        timeout: Duration,
        callback: Option<Callback>,
    ) -> Result<i32, (RemotingError, Option<Callback>)> {
        if let Err(error) = self.room_for_request() {
            return Err((error, callback));
        }
        self.called.store(true, Ordering::Release);
        let deadline = now() + timeout;
        let mut calls = self.calls.lock();
        let (due_before, limit) = (calls.due(), calls.limit());
        let opaque = calls.enter(deadline, callback).map_err(|(refused, callback)| {
            let error = match refused {
                Refused::Full => RemotingError::TooManyCalls { peer: self.peer, limit },
                Refused::Closed => self.closed_error(),
            };
            (error, callback)
        })?;
        let due_sooner = calls.due() != due_before;
        drop(calls);
        command.opaque = opaque;
        self.speak_like_peer(&mut command);
        if self.queue(0, due_sooner, |batch| batch.push(&command)) {
            return Ok(opaque);
        }
        // If the closing connection told the callback already, nobody is left to tell.
        Err((self.closed_error(), self.calls.lock().cancel(opaque)))
    }

    /// Requests of ours wait their turn while the peer does not read; replies must go out, so they may use the
    /// rest of the room.
    fn room_for_request(&self) -> Result<(), RemotingError> {
        let queued = self.queued_bytes();
        if queued > self.limits.queued_bytes_max / 2 {
            return Err(RemotingError::PeerSlow { peer: self.peer, queued });
        }
        Ok(())
    }

    fn speak_like_peer(&self, command: &mut RemotingCommand) {
        if self.side == Side::Accepted {
            command.serialize_type = self.serialize_type();
        }
    }

    fn closed_error(&self) -> RemotingError {
        RemotingError::Closed { peer: self.peer }
    }

    /// Moves on to a later phase and wakes the task.
    fn enter_phase(&self, phase: Phase) {
        let mut line = self.line.lock();
        if line.phase < phase {
            line.phase = phase;
            line.wake_wanted = false;
            let waker = line.waker.clone();
            drop(line);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// What the connection's task does with its connection.
impl Connection {
    /// Stops reading; the connection ends when all it read has been answered.
    pub(crate) fn drain(&self) {
        self.enter_phase(Phase::Draining);
    }

    pub(crate) fn limits(&self) -> &ConnectionLimits {
        &self.limits
    }

    /// Notes requests that were read, before the handler sees them.
    pub(crate) fn note_requests(&self, answers_owed: usize, serialize_type: SerializeType) {
        let word = match serialize_type {
            SerializeType::Json => 0,
            SerializeType::RocketMq => 1,
        };
        if self.serialize_type.load(Ordering::Relaxed) != word {
            self.serialize_type.store(word, Ordering::Relaxed);
        }
        if answers_owed > 0 {
            self.line.lock().unanswered += answers_owed;
        }
    }

    /// Lets the task sleep, unless something happened since it saw `seen`. While the socket is full, new bytes are
    /// no news.
    pub(crate) fn sleep(&self, cx: &Context<'_>, seen: Standing, socket_full: bool, paused: bool) -> bool {
        let mut line = self.line.lock();
        if line.phase != seen.phase || (!socket_full && !line.batch.is_empty()) {
            return false;
        }
        if !line.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            line.waker = Some(cx.waker().clone());
        }
        line.wake_wanted = !socket_full;
        line.paused = paused;
        true
    }

    /// Hands answers to the calls that wait for them.
    pub(crate) fn complete(&self, answers: &mut Vec<RemotingCommand>, told: &mut Vec<Told>) {
        if !answers.is_empty() {
            let mut calls = self.calls.lock();
            told.extend(answers.drain(..).filter_map(|answer| calls.complete(answer)));
        }
    }

    /// When a call may be due.
    pub(crate) fn due(&self) -> Option<Instant> {
        if self.called.load(Ordering::Acquire) { self.calls.lock().due() } else { None }
    }

    /// Ends the calls that are due.
    pub(crate) fn expire(&self, now: Instant, told: &mut Vec<Told>) {
        let peer = self.peer;
        self.calls.lock().expire(now, || RemotingError::Timeout { peer }, told);
    }

    /// Gives back the memory that a busy moment took.
    pub(crate) fn release(&self) {
        self.writing.lock().batch.release();
        self.line.lock().batch.release();
    }

    /// The socket is gone: drops what is queued and ends every call.
    pub(crate) fn end(&self) {
        let mut line = self.line.lock();
        line.phase = Phase::Closed;
        line.batch = Batch::default();
        line.writing = 0;
        line.waker = None;
        drop(line);
        let mut writing = self.writing.lock();
        writing.batch = Batch::default();
        writing.socket = None;
        drop(writing);
        let mut told = Vec::new();
        self.calls.lock().close(|| self.closed_error(), &mut told);
        told.into_iter().for_each(Told::tell);
    }
}

/// The clock of deadlines: tokio's, so that tests can hold it.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
