//! Everything that can change metadata, as data: what travels in the log in Raft mode.

use super::version::Stamp;
use protocol::BodyError;
use protocol::body::{SubscriptionGroupConfig, TopicConfig};
use protocol::json::{Json, Value, Writer, parse};
use std::collections::BTreeMap;

/// The form that `encode` writes. A reader refuses a newer one: it could not apply what it does not know.
const FORM: i64 = 1;

/// One consumer offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommit {
    /// Consumer group.
    pub group: String,
    /// Topic.
    pub topic: String,
    /// Queue id.
    pub queue: u32,
    /// What comes next.
    pub offset: i64,
}

/// One change of metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum MetadataCommand {
    /// Adds or changes topics.
    PutTopics {
        /// Their configurations.
        configs: Vec<TopicConfig>,
        /// When.
        stamp: Stamp,
    },
    /// Deletes a topic with its offsets.
    DeleteTopic {
        /// Its name.
        topic: String,
        /// When.
        stamp: Stamp,
    },
    /// Adds or changes consumer groups.
    PutGroups {
        /// Their configurations.
        configs: Vec<SubscriptionGroupConfig>,
        /// When.
        stamp: Stamp,
    },
    /// Deletes a consumer group.
    DeleteGroup {
        /// Its name.
        group: String,
        /// Whether its offsets go too.
        clean_offsets: bool,
        /// When.
        stamp: Stamp,
    },
    /// Forbids a topic to a group, or allows it again.
    Forbid {
        /// Consumer group.
        group: String,
        /// Topic.
        topic: String,
        /// Forbidden bits; bit 0 is reading.
        bits: i32,
        /// When.
        stamp: Stamp,
    },
    /// Notes how far groups have consumed.
    CommitOffsets {
        /// The offsets.
        commits: Vec<OffsetCommit>,
    },
    /// Moves a group to other offsets.
    ResetOffsets {
        /// Consumer group.
        group: String,
        /// Topic.
        topic: String,
        /// Queue → offset.
        offsets: BTreeMap<u32, i64>,
    },
    /// The group has learned of a reset.
    TakeReset {
        /// Consumer group.
        group: String,
        /// Topic.
        topic: String,
        /// Queue id.
        queue: u32,
    },
    /// Gives a group the offsets of another.
    CloneOffsets {
        /// From this group.
        source: String,
        /// To this one.
        target: String,
        /// In this topic, or in all.
        topic: Option<String>,
    },
    /// A replica says where its clients go.
    Announce {
        /// The replica's Raft node.
        node: u64,
        /// `host:port` of its broker.
        address: String,
    },
    /// Notes how far delay levels have been delivered.
    DelayProgress {
        /// Level → next queue offset.
        levels: BTreeMap<u32, i64>,
    },
    /// Where the queues of a topic end, in a snapshot alone: their messages may have expired. It changes no table.
    QueueEnds {
        /// The topic.
        topic: String,
        /// Queue → the offset of its next message.
        ends: BTreeMap<u32, i64>,
    },
}

/// A command in the log that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// It was written by a newer release.
    #[error("metadata command has form {found}, this release reads up to {FORM}")]
    Newer {
        /// Its form.
        found: i64,
    },
    /// Its kind is not one of ours.
    #[error("metadata command of unknown kind {0:?}")]
    Kind(String),
    /// It is not what it should be.
    #[error("malformed metadata command: {0}")]
    Malformed(#[from] BodyError),
}

