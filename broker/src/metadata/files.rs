//! Metadata in RocketMQ's own files under `config/`, so that a store directory can change hands.
//!
//! Always true: a file is replaced whole, its predecessor kept as `.bak`; what is read is read leniently, what is
//! written looks as fastjson prints it. A missing file is an empty table; a file that nobody can read is an error.

use super::consumer_offsets::QueueOffsets;
use super::{GroupTable, Metadata, TopicTable};
use crate::error::BrokerError;
use disk::{Disk, read_or_bak, replace_file};
use protocol::body::{
    ConsumerOffsetSerializeWrapper, DelayOffsetSerializeWrapper, SubscriptionGroupWrapper,
    TopicConfigSerializeWrapper,
};
use protocol::json::Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Between topic and group in a key of consumerOffset.json.
const TOPIC_GROUP_SEPARATOR: char = '@';

/// The files of one broker's metadata.
#[derive(Debug)]
pub struct MetadataFiles {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
}

impl MetadataFiles {
    /// The files in `{root}/config`, which is made when it is missing.
    pub fn open(disk: Arc<dyn Disk>, root: &Path) -> Result<Self, BrokerError> {
        let directory = root.join("config");
        disk.create_dir_all(&directory).map_err(|source| BrokerError::ConfigDirectory {
            path: directory.clone(),
            source: Arc::new(source),
        })?;
        Ok(Self { disk, directory })
    }

    /// Reads all files into empty tables.
    pub fn load(&self, metadata: &Metadata) -> Result<(), BrokerError> {
        if let Some(wrapper) = self.read::<TopicConfigSerializeWrapper>("topics.json")? {
            let configs = wrapper.topic_config_table.into_values();
            *metadata.topics.write() = TopicTable::from_parts(configs, wrapper.data_version);
        }
        if let Some(wrapper) = self.read::<SubscriptionGroupWrapper>("subscriptionGroup.json")? {
            let configs = wrapper.subscription_group_table.into_values();
            *metadata.groups.write() = GroupTable::from_parts(
                configs,
                wrapper.forbidden_table.unwrap_or_default(),
                wrapper.data_version,
            );
        }
        if let Some(wrapper) = self.read::<ConsumerOffsetSerializeWrapper>("consumerOffset.json")? {
            put_offsets(metadata, &wrapper);
        }
        if let Some(wrapper) = self.read::<DelayOffsetSerializeWrapper>("delayOffset.json")? {
            put_delays(metadata, &wrapper);
        }
        Ok(())
    }

    /// Writes topics.json.
    pub fn save_topics(&self, topics: &TopicTable) -> Result<(), BrokerError> {
        self.write("topics.json", &topics_body(topics))
    }

    /// Writes subscriptionGroup.json.
    pub fn save_groups(&self, groups: &GroupTable) -> Result<(), BrokerError> {
        self.write("subscriptionGroup.json", &groups_body(groups))
    }

    /// Writes consumerOffset.json.
    pub fn save_offsets(&self, metadata: &Metadata) -> Result<(), BrokerError> {
        self.write("consumerOffset.json", &offsets_body(metadata))
    }

    /// Writes delayOffset.json.
    pub fn save_delays(&self, metadata: &Metadata) -> Result<(), BrokerError> {
        self.write("delayOffset.json", &delays_body(metadata))
    }

    fn read<T: Json>(&self, name: &str) -> Result<Option<T>, BrokerError> {
        let path = self.directory.join(name);
        let parse = |bytes: &[u8]| T::from_json(bytes).ok();
        read_or_bak(&*self.disk, &path, parse).map_err(|error| BrokerError::Disk(Arc::new(error)))
    }

    fn write<T: Json>(&self, name: &str, value: &T) -> Result<(), BrokerError> {
        let path = self.directory.join(name);
        let text = pretty(&value.to_json());
        replace_file(&*self.disk, &path, &text).map_err(|error| BrokerError::Disk(Arc::new(error)))
    }
}

/// The topics as files and slaves have them.
pub fn topics_body(topics: &TopicTable) -> TopicConfigSerializeWrapper {
    TopicConfigSerializeWrapper {
        topic_config_table: topics
            .iter()
            .map(|topic| (topic.name().to_owned(), topic.config.clone()))
            .collect(),
        data_version: *topics.version(),
    }
}

/// The groups as files and slaves have them.
pub fn groups_body(groups: &GroupTable) -> SubscriptionGroupWrapper {
    SubscriptionGroupWrapper {
        subscription_group_table: groups
            .iter()
            .map(|group| (group.config.group_name.clone(), group.config.clone()))
            .collect(),
        forbidden_table: Some(groups.forbidden().clone()),
        data_version: *groups.version(),
    }
}

/// The consumer offsets as files and slaves have them.
pub fn offsets_body(metadata: &Metadata) -> ConsumerOffsetSerializeWrapper {
    let all = metadata.offsets.all().into_iter();
    let key = |group: String, topic: String| format!("{topic}{TOPIC_GROUP_SEPARATOR}{group}");
    ConsumerOffsetSerializeWrapper {
        offset_table: all
            .map(|((group, topic), queues)| (key(group, topic), by_signed_id(&queues)))
            .collect(),
        ..ConsumerOffsetSerializeWrapper::default()
    }
}

/// The delay progress as files and slaves have it.
pub fn delays_body(metadata: &Metadata) -> DelayOffsetSerializeWrapper {
    DelayOffsetSerializeWrapper {
        offset_table: by_signed_id(&metadata.delays.all()),
        ..DelayOffsetSerializeWrapper::default()
    }
}

/// Notes the offsets of a file, or of a master.
pub fn put_offsets(metadata: &Metadata, wrapper: &ConsumerOffsetSerializeWrapper) {
    for (key, queues) in &wrapper.offset_table {
        let Some((topic, group)) = key.split_once(TOPIC_GROUP_SEPARATOR) else { continue };
        for (&queue, &offset) in queues {
            let Ok(queue) = u32::try_from(queue) else { continue };
            metadata.offsets.commit(group, topic, queue, offset);
        }
    }
}

/// Notes the delay progress of a file, or of a master.
pub fn put_delays(metadata: &Metadata, wrapper: &DelayOffsetSerializeWrapper) {
    for (&level, &offset) in &wrapper.offset_table {
        let Ok(level) = u32::try_from(level) else { continue };
        metadata.delays.advance(level, offset);
    }
}

fn by_signed_id(offsets: &QueueOffsets) -> BTreeMap<i32, i64> {
    offsets.iter().filter_map(|(&id, &offset)| Some((i32::try_from(id).ok()?, offset))).collect()
}

/// The same JSON, one member a line, indented by tabs: as fastjson's `PrettyFormat` prints it.
fn pretty(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut in_text = false;
    let mut bytes = json.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        out.push(byte);
        match byte {
            b'\\' if in_text => out.extend(bytes.next()),
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => {
                let closing = if byte == b'{' { b'}' } else { b']' };
                if bytes.peek() == Some(&closing) {
                    out.extend(bytes.next());
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            b',' => new_line(&mut out, depth),
            _ => {}
        }
        // A bracket that closes stands on a line of its own.
        if !in_text && matches!(bytes.peek(), Some(b'}' | b']')) {
            depth = depth.saturating_sub(1);
            new_line(&mut out, depth);
        }
    }
    out
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b'\t', depth));
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
