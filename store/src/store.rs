//! The facade of the room: one store of messages on one machine.
//!
//! The broker opens it, puts and reads, and closes it. Opening recovers; dropping without closing is what a crash looks like.

mod opening;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;
use disk::{DiskError, DiskLock, GroupFlush};
use parking_lot::Mutex;

use crate::appender::{Appender, append_here, append_until_closed};
use crate::config::{FlushDiskType, ReadLimits};
use crate::consume_queue::ConsumeQueue;
use crate::core::{Core, LogEnd, OnReadable};
use crate::counters::Figures;
use crate::error::StoreError;
use crate::intake::{Fetched, Intake, Work};
use crate::looking::{Boundary, KeyQuery, KeyResult};
use crate::put::Put;
use crate::read::{ReadRequest, ReadResult};
use crate::retention::RetentionConfig;
use crate::upkeep::{Keeper, KeeperSignal, Upkeep, expire_until_stopped};

pub(crate) use opening::unless_full;

/// Messages on one machine.
#[derive(Debug)]
pub struct MessageStore {
    pub(crate) core: Arc<Core>,
    pub(crate) upkeep: Arc<Upkeep>,
    /// Absent when somebody else writes the log.
    pub(crate) writer: Option<Writer>,
    keeper: Arc<KeeperSignal>,
    /// What ends with the store.
    open: Mutex<Option<Open>>,
}

/// The way into the log.
#[derive(Debug)]
pub(crate) struct Writer {
    intake: Arc<Intake<Appender>>,
    flush: Arc<GroupFlush>,
}

#[derive(Debug)]
struct Open {
    appender: Option<JoinHandle<()>>,
    keeper: Option<JoinHandle<()>>,
    expirer: Option<JoinHandle<()>>,
    abort: PathBuf,
    _lock: DiskLock,
}

impl MessageStore {
    fn start_threads(&self) -> Result<(), StoreError> {
        let mut open = self.open.lock();
        let Some(open) = open.as_mut() else { return Ok(()) };
        if let Some(Writer { intake, .. }) = &self.writer {
            let intake = intake.clone();
            open.appender = Some(spawn("store-append", move || append_until_closed(&intake))?);
        }
        if !self.core.config.keeper_paused {
            let keeper =
                Keeper::new(self.core.clone(), self.upkeep.clone(), self.keeper.clone(), Instant::now());
            open.keeper = Some(spawn("store-keeper", move || keeper.run())?);
            let (core, signal) = (self.core.clone(), self.keeper.clone());
            let intake = self.writer.as_ref().map(|writer| writer.intake.clone());
            let expire = move || expire_until_stopped(&core, intake.as_deref(), &signal);
            open.expirer = Some(spawn("store-expire", expire)?);
        }
        Ok(())
    }

    /// Stops cleanly: everything accepted is answered and on the disk. Closing twice is no error.
    pub fn close(&self) -> Result<(), StoreError> {
        let Some(mut open) = self.open.lock().take() else { return Ok(()) };
        if let Some(writer) = &self.writer {
            writer.intake.close();
            join(open.appender.take());
        }
        self.keeper.stop();
        join(open.keeper.take());
        join(open.expirer.take());
        if self.core.is_failed() {
            return Err(StoreError::Failed);
        }
        if let Some(writer) = &self.writer {
            writer.flush.flush()?;
        }
        self.core.release_held();
        self.upkeep.write_out()?;
        self.upkeep.checkpoint()?;
        self.queues().iter().try_for_each(|queue| queue.sync_blanked())?;
        let disk = &self.core.disk;
        disk.remove(&open.abort).map_err(|error| DiskError::io("remove", &open.abort, error))?;
        let root = &self.core.config.root;
        disk.sync_dir(root).map_err(|error| DiskError::io("sync", root, error))?;
        Ok(())
    }

    /// The queue to put into; it exists from now on.
    pub fn queue(&self, topic: &str, queue_id: u32) -> Result<Arc<ConsumeQueue>, StoreError> {
        self.core.queues.get_or_make(topic, queue_id)
    }

    /// The queue, when it exists.
    pub fn find_queue(&self, topic: &str, queue_id: u32) -> Option<Arc<ConsumeQueue>> {
        self.core.queues.find(topic, queue_id)
    }

