//! Requests to append on their way to a peer, and the answers on their way back.
//!
//! openraft gives a heartbeat up after one interval. Where an answer takes longer than that, the connection stays: the peer has
//! heard the heartbeat, and its answer stands for the next one (docs/adr/0012).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt};
use openraft::error::{RPCError, Unreachable};
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};

use crate::memory::Acknowledged;
use crate::net::client::{BoxFuture, Client, network_error};
use crate::net::connection::{Connection, Reader, Writer};
use crate::net::frame::{FrameType, decode_appended, encode_append};
use crate::shared::Shared;
use crate::types::Types;

/// How long a follower may learn later than at once that an entry is committed; a heartbeat tells it in any case.
const COMMIT_PATIENCE: Duration = Duration::from_millis(5);

pub(crate) type AppendResult = Result<StreamAppendResult<Types>, RPCError<Types>>;

/// The writing side of a stream: it ends with the writer when every request is sent.
type Sending = BoxFuture<'static, Result<Writer, std::io::Error>>;

/// Answers that nobody waits for any more; a peer that owes more is not there.
const OWED_MAX: u64 = 64;

/// A connection between two streams of requests.
pub(super) struct Kept {
    connection: Connection,
    /// Answers that are still to come to heartbeats that were given up.
    pub(super) owed: u64,
}

impl Kept {
    /// A new one.
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, owed: 0 }
    }

    /// Takes the answers that came meanwhile; false when the connection is over.
    pub(super) fn catch_up(&mut self) -> bool {
        while self.owed > 0 {
            match self.connection.reader.read().now_or_never().map(judge) {
                None => return true,
                Some(Ok(Ok(_))) => self.owed -= 1,
                Some(_) => return false,
            }
        }
        true
    }
}

/// Requests going out and answers coming in, side by side. A heartbeat that is given up leaves its connection to the next.
pub(super) struct Exchange<'s> {
    client: &'s mut Client,
    is_heartbeat: bool,
    /// Answers that come before those to the requests of this exchange.
    owed: u64,
    reader: Option<Reader>,
    sending: Option<Sending>,
    /// The writer, once all requests went out.
    writer: Option<Writer>,
    /// Requests without an answer.
    open: Arc<AtomicU64>,
    patience: Duration,
    /// No answer came during the last `patience`, although one was due.
    is_late: bool,
    /// Where the peer's acknowledgements are noted.
    acknowledged: Acknowledged,
}

/// Sends every request as it comes.
async fn send_all(
    shared: Arc<Shared>,
    mut writer: Writer,
    mut requests: impl Stream<Item = AppendEntriesRequest<Types>> + Unpin,
    open: Arc<AtomicU64>,
) -> Result<Writer, std::io::Error> {
    // The first request is a probe or the beginning of a stream, and somebody waits for its answer.
    let mut next = requests.next().await;
    while let Some(request) = next {
        let last = shared.log.last().map_or(0, |last| last.index);
        let (head, slices): (_, Vec<Bytes>) = encode_append(request, last);
        open.fetch_add(1, Ordering::Relaxed);
        writer.write_slices(FrameType::Append, &head, &slices).await?;
        next = next_worth_sending(&mut requests).await;
    }
    Ok(writer)
}

/// The next request with entries. One without tells only how far the log is committed, which the next one with entries
/// tells as well: it is kept back for a moment, and given up when it is overtaken.
async fn next_worth_sending(
    requests: &mut (impl Stream<Item = AppendEntriesRequest<Types>> + Unpin),
) -> Option<AppendEntriesRequest<Types>> {
    let mut request = requests.next().await?;
    if !request.entries.is_empty() {
        return Some(request);
    }
    let patience = tokio::time::sleep(COMMIT_PATIENCE);
    tokio::pin!(patience);
    loop {
        tokio::select! {
            biased;
            next = requests.next() => match next {
                Some(next) if next.entries.is_empty() => request = next,
                Some(next) => return Some(next),
                None => return Some(request),
            },
            () = &mut patience => return Some(request),
        }
    }
}

impl<'s> Exchange<'s> {
    /// Begins to send over a connection that nobody uses.
    pub(super) fn begin(
        client: &'s mut Client,
        Kept { connection: Connection { reader, writer }, owed }: Kept,
        requests: impl Stream<Item = AppendEntriesRequest<Types>> + Unpin + Send + 'static,
        is_heartbeat: bool,
        patience: Duration,
    ) -> Self {
        let way = &client.way;
        let acknowledged = way.shared.memory.of(way.known().map_or(0, |node| node.store));
        let open = Arc::new(AtomicU64::new(0));
        let sending = send_all(way.shared.clone(), writer, requests, open.clone());
        Self {
            client,
            is_heartbeat,
            owed,
            reader: Some(reader),
            sending: Some(Box::pin(sending)),
            writer: None,
            open,
            patience,
            is_late: false,
            acknowledged,
        }
    }

