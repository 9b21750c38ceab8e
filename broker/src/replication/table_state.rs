//! All tables as one piece of bytes: what a snapshot of the log keeps besides messages.
//!
//! It is the shortest history that leads to the tables: a few metadata commands, each behind its length. Whoever
//! applies them to empty tables has the tables; so there is one codec and one way to change a table.

use std::collections::BTreeMap;

use crate::metadata::{CommandError, Metadata, MetadataCommand, OffsetCommit, Stamp};

/// Offsets that travel in one command.
const OFFSETS_PER_COMMAND: usize = 4096;

/// A piece of bytes that are no tables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StateError {
    #[error("the tables end in the middle of a command, at byte {at}")]
    Torn { at: usize },
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Topic → queue → the offset of its next message.
pub(crate) type QueueEnds = BTreeMap<String, BTreeMap<u32, i64>>;

/// The tables as they are now.
pub(crate) fn encode(metadata: &Metadata) -> Vec<u8> {
    let mut bytes = Vec::new();
    history(metadata).iter().for_each(|command| push(command, &mut bytes));
    bytes
}

/// The same for a snapshot, with where the queues end: a replica that takes it over may find no message of theirs.
pub(crate) fn encode_with_ends(metadata: &Metadata, ends: &QueueEnds) -> Vec<u8> {
    let mut bytes = encode(metadata);
    // One without a name comes first: it tells a group without queues from a snapshot of an older release.
    let none = (String::new(), BTreeMap::new());
    let all = std::iter::once((&none.0, &none.1)).chain(ends);
    for (topic, ends) in all {
        push(&MetadataCommand::QueueEnds { topic: topic.clone(), ends: ends.clone() }, &mut bytes);
    }
    bytes
}

fn push(command: &MetadataCommand, bytes: &mut Vec<u8>) {
    let command = command.encode();
    bytes.extend_from_slice(&(command.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&command);
}

/// Replaces the tables by those in `bytes`; tells the ends of queues that are named there, `None` where nothing is said of them.
pub(crate) fn restore(metadata: &Metadata, bytes: &[u8]) -> Result<Option<QueueEnds>, StateError> {
    let commands = commands(bytes)?;
    metadata.clear();
    let mut named = QueueEnds::new();
    for command in commands {
        metadata.apply(&command);
        if let MetadataCommand::QueueEnds { topic, ends } = command {
            named.insert(topic, ends);
        }
    }
    Ok(named.remove("").map(|_| named))
}

fn commands(bytes: &[u8]) -> Result<Vec<MetadataCommand>, StateError> {
    let mut commands = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let torn = StateError::Torn { at };
        let Some(length) = bytes[at..].first_chunk::<4>() else { return Err(torn) };
        let begin = at + 4;
        let Some(command) = bytes.get(begin..begin + u32::from_be_bytes(*length) as usize) else {
            return Err(torn);
        };
        commands.push(MetadataCommand::decode(command)?);
        at = begin + command.len();
    }
    Ok(commands)
}

