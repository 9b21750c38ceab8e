//! The one door through which metadata changes.
//!
//! In the classic modes a change is kept in RocketMQ's JSON files: topics and groups before anybody sees the change,
//! consumer offsets and delay progress periodically and at the stop. In Raft mode the same commands are
//! proposed to the log and applied on every replica. `propose` may wait for a disk: it is called from worker threads.

use crate::clock::now_ms;
use crate::error::BrokerError;
use crate::metadata::{
    GroupTable, Metadata, MetadataCommand, MetadataFiles, Stamp, TopicTable, put_delays, put_offsets,
};
use crate::replication::GroupJournal;
use parking_lot::Mutex;
use protocol::body::{
    ConsumerOffsetSerializeWrapper, DelayOffsetSerializeWrapper, SubscriptionGroupWrapper,
    TopicConfigSerializeWrapper,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the periodic files hold already.
#[derive(Debug, Default)]
struct Saved {
    offset_changes: u64,
    delays: BTreeMap<u32, i64>,
    /// The last change of the topics could not be written.
    owes_topics: bool,
    /// Nor could the last of the groups.
    owes_groups: bool,
}

/// Changes metadata and keeps it.
#[derive(Debug)]
pub enum Journal {
    /// Kept in files.
    Files(FileJournal),
    /// Proposed to the replicated log.
    Group(Arc<GroupJournal>),
}

impl Journal {
    /// The time and term of a change that is made now.
    pub fn stamp(&self) -> Stamp {
        let state_version = match self {
            Self::Files(_) => 0,
            Self::Group(group) => group.term(),
        };
        Stamp { at_ms: now_ms(), state_version }
    }

    /// Makes one change, and returns when it is kept. May wait: called from worker threads.
    pub fn propose(&self, command: &MetadataCommand) -> Result<(), BrokerError> {
        match self {
            Self::Files(files) => files.propose(command),
            Self::Group(group) => group.propose_and_wait(command),
        }
    }

    /// Makes what of a change is about topics or groups that are not there: what somebody wanted to make by the way never takes
    /// the place of what an administrator made meanwhile. Whether anything was left to make.
    pub fn make(&self, command: MetadataCommand) -> Result<bool, BrokerError> {
        match self {
            Self::Files(files) => files.make(command),
            Self::Group(group) => group.make(command),
        }
    }

    /// Notes how far a group has consumed: the same change as `CommitOffsets`, without building a command for it.
    pub fn commit_offset(&self, group: &str, topic: &str, queue: u32, offset: i64) {
        match self {
            Self::Files(files) => drop(files.metadata.offsets.commit(group, topic, queue, offset)),
            Self::Group(journal) => journal.note_offset(group, topic, queue, offset),
        }
    }

    /// The offset that a group's next pull is sent to after a reset.
    pub fn take_reset(&self, group: &str, topic: &str, queue: u32) -> Option<i64> {
        match self {
            Self::Files(files) => files.metadata.offsets.take_reset(group, topic, queue),
            Self::Group(journal) => journal.take_reset(group, topic, queue),
        }
    }

    /// Notes how far a delay level has been delivered.
    pub fn advance_delay(&self, level: u32, offset: i64) {
        match self {
            Self::Files(files) => files.metadata.delays.advance(level, offset),
            Self::Group(group) => group.advance_delay(level, offset),
        }
    }

    /// How far a delay level has been delivered, as far as whoever delivers knows.
    pub fn delay_progress(&self, level: u32) -> Option<i64> {
        match self {
            Self::Files(files) => files.metadata.delays.get(level),
            Self::Group(group) => group.delay_progress(level),
        }
    }

    /// Puts a master's topics in the place of ours (slave); whether they differed.
    pub fn adopt_topics(&self, topics: TopicConfigSerializeWrapper) -> Result<bool, BrokerError> {
        match self {
            Self::Files(files) => files.adopt_topics(topics),
            Self::Group(_) => Ok(false),
        }
    }

    /// Puts a master's consumer groups in the place of ours (slave).
    pub fn adopt_groups(&self, groups: SubscriptionGroupWrapper) -> Result<(), BrokerError> {
        match self {
            Self::Files(files) => files.adopt_groups(groups),
            Self::Group(_) => Ok(()),
        }
    }

    /// Notes a master's consumer offsets (slave).
    pub fn adopt_offsets(&self, offsets: &ConsumerOffsetSerializeWrapper) {
        match self {
            Self::Files(files) => put_offsets(&files.metadata, offsets),
            Self::Group(_) => {}
        }
    }

    /// Notes a master's delay progress (slave).
    pub fn adopt_delays(&self, delays: &DelayOffsetSerializeWrapper) {
        match self {
            Self::Files(files) => put_delays(&files.metadata, delays),
            Self::Group(_) => {}
        }
    }

    /// Writes the consumer offsets, if any changed since they were written last. A group has them in its log.
    pub fn flush_offsets(&self) -> Result<(), BrokerError> {
        match self {
            Self::Files(files) => files.flush_offsets(),
            Self::Group(_) => Ok(()),
        }
    }

    /// Writes the delay progress, if it changed since it was written last.
    pub fn flush_delays(&self) -> Result<(), BrokerError> {
        match self {
            Self::Files(files) => files.flush_delays(),
            Self::Group(_) => Ok(()),
        }
    }

    /// Writes everything: the broker stops.
    pub fn flush_all(&self) -> Result<(), BrokerError> {
        match self {
            Self::Files(files) => files.flush_all(),
            Self::Group(_) => Ok(()),
        }
    }
}

/// The door of the classic modes.
#[derive(Debug)]
pub struct FileJournal {
    metadata: Arc<Metadata>,
    files: MetadataFiles,
    /// Held while a change is applied and written, so that a file never goes back to an older table.
    saved: Mutex<Saved>,
}

impl FileJournal {
    /// Opens the door to tables that were loaded from these files.
    pub fn new(metadata: Arc<Metadata>, files: MetadataFiles) -> Self {
        let (offset_changes, delays) = (metadata.offsets.changes(), metadata.delays.all());
        let saved = Saved { offset_changes, delays, ..Saved::default() };
        Self { metadata, files, saved: Mutex::new(saved) }
    }

    /// Puts a master's topics in the place of ours, version included; whether they differed.
    fn adopt_topics(&self, topics: TopicConfigSerializeWrapper) -> Result<bool, BrokerError> {
        let mut saved = self.saved.lock();
        if *self.metadata.topics.read().version() == topics.data_version {
            return Ok(false);
        }
        let topics = TopicTable::from_parts(topics.topic_config_table.into_values(), topics.data_version);
        let kept = self.save_topics(&topics, &mut saved);
        *self.metadata.topics.write() = topics;
        kept.map(|()| true)
    }

    /// Puts a master's groups in the place of ours, version included.
    fn adopt_groups(&self, groups: SubscriptionGroupWrapper) -> Result<(), BrokerError> {
        let mut saved = self.saved.lock();
        if *self.metadata.groups.read().version() == groups.data_version {
            return Ok(());
        }
        let groups = GroupTable::from_parts(
            groups.subscription_group_table.into_values(),
            groups.forbidden_table.unwrap_or_default(),
            groups.data_version,
        );
        let kept = self.save_groups(&groups, &mut saved);
        *self.metadata.groups.write() = groups;
        kept
    }

    /// Makes one change, and returns when it is kept. Nobody sees a topic or group before that: a crash must not take back
    /// what somebody saw. What a full disk refuses is served all the same, and whoever asked for it is told.
    pub fn propose(&self, command: &MetadataCommand) -> Result<(), BrokerError> {
        self.change(&mut self.saved.lock(), command)
    }

    fn make(&self, command: MetadataCommand) -> Result<bool, BrokerError> {
        // Whoever finds all of it there need not wait until somebody else's change is written.
        let Some(command) = self.metadata.missing_of(command) else { return Ok(false) };
        let mut saved = self.saved.lock();
        match self.metadata.missing_of(command) {
            Some(missing) => self.change(&mut saved, &missing).map(|()| true),
            None => Ok(false),
        }
    }

    fn change(&self, saved: &mut Saved, command: &MetadataCommand) -> Result<(), BrokerError> {
        let kept = match command {
            MetadataCommand::PutTopics { .. } | MetadataCommand::DeleteTopic { .. } => {
                self.save_topics(&self.metadata.topics_after(command), saved)
            }
            MetadataCommand::PutGroups { .. }
            | MetadataCommand::DeleteGroup { .. }
            | MetadataCommand::Forbid { .. } => self.save_groups(&self.metadata.groups_after(command), saved),
            _ => Ok(()),
        };
        self.metadata.apply(command);
        kept?;
        match command {
            MetadataCommand::DeleteTopic { .. }
            | MetadataCommand::DeleteGroup { .. }
            | MetadataCommand::ResetOffsets { .. }
            | MetadataCommand::CloneOffsets { .. } => self.files.save_offsets(&self.metadata),
            MetadataCommand::PutTopics { .. }
            | MetadataCommand::PutGroups { .. }
            | MetadataCommand::Forbid { .. }
            // These come often and by the client's own period: the timers write them.
            | MetadataCommand::CommitOffsets { .. }
            | MetadataCommand::TakeReset { .. }
            | MetadataCommand::Announce { .. }
            | MetadataCommand::DelayProgress { .. }
            | MetadataCommand::QueueEnds { .. } => Ok(()),
        }
    }

    /// Writes the consumer offsets, if any changed since they were written last; and before them the topics and groups that
    /// could not be written when they changed: a full disk has room again some day, and what is served must be kept then.
    pub fn flush_offsets(&self) -> Result<(), BrokerError> {
        let mut saved = self.saved.lock();
        if saved.owes_topics {
            self.save_topics(&self.metadata.topics.read().clone(), &mut saved)?;
        }
        if saved.owes_groups {
            self.save_groups(&self.metadata.groups.read().clone(), &mut saved)?;
        }
        let changes = self.metadata.offsets.changes();
        if changes != saved.offset_changes {
            self.files.save_offsets(&self.metadata)?;
            saved.offset_changes = changes;
        }
        Ok(())
    }

    /// Writes the delay progress, if it changed since it was written last.
    pub fn flush_delays(&self) -> Result<(), BrokerError> {
        let mut saved = self.saved.lock();
        let delays = self.metadata.delays.all();
        if delays != saved.delays {
            self.files.save_delays(&self.metadata)?;
            saved.delays = delays;
        }
        Ok(())
    }

    /// Writes everything: the broker stops.
    pub fn flush_all(&self) -> Result<(), BrokerError> {
        self.flush_offsets()?;
        self.flush_delays()?;
        let mut saved = self.saved.lock();
        self.save_topics(&self.metadata.topics.read().clone(), &mut saved)?;
        self.save_groups(&self.metadata.groups.read().clone(), &mut saved)
    }

    fn save_topics(&self, topics: &TopicTable, saved: &mut Saved) -> Result<(), BrokerError> {
        saved.owes_topics = true;
        self.files.save_topics(topics)?;
        saved.owes_topics = false;
        Ok(())
    }

    fn save_groups(&self, groups: &GroupTable, saved: &mut Saved) -> Result<(), BrokerError> {
        saved.owes_groups = true;
        self.files.save_groups(groups)?;
        saved.owes_groups = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::MetadataLimits;
    use disk::{Disk, MemDisk};
    use protocol::body::{SubscriptionGroupConfig, TopicConfig};
    use std::path::Path;

    fn open(disk: &Arc<MemDisk>) -> (Arc<Metadata>, Journal) {
        let files =
            MetadataFiles::open(Arc::clone(disk) as Arc<dyn Disk>, Path::new("/store")).expect("a directory");
        let metadata = Arc::new(Metadata::new(MetadataLimits { topics: 9, groups: 9, offsets: 9 }));
        files.load(&metadata).expect("loads");
        (Arc::clone(&metadata), Journal::Files(FileJournal::new(metadata, files)))
    }

    #[test]
    fn a_topic_is_kept_when_its_change_returns_and_offsets_when_they_are_flushed() {
        let disk = Arc::new(MemDisk::new());
        let (_, journal) = open(&disk);
        let configs = vec![TopicConfig::new("T", 1, 1, 6)];
        journal.propose(&MetadataCommand::PutTopics { configs, stamp: journal.stamp() }).expect("kept");
        journal.commit_offset("G", "T", 0, 5);
        journal.advance_delay(1, 3);
        let (metadata, _) = open(&disk);
        assert!(metadata.topic("T").is_some());
        assert_eq!(metadata.offsets.get("G", "T", 0), None);
        journal.flush_offsets().expect("written");
        journal.flush_delays().expect("written");
        let (metadata, _) = open(&disk);
        assert_eq!(metadata.offsets.get("G", "T", 0), Some(5));
        assert_eq!(metadata.delays.get(1), Some(3));
    }

    #[test]
    fn what_is_made_by_the_way_leaves_what_is_there_as_it_is() {
        let (metadata, journal) = open(&Arc::new(MemDisk::new()));
        let stamp = journal.stamp();
        let topics = |queues| ["T", "U"].map(|name| TopicConfig::new(name, queues, queues, 6)).to_vec();
        let groups = |retries| {
            vec![SubscriptionGroupConfig { retry_max_times: retries, ..SubscriptionGroupConfig::new("G") }]
        };
        let administrators = topics(16).into_iter().take(1).collect();
        journal.propose(&MetadataCommand::PutTopics { configs: administrators, stamp }).expect("kept");
        journal.propose(&MetadataCommand::PutGroups { configs: groups(3), stamp }).expect("kept");
        let by_the_way = MetadataCommand::PutTopics { configs: topics(4), stamp };
        assert!(journal.make(by_the_way.clone()).expect("kept"));
        assert_eq!(["T", "U"].map(|name| metadata.topic(name).expect("there").queues()), [16, 4]);
        assert!(!journal.make(by_the_way).expect("nothing to do"));
        assert!(
            !journal.make(MetadataCommand::PutGroups { configs: groups(16), stamp }).expect("nothing to do")
        );
        assert_eq!(metadata.group("G").expect("there").config.retry_max_times, 3);
    }

    /// Found by jepsen (single-sync, register, power-all): a queue count that was read was gone after a power cut.
    #[test]
    fn nobody_sees_a_topic_or_a_group_that_a_crash_could_take_back() {
        let disk = Arc::new(MemDisk::new());
        let (metadata, journal) = open(&disk);
        let stamp = journal.stamp();
        let topics = MetadataCommand::PutTopics { configs: vec![TopicConfig::new("T", 1, 1, 6)], stamp };
        let groups = MetadataCommand::PutGroups { configs: vec![SubscriptionGroupConfig::new("G")], stamp };
        for (command, file) in [(topics, "topics.json.tmp"), (groups, "subscriptionGroup.json.tmp")] {
            let is_seen = || {
                metadata.topic("T").is_some() && file.starts_with("topics") || metadata.group("G").is_some()
            };
            disk.hold_syncs(true);
            std::thread::scope(|scope| {
                let proposed = scope.spawn(|| journal.propose(&command));
                let written = Path::new("/store/config").join(file);
                let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
                while !disk.exists(&written) {
                    assert!(std::time::Instant::now() < deadline, "{file} is never written");
                    std::thread::yield_now();
                }
                let was_seen = is_seen();
                disk.hold_syncs(false);
                proposed.join().expect("it ends").expect("kept");
                assert!(!was_seen && is_seen(), "{file}");
            });
        }
    }

    #[test]
    fn what_a_full_disk_refused_is_written_when_it_has_room_again() {
        let disk = Arc::new(MemDisk::new());
        let (_, journal) = open(&disk);
        disk.set_capacity(Some(0));
        let configs = vec![TopicConfig::new("T", 1, 1, 6)];
        let put = MetadataCommand::PutTopics { configs, stamp: journal.stamp() };
        assert!(journal.propose(&put).is_err(), "whoever asked is told that it is not kept");
        let configs = vec![SubscriptionGroupConfig::new("G")];
        let put = MetadataCommand::PutGroups { configs, stamp: journal.stamp() };
        assert!(journal.propose(&put).is_err());
        assert!(journal.flush_offsets().is_err(), "there is still no room");
        disk.set_capacity(None);
        journal.flush_offsets().expect("written");
        let (metadata, _) = open(&disk);
        assert!(metadata.topic("T").is_some() && metadata.group("G").is_some());
    }
}