impl MetadataCommand {
    /// The bytes for the log.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.begin_object();
        writer.member("form", &FORM);
        writer.member("kind", &self.kind().to_owned());
        self.write_members(&mut writer);
        writer.end_object();
        writer.finish().to_vec()
    }

    /// Reads what `encode` wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, CommandError> {
        let value = parse(bytes)?;
        let form: i64 = take(&value, "form")?;
        if form > FORM {
            return Err(CommandError::Newer { found: form });
        }
        let kind: String = take(&value, "kind")?;
        Self::read_members(&kind, &value)?.ok_or(CommandError::Kind(kind))
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::PutTopics { .. } => "putTopics",
            Self::DeleteTopic { .. } => "deleteTopic",
            Self::PutGroups { .. } => "putGroups",
            Self::DeleteGroup { .. } => "deleteGroup",
            Self::Forbid { .. } => "forbid",
            Self::CommitOffsets { .. } => "commitOffsets",
            Self::ResetOffsets { .. } => "resetOffsets",
            Self::TakeReset { .. } => "takeReset",
            Self::CloneOffsets { .. } => "cloneOffsets",
            Self::Announce { .. } => "announce",
            Self::DelayProgress { .. } => "delayProgress",
            Self::QueueEnds { .. } => "queueEnds",
        }
    }

    fn write_members(&self, writer: &mut Writer) {
        match self {
            Self::PutTopics { configs, stamp } => {
                writer.member("configs", configs);
                writer.member("stamp", stamp);
            }
            Self::DeleteTopic { topic, stamp } => {
                writer.member("topic", topic);
                writer.member("stamp", stamp);
            }
            Self::PutGroups { configs, stamp } => {
                writer.member("configs", configs);
                writer.member("stamp", stamp);
            }
            Self::DeleteGroup { group, clean_offsets, stamp } => {
                writer.member("group", group);
                writer.member("cleanOffsets", clean_offsets);
                writer.member("stamp", stamp);
            }
            Self::Forbid { group, topic, bits, stamp } => {
                writer.member("group", group);
                writer.member("topic", topic);
                writer.member("bits", bits);
                writer.member("stamp", stamp);
            }
            Self::CommitOffsets { commits } => writer.member("commits", commits),
            Self::ResetOffsets { group, topic, offsets } => {
                writer.member("group", group);
                writer.member("topic", topic);
                writer.member("offsets", &widen(offsets));
            }
            Self::TakeReset { group, topic, queue } => {
                writer.member("group", group);
                writer.member("topic", topic);
                writer.member("queue", &i64::from(*queue));
            }
            Self::CloneOffsets { source, target, topic } => {
                writer.member("source", source);
                writer.member("target", target);
                writer.member("topic", topic);
            }
            Self::Announce { node, address } => {
                writer.member("node", &i64::try_from(*node).unwrap_or(i64::MAX));
                writer.member("address", address);
            }
            Self::DelayProgress { levels } => writer.member("levels", &widen(levels)),
            Self::QueueEnds { topic, ends } => {
                writer.member("topic", topic);
                writer.member("ends", &widen(ends));
            }
        }
    }

    fn read_members(kind: &str, value: &Value) -> Result<Option<Self>, BodyError> {
        Ok(Some(match kind {
            "putTopics" => Self::PutTopics { configs: take(value, "configs")?, stamp: take(value, "stamp")? },
            "deleteTopic" => Self::DeleteTopic { topic: take(value, "topic")?, stamp: take(value, "stamp")? },
            "putGroups" => Self::PutGroups { configs: take(value, "configs")?, stamp: take(value, "stamp")? },
            "deleteGroup" => Self::DeleteGroup {
                group: take(value, "group")?,
                clean_offsets: take(value, "cleanOffsets")?,
                stamp: take(value, "stamp")?,
            },
            "forbid" => Self::Forbid {
                group: take(value, "group")?,
                topic: take(value, "topic")?,
                bits: take(value, "bits")?,
                stamp: take(value, "stamp")?,
            },
            "commitOffsets" => Self::CommitOffsets { commits: take(value, "commits")? },
            "resetOffsets" => Self::ResetOffsets {
                group: take(value, "group")?,
                topic: take(value, "topic")?,
                offsets: narrow(take(value, "offsets")?)?,
            },
            "takeReset" => Self::TakeReset {
                group: take(value, "group")?,
                topic: take(value, "topic")?,
                queue: number(value, "queue")?,
            },
            "cloneOffsets" => Self::CloneOffsets {
                source: take(value, "source")?,
                target: take(value, "target")?,
                topic: take(value, "topic")?,
            },
            "announce" => {
                Self::Announce { node: u64::from(number(value, "node")?), address: take(value, "address")? }
            }
            "delayProgress" => Self::DelayProgress { levels: narrow(take(value, "levels")?)? },
            "queueEnds" => {
                Self::QueueEnds { topic: take(value, "topic")?, ends: narrow(take(value, "ends")?)? }
            }
            _ => return Ok(None),
        }))
    }
}

impl Json for OffsetCommit {
    fn write(&self, writer: &mut Writer) {
        writer.begin_object();
        writer.member("group", &self.group);
        writer.member("topic", &self.topic);
        writer.member("queue", &i64::from(self.queue));
        writer.member("offset", &self.offset);
        writer.end_object();
    }

    fn read(value: Value) -> Result<Self, BodyError> {
        Ok(Self {
            group: take(&value, "group")?,
            topic: take(&value, "topic")?,
            queue: number(&value, "queue")?,
            offset: take(&value, "offset")?,
        })
    }
}

