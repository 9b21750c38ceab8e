//! How far a consumer is in its queues: the table in memory, and the file that broadcasting consumers keep it in.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::body::{Body, MessageQueue, ResetOffsetBody};

use crate::error::ClientError;

/// Offsets by queue, and which of them are not known to be kept elsewhere. Pure.
#[derive(Debug, Default)]
pub struct OffsetTable {
    offsets: BTreeMap<MessageQueue, Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    offset: u64,
    kept: Kept,
}

/// Whether an offset is kept where it belongs, at the broker or in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    No,
    /// It was sent, and may have been lost on the way.
    Perhaps,
    Yes,
}

impl OffsetTable {
    /// Consumption came to `offset`; it never goes back this way.
    pub fn advance(&mut self, queue: &MessageQueue, offset: u64) {
        match self.offsets.get_mut(queue) {
            Some(known) if known.offset >= offset => {}
            Some(known) => *known = Known { offset, kept: Kept::No },
            None => {
                self.offsets.insert(queue.clone(), Known { offset, kept: Kept::No });
            }
        }
    }

    /// Consumption goes on at `offset`, wherever it was before.
    pub fn reset(&mut self, queue: &MessageQueue, offset: u64) {
        self.offsets.insert(queue.clone(), Known { offset, kept: Kept::No });
    }

    /// What the broker told.
    pub fn learn(&mut self, queue: &MessageQueue, offset: u64) {
        self.offsets.insert(queue.clone(), Known { offset, kept: Kept::Yes });
    }

    /// The offset of a queue.
    pub fn get(&self, queue: &MessageQueue) -> Option<u64> {
        self.offsets.get(queue).map(|known| known.offset)
    }

    /// Forgets a queue that is not ours any more.
    pub fn forget(&mut self, queue: &MessageQueue) {
        self.offsets.remove(queue);
    }

    /// Offsets that nobody was told yet.
    pub fn dirty(&self) -> Vec<(MessageQueue, u64)> {
        self.select(|kept| kept == Kept::No)
    }

    /// Offsets that may not have arrived where they are kept, whether they were sent or not.
    pub fn unconfirmed(&self) -> Vec<(MessageQueue, u64)> {
        self.select(|kept| kept != Kept::Yes)
    }

    /// An offset is on its way; nobody will say whether it arrives.
    pub fn sent(&mut self, queue: &MessageQueue, offset: u64) {
        if let Some(known) = self.offsets.get_mut(queue)
            && known.offset == offset
            && known.kept == Kept::No
        {
            known.kept = Kept::Perhaps;
        }
    }

    /// An offset arrived where it is kept. If consumption went on meanwhile, there is still something to tell.
    pub fn told(&mut self, queue: &MessageQueue, offset: u64) {
        if let Some(known) = self.offsets.get_mut(queue)
            && known.offset == offset
        {
            known.kept = Kept::Yes;
        }
    }

    /// All offsets.
    pub fn all(&self) -> BTreeMap<MessageQueue, i64> {
        let all = self.offsets.iter();
        all.map(|(queue, known)| (queue.clone(), i64::try_from(known.offset).unwrap_or(i64::MAX))).collect()
    }

    fn select(&self, is_wanted: impl Fn(Kept) -> bool) -> Vec<(MessageQueue, u64)> {
        let wanted = self.offsets.iter().filter(|(_, known)| is_wanted(known.kept));
        wanted.map(|(queue, known)| (queue.clone(), known.offset)).collect()
    }
}

/// The file of a broadcasting consumer, in RocketMQ's form: `{"offsetTable":{{queue}:offset}}`.
#[derive(Debug, Clone)]
pub struct OffsetFile {
    path: PathBuf,
}

impl OffsetFile {
    /// The file of this group below the directory, where Java's client has it.
    pub fn new(directory: &Path, client_id: &str, group: &str) -> Self {
        Self { path: directory.join(client_id).join(group).join("offsets.json") }
    }

    /// Reads the offsets; none if there is no file. A file that a crash left half-written is taken from its backup.
    pub fn load(&self) -> Result<BTreeMap<MessageQueue, u64>, ClientError> {
        match self.read(&self.path) {
            Ok(Some(offsets)) => Ok(offsets),
            Ok(None) => Ok(self.read(&self.backup())?.unwrap_or_default()),
            Err(error) => self.read(&self.backup())?.ok_or(error),
        }
    }

