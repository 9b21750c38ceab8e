//! The slave's side: follows a master's log byte by byte and says how far it got.
//!
//! The master's address comes from the name servers and may change at any time. Every transfer must
//! begin exactly where our log ends; anything else closes the connection and is said in one line,
//! because two logs that differ must never be joined.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use daemon::Tasks;
use parking_lot::Mutex;
use protocol::message::{RecordHead, record_head};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::watch;

use super::frame;
use super::kinship::Kinship;
use super::log::HaLog;
use super::reports::Reports;

/// Room for what one read may bring.
const READ_BYTES: usize = 256 * 1024;

/// A busy log is tried again after this long even when nobody said that it took bytes: what keeps it busy may be work of an
/// earlier connection, whose end this one is not told of.
const BUSY_RETRY: Duration = Duration::from_millis(20);

/// What a slave keeps to.
#[derive(Clone, Copy, Debug)]
pub struct HaSlaveConfig {
    /// Longest silence towards the master (`haSendHeartbeatInterval`).
    pub heartbeat: Duration,
    /// Longest silence of the master (`haHousekeepingInterval`).
    pub silence_max: Duration,
    /// Wait before the next try after a failure. RocketMQ waits 5 s.
    pub retry: Duration,
}

/// What is known of the slave's own connection, for `haStatus`.
#[derive(Debug, Default)]
pub struct SlaveStatus {
    connected: AtomicBool,
    received: AtomicU64,
    /// What `received` was a second ago, and how much more it became since the second before.
    sampled: AtomicU64,
    bytes_per_second: AtomicU64,
    master: Mutex<String>,
    /// How often a master was not followed because its log is not the one that ours is the beginning of.
    refused: AtomicU64,
    read_last: Mutex<Option<Instant>>,
    written_last: Mutex<Option<Instant>>,
}

impl SlaveStatus {
    /// Whether the master is connected.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// Bytes of the log received since the start.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes received in the last whole second.
    pub fn bytes_per_second(&self) -> u64 {
        self.bytes_per_second.load(Ordering::Relaxed)
    }

    /// A second is over.
    pub fn sample(&self) {
        let now = self.received();
        let before = self.sampled.swap(now, Ordering::Relaxed);
        self.bytes_per_second.store(now - before, Ordering::Relaxed);
    }

    /// The master's HA address; empty before the first connection.
    pub fn master(&self) -> String {
        self.master.lock().clone()
    }

    /// How often a master was not followed because the logs had parted.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// When the master last said something.
    pub fn read_last(&self) -> Option<Instant> {
        *self.read_last.lock()
    }

    /// We reported.
    pub(super) fn wrote(&self, at: Instant) {
        *self.written_last.lock() = Some(at);
    }

    /// When we last reported.
    pub fn written_last(&self) -> Option<Instant> {
        *self.written_last.lock()
    }
}

/// Called when the master was lost: it may have gone elsewhere, and the name servers know where.
pub type OnLost = Arc<dyn Fn() + Send + Sync>;

/// The follower.
pub struct HaSlave {
    log: Arc<dyn HaLog>,
    config: HaSlaveConfig,
    status: Arc<SlaveStatus>,
    kinship: Kinship,
    on_lost: OnLost,
}

impl HaSlave {
    /// Follows whatever master `master` names, until the tasks are stopped.
    pub fn start(
        tasks: &Tasks,
        mut master: watch::Receiver<Option<String>>,
        log: Arc<dyn HaLog>,
        config: HaSlaveConfig,
        status: Arc<SlaveStatus>,
        kinship: Kinship,
        on_lost: OnLost,
    ) {
        let slave = Self { log, config, status, kinship, on_lost };
        tasks.spawn("ha follow", |shutdown| async move {
            tokio::select! {
                () = shutdown.requested() => {}
                () = slave.run(&mut master) => {}
            }
        });
    }