impl Json for Stamp {
    fn write(&self, writer: &mut Writer) {
        writer.begin_object();
        writer.member("at", &self.at_ms);
        writer.member("stateVersion", &self.state_version);
        writer.end_object();
    }

    fn read(value: Value) -> Result<Self, BodyError> {
        Ok(Self { at_ms: take(&value, "at")?, state_version: take(&value, "stateVersion")? })
    }
}

/// A member of an object; a missing one reads as `null`.
fn take<T: Json>(value: &Value, name: &'static str) -> Result<T, BodyError> {
    T::read(value.get(name).cloned().unwrap_or(Value::Null))
}

fn number(value: &Value, name: &'static str) -> Result<u32, BodyError> {
    let wide: i64 = take(value, name)?;
    u32::try_from(wide).map_err(|_| BodyError::Member { member: name, expected: "a 32-bit number" })
}

fn widen(map: &BTreeMap<u32, i64>) -> BTreeMap<i64, i64> {
    map.iter().map(|(&key, &value)| (i64::from(key), value)).collect()
}

fn narrow(map: BTreeMap<i64, i64>) -> Result<BTreeMap<u32, i64>, BodyError> {
    let expected = BodyError::Member { member: "key", expected: "a 32-bit number" };
    let narrow = map.into_iter().map(|(key, value)| u32::try_from(key).ok().map(|key| (key, value)));
    narrow.collect::<Option<_>>().ok_or(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { at_ms: 1, state_version: 3 };

    fn one_of_each() -> Vec<MetadataCommand> {
        let topic = TopicConfig { topic_name: "T".into(), perm: 2, ..TopicConfig::default() };
        let group = SubscriptionGroupConfig {
            group_name: "G".into(),
            retry_max_times: 3,
            ..SubscriptionGroupConfig::default()
        };
        let (g, t) = ("G".to_owned(), "%RETRY%T".to_owned());
        vec![
            MetadataCommand::PutTopics { configs: vec![topic], stamp: STAMP },
            MetadataCommand::DeleteTopic { topic: t.clone(), stamp: STAMP },
            MetadataCommand::PutGroups { configs: vec![group], stamp: STAMP },
            MetadataCommand::DeleteGroup { group: g.clone(), clean_offsets: true, stamp: STAMP },
            MetadataCommand::Forbid { group: g.clone(), topic: t.clone(), bits: 1, stamp: STAMP },
            MetadataCommand::CommitOffsets {
                commits: vec![OffsetCommit { group: g.clone(), topic: t.clone(), queue: 7, offset: -1 }],
            },
            MetadataCommand::ResetOffsets {
                group: g.clone(),
                topic: t.clone(),
                offsets: BTreeMap::from([(0, 5), (7, 6)]),
            },
            MetadataCommand::QueueEnds {
                topic: t.clone(),
                ends: BTreeMap::from([(0, 1), (u32::MAX, i64::MAX)]),
            },
            MetadataCommand::TakeReset { group: g.clone(), topic: t.clone(), queue: 1 },
            MetadataCommand::CloneOffsets { source: g.clone(), target: "H".into(), topic: None },
            MetadataCommand::CloneOffsets { source: g, target: "H".into(), topic: Some(t) },
            MetadataCommand::Announce { node: 2, address: "10.0.0.2:10911".into() },
            MetadataCommand::DelayProgress { levels: BTreeMap::from([(1, 10), (18, 2)]) },
        ]
    }

    #[test]
    fn every_command_reads_back_as_itself() {
        for command in one_of_each() {
            assert_eq!(MetadataCommand::decode(&command.encode()), Ok(command));
        }
    }

    #[test]
    fn what_this_release_cannot_apply_is_refused() {
        let decode = |text: &str| MetadataCommand::decode(text.as_bytes());
        assert_eq!(decode("{\"form\":2,\"kind\":\"x\"}"), Err(CommandError::Newer { found: 2 }));
        assert_eq!(decode("{\"form\":1,\"kind\":\"x\"}"), Err(CommandError::Kind("x".into())));
        for text in [
            "",
            "{}",
            "[1]",
            "{\"form\":1,\"kind\":\"takeReset\",\"group\":\"G\",\"topic\":\"T\",\"queue\":-1}",
        ] {
            assert!(matches!(decode(text), Err(CommandError::Malformed(_))), "{text}");
        }
    }
}
