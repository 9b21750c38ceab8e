//! How much a message of 1 KiB costs: to append with many in flight, to read at the tail and from the files, to recover.
//!
//! `cargo bench -p store`; the store lies in a temporary directory (`TMPDIR`).

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use disk::RealDisk;
use protocol::message::{MessageFields, encode_record};
use store::{
    ConsumeQueue, FlushDiskType, GetStatus, Hooks, MessageStore, NoListener, Put, ReadRequest, StoreConfig,
    StoreError,
};

const BODY: [u8; 1024] = [b'x'; 1024];
const PROPERTIES: &str = "KEYS\u{1}order-12345\u{2}TAGS\u{1}TagA\u{2}UNIQ_KEY\u{1}0A0B0C0D00002A9F0000000000000001\u{2}\
                          WAIT\u{1}true\u{2}CLUSTER\u{1}DefaultCluster\u{2}MSG_REGION\u{1}DefaultRegion\u{2}";

fn open(root: &std::path::Path, flush: FlushDiskType) -> Arc<MessageStore> {
    let mut config = StoreConfig::new(root);
    config.flush = flush;
    let hooks = Hooks::new(Arc::new(NoListener), Arc::new(|error: &StoreError| panic!("{error}")));
    MessageStore::open(config, Arc::new(RealDisk), hooks).expect("the store opens")
}

fn record() -> BytesMut {
    let host: SocketAddr = "127.0.0.1:10911".parse().expect("an address");
    let mut fields = MessageFields::new("TopicA", 0, &BODY, host, host);
    fields.properties = PROPERTIES;
    let mut out = BytesMut::new();
    encode_record(&fields, &mut out).expect("a record");
    out
}

/// Appends `count` messages, `in_flight` of them at a time.
fn append(
    store: &MessageStore,
    queue: &Arc<ConsumeQueue>,
    record: &[u8],
    count: u64,
    in_flight: u64,
) -> Duration {
    let done = Arc::new(AtomicU64::new(0));
    let waiting = std::thread::current();
    let began = Instant::now();
    for sent in 0..count {
        while sent - done.load(Ordering::Acquire) >= in_flight {
            std::thread::park();
        }
        let (done, waiting) = (done.clone(), waiting.clone());
        let on_done = Box::new(move |result: Result<_, StoreError>| {
            result.expect("stored");
            // One wake-up for half of what is in flight, as a broker wakes a connection once per batch.
            if (done.fetch_add(1, Ordering::AcqRel) + 1) % (in_flight / 2).max(1) == 0 {
                waiting.unpark();
            }
        });
        let put = Put { queue: queue.clone(), records: record.into(), wait: true, done: on_done };
        store.put(put).expect("accepted");
    }
    while done.load(Ordering::Acquire) < count {
        std::thread::park_timeout(Duration::from_micros(50));
    }
    began.elapsed()
}

fn appending(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append_1KiB");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    let record = record();
    for (flush, in_flight) in [
        (FlushDiskType::Async, 1),
        (FlushDiskType::Async, 32),
        (FlushDiskType::Async, 256),
        (FlushDiskType::Sync, 256),
    ] {
        let root = tempfile::tempdir().expect("a directory");
        let store = open(root.path(), flush);
        let queue = store.queue("TopicA", 0).expect("a queue");
        group.bench_function(format!("{flush:?}/{in_flight}_in_flight"), |bencher| {
            bencher.iter_custom(|count| append(&store, &queue, &record, count, in_flight));
        });
        store.close().expect("closed");
    }
    group.finish();
}

fn reading(criterion: &mut Criterion) {
    const STORED: u64 = 200_000;
    let root = tempfile::tempdir().expect("a directory");
    let store = open(root.path(), FlushDiskType::Async);
    let queue = store.queue("TopicA", 0).expect("a queue");
    append(&store, &queue, &record(), STORED, 256);
    let mut group = criterion.benchmark_group("read_32_messages");
    group.throughput(Throughput::Elements(32));
    let read = |queue_offset| {
        let request = ReadRequest {
            topic: "TopicA",
            queue_id: 0,
            queue_offset,
            count_max: 32,
            bytes_max: None,
            tags: None,
            record: None,
        };
        let result = store.read(&request).expect("read");
        assert_eq!((result.status, result.count), (GetStatus::Found, 32));
        result
    };
    store.write_out_queues().expect("written");
    let mut at = 0;
    group.bench_function("from_the_files", |bencher| {
        bencher.iter(|| {
            at = (at + 32) % (STORED - 64);
            black_box(read(at))
        });
    });
    append(&store, &queue, &record(), 32, 32);
    group.bench_function("at_the_tail", |bencher| bencher.iter(|| black_box(read(STORED))));
    group.finish();
    store.close().expect("closed");
}

criterion_group!(benches, appending, reading);
criterion_main!(benches);
