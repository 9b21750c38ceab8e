//! What the files promise: RocketMQ's own form, lenient reading, nothing lost.

use super::*;
use crate::metadata::{MetadataCommand, MetadataLimits, OffsetCommit, Stamp};
use disk::MemDisk;
use protocol::body::{SubscriptionGroupConfig, TopicConfig};

const ROOT: &str = "/store";
const STAMP: Stamp = Stamp { at_ms: 1_700_000_000_000, state_version: 0 };

fn metadata() -> Metadata {
    Metadata::new(MetadataLimits { topics: 100, groups: 100, offsets: 100 })
}

fn open(disk: &Arc<MemDisk>) -> MetadataFiles {
    MetadataFiles::open(Arc::clone(disk) as Arc<dyn Disk>, Path::new(ROOT)).expect("a directory")
}

fn text(disk: &MemDisk, name: &str) -> String {
    let path = Path::new(ROOT).join("config").join(name);
    let bytes = disk::read_whole(disk, &path).expect("readable").expect("there");
    String::from_utf8(bytes).expect("text")
}

#[test]
fn offsets_have_bare_integer_keys_as_rocketmq_writes_them() {
    let disk = Arc::new(MemDisk::new());
    let files = open(&disk);
    let metadata = metadata();
    let commit = |queue, offset| OffsetCommit { group: "CG".into(), topic: "TopicA".into(), queue, offset };
    metadata.apply(&MetadataCommand::CommitOffsets { commits: vec![commit(0, 5), commit(1, 7)] });
    metadata.apply(&MetadataCommand::DelayProgress { levels: [(1, 10)].into() });
    files.save_offsets(&metadata).expect("saved");
    files.save_delays(&metadata).expect("saved");
    let expected = "{\n\t\"offsetTable\":{\n\t\t\"TopicA@CG\":{\n\t\t\t0:5,\n\t\t\t1:7\n\t\t}\n\t}\n}";
    assert_eq!(text(&disk, "consumerOffset.json"), expected);
    assert_eq!(text(&disk, "delayOffset.json"), "{\n\t\"offsetTable\":{\n\t\t1:10\n\t}\n}");
}

#[test]
fn everything_that_was_saved_is_loaded_again() {
    let disk = Arc::new(MemDisk::new());
    let files = open(&disk);
    let before = metadata();
    let topic = TopicConfig { order: true, ..TopicConfig::new("%RETRY%G", 1, 2, 4) };
    let group = SubscriptionGroupConfig { retry_max_times: 2, ..SubscriptionGroupConfig::new("G") };
    let commit = OffsetCommit { group: "G".into(), topic: "%RETRY%G".into(), queue: 3, offset: 9 };
    for command in [
        MetadataCommand::PutTopics { configs: vec![topic.clone()], stamp: STAMP },
        MetadataCommand::PutGroups { configs: vec![group.clone()], stamp: STAMP },
        MetadataCommand::Forbid { group: "G".into(), topic: "T".into(), bits: 1, stamp: STAMP },
        MetadataCommand::CommitOffsets { commits: vec![commit] },
        MetadataCommand::DelayProgress { levels: [(18, 4)].into() },
    ] {
        before.apply(&command);
    }
    files.save_topics(&before.topics.read()).expect("saved");
    files.save_groups(&before.groups.read()).expect("saved");
    files.save_offsets(&before).expect("saved");
    files.save_delays(&before).expect("saved");
    let after = metadata();
    open(&disk).load(&after).expect("loaded");
    assert_eq!(after.topic("%RETRY%G").map(|topic| topic.config.clone()), Some(topic));
    assert_eq!(after.group("G").map(|group| group.config.clone()), Some(group));
    assert!(after.groups.read().is_forbidden("G", "T"));
    assert_eq!(after.offsets.get("G", "%RETRY%G", 3), Some(9));
    assert_eq!(after.delays.get(18), Some(4));
    assert_eq!(after.topics.read().version(), before.topics.read().version());
}

#[test]
fn a_file_of_a_java_broker_is_read_with_quoted_or_bare_keys() {
    for table in ["{\"TopicA@CG\":{0:5,1:7}}", "{\"TopicA@CG\":{\"0\":5,\"1\":\"7\"}}"] {
        let disk = Arc::new(MemDisk::new());
        let files = open(&disk);
        let path = Path::new(ROOT).join("config/consumerOffset.json");
        replace_file(&*disk, &path, format!("{{\"offsetTable\":{table},\"other\":[1]}}").as_bytes())
            .expect("written");
        let metadata = metadata();
        files.load(&metadata).expect("loaded");
        assert_eq!(metadata.offsets.get("CG", "TopicA", 1), Some(7), "{table}");
    }
}

#[test]
fn a_torn_file_gives_way_to_its_bak_and_a_lone_torn_file_is_an_error() {
    let disk = Arc::new(MemDisk::new());
    let files = open(&disk);
    let metadata = metadata();
    let path = Path::new(ROOT).join("config/delayOffset.json");
    replace_file(&*disk, &path, b"{\"offsetTable\":{3:9}}").expect("written");
    replace_file(&*disk, &path, b"{\"offsetTable\":{").expect("written");
    files.load(&metadata).expect("the copy is read");
    assert_eq!(metadata.delays.get(3), Some(9));
    replace_file(&*disk, &path, b"{").expect("written");
    assert!(files.load(&metadata).is_err());
}

#[test]
fn pretty_text_means_the_same_and_keeps_what_stands_in_quotes() {
    let json = br#"{"a":{},"b":[],"c":[1,2],"d":"x,{\"}]"}"#;
    let expected = "{\n\t\"a\":{},\n\t\"b\":[],\n\t\"c\":[\n\t\t1,\n\t\t2\n\t],\n\t\"d\":\"x,{\\\"}]\"\n}";
    assert_eq!(String::from_utf8(pretty(json)).expect("text"), expected);
}