    /// The queues of a topic, by number.
    pub fn queues_of(&self, topic: &str) -> Vec<Arc<ConsumeQueue>> {
        self.core.queues.of_topic(topic)
    }

    /// The topics that have queues.
    pub fn topics(&self) -> Vec<Arc<str>> {
        self.core.queues.topics()
    }

    /// Stores messages. What is refused at once is not told to `done`; what is accepted is, exactly once.
    pub fn put(&self, put: Put) -> Result<(), StoreError> {
        self.put_as(put, Fetched::ByThread)
    }

    /// Stores messages like `put`, and spares the append thread: the caller appends, with `append_here`, as soon as it has put
    /// what it has. Until then nobody need have begun.
    pub fn put_to_append(&self, put: Put) -> Result<(), StoreError> {
        self.put_as(put, Fetched::ByPusher)
    }

    /// Appends what waits on this thread, which answers it as well. Where another thread appends already, that one does it.
    /// Not to be called by an `ArrivalListener` or a `Done`.
    pub fn append_here(&self) {
        if let Some(writer) = &self.writer {
            append_here(&writer.intake);
        }
    }

    fn put_as(&self, put: Put, fetched: Fetched) -> Result<(), StoreError> {
        let refused = self.refusal();
        let outcome = match refused {
            Some(error) => Err(error),
            None => self.push(Work::Put { put, began: Instant::now() }, fetched),
        };
        if outcome.is_err() {
            self.core.counters.refused();
        }
        outcome
    }

    /// Why no message is taken now.
    pub(crate) fn refusal(&self) -> Option<StoreError> {
        if self.core.is_failed() {
            return Some(StoreError::ShuttingDown);
        }
        match self.core.disk_full.load(Ordering::Acquire) {
            0 => None,
            used_percent => Some(StoreError::DiskFull { used_percent }),
        }
    }

    pub(crate) fn push(&self, work: Work, fetched: Fetched) -> Result<(), StoreError> {
        let Some(writer) = &self.writer else { return Err(StoreError::ForeignLog) };
        writer.intake.push(work, fetched).map_err(|(error, _)| error)
    }

    /// Up to here everything is visible.
    pub fn applied(&self) -> u64 {
        self.core.applied()
    }

    /// The first kept byte of the log.
    pub fn commit_log_min(&self) -> u64 {
        self.core.segments.start()
    }

    /// The end of the log.
    pub fn commit_log_max(&self) -> u64 {
        self.core.written()
    }

    /// The log is on the disk up to here.
    pub fn flushed(&self) -> u64 {
        self.core.flushed()
    }

    /// Calls `readable` with the end of what `read_log` gives, whenever it moved; on threads of the store, which wait for
    /// it. The first caller is heard, and no other.
    pub fn on_readable(&self, readable: impl Fn(u64) + Send + Sync + 'static) {
        if self.core.readable.set(OnReadable(Box::new(readable))).is_ok() {
            self.core.tell_readable();
        }
    }

    /// The end of what `read_log` gives: what is written, or with SYNC_FLUSH what is on the disk, so that no slave ever has
    /// what a power cut can take from its master.
    pub fn readable(&self) -> u64 {
        self.core.confirmed()
    }

    /// Size of a commit-log file.
    pub fn segment_bytes(&self) -> u64 {
        self.core.segments.segment_bytes()
    }

    /// Reads messages of a queue.
    pub fn read(&self, request: &ReadRequest<'_>) -> Result<ReadResult, StoreError> {
        self.core.read(request)
    }

    /// The visible message that begins at a physical offset.
    pub fn message_at(&self, physical_offset: u64) -> Result<Option<Bytes>, StoreError> {
        self.core.message_at(physical_offset)
    }

    /// The last visible message and where it lies, while the log has one.
    pub fn last_message(&self) -> Result<Option<(u64, Bytes)>, StoreError> {
        let at = self.core.confirm.end().last_record;
        Ok(self.core.message_at(at)?.map(|message| (at, message)))
    }

