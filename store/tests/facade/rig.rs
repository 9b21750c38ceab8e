//! A store on a disk in memory, and the few deeds that all tests need.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use disk::{Disk, MemDisk};
use protocol::message::{MessageFields, MessageView, encode_record};
use store::{
    Arrival, ArrivalListener, Clock, FlushDiskType, GetStatus, Hooks, MessageStore, Put, PutResult,
    ReadRequest, ReadResult, StoreConfig, StoreError,
};

/// No answer takes longer, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const HOUR: i64 = 3_600_000;

/// Time that stands still until it is turned.
#[derive(Debug)]
pub struct HandClock(pub AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn hour(&self) -> u8 {
        12
    }
}

/// Notes what arrived.
#[derive(Debug, Default)]
pub struct Arrivals(pub Mutex<Vec<(String, u32, u64, i64)>>);

impl ArrivalListener for Arrivals {
    fn arrived(&self, arrival: &Arrival<'_>) {
        let queue = arrival.queue;
        self.0.lock().unwrap().push((
            queue.topic().to_string(),
            queue.queue_id(),
            arrival.queue_offset,
            arrival.tags_code,
        ));
    }
}

pub struct Rig {
    pub disk: MemDisk,
    pub config: StoreConfig,
    pub clock: Arc<HandClock>,
    pub arrivals: Arc<Arrivals>,
    pub fatal: Arc<AtomicUsize>,
    pub store: Option<Arc<MessageStore>>,
}

impl Rig {
    pub fn new(flush: FlushDiskType) -> Self {
        let mut config = StoreConfig::new("/store");
        config.segment_bytes = 4096;
        config.queue_file_bytes = 20 * 20;
        config.index_run_max = 64;
        config.flush = flush;
        config.keeper_paused = true;
        config.retention.delete_when = vec![4];
        Self::with(config, MemDisk::new())
    }

    pub fn with(config: StoreConfig, disk: MemDisk) -> Self {
        let mut rig = Self {
            disk,
            config,
            clock: Arc::new(HandClock(AtomicI64::new(1_000 * HOUR))),
            arrivals: Arc::default(),
            fatal: Arc::default(),
            store: None,
        };
        rig.open();
        rig
    }

    pub fn hooks(&self) -> Hooks {
        let fatal = self.fatal.clone();
        let on_fatal = Arc::new(move |_: &StoreError| {
            fatal.fetch_add(1, Ordering::SeqCst);
        });
        Hooks::new(self.arrivals.clone(), on_fatal).with_clock(self.clock.clone())
    }

    pub fn try_open(&self) -> Result<Arc<MessageStore>, StoreError> {
        MessageStore::open(self.config.clone(), Arc::new(self.disk.clone()), self.hooks())
    }

    pub fn open(&mut self) {
        self.store = None;
        self.store = Some(self.try_open().unwrap());
    }

    pub fn store(&self) -> &Arc<MessageStore> {
        self.store.as_ref().expect("the store is open")
    }

    /// Closes cleanly and opens again.
    pub fn restart(&mut self) {
        self.store().close().unwrap();
        self.open();
    }

    /// Kills the process: what was written is there, nothing else is done.
    pub fn kill(&mut self) {
        self.store = None;
        self.open();
    }

    /// Takes the power, with the losses that the seed chooses.
    pub fn power_cut(&mut self, seed: u64) {
        self.disk.crash_with(seed);
        self.store = None;
        self.open();
    }

    pub fn put(
        &self,
        topic: &str,
        queue_id: u32,
        records: BytesMut,
    ) -> Receiver<Result<PutResult, StoreError>> {
        self.try_put(topic, queue_id, records, true).unwrap()
    }

    pub fn try_put(
        &self,
        topic: &str,
        queue_id: u32,
        records: BytesMut,
        wait: bool,
    ) -> Result<Receiver<Result<PutResult, StoreError>>, StoreError> {
        let (sender, receiver) = channel();
        let done = Box::new(move |result| {
            let _ = sender.send(result);
        });
        let queue = self.store().queue(topic, queue_id)?;
        self.store().put(Put { queue, records, wait, done })?;
        Ok(receiver)
    }

    /// Puts one message and waits for its answer.
    pub fn send(&self, topic: &str, queue_id: u32, body: &[u8]) -> PutResult {
        let receiver = self.put(topic, queue_id, record(topic, queue_id, body, ""));
        receiver.recv_timeout(PATIENCE).expect("an answer").expect("stored")
    }

    pub fn read(&self, topic: &str, queue_id: u32, offset: u64) -> ReadResult {
        self.store().read(&request(topic, queue_id, offset)).unwrap()
    }

    /// All visible messages of a queue: offset and body.
    pub fn drain(&self, topic: &str, queue_id: u32) -> Vec<(u64, Vec<u8>)> {
        let mut offset = self.store().min_offset(topic, queue_id);
        let mut found = Vec::new();
        loop {
            let result = self.read(topic, queue_id, offset);
            if result.status != GetStatus::Found {
                return found;
            }
            offset = result.next_begin_offset;
            for slice in &result.slices {
                for view in MessageView::iter(slice) {
                    let view = view.unwrap();
                    view.verify_crc().unwrap();
                    assert_eq!((view.topic, view.queue_id as u32), (topic, queue_id));
                    found.push((view.queue_offset, view.body.to_vec()));
                }
            }
        }
    }

    /// The bytes of the commit log from its start to `to`.
    pub fn log(&self, to: u64) -> Vec<u8> {
        let segment = self.config.segment_bytes;
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < to {
            let path = format!("/store/commitlog/{:020}", bytes.len() as u64 / segment * segment);
            bytes.extend(disk::read_whole(&self.disk, path.as_ref()).unwrap().unwrap());
        }
        bytes.truncate(to as usize);
        bytes
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.store = None;
    }
}

pub fn request(topic: &str, queue_id: u32, queue_offset: u64) -> ReadRequest<'_> {
    ReadRequest { topic, queue_id, queue_offset, count_max: 32, bytes_max: None, tags: None, record: None }
}

pub fn record(topic: &str, queue_id: u32, body: &[u8], properties: &str) -> BytesMut {
    let mut out = BytesMut::new();
    add_record(&mut out, topic, queue_id, body, properties, 0);
    out
}

pub fn add_record(
    out: &mut BytesMut,
    topic: &str,
    queue_id: u32,
    body: &[u8],
    properties: &str,
    sys_flag: i32,
) {
    let host: SocketAddr = "127.0.0.1:10911".parse().unwrap();
    let mut fields = MessageFields::new(topic, queue_id as i32, body, host, host);
    fields.properties = properties;
    fields.sys_flag = sys_flag;
    encode_record(&fields, out).unwrap();
}

/// Whether a file is there.
pub fn exists(disk: &MemDisk, path: &str) -> bool {
    disk.exists(path.as_ref())
}

pub const FULL: io::ErrorKind = io::ErrorKind::StorageFull;