    async fn run(&self, master: &mut watch::Receiver<Option<String>>) {
        loop {
            let Some(address) = master.borrow_and_update().clone() else {
                if master.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let ended = tokio::select! {
                ended = self.follow(&address) => ended,
                changed = master.changed() => match changed {
                    Ok(()) => Ok(()),
                    Err(_) => return,
                },
            };
            if self.status.connected.swap(false, Ordering::AcqRel) {
                (self.on_lost)();
            }
            if let Err(error) = ended {
                tracing::warn!(master = address, %error, "master lost");
            }
            let _ = tokio::time::timeout(self.config.retry, master.changed()).await;
        }
    }

    async fn follow(&self, address: &str) -> std::io::Result<()> {
        let stream = tokio::time::timeout(self.config.retry, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let (reading, writing) = stream.into_split();
        self.settle().await;
        if let Err(parted) = self.kinship.check().await {
            self.status.refused.fetch_add(1, Ordering::Relaxed);
            return Err(std::io::Error::other(parted));
        }
        let end = self.log.end();
        let reports = Arc::new(Reports::new(writing, Arc::clone(&self.status), end));
        tracing::info!(master = address, end, "following");
        *self.status.master.lock() = address.to_owned();
        self.status.connected.store(true, Ordering::Release);
        tokio::select! {
            ended = self.hear(reading, end, &reports) => ended,
            ended = reports.run(self.config.heartbeat) => ended,
        }
    }

    /// Waits until all that was received before is as safe as the flush mode promises: the first report acknowledges it.
    async fn settle(&self) {
        let mut readable = self.log.watch_readable();
        while self.log.readable() < self.log.end() {
            if readable.changed().await.is_err() {
                return;
            }
        }
    }

    /// Appends what the master sends.
    async fn hear(
        &self,
        mut reading: OwnedReadHalf,
        mut next: u64,
        reports: &Arc<Reports>,
    ) -> std::io::Result<()> {
        let mut is_first = self.log.ends_whole();
        let mut input = BytesMut::new();
        loop {
            if input.capacity() - input.len() < READ_BYTES / 2 {
                input.reserve(READ_BYTES);
            }
            let read = tokio::time::timeout(self.config.silence_max, reading.read_buf(&mut input)).await??;
            if read == 0 {
                // The protocol has no word for why; what the master says about it is in its own log.
                return Err(std::io::Error::other("the master closed the connection"));
            }
            *self.status.read_last.lock() = Some(Instant::now());
            let mut bodies = Vec::new();
            let taken = take_bodies(&mut input, &mut next, &mut is_first, &mut bodies);
            // What was sound before something that is not stays with us.
            let bytes: usize = bodies.iter().map(Bytes::len).sum();
            if bytes > 0 {
                self.status.received.fetch_add(bytes as u64, Ordering::Relaxed);
                append(&*self.log, next - bytes as u64, bodies, reports).await?;
            }
            taken?;
        }
    }
}

/// Hands bytes to the log; when it is busy, waits until it may have taken some.
async fn append(
    log: &dyn HaLog,
    position: u64,
    parts: Vec<Bytes>,
    reports: &Arc<Reports>,
) -> std::io::Result<()> {
    loop {
        // A disk that is slow to store must not keep a connection open that has ended.
        let told = Arc::downgrade(reports);
        let done = Box::new(move |result: Result<u64, store::StoreError>| {
            if let Some(reports) = told.upgrade() {
                reports.tell(result);
            }
        });
        match log.append(position, parts.clone(), done) {
            Ok(()) => return Ok(()),
            Err(store::StoreError::Busy { .. }) => reports.taken(BUSY_RETRY).await,
            Err(error) => return Err(std::io::Error::other(error)),
        }
    }
}

/// Takes the whole transfers off the front of `input`, as long as each continues the one before; moves `next` behind them.
fn take_bodies(
    input: &mut BytesMut,
    next: &mut u64,
    is_first: &mut bool,
    bodies: &mut Vec<Bytes>,
) -> std::io::Result<()> {
    while let Some((head, body)) = frame::take_transfer(input).map_err(std::io::Error::other)? {
        let position = head.position;
        // An empty slave begins wherever the master says.
        if position != *next && *next != 0 {
            return Err(std::io::Error::other(format!("a transfer at {position} does not continue {next}")));
        }
        if body.is_empty() {
            continue;
        }
        if *is_first && !begins_whole(position, &body) {
            let words = format!("no record begins at {position}: the master's log is not the one we follow");
            return Err(std::io::Error::other(words));
        }
        *is_first = false;
        *next = position + body.len() as u64;
        bodies.push(body);
    }
    Ok(())
}

/// Where a record's own position stands in it. Source: reference 3.2.
const PHYSICAL_OFFSET_AT: usize = 28;

/// Whether what follows a whole record is one itself. The protocol does not say whose log it is; but where ours ends, a
/// foreign one is as a rule in the middle of a record.
fn begins_whole(position: u64, body: &[u8]) -> bool {
    match record_head(body) {
        RecordHead::Message { .. } => match body.get(PHYSICAL_OFFSET_AT..PHYSICAL_OFFSET_AT + 8) {
            Some(mut own) => own.get_u64() == position,
            None => true,
        },
        RecordHead::Filler { .. } => true,
        // Less than a head says nothing yet.
        RecordHead::Unknown { .. } | RecordHead::End => body.len() < 8,
    }
}

#[cfg(test)]
mod tests {
    use super::frame::Head;
    use super::*;
    use crate::ha::log::Appended;
    use std::sync::atomic::AtomicUsize;
    use store::StoreError;
    use tokio::net::TcpListener;

    /// A log that somebody else's work keeps busy for so many appends, and that tells nobody when it has done it.
    struct BusyLog {
        busy: AtomicUsize,
        taken: Mutex<Vec<(u64, Vec<Bytes>)>>,
    }

    impl HaLog for BusyLog {
        fn begin(&self) -> u64 {
            0
        }

        fn end(&self) -> u64 {
            0
        }

        fn readable(&self) -> u64 {
            0
        }

        fn ends_whole(&self) -> bool {
            true
        }

        fn segment_bytes(&self) -> u64 {
            1024
        }

        fn read(&self, _position: u64, _bytes_max: usize) -> Result<Bytes, StoreError> {
            Ok(Bytes::new())
        }

        fn watch_readable(&self) -> watch::Receiver<u64> {
            watch::Sender::new(0).subscribe()
        }

        fn append(&self, position: u64, parts: Vec<Bytes>, _done: Appended) -> Result<(), StoreError> {
            let one_less = |left: usize| left.checked_sub(1);
            if self.busy.try_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
                return Err(StoreError::Busy { puts: 1, bytes: 1 });
            }
            self.taken.lock().push((position, parts));
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_log_that_an_earlier_connection_filled_is_tried_again_without_being_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (_, writing) = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap().into_split();
        let reports = Arc::new(Reports::new(writing, Arc::default(), 7));
        let log = BusyLog { busy: AtomicUsize::new(3), taken: Mutex::default() };
        append(&log, 7, vec![Bytes::from("abc")], &reports).await.unwrap();
        assert_eq!(*log.taken.lock(), [(7, vec![Bytes::from("abc")])]);
    }

    #[test]
    fn what_came_before_a_transfer_that_does_not_continue_it_is_taken() {
        let mut input = BytesMut::new();
        for (position, body) in [(10, "abc"), (13, ""), (13, "de"), (99, "never"), (15, "never")] {
            input.extend_from_slice(&Head { position, bytes: body.len() as u32 }.encode());
            input.extend_from_slice(body.as_bytes());
        }
        let (mut next, mut bodies) = (10, Vec::new());
        assert!(take_bodies(&mut input, &mut next, &mut false, &mut bodies).is_err());
        assert_eq!((next, bodies), (15, vec![Bytes::from("abc"), Bytes::from("de")]));
    }
}
