//! The master's side: accepts slaves, streams the log to each from where it ends, hears how far it got.
//!
//! Each slave is one task that reads reports and writes transfers; the bytes are slices of the mapped log.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use daemon::Tasks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::frame::{self, Head};
use super::log::HaLog;
use super::slaves::Slaves;

/// Slaves are few; whatever comes beyond is none.
const SLAVES_MAX: usize = 64;
/// Transfers that leave in one write.
const TRANSFERS_PER_WRITE: usize = 32;

/// What a master keeps to.
#[derive(Clone, Copy, Debug)]
pub struct HaMasterConfig {
    /// Longest silence towards a slave (`haSendHeartbeatInterval`).
    pub heartbeat: Duration,
    /// Longest silence of a slave (`haHousekeepingInterval`).
    pub silence_max: Duration,
    /// Most bytes of one transfer (`haTransferBatchSize`).
    pub transfer_bytes: usize,
}

/// Called whenever a slave came, went or acknowledged.
pub type OnReplicated = Arc<dyn Fn() + Send + Sync>;

/// The listening master.
pub struct HaMaster {
    log: Arc<dyn HaLog>,
    slaves: Arc<Slaves>,
    config: HaMasterConfig,
    replicated: OnReplicated,
    ids: AtomicU64,
}

impl HaMaster {
    /// Accepts slaves until the tasks are stopped.
    pub fn start(
        tasks: &Tasks,
        listener: TcpListener,
        log: Arc<dyn HaLog>,
        slaves: Arc<Slaves>,
        config: HaMasterConfig,
        replicated: OnReplicated,
    ) {
        let master = Arc::new(Self { log, slaves, config, replicated, ids: AtomicU64::new(1) });
        let connections = tasks.clone();
        tasks.spawn("ha accept", |shutdown| async move {
            tokio::select! {
                () = shutdown.requested() => {}
                () = master.accept(listener, &connections) => {}
            }
        });
    }

    async fn accept(self: &Arc<Self>, listener: TcpListener, tasks: &Tasks) {
        let places = Arc::new(Semaphore::new(SLAVES_MAX));
        loop {
            let (stream, from) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "slave could not be accepted");
                    // Out of descriptors: taking a breath is all that can help.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                tracing::warn!(%from, "too many slaves");
                continue;
            };
            let master = self.clone();
            tasks.spawn(format!("ha slave {from}"), |shutdown| async move {
                let _place = place;
                tokio::select! {
                    () = shutdown.requested() => {}
                    () = master.serve(stream, from) => {}
                }
            });
        }
    }

    async fn serve(&self, stream: TcpStream, from: SocketAddr) {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        match self.follow(id, stream, from).await {
            Ok(()) => tracing::info!(%from, "slave left"),
            Err(error) => tracing::warn!(%from, %error, "slave lost"),
        }
        self.slaves.remove(id);
        (self.replicated)();
    }

    async fn follow(&self, id: u64, stream: TcpStream, from: SocketAddr) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut reading, writing) = stream.into_split();
        let mut input = BytesMut::with_capacity(4096);
        let Some(reported) = self.report(&mut reading, &mut input).await? else { return Ok(()) };
        let end = self.log.end();
        if reported > end {
            // Nothing is cut anywhere: only an operator can know which of the two is right.
            tracing::error!(%from, reported, end, "a slave's log is longer than ours: it is refused");
            return Ok(());
        }
        let begin = self.log.begin();
        if reported > 0 && reported < begin {
            tracing::error!(%from, reported, begin, "a slave needs what was deleted here: it needs an empty store");
            return Ok(());
        }
        // Source: RocketMQ 5.3.3 `DefaultHAConnection.WriteSocketService`: an empty slave gets the last file.
        let start = if reported == 0 { end - end % self.log.segment_bytes() } else { reported };
        tracing::info!(%from, reported, start, "slave follows");
        self.slaves.add(id, from, reported);
        (self.replicated)();
        tokio::select! {
            ended = self.hear(id, reading, input) => ended,
            ended = self.tell(id, writing, start) => ended,
        }
    }

    /// Reads reports until the slave leaves or falls silent.
    async fn hear(&self, id: u64, mut reading: OwnedReadHalf, mut input: BytesMut) -> std::io::Result<()> {
        while let Some(reported) = self.report(&mut reading, &mut input).await? {
            let end = self.log.end();
            if reported > end {
                let words = format!("a slave acknowledged {reported}, our log ends at {end}");
                return Err(std::io::Error::other(words));
            }
            self.slaves.acknowledge(id, reported);
            (self.replicated)();
        }
        Ok(())
    }

    /// The next report; `None` when the slave closed.
    async fn report(
        &self,
        reading: &mut OwnedReadHalf,
        input: &mut BytesMut,
    ) -> std::io::Result<Option<u64>> {
        loop {
            if let Some(reported) = frame::take_report(input) {
                return Ok(Some(reported));
            }
            input.reserve(4096);
            let read = tokio::time::timeout(self.config.silence_max, reading.read_buf(input)).await??;
            if read == 0 {
                return Ok(None);
            }
        }
    }

    /// Writes the log from `next` on, and a heartbeat when there is nothing to write for a while.
    async fn tell(&self, id: u64, mut writing: OwnedWriteHalf, mut next: u64) -> std::io::Result<()> {
        let mut readable = self.log.watch_readable();
        loop {
            readable.borrow_and_update();
            let transfers = self.transfers(&mut next).map_err(std::io::Error::other)?;
            if transfers.is_empty() {
                if tokio::time::timeout(self.config.heartbeat, readable.changed()).await.is_err() {
                    writing.write_all(&Head { position: next, bytes: 0 }.encode()).await?;
                }
                continue;
            }
            let bytes: usize = transfers.iter().map(Bytes::len).sum();
            write_all(&mut writing, transfers).await?;
            self.slaves.sent(id, bytes as u64, next);
        }
    }

    /// The next transfers, heads and bodies in turn; moves `next` behind them.
    fn transfers(&self, next: &mut u64) -> Result<Vec<Bytes>, store::StoreError> {
        let end = self.log.readable();
        let mut parts = Vec::new();
        while *next < end && parts.len() < 2 * TRANSFERS_PER_WRITE {
            let want = usize::try_from(end - *next).unwrap_or(usize::MAX).min(self.config.transfer_bytes);
            let body = self.log.read(*next, want)?;
            if body.is_empty() {
                break;
            }
            let head = Head { position: *next, bytes: body.len() as u32 };
            *next += body.len() as u64;
            parts.push(Bytes::copy_from_slice(&head.encode()));
            parts.push(body);
        }
        Ok(parts)
    }
}

async fn write_all(writing: &mut OwnedWriteHalf, mut parts: Vec<Bytes>) -> std::io::Result<()> {
    let mut first = 0;
    while first < parts.len() {
        let slices: Vec<IoSlice<'_>> = parts[first..].iter().map(|part| IoSlice::new(part)).collect();
        let mut written = writing.write_vectored(&slices).await?;
        if written == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        while first < parts.len() && written >= parts[first].len() {
            written -= parts[first].len();
            first += 1;
        }
        if written > 0 {
            parts[first].advance(written);
        }
    }
    Ok(())
}
