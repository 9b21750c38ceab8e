//! The one task of a connection: it reads, and it writes unless a burst of another thread does.
//!
//! A turn writes what is queued, reads once, hands the frames to the handler and starts again; when there is neither
//! anything to write nor to read, the task sleeps until the socket, a sender or its clock wakes it. Replies made
//! while the handler runs therefore leave in one write of the same turn, without any wake-up. While the peer leaves
//! our bytes unread, nothing more is read from it.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use protocol::RemotingCommand;
use protocol::error::FrameError;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::Sleep;

use crate::calls::Told;
use crate::connection::{Connection, Flush, Phase, Standing, now};
use crate::handler::Handler;
use crate::inbound::Inbound;
use crate::turn;
use crate::unfinished::Unfinished;

/// The clock of a connection ticks so often in the shorter of its two limits; a limit is met one tick late at most.
const TICKS: u32 = 8;

/// Why a connection ended.
#[derive(Debug)]
enum End {
    /// The peer closed, or we were asked to.
    Closed,
    Drained,
    Idle,
    Stalled,
    Crowded,
    Frame(FrameError),
    Socket(io::Error),
}

/// Serves one connection until it ends, then tells the calls that wait and the handler, whatever the reason.
pub(crate) async fn serve(reader: OwnedReadHalf, connection: Arc<Connection>, handler: Arc<dyn Handler>) {
    let farewell = Farewell { connection, handler };
    let mut driver = Driver::new(reader, farewell.connection.clone(), farewell.handler.clone());
    let end = std::future::poll_fn(|cx| driver.turn(cx)).await;
    let peer = farewell.connection.peer();
    match end {
        End::Closed | End::Drained => tracing::debug!(%peer, ?end, "connection ended"),
        End::Idle => tracing::info!(%peer, "closing connection: idle"),
        End::Stalled => tracing::warn!(%peer, "closing connection: peer does not read"),
        End::Crowded => {
            tracing::warn!(%peer, "closing connection: too many bytes of unfinished frames are held");
        }
        End::Frame(error) => tracing::warn!(%peer, %error, "closing connection: malformed frame"),
        End::Socket(error) => tracing::debug!(%peer, %error, "connection broke"),
    }
}

/// Says goodbye also when the task is aborted or the handler panics.
struct Farewell {
    connection: Arc<Connection>,
    handler: Arc<dyn Handler>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        self.connection.end();
        self.handler.closed(&self.connection);
    }
}

struct Driver {
    reader: OwnedReadHalf,
    connection: Arc<Connection>,
    handler: Arc<dyn Handler>,
    inbound: Inbound,
    unfinished: Unfinished,
    standing: Standing,
    socket_full: bool,
    requests: Vec<RemotingCommand>,
    answers: Vec<RemotingCommand>,
    told: Vec<Told>,
    clock: Clock,
}

/// Counts ticks without traffic, so that traffic itself never asks for the time.
struct Clock {
    sleep: Pin<Box<Sleep>>,
    every: Duration,
    tick_at: Instant,
    armed_for: Instant,
    moved: bool,
    idle_ticks: u32,
    idle_ticks_max: u32,
    stalled_ticks: u32,
    stalled_ticks_max: u32,
}

impl Driver {
    fn new(reader: OwnedReadHalf, connection: Arc<Connection>, handler: Arc<dyn Handler>) -> Self {
        let limits = connection.limits();
        let every = (limits.idle_max.min(limits.stall_max) / TICKS).max(Duration::from_millis(1));
        let ticks_in = |limit: Duration| {
            u32::try_from(limit.as_millis().div_ceil(every.as_millis().max(1))).unwrap_or(u32::MAX).max(1)
        };
        let tick_at = now() + every;
        let clock = Clock {
            sleep: Box::pin(tokio::time::sleep_until(tick_at.into())),
            every,
            tick_at,
            armed_for: tick_at,
            moved: false,
            idle_ticks: 0,
            idle_ticks_max: ticks_in(limits.idle_max),
            stalled_ticks: 0,
            stalled_ticks_max: ticks_in(limits.stall_max),
        };
        Self {
            reader,
            connection,
            handler,
            inbound: Inbound::new(),
            unfinished: Unfinished::default(),
            standing: Standing { phase: Phase::Open, queued: 0, unanswered: 0 },
            socket_full: false,
            requests: Vec::new(),
            answers: Vec::new(),
            told: Vec::new(),
            clock,
        }
    }