    /// The next answer; `None` when every request was answered, and then the connection is kept for the next stream.
    pub(super) async fn next(&mut self) -> Option<AppendResult> {
        let outcome = self.wait().await?;
        match outcome {
            Ok(Ok(matched)) => {
                self.open.fetch_sub(1, Ordering::Relaxed);
                self.is_late = false;
                if let Some(matched) = matched {
                    self.acknowledged.note(matched.index);
                }
                Some(Ok(Ok(matched)))
            }
            // After anything else the peer's side of the stream is over, and so is the connection.
            other => {
                self.reader = None;
                Some(other)
            }
        }
    }

    /// Leaves the connection to the next exchange, if it is whole.
    fn keep(&mut self) {
        if let (Some(reader), Some(writer)) = (self.reader.take(), self.writer.take()) {
            let owed = self.owed + self.open.load(Ordering::Relaxed);
            self.client.append = Some(Kept { connection: Connection { reader, writer }, owed });
        }
    }

    async fn wait(&mut self) -> Option<AppendResult> {
        loop {
            if self.open.load(Ordering::Relaxed) == 0 && self.writer.is_some() {
                self.keep();
                return None;
            }
            let reader = self.reader.as_mut()?;
            let sending = async {
                match self.sending.as_mut() {
                    Some(sending) => sending.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                answer = reader.read() => return Some(judge(answer)),
                sent = sending => {
                    self.sending = None;
                    match sent {
                        Ok(writer) => self.writer = Some(writer),
                        Err(error) => return Some(Err(network_error(error.to_string()))),
                    }
                }
                () = tokio::time::sleep(self.patience) => {
                    let is_due = self.open.load(Ordering::Relaxed) > 0;
                    if is_due && self.is_late {
                        return Some(Err(network_error("no answer in time".to_owned())));
                    }
                    self.is_late = is_due;
                }
            }
        }
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if self.is_heartbeat && self.owed + self.open.load(Ordering::Relaxed) <= OWED_MAX {
            self.keep();
        }
    }
}

fn judge(answer: std::io::Result<(FrameType, Bytes)>) -> AppendResult {
    match answer {
        Ok((FrameType::Appended, payload)) => {
            decode_appended(payload).map_err(|error| network_error(error.to_string()))
        }
        Ok((FrameType::Failed, payload)) => {
            let text = String::from_utf8_lossy(&payload).into_owned();
            Err(RPCError::Unreachable(Unreachable::from_string(text)))
        }
        Ok(_) => Err(network_error("wrong answer".to_owned())),
        Err(error) => Err(network_error(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::codec::PlainVote;
    use crate::envelope::EntryId;
    use crate::types::{LogEntry, LogId, Payload};

    fn id(index: u64) -> LogId {
        EntryId { term: 1, node: 1, index }.into()
    }

    fn request(commit: u64, entry: Option<u64>) -> AppendEntriesRequest<Types> {
        let entry = entry.map(|index| LogEntry { id: id(index), payload: Payload::Blank });
        AppendEntriesRequest {
            vote: PlainVote { term: 1, node: 1, is_committed: true }.into(),
            prev_log_id: None,
            entries: entry.into_iter().collect(),
            leader_commit: Some(id(commit)),
        }
    }

    #[tokio::test]
    async fn a_commit_travels_with_the_entries_that_follow_it() {
        let mut requests = stream::iter([request(1, None), request(2, None), request(2, Some(3))]);
        let next = next_worth_sending(&mut requests).await.unwrap();
        assert_eq!((next.leader_commit, next.entries.len()), (Some(id(2)), 1));
        assert!(next_worth_sending(&mut requests).await.is_none());
    }

    #[tokio::test]
    async fn a_commit_that_nothing_follows_travels_alone() {
        let mut ending = stream::iter([request(1, None), request(2, None)]);
        let last = next_worth_sending(&mut ending).await.unwrap();
        assert_eq!((last.leader_commit, last.entries.len()), (Some(id(2)), 0));
        let mut silent = stream::iter([request(1, None)]).chain(stream::pending());
        let first = next_worth_sending(&mut silent).await.unwrap();
        assert_eq!((first.leader_commit, first.entries.len()), (Some(id(1)), 0));
    }
}