    /// The message at an offset of a queue.
    pub fn message_in_queue(
        &self,
        topic: &str,
        queue_id: u32,
        queue_offset: u64,
    ) -> Result<Option<Bytes>, StoreError> {
        let Some(queue) = self.find_queue(topic, queue_id) else { return Ok(None) };
        self.core.message_in_queue(&queue, queue_offset)
    }

    /// The first kept offset of a queue; 0 when there is no such queue.
    pub fn min_offset(&self, topic: &str, queue_id: u32) -> u64 {
        self.find_queue(topic, queue_id).map_or(0, |queue| queue.min_offset())
    }

    /// The offset that the queue's next visible message will have; 0 when there is no such queue.
    pub fn max_offset(&self, topic: &str, queue_id: u32) -> u64 {
        self.find_queue(topic, queue_id).map_or(0, |queue| queue.max_offset())
    }

    /// The offset that a time stands for; 0 when there is no such queue.
    pub fn offset_by_time(
        &self,
        topic: &str,
        queue_id: u32,
        timestamp: i64,
        boundary: Boundary,
    ) -> Result<u64, StoreError> {
        let Some(queue) = self.find_queue(topic, queue_id) else { return Ok(0) };
        self.core.offset_by_time(&queue, timestamp, boundary)
    }

    /// The store time of the message at an offset of a queue.
    pub fn store_time(
        &self,
        topic: &str,
        queue_id: u32,
        queue_offset: u64,
    ) -> Result<Option<i64>, StoreError> {
        let Some(queue) = self.find_queue(topic, queue_id) else { return Ok(None) };
        self.core.store_time(&queue, queue_offset)
    }

    /// The store time of the queue's first kept message.
    pub fn earliest_time(&self, topic: &str, queue_id: u32) -> Result<Option<i64>, StoreError> {
        let Some(queue) = self.find_queue(topic, queue_id) else { return Ok(None) };
        self.core.store_time(&queue, queue.min_offset())
    }

    /// The store time of the log's first kept message.
    pub fn earliest_log_time(&self) -> Result<Option<i64>, StoreError> {
        self.core.earliest_log_time()
    }

    /// Messages by key, newest first.
    pub fn query(&self, query: &KeyQuery<'_>) -> Result<KeyResult, StoreError> {
        self.core.query(query)
    }

    /// Deletes the queues of a topic. Its messages stay in the log until retention takes them; puts on their way into these
    /// queues are refused, or, in a log that somebody else writes, are the first of the queues that take their place.
    pub fn delete_topic(&self, topic: &str) -> Result<(), StoreError> {
        if self.core.queues.delete_topic(topic, self.writer.is_none())? {
            // Past this checkpoint no recovery meets the topic's messages again and brings the queues back.
            self.upkeep.checkpoint()?;
        }
        Ok(())
    }

    /// All queues.
    pub fn queues(&self) -> Vec<Arc<ConsumeQueue>> {
        self.core.queues.all(|_| true)
    }

    /// Lets the queues end where a replica's snapshot says: messages that came before may have expired, and those of topics
    /// that were deleted since may still be in the log. Queues that it does not name go.
    pub fn settle_queues(&self, ends: &BTreeMap<String, BTreeMap<u32, i64>>) -> Result<(), StoreError> {
        for topic in self.topics().iter().filter(|topic| !ends.contains_key(&***topic)) {
            self.core.queues.delete_topic(topic, false)?;
        }
        for (topic, queues) in ends {
            queues.keys().try_for_each(|&queue_id| self.queue(topic, queue_id).map(drop))?;
        }
        for queue in self.queues() {
            let (topic, queue_id) = (queue.topic(), queue.queue_id());
            let end = ends.get(&**topic).and_then(|ends| ends.get(&queue_id)).copied();
            let end = end.and_then(|end| u64::try_from(end).ok()).unwrap_or_default();
            let found = queue.max_offset();
            if found != end {
                tracing::info!(%topic, queue_id, found, end, "a queue ends elsewhere");
                queue.stand_at(end)?;
            }
        }
        Ok(())
    }

