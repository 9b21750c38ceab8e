//! All consume queues of the store, by topic and number.
//!
//! Always true: a queue in the table is not deleted; one that is deleted leaves the table first, and its topic comes back
//! only once the old files are gone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, DiskError};
use parking_lot::{Condvar, Mutex, RwLock};

use crate::config::StoreConfig;
use crate::consume_queue::ConsumeQueue;
use crate::error::StoreError;
use crate::queue_files::OpenFiles;

/// The longest name of a directory on the file systems we know.
const NAME_BYTES_MAX: usize = 255;

type Topics = HashMap<Arc<str>, BTreeMap<u32, Arc<ConsumeQueue>>>;

/// The table.
#[derive(Debug)]
pub(crate) struct QueueTable {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    file_bytes: u64,
    open_files: Arc<OpenFiles>,
    topics: RwLock<Topics>,
    /// Topics whose files are being removed.
    doomed: Mutex<HashSet<Arc<str>>>,
    removed: Condvar,
}

impl QueueTable {
    pub(crate) fn new(disk: Arc<dyn Disk>, config: &StoreConfig) -> Self {
        Self {
            disk,
            directory: config.root.join("consumequeue"),
            file_bytes: config.queue_file_bytes,
            open_files: Arc::new(OpenFiles::new(config.queue_files_open_max)),
            topics: RwLock::default(),
            doomed: Mutex::default(),
            removed: Condvar::new(),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Finds the queues on the disk; tells how many there are.
    pub(crate) fn load(&self) -> Result<usize, StoreError> {
        let failed = |error| DiskError::io("list", &self.directory, error);
        self.disk.create_dir_all(&self.directory).map_err(failed)?;
        let mut count = 0;
        for topic in self.disk.list(&self.directory).map_err(failed)? {
            if !topic.is_directory {
                tracing::warn!(name = topic.name, "not a topic's directory, it is left alone");
                continue;
            }
            for queue in self.disk.list(&self.directory.join(&topic.name)).map_err(failed)? {
                let Ok(queue_id) = queue.name.parse() else {
                    tracing::warn!(
                        topic = topic.name,
                        name = queue.name,
                        "not a queue's directory, it is left alone"
                    );
                    continue;
                };
                self.get_or_make(&topic.name, queue_id)?.load()?;
                count += 1;
            }
        }
        Ok(count)
    }

    pub(crate) fn find(&self, topic: &str, queue_id: u32) -> Option<Arc<ConsumeQueue>> {
        self.topics.read().get(topic)?.get(&queue_id).cloned()
    }

    /// The queue; in memory only until its first units are written out.
    pub(crate) fn get_or_make(&self, topic: &str, queue_id: u32) -> Result<Arc<ConsumeQueue>, StoreError> {
        if let Some(queue) = self.find(topic, queue_id) {
            return Ok(queue);
        }
        if !is_directory_name(topic) {
            return Err(StoreError::TopicName { name: topic.to_owned() });
        }
        let mut doomed = self.doomed.lock();
        while doomed.contains(topic) {
            self.removed.wait(&mut doomed);
        }
        let mut topics = self.topics.write();
        let topic = topics.get_key_value(topic).map_or_else(|| Arc::from(topic), |(name, _)| name.clone());
        let queues = topics.entry(topic.clone()).or_default();
        let queue = queues.entry(queue_id).or_insert_with(|| Arc::new(self.make(topic, queue_id)));
        Ok(queue.clone())
    }

    pub(crate) fn topics(&self) -> Vec<Arc<str>> {
        self.topics.read().keys().cloned().collect()
    }

    pub(crate) fn of_topic(&self, topic: &str) -> Vec<Arc<ConsumeQueue>> {
        self.topics.read().get(topic).map(|queues| queues.values().cloned().collect()).unwrap_or_default()
    }

    /// All queues for which `wanted` holds.
    pub(crate) fn all(&self, wanted: impl Fn(&ConsumeQueue) -> bool) -> Vec<Arc<ConsumeQueue>> {
        let topics = self.topics.read();
        topics.values().flat_map(BTreeMap::values).filter(|queue| wanted(queue)).cloned().collect()
    }

    /// Removes a topic's queues and their files; tells whether there were any. Who wants the topic anew waits meanwhile. In a
    /// group's log messages may stand behind the deletion: they `go_on` where their queues were.
    pub(crate) fn delete_topic(&self, topic: &str, go_on: bool) -> Result<bool, StoreError> {
        let Some((topic, queues)) = self.take_topic(topic) else { return Ok(false) };
        let mut removed = queues.iter().try_for_each(|queue| queue.delete());
        if removed.is_ok() {
            removed = self.remove_directory(&topic);
        }
        if go_on {
            self.replace(&queues);
        }
        self.doomed.lock().remove(&topic);
        self.removed.notify_all();
        removed.map(|()| true)
    }

    /// Takes a topic out of the table; its queues take no messages any more.
    fn take_topic(&self, topic: &str) -> Option<(Arc<str>, Vec<Arc<ConsumeQueue>>)> {
        let mut doomed = self.doomed.lock();
        let (topic, queues) = self.topics.write().remove_entry(topic)?;
        doomed.insert(topic.clone());
        let queues: Vec<_> = queues.into_values().collect();
        for queue in &queues {
            queue.mark_deleted();
        }
        Some((topic, queues))
    }

    /// Where a queue gave out more than is visible, the rest is on its way: whoever takes its place goes on behind that, or one
    /// offset would be given out twice.
    fn replace(&self, deleted: &[Arc<ConsumeQueue>]) {
        for queue in deleted.iter().filter(|queue| queue.next_offset() > queue.max_offset()) {
            let successor = self.make(queue.topic().clone(), queue.queue_id());
            successor.set_next_offset(queue.next_offset());
            let mut topics = self.topics.write();
            topics.entry(queue.topic().clone()).or_default().insert(queue.queue_id(), Arc::new(successor));
        }
    }

    fn remove_directory(&self, topic: &str) -> Result<(), StoreError> {
        let path = self.directory.join(topic);
        if self.disk.exists(&path) {
            self.disk.remove_dir_all(&path).map_err(|error| DiskError::io("remove", &path, error))?;
        }
        Ok(())
    }

    /// Closes files that nobody used since the last call.
    pub(crate) fn close_unused(&self) {
        for queue in self.all(|_| true) {
            queue.close_unused();
        }
    }

    /// Whether no more files may stay open.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.open_files.is_exhausted()
    }

    fn make(&self, topic: Arc<str>, queue_id: u32) -> ConsumeQueue {
        let directory = self.directory.join(&*topic).join(queue_id.to_string());
        ConsumeQueue::new(
            self.disk.clone(),
            directory,
            self.file_bytes,
            self.open_files.clone(),
            topic,
            queue_id,
        )
    }
}

fn is_directory_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name != "."
        && name != ".."
        && !name.bytes().any(|byte| byte == b'/' || byte == 0)
}