/// The shortest history that leads to these tables, in an order of its own: the same tables give the same bytes.
pub(crate) fn history(metadata: &Metadata) -> Vec<MetadataCommand> {
    let mut history = Vec::new();
    {
        let topics = metadata.topics.read();
        let stamp = Stamp::of(topics.version());
        let mut configs: Vec<_> = topics.iter().map(|topic| topic.config.clone()).collect();
        configs.sort_by(|one, other| one.topic_name.cmp(&other.topic_name));
        history.push(MetadataCommand::PutTopics { configs, stamp });
    }
    {
        let groups = metadata.groups.read();
        let stamp = Stamp::of(groups.version());
        let mut configs: Vec<_> = groups.iter().map(|group| group.config.clone()).collect();
        configs.sort_by(|one, other| one.group_name.cmp(&other.group_name));
        history.push(MetadataCommand::PutGroups { configs, stamp });
        for (group, topics) in groups.forbidden() {
            for (topic, bits) in topics {
                let (group, topic) = (group.clone(), topic.clone());
                history.push(MetadataCommand::Forbid { group, topic, bits: *bits, stamp });
            }
        }
    }
    let commits: Vec<OffsetCommit> = metadata
        .offsets
        .all()
        .into_iter()
        .flat_map(|((group, topic), queues)| {
            queues.into_iter().map(move |(queue, offset)| OffsetCommit {
                group: group.clone(),
                topic: topic.clone(),
                queue,
                offset,
            })
        })
        .collect();
    for commits in commits.chunks(OFFSETS_PER_COMMAND) {
        history.push(MetadataCommand::CommitOffsets { commits: commits.to_vec() });
    }
    for ((group, topic), offsets) in metadata.offsets.resets() {
        history.push(MetadataCommand::ResetOffsets { group, topic, offsets });
    }
    let levels: BTreeMap<u32, i64> = metadata.delays.all();
    if !levels.is_empty() {
        history.push(MetadataCommand::DelayProgress { levels });
    }
    for (node, address) in metadata.members.all() {
        history.push(MetadataCommand::Announce { node, address });
    }
    history
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{MetadataLimits, system_groups};
    use protocol::body::TopicConfig;

    fn tables() -> Metadata {
        Metadata::new(MetadataLimits { topics: 100, groups: 100, offsets: 100_000 })
    }

    #[test]
    fn tables_that_were_encoded_and_restored_are_the_same_tables() {
        let metadata = tables();
        let stamp = Stamp { at_ms: 5, state_version: 2 };
        let apply = |command| metadata.apply(&command);
        apply(MetadataCommand::PutTopics { configs: vec![TopicConfig::new("T", 4, 4, 6)], stamp });
        apply(MetadataCommand::PutGroups { configs: system_groups(), stamp });
        let (group, topic) = ("G".to_owned(), "T".to_owned());
        apply(MetadataCommand::Forbid { group: group.clone(), topic: topic.clone(), bits: 1, stamp });
        for queue in 0..5000 {
            metadata.offsets.commit("G", "T", queue, i64::from(queue));
        }
        apply(MetadataCommand::ResetOffsets { group, topic, offsets: BTreeMap::from([(7, 70)]) });
        apply(MetadataCommand::DelayProgress { levels: BTreeMap::from([(1, 10), (18, 2)]) });
        apply(MetadataCommand::Announce { node: 2, address: "10.0.0.2:10911".to_owned() });
        let other = tables();
        other.offsets.commit("gone", "T", 0, 1);
        restore(&other, &encode(&metadata)).expect("what was encoded");
        assert_eq!(encode(&other), encode(&metadata));
        assert_eq!(other.offsets.get("G", "T", 4999), Some(4999));
        assert_eq!(other.offsets.waiting_reset("G", "T", 7), Some(70));
        assert_eq!(other.offsets.get("gone", "T", 0), None);
        assert!(other.topic("T").is_some());
        assert_eq!(other.members.address(2).as_deref(), Some("10.0.0.2:10911"));
    }

    #[test]
    fn a_snapshot_says_where_queues_end_and_the_tables_of_an_older_release_say_nothing() {
        let (metadata, other) = (tables(), tables());
        metadata.offsets.commit("G", "T", 0, 1);
        let ends = QueueEnds::from([("T".to_owned(), BTreeMap::from([(0, 100), (7, 1)]))]);
        for ends in [QueueEnds::new(), ends] {
            let bytes = encode_with_ends(&metadata, &ends);
            assert_eq!(restore(&other, &bytes), Ok(Some(ends)));
            assert_eq!(encode(&other), encode(&metadata));
        }
        assert_eq!(restore(&other, &encode(&metadata)), Ok(None));
    }

    #[test]
    fn torn_tables_are_refused_and_nothing_changes() {
        let metadata = tables();
        metadata.offsets.commit("G", "T", 0, 1);
        let bytes = encode(&metadata);
        for cut in 1..bytes.len() {
            let other = tables();
            other.offsets.commit("H", "T", 0, 9);
            if restore(&other, &bytes[..cut]).is_err() {
                assert_eq!(other.offsets.get("H", "T", 0), Some(9));
            }
        }
    }
}