    /// Replaces the file whole, keeping the one before as `.bak`.
    pub fn save(&self, offsets: BTreeMap<MessageQueue, i64>) -> Result<(), ClientError> {
        let text = ResetOffsetBody { offset_table: offsets }.encode();
        let replace = || {
            if let Some(directory) = self.path.parent() {
                std::fs::create_dir_all(directory)?;
            }
            let fresh = self.path.with_extension("json.tmp");
            std::fs::write(&fresh, &text)?;
            std::fs::File::open(&fresh)?.sync_data()?;
            if self.path.exists() {
                std::fs::rename(&self.path, self.backup())?;
            }
            std::fs::rename(&fresh, &self.path)
        };
        replace().map_err(|source| self.failed(&self.path, source))
    }

    fn backup(&self) -> PathBuf {
        self.path.with_extension("json.bak")
    }

    fn read(&self, path: &Path) -> Result<Option<BTreeMap<MessageQueue, u64>>, ClientError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(path, error)),
        };
        let body = ResetOffsetBody::decode(&text)
            .map_err(|source| ClientError::OffsetFileBroken { path: path.to_owned(), source })?;
        let offsets = body.offset_table.into_iter();
        Ok(Some(offsets.filter_map(|(queue, offset)| Some((queue, u64::try_from(offset).ok()?))).collect()))
    }

    fn failed(&self, path: &Path, source: io::Error) -> ClientError {
        ClientError::OffsetFile { path: path.to_owned(), source: Arc::new(source) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(id: i32) -> MessageQueue {
        MessageQueue::new("T", "broker-a", id)
    }

    #[test]
    fn an_offset_goes_back_only_by_a_reset() {
        let mut table = OffsetTable::default();
        table.advance(&queue(0), 5);
        table.advance(&queue(0), 3);
        assert_eq!(table.get(&queue(0)), Some(5));
        table.reset(&queue(0), 3);
        assert_eq!(table.get(&queue(0)), Some(3));
    }

    #[test]
    fn an_offset_is_told_until_exactly_it_has_arrived() {
        let mut table = OffsetTable::default();
        table.learn(&queue(0), 5);
        table.advance(&queue(1), 1);
        assert_eq!(table.dirty(), [(queue(1), 1)]);
        table.advance(&queue(1), 2);
        table.told(&queue(1), 1);
        assert_eq!(table.dirty(), [(queue(1), 2)]);
        table.told(&queue(1), 2);
        assert_eq!(table.dirty(), []);
        table.forget(&queue(0));
        assert_eq!(table.get(&queue(0)), None);
    }

    #[test]
    fn an_offset_that_was_sent_is_unconfirmed_until_it_has_arrived() {
        let mut table = OffsetTable::default();
        table.advance(&queue(0), 1);
        table.sent(&queue(0), 1);
        assert_eq!((table.dirty(), table.unconfirmed()), (vec![], vec![(queue(0), 1)]));
        table.advance(&queue(0), 2);
        table.sent(&queue(0), 1);
        assert_eq!(table.dirty(), [(queue(0), 2)]);
        table.told(&queue(0), 2);
        table.sent(&queue(0), 2);
        assert_eq!(table.unconfirmed(), []);
    }

    #[test]
    fn the_file_gives_back_what_was_saved_and_survives_a_torn_write() {
        let directory = tempfile::tempdir().unwrap();
        let file = OffsetFile::new(directory.path(), "client", "group");
        assert!(file.load().unwrap().is_empty());
        file.save([(queue(0), 7)].into()).unwrap();
        file.save([(queue(0), 8), (queue(1), 1)].into()).unwrap();
        assert_eq!(file.load().unwrap(), [(queue(0), 8), (queue(1), 1)].into());
        std::fs::write(&file.path, b"{\"offsetTable\":{{\"bro").unwrap();
        assert_eq!(file.load().unwrap(), [(queue(0), 7)].into());
        std::fs::remove_file(&file.path).unwrap();
        assert_eq!(file.load().unwrap(), [(queue(0), 7)].into());
    }

    #[test]
    fn the_file_has_the_form_of_javas() {
        let directory = tempfile::tempdir().unwrap();
        let file = OffsetFile::new(directory.path(), "client", "group");
        file.save([(queue(2), 10)].into()).unwrap();
        let text = std::fs::read_to_string(&file.path).unwrap();
        assert_eq!(text, r#"{"offsetTable":{{"brokerName":"broker-a","queueId":2,"topic":"T"}:10}}"#);
    }
}
