//! The promises of `server`, to a peer that a test plays.

use std::collections::{BTreeMap, HashMap};

use openraft::raft::StreamAppendError;

use super::*;
use crate::config::FlushMode;
use crate::lone::{Lone, SEGMENT_BYTES, until};
use crate::net::frame::{decode_appended, encode_append};
use crate::net::handshake::Caller;
use crate::types::Node;

const STORE: u128 = 7;
const PATIENCE: Duration = Duration::from_secs(20);

/// Calls node 2 as node 1.
async fn call(address: &str, channel: Channel) -> Connection {
    let caller = Caller {
        group: "g".to_owned(),
        node: 1,
        store: STORE,
        segment_bytes: SEGMENT_BYTES,
        frame_bytes_max: 1024 * 1024,
        addresses: Arc::new(HashMap::new()),
    };
    let node = Node { address: address.to_owned(), store: 0 };
    caller.connect(2, &node, channel, None, PATIENCE).await.unwrap().0
}

/// Two other members, which nobody can call.
fn others() -> BTreeMap<u64, Node> {
    [(1, STORE), (3, 9)]
        .map(|(node, store)| (node, Node { address: "127.0.0.1:1".to_owned(), store }))
        .into_iter()
        .collect()
}

#[tokio::test]
async fn a_leader_that_was_deposed_ends_nobodys_probation() {
    let lone = Lone::new(2);
    lone.make(others(), 10);
    lone.probation().0.write(&[1], true).unwrap();
    let log = lone.open(FlushMode::Sync).unwrap();
    log.save_vote(&PlainVote { term: 2, node: 2, is_committed: false }.into()).unwrap();
    drop(log);
    let (log, address) = lone.start(FlushMode::Sync).unwrap();
    until("everything is committed", || (log.status().borrow().committed == Some(10)).then_some(())).await;
    let mut connection = call(&address, Channel::Append).await;
    let request = AppendEntriesRequest {
        vote: PlainVote { term: 1, node: 1, is_committed: true }.into(),
        prev_log_id: None,
        entries: Vec::new(),
        leader_commit: None,
    };
    let (head, _) = encode_append(request, 3);
    let (_, answer) = connection.call(FrameType::Append, &head).await.unwrap();
    let answer = decode_appended(answer).unwrap();
    assert!(matches!(answer, Err(StreamAppendError::HigherVote(_))), "{answer:?}");
    // What it heard would end the probation by now.
    assert!(!log.shared.probation.catches_up(Some(10)).unwrap() && log.shared.probation.is_behind());
}