    /// Deletes the queues of all topics that `is_used` does not want; tells which.
    pub fn delete_unused_topics(&self, is_used: &dyn Fn(&str) -> bool) -> Result<Vec<Arc<str>>, StoreError> {
        let unused: Vec<_> = self.topics().into_iter().filter(|topic| !is_used(topic)).collect();
        for topic in &unused {
            self.delete_topic(topic)?;
        }
        Ok(unused)
    }

    /// Looks at the disk now, as the keeper does by itself: shuts or opens the gate, deletes what has expired, at any hour when
    /// an operator asks for it. Tells how many segments went.
    pub fn clean(&self, asked: bool) -> Result<usize, StoreError> {
        self.upkeep.clean(asked)
    }

    /// Writes the queues' newest units to their files, as the keeper does by itself.
    pub fn write_out_queues(&self) -> Result<(), StoreError> {
        self.upkeep.write_out()
    }

    /// Makes everything visible durable and notes how far, as the keeper does by itself.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.upkeep.checkpoint()
    }

    /// Answers puts that waited too long by `now`, as the keeper does by itself.
    pub fn expire(&self, now: Instant) {
        self.core.expire(now);
    }

    /// Whether messages are refused because the disk is full.
    pub fn is_disk_full(&self) -> bool {
        self.core.disk_full.load(Ordering::Acquire) > 0
    }

    /// Numbers for operators.
    pub fn figures(&self) -> Result<Figures, StoreError> {
        let core = &self.core;
        let space = self.upkeep.space_of_log()?;
        let written = core.written();
        Ok(Figures {
            dispatch_behind: written.saturating_sub(core.applied()),
            flush_behind: written.saturating_sub(core.flushed()),
            commit_log_min: core.segments.start(),
            commit_log_max: written,
            commit_log_disk_ratio: space.used_ratio(),
            consume_queue_disk_ratio: self.upkeep.space_of_queues()?.used_ratio(),
            disk_total: space.total,
            disk_available: space.available,
            puts_waiting: self.writer.as_ref().map_or(0, |writer| writer.intake.len()),
            ..core.counters.figures()
        })
    }

    /// How long the append now under way has been under way: above `osPageCacheBusyTimeOutMills` the broker refuses sends.
    pub fn append_stalled(&self) -> std::time::Duration {
        self.core.counters.append_stalled()
    }

    /// Other limits from now on.
    pub fn reconfigure(&self, read: ReadLimits, retention: RetentionConfig) {
        *self.core.read_limits.write() = read;
        *self.core.retention.write() = retention;
    }
}

impl Drop for MessageStore {
    /// Ends the threads and nothing more: what a clean end does, `close` does.
    fn drop(&mut self) {
        let Some(open) = self.open.get_mut().take() else { return };
        if let Some(writer) = &self.writer {
            for work in writer.intake.abandon() {
                work.refuse(StoreError::ShuttingDown);
            }
        }
        self.keeper.stop();
        join(open.appender);
        join(open.keeper);
        join(open.expirer);
    }
}

fn start_writer(core: &Arc<Core>, end: LogEnd) -> Result<Writer, StoreError> {
    let interval = match core.config.flush {
        FlushDiskType::Async => Some(core.config.flush_interval).filter(|_| !core.config.keeper_paused),
        FlushDiskType::Sync => None,
    };
    let (of_sync, of_synced) = (core.clone(), core.clone());
    let sync = move |from, to| of_sync.segments.sync(from, to);
    let synced = move |result: Result<u64, DiskError>| match result {
        Ok(position) => {
            of_synced.flushed.store(position, Ordering::Release);
            if of_synced.config.flush == FlushDiskType::Sync {
                of_synced.tell_readable();
            }
            of_synced.advance();
        }
        Err(error) => of_synced.fail(&error.into()),
    };
    let flush = GroupFlush::start("store-flush", end.position, interval, sync, synced)?;
    let flush = Arc::new(flush);
    let pen = Appender::new(core.clone(), flush.clone(), end);
    let intake = Intake::new(pen, core.config.puts_max, core.config.put_bytes_max);
    Ok(Writer { intake: Arc::new(intake), flush })
}

fn spawn(name: &'static str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|_| StoreError::Thread { name })
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread
        && thread.thread().id() != std::thread::current().id()
        && thread.join().is_err()
    {
        tracing::error!("a thread of the store panicked");
    }
}
