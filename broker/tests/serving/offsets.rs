//! Consumer offsets and the ends of queues.

use crate::support::{Client, reset_header, start};
use protocol::RequestCode;
use protocol::body::{Body, ResetOffsetBody};
use protocol::header::{
    CloneGroupOffsetRequestHeader, GetMaxOffsetRequestHeader, GetMaxOffsetResponseHeader,
    GetMinOffsetRequestHeader, SearchOffsetRequestHeader, SearchOffsetResponseHeader,
    UpdateConsumerOffsetRequestHeader,
};

async fn update(client: &Client, group: &str, topic: &str, offset: i64) -> i32 {
    let header = UpdateConsumerOffsetRequestHeader {
        consumer_group: group.into(),
        topic: topic.into(),
        queue_id: 0,
        commit_offset: offset,
    };
    client.ask(RequestCode::UpdateConsumerOffset, &header).await.code
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_is_what_was_told_last() {
    let served = start(&[]).await;
    let client = served.client();
    client.consume("c1", "G", "TopicA", "*").await;
    client.send("TopicA", 0, "0", "").await;
    assert_eq!(client.offset("G", "TopicA", None).await, (0, Some(0)), "all messages are still here");
    assert_eq!(client.offset("G", "TopicA", Some(false)).await.0, 22);
    assert_eq!(client.offset("G", "Unknown", None).await.0, 22);
    assert_eq!(update(&client, "G", "TopicA", 7).await, 0);
    assert_eq!(update(&client, "G", "TopicA", 3).await, 0);
    assert_eq!(client.offset("G", "TopicA", None).await, (0, Some(3)));
    assert_eq!(update(&client, "Nobody", "TopicA", 3).await, 26);
    assert_eq!(update(&client, "G", "Unknown", 3).await, 17);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ends_of_a_queue_and_its_times_are_told() {
    let served = start(&[]).await;
    let client = served.client();
    for body in ["0", "1", "2"] {
        client.send("TopicA", 0, body, "").await;
    }
    let max = GetMaxOffsetRequestHeader { topic: "TopicA".into(), queue_id: 0, committed: true };
    let answer = client.ask(RequestCode::GetMaxOffset, &max).await;
    assert_eq!(answer.header::<GetMaxOffsetResponseHeader>().expect("an offset").offset, 3);
    let min = GetMinOffsetRequestHeader { topic: "TopicA".into(), queue_id: 0 };
    assert_eq!(client.ask(RequestCode::GetMinOffset, &min).await.ext_fields.get("offset"), Some("0"));
    for (timestamp, offset) in [(0, 0), (i64::MAX, 3)] {
        let header = SearchOffsetRequestHeader {
            topic: "TopicA".into(),
            queue_id: 0,
            timestamp,
            ..SearchOffsetRequestHeader::default()
        };
        let answer = client.ask(RequestCode::SearchOffsetByTimestamp, &header).await;
        assert_eq!(
            answer.header::<SearchOffsetResponseHeader>().expect("an offset").offset,
            offset,
            "at {timestamp}"
        );
    }
    let illegal = GetMinOffsetRequestHeader { topic: "TopicA".into(), queue_id: -1 };
    assert_eq!(client.ask(RequestCode::GetMinOffset, &illegal).await.code, 29);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_learned_by_the_next_pull_and_commits_until_then_are_ignored() {
    let served = start(&[]).await;
    let client = served.client();
    client.consume("c1", "G", "TopicA", "*").await;
    for body in ["0", "1", "2"] {
        client.send("TopicA", 0, body, "").await;
    }
    update(&client, "G", "TopicA", 3).await;
    let reset = reset_header("G", "TopicA");
    let answer = client.ask(RequestCode::InvokeBrokerToResetOffset, &reset).await;
    let body = ResetOffsetBody::decode(&answer.body).expect("a body");
    assert_eq!(body.offset_table.len(), 4);
    assert!(body.offset_table.values().all(|offset| *offset == 0));
    update(&client, "G", "TopicA", 3).await;
    assert_eq!(client.offset("G", "TopicA", None).await, (0, Some(0)));
    let moved = client.pull("G", "TopicA", 0, 3).await;
    assert_eq!((moved.code, moved.next, moved.min, moved.max), (21, 0, 0, 3));
    assert_eq!(client.pull("G", "TopicA", 0, 0).await.bodies(), ["0", "1", "2"]);
    assert_eq!(update(&client, "G", "TopicA", 2).await, 0);
    assert_eq!(client.offset("G", "TopicA", None).await, (0, Some(2)));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_takes_over_the_offsets_of_another() {
    let served = start(&[]).await;
    let client = served.client();
    client.consume("c1", "G", "TopicA", "*").await;
    client.send("TopicA", 0, "0", "").await;
    update(&client, "G", "TopicA", 9).await;
    let header = CloneGroupOffsetRequestHeader {
        src_group: "G".into(),
        dest_group: "H".into(),
        topic: Some("TopicA".into()),
        offline: true,
    };
    assert_eq!(client.ask(RequestCode::CloneGroupOffset, &header).await.code, 0);
    assert_eq!(client.offset("H", "TopicA", None).await, (0, Some(9)));
    served.stop().await;
}
