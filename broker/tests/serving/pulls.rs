//! Pulling, waiting, filtering.

use crate::support::{PATIENCE, pull_header, pulled, start, until};
use protocol::header::PullMessageRequestHeader;
use protocol::{RemotingCommand, RequestCode, sys_flag};
use std::time::Instant;

fn waiting(group: &str, topic: &str, offset: i64, millis: i64) -> PullMessageRequestHeader {
    PullMessageRequestHeader {
        sys_flag: sys_flag::pull::SUBSCRIPTION | sys_flag::pull::SUSPEND,
        suspend_timeout_millis: millis,
        ..pull_header(group, topic, 0, offset)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_waits_is_answered_by_the_next_message() {
    let served = start(&[]).await;
    let client = served.client();
    client.send("TopicA", 0, "first", "").await;
    let connection = client.connection().await;
    let request = RemotingCommand::request_with(RequestCode::PullMessage, &waiting("G", "TopicA", 1, 20_000));
    let waits = connection.call(request, PATIENCE);
    let node = served.broker.node();
    until("the pull waits", || node.arrivals.len() == 1).await;
    client.send("TopicA", 0, "second", "").await;
    let pulled = pulled(&waits.await.expect("an answer"));
    assert_eq!((pulled.code, pulled.next), (0, 2));
    assert_eq!(pulled.bodies(), ["second"]);
    assert!(node.arrivals.is_empty());
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_waits_in_vain_is_answered_at_its_deadline_with_all_offsets() {
    let served = start(&[]).await;
    let client = served.client();
    client.send("TopicA", 0, "first", "").await;
    let started = Instant::now();
    let pulled = client.pull_with(&waiting("G", "TopicA", 1, 300)).await;
    assert_eq!((pulled.code, pulled.next, pulled.min, pulled.max, pulled.suggested), (19, 1, 0, 1, 0));
    assert!(started.elapsed().as_millis() >= 300);
    let pulled = client.pull_with(&waiting("G", "TopicA", 0, 0)).await;
    assert_eq!(pulled.code, 0);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_message_with_the_wanted_tag_wakes_a_pull() {
    let served = start(&[]).await;
    let client = served.client();
    client.send("TopicA", 0, "first", "").await;
    let connection = client.connection().await;
    let header = PullMessageRequestHeader {
        subscription: Some("TagB || TagC".into()),
        ..waiting("G", "TopicA", 1, 20_000)
    };
    let waits = connection.call(RemotingCommand::request_with(RequestCode::PullMessage, &header), PATIENCE);
    let node = served.broker.node();
    until("the pull waits", || node.arrivals.len() == 1).await;
    client.send("TopicA", 0, "a", "TAGS\u{1}TagA\u{2}").await;
    assert_eq!(node.arrivals.len(), 1, "still waiting");
    client.send("TopicA", 0, "c", "TAGS\u{1}TagC\u{2}").await;
    let pulled = pulled(&waits.await.expect("an answer"));
    assert_eq!(pulled.bodies(), ["c"]);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_filtered_by_the_request_or_by_the_registered_subscription() {
    let served = start(&[]).await;
    let client = served.client();
    for (body, tag) in [("1", "TagA"), ("2", "TagB"), ("3", "TagA"), ("4", "TagC")] {
        client.send("TopicA", 0, body, &format!("TAGS\u{1}{tag}\u{2}")).await;
    }
    let by_request = |expression: &str| PullMessageRequestHeader {
        subscription: Some(expression.into()),
        ..pull_header("G", "TopicA", 0, 0)
    };
    assert_eq!(client.pull_with(&by_request("TagA")).await.bodies(), ["1", "3"]);
    assert_eq!(client.pull_with(&by_request(" TagC||TagB ")).await.bodies(), ["2", "4"]);
    let none = client.pull_with(&by_request("TagX")).await;
    assert_eq!((none.code, none.next, none.remark.as_str()), (20, 4, "NO_MATCHED_MESSAGE"));
    assert_eq!(client.pull_with(&by_request("||")).await.code, 23);

    let registered =
        PullMessageRequestHeader { sys_flag: 0, subscription: None, ..pull_header("G", "TopicA", 0, 0) };
    assert_eq!(client.pull_with(&registered).await.code, 24, "nobody of the group is here");
    client.consume("c1", "G", "TopicA", "TagB").await;
    assert_eq!(client.pull_with(&registered).await.bodies(), ["2"]);
    let newer = PullMessageRequestHeader { sub_version: 2, ..registered.clone() };
    assert_eq!(client.pull_with(&newer).await.code, 25);
    let sql = PullMessageRequestHeader { expression_type: Some("SQL92".into()), ..by_request("a > 1") };
    assert_eq!(client.pull_with(&sql).await.code, 1);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_outside_the_queue_are_corrected() {
    let served = start(&[]).await;
    let client = served.client();
    client.send("TopicA", 0, "0", "").await;
    client.send("TopicA", 0, "1", "").await;
    for (queue, offset, code, next) in
        [(0, 2, 19, 2), (0, 3, 21, 2), (0, -1, 21, 0), (1, 0, 19, 0), (1, 5, 21, 0)]
    {
        let pulled = client.pull("G", "TopicA", queue, offset).await;
        assert_eq!(
            (pulled.code, pulled.next),
            (code, next),
            "queue {queue} offset {offset}: {}",
            pulled.remark
        );
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_may_not_be_has_rocketmqs_code() {
    let served = start(&[("autoCreateSubscriptionGroup", "false")]).await;
    let client = served.client();
    client.send("TopicA", 0, "0", "").await;
    assert_eq!(client.pull("Unknown", "TopicA", 0, 0).await.code, 26);
    assert_eq!(client.pull("TOOLS_CONSUMER", "Unknown", 0, 0).await.code, 17);
    assert_eq!(client.pull("TOOLS_CONSUMER", "TopicA", 4, 0).await.code, 29);
    assert_eq!(client.pull("TOOLS_CONSUMER", "TopicA", -1, 0).await.code, 29);
    assert_eq!(client.pull("TOOLS_CONSUMER", "TopicA", 0, 0).await.code, 0);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_notes_the_offset_that_it_carries() {
    let served = start(&[]).await;
    let client = served.client();
    client.send("TopicA", 0, "0", "").await;
    let header = PullMessageRequestHeader {
        sys_flag: sys_flag::pull::SUBSCRIPTION | sys_flag::pull::COMMIT_OFFSET,
        commit_offset: 1,
        ..pull_header("G", "TopicA", 0, 0)
    };
    client.pull_with(&header).await;
    assert_eq!(served.broker.node().metadata.offsets.get("G", "TopicA", 0), Some(1));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_answers_the_pulls_that_wait() {
    let served = start(&[]).await;
    let client = served.client();
    client.send("TopicA", 0, "0", "").await;
    let connection = client.connection().await;
    let request = RemotingCommand::request_with(RequestCode::PullMessage, &waiting("G", "TopicA", 1, 60_000));
    let waits = connection.call(request, PATIENCE);
    let node = std::sync::Arc::clone(served.broker.node());
    until("the pull waits", || node.arrivals.len() == 1).await;
    let started = Instant::now();
    served.stop().await;
    assert_eq!(waits.await.expect("an answer before the socket closes").code, 19);
    assert!(started.elapsed() < PATIENCE / 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_pulls_on_one_queue_is_answered_by_one_message() {
    let served = start(&[]).await;
    let client = served.client();
    client.send("TopicA", 0, "0", "").await;
    let connection = client.connection().await;
    let calls: Vec<_> = (0..200)
        .map(|number| {
            let header = waiting(&format!("G{}", number % 5), "TopicA", 1, 60_000);
            connection.call(RemotingCommand::request_with(RequestCode::PullMessage, &header), PATIENCE)
        })
        .collect();
    let node = served.broker.node();
    until("all wait", || node.arrivals.len() == 200).await;
    client.send("TopicA", 0, "1", "").await;
    for call in calls {
        assert_eq!(pulled(&call.await.expect("an answer")).bodies(), ["1"]);
    }
    served.stop().await;
}