    /// Goes on until there is nothing to do but sleep.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if let Err(error) = self.write_queued(cx) {
                return Poll::Ready(End::Socket(error));
            }
            if let Some(end) = self.phase_end() {
                return Poll::Ready(end);
            }
            let may_read = self.may_read();
            if may_read {
                match self.read(cx) {
                    Poll::Ready(Ok(())) => continue,
                    Poll::Ready(Err(end)) => return Poll::Ready(end),
                    Poll::Pending => {}
                }
            }
            if let Poll::Ready(end) = self.watch_clock(cx) {
                return Poll::Ready(end);
            }
            if self.connection.sleep(cx, self.standing, self.socket_full, !may_read) {
                return Poll::Pending;
            }
        }
    }

    /// Writes until nothing is queued or the socket is full.
    fn write_queued(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            match self.connection.flush() {
                Flush::Empty(standing) => {
                    self.standing = standing;
                    self.socket_full = false;
                    return Ok(());
                }
                Flush::Full(standing) => {
                    self.standing = standing;
                    if self.connection.poll_room(cx)?.is_pending() {
                        self.socket_full = true;
                        return Ok(());
                    }
                }
                Flush::Failed(error) => return Err(error),
            }
        }
    }

    fn phase_end(&self) -> Option<End> {
        match self.standing.phase {
            Phase::Open => None,
            Phase::Draining => {
                (self.standing.queued == 0 && self.standing.unanswered == 0).then_some(End::Drained)
            }
            Phase::Closing | Phase::Closed => Some(End::Closed),
        }
    }

    fn may_read(&self) -> bool {
        let limits = self.connection.limits();
        self.standing.phase == Phase::Open
            && self.standing.queued <= limits.pause_bytes
            && self.standing.unanswered < limits.unanswered_max
    }

    /// Reads once and hands out what came.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let room = self.inbound.room();
        let count = match ready!(pin!(self.reader.read_buf(room)).poll(cx)) {
            Ok(0) => return Poll::Ready(Err(End::Closed)),
            Ok(count) => count,
            Err(error) => return Poll::Ready(Err(End::Socket(error))),
        };
        self.inbound.note_read(count);
        self.clock.moved = true;
        Poll::Ready(self.dispatch())
    }

    /// Takes all whole frames; what came before a malformed one still counts.
    fn dispatch(&mut self) -> Result<(), End> {
        let mut answers_owed = 0;
        let malformed = loop {
            match self.inbound.next() {
                Ok(Some(command)) if command.is_response() => self.answers.push(command),
                Ok(Some(command)) => {
                    answers_owed += usize::from(!command.is_oneway());
                    self.requests.push(command);
                }
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        self.connection.complete(&mut self.answers, &mut self.told);
        self.told.drain(..).for_each(Told::tell);
        if let Some(last) = self.requests.last() {
            self.connection.note_requests(answers_owed, last.serialize_type);
            self.handler.handle(&self.connection, &mut self.requests);
            self.requests.clear();
            turn::pause();
        }
        if let Some(error) = malformed {
            return Err(End::Frame(error));
        }
        let held_max = self.connection.limits().unfinished_bytes_max;
        if self.unfinished.note(self.inbound.buffered(), held_max) { Ok(()) } else { Err(End::Crowded) }
    }

    /// Ends calls that are due, and the connection when a limit of time is met.
    fn watch_clock(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let wake_at = self.connection.due().map_or(self.clock.tick_at, |due| due.min(self.clock.tick_at));
            if wake_at != self.clock.armed_for {
                self.clock.sleep.as_mut().reset(wake_at.into());
                self.clock.armed_for = wake_at;
            }
            ready!(self.clock.sleep.as_mut().poll(cx));
            let now = now();
            // A timer that has fired must be set anew, even for the same instant.
            self.clock.armed_for = now - Duration::from_nanos(1);
            self.connection.expire(now, &mut self.told);
            self.told.drain(..).for_each(Told::tell);
            if now >= self.clock.tick_at {
                let wrote = self.connection.take_wrote();
                if let Some(end) = self.clock.tick(now, self.socket_full, wrote) {
                    return Poll::Ready(end);
                }
                self.inbound.calm();
                self.connection.release();
            }
        }
    }
}

impl Clock {
    fn tick(&mut self, now: Instant, socket_full: bool, wrote: bool) -> Option<End> {
        self.tick_at = now + self.every;
        self.idle_ticks = if self.moved || wrote { 0 } else { self.idle_ticks + 1 };
        self.stalled_ticks = if socket_full && !wrote { self.stalled_ticks + 1 } else { 0 };
        self.moved = false;
        if self.stalled_ticks >= self.stalled_ticks_max {
            return Some(End::Stalled);
        }
        (self.idle_ticks >= self.idle_ticks_max).then_some(End::Idle)
    }
}
