//! Delayed messages.

use crate::support::{send_request, start, start_in, until};
use std::time::{Duration, Instant};

const DELAY_1: &str = "DELAY\u{1}1\u{2}TAGS\u{1}TagA\u{2}";

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_message_arrives_when_its_time_has_come_and_not_before() {
    let served = start(&[]).await;
    let client = served.client();
    client.send("TopicA", 0, "now", "").await;
    let started = Instant::now();
    let sent = client.send("TopicA", 2, "later", DELAY_1).await;
    assert_eq!(sent.queue, 2);
    assert_eq!(client.pull("G", "TopicA", 2, 0).await.code, 19);
    let found = client.pull_found("G", "TopicA", 2, 0).await;
    assert!(started.elapsed() >= Duration::from_millis(990), "{:?}", started.elapsed());
    assert!(started.elapsed() <= Duration::from_secs(10));
    assert_eq!(found.bodies(), ["later"]);
    let message = &found.messages[0];
    assert_eq!(
        (message.topic.as_str(), message.property("DELAY"), message.property("TAGS")),
        ("TopicA", None, Some("TagA"))
    );
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delayed_messages_survive_a_restart_and_come_once() {
    let served = start(&[]).await;
    let client = served.client();
    client.send("TopicA", 0, "soon", DELAY_1).await;
    let node = std::sync::Arc::clone(served.broker.node());
    until("it is delivered", || node.metadata.delays.get(1) == Some(1)).await;
    drop(node);
    client.send("TopicA", 0, "after the restart", DELAY_1).await;
    let directory = served.stop().await;
    let served = start_in(&directory, &[]).await;
    let client = served.client();
    let node = std::sync::Arc::clone(served.broker.node());
    until("all is delivered", || node.metadata.delays.get(1) == Some(2)).await;
    assert_eq!(client.pull("G", "TopicA", 0, 0).await.bodies(), ["soon", "after the restart"]);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_delivers_many_messages_in_their_order() {
    let served = start(&[("messageDelayLevel", "1s 2s")]).await;
    let client = served.client();
    for number in 0..100 {
        client.send("TopicA", 0, &number.to_string(), DELAY_1).await;
    }
    client.send("TopicA", 1, "beyond the last level", "DELAY\u{1}99\u{2}").await;
    let mut bodies = Vec::new();
    let mut offset = 0;
    while bodies.len() < 100 {
        let found = client.pull_found("G", "TopicA", 0, offset).await;
        bodies.extend(found.messages.iter().map(|message| message.body.clone()));
        offset = found.next;
    }
    assert_eq!(bodies, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(client.pull_found("G", "TopicA", 1, 0).await.bodies(), ["beyond the last level"]);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_message_with_the_longest_properties_holds_up_nobody() {
    let served = start(&[]).await;
    let client = served.client();
    // As long as they may be: whatever is added to them on delivery has no room.
    let mut longest = 32_767;
    let refused = loop {
        let properties = format!("{DELAY_1}P\u{1}{}\u{2}", "p".repeat(longest - DELAY_1.len() - 3));
        let answer = client.call(send_request("TopicA", 0, "longest", &properties)).await;
        if answer.code == 0 {
            break 32_767 - longest;
        }
        longest -= 1;
    };
    assert!(refused > 0 && refused < 400, "{refused}");
    client.send("TopicA", 0, "behind it", DELAY_1).await;
    let mut bodies = Vec::new();
    let mut offset = 0;
    while bodies.len() < 2 {
        let found = client.pull_found("G", "TopicA", 0, offset).await;
        bodies.extend(found.messages.iter().map(|message| message.body.clone()));
        offset = found.next;
    }
    assert_eq!(bodies, ["longest", "behind it"]);
    served.stop().await;
}
