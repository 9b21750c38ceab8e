//! The promises of `log_store`.

use disk::{MemDisk, Segments};
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};

use super::*;
use crate::config::{Fatal, FlushMode};
use crate::log::Opening;
use crate::lone::Forgetful;
use crate::manifest::Shape;
use crate::probation::{Beginning, Probation};
use crate::slot_file::SlotFile;
use crate::snapshot::Snapshots;
use crate::state_machine::StateMachine;

fn open(flush: FlushMode) -> (LogStore, StateMachine) {
    let disk = Arc::new(MemDisk::new());
    let segments = Arc::new(Segments::open(disk.clone(), "/commitlog".into(), 4096).unwrap());
    let shape = Shape { group: "g".to_owned(), node: 1, segment_bytes: 4096, prefix_end: 0 };
    let fatal = Fatal::new(|_| {});
    let opening = Opening {
        disk: disk.clone(),
        directory: "/raft".into(),
        segments,
        shape,
        flush,
        flush_interval: std::time::Duration::from_millis(500),
        fatal: fatal.clone(),
    };
    let log = Arc::new(Log::open(opening).unwrap());
    let snapshots = Arc::new(Snapshots::open(disk.clone(), "/raft/snapshots".into(), false).unwrap());
    let probation = SlotFile::open(&*disk, "/raft/probation".as_ref()).unwrap();
    let probation = Probation::open(probation, Beginning::New).unwrap();
    let shared = Arc::new(Shared::new(1, log, snapshots, fatal, probation).unwrap());
    let machine = StateMachine::open(shared.clone(), Box::new(Forgetful)).unwrap();
    (LogStore::new(shared, Box::new(Forgetful)), machine)
}

struct Builder(FlushMode);

impl StoreBuilder<Types, LogStore, StateMachine> for Builder {
    async fn build(&self) -> Result<((), LogStore, StateMachine), StorageError<Types>> {
        let (store, machine) = open(self.0);
        Ok(((), store, machine))
    }
}

#[test]
fn openrafts_own_suite_passes_with_either_flush_mode() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for flush in [FlushMode::Sync, FlushMode::Async] {
        runtime.block_on(Suite::test_all(Builder(flush))).unwrap();
    }
}
