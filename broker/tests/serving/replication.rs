//! Master and slave over real sockets.

use crate::support::{
    Matchmaker, Served, pull_header, send_request, start, start_in, try_start_in, until, until_asked,
};
use protocol::body::{Body, HARuntimeInfo, SubscriptionGroupConfig};
use protocol::header::{
    PullMessageRequestHeader, QueryConsumerOffsetRequestHeader, QueryConsumerOffsetResponseHeader,
    UpdateConsumerOffsetRequestHeader,
};
use protocol::{RemotingCommand, RequestCode, sys_flag};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{ReadLimits, RetentionConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SMALL_FILES: (&str, &str) = ("mappedFileSizeCommitLog", "65536");

async fn master(names: &str, role: &str, more: &[(&str, &str)]) -> Served {
    start(&[&[("namesrvAddr", names), ("brokerRole", role)], more].concat()).await
}

async fn slave_in(directory: &Arc<TempDir>, names: &str, more: &[(&str, &str)]) -> Served {
    let own = [("namesrvAddr", names), ("brokerRole", "SLAVE"), ("brokerId", "1")];
    start_in(directory, &[&own, more].concat()).await
}

async fn slave(names: &str) -> Served {
    slave_in(&Arc::new(TempDir::new().expect("a directory")), names, &[]).await
}

fn end(served: &Served) -> u64 {
    served.broker.node().store.commit_log_max()
}

async fn caught_up(master: &Served, slave: &Served) {
    until("the slave has everything", || end(slave) == end(master)).await;
    let store = &slave.broker.node().store;
    until("all of it is visible", || store.applied() == end(master)).await;
}

/// The bytes of a commit log from `from` to `to`, read from its files.
fn log_bytes(directory: &Path, from: u64, to: u64) -> Vec<u8> {
    let log = directory.join("store/commitlog");
    let mut names: Vec<_> =
        std::fs::read_dir(log).expect("a commit log").map(|entry| entry.expect("an entry").path()).collect();
    names.sort();
    let first: u64 = names[0].file_name().and_then(|name| name.to_str()?.parse().ok()).expect("an offset");
    let bytes: Vec<u8> = names.iter().flat_map(|path| std::fs::read(path).expect("readable")).collect();
    bytes[(from - first) as usize..(to - first) as usize].to_vec()
}

fn assert_same_logs(master: &Path, slave: &Path, from: u64, to: u64) {
    assert!(log_bytes(master, from, to) == log_bytes(slave, from, to), "the logs differ");
}

async fn send_many(served: &Served, topic: &str, count: usize) {
    let client = served.client();
    for n in 0..count {
        client.send(topic, 0, &format!("{n:06}"), "").await;
    }
}

async fn ha_status(served: &Served) -> HARuntimeInfo {
    let answer = served.client().call(RemotingCommand::request(RequestCode::GetBrokerHaStatus)).await;
    HARuntimeInfo::decode(&answer.body).expect("a status")
}

async fn code_of_send(served: &Served, topic: &str) -> i32 {
    served.client().call(send_request(topic, 0, "x", "")).await.code
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_has_the_bytes_of_its_master_whenever_either_comes_and_goes() {
    let (_names, names) = Matchmaker::listen();
    let first = master(&names, "ASYNC_MASTER", &[]).await;
    send_many(&first, "T", 50).await;
    let follower = slave(&names).await;
    caught_up(&first, &follower).await;
    send_many(&first, "T", 50).await;
    caught_up(&first, &follower).await;
    // The slave is away for a while.
    let slave_directory = follower.stop().await;
    send_many(&first, "T", 50).await;
    let follower = slave_in(&slave_directory, &names, &[]).await;
    caught_up(&first, &follower).await;
    // The master is away for a while, and comes back elsewhere.
    let master_directory = first.stop().await;
    let first = start_in(&master_directory, &[("namesrvAddr", &names)]).await;
    send_many(&first, "T", 50).await;
    caught_up(&first, &follower).await;
    let pulled = follower.client().pull("G", "T", 0, 190).await;
    assert_eq!((pulled.code, pulled.messages.len(), pulled.max), (0, 10, 200));
    let to = end(&first);
    first.stop().await;
    follower.stop().await;
    assert_same_logs(master_directory.path(), slave_directory.path(), 0, to);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_slave_gets_the_newest_file_of_its_master_as_rocketmq_gives_it() {
    let (_names, names) = Matchmaker::listen();
    let first = master(&names, "ASYNC_MASTER", &[SMALL_FILES]).await;
    send_many(&first, "T", 700).await;
    let begin = end(&first) / 65_536 * 65_536;
    assert!(begin > 0, "several files");
    let directory = Arc::new(TempDir::new().expect("a directory"));
    let follower = slave_in(&directory, &names, &[SMALL_FILES]).await;
    caught_up(&first, &follower).await;
    assert_eq!(follower.broker.node().store.commit_log_min(), begin);
    send_many(&first, "T", 700).await;
    caught_up(&first, &follower).await;
    assert_eq!(follower.broker.node().store.max_offset("T", 0), 1400);
    let to = end(&first);
    let master_directory = first.stop().await;
    follower.stop().await;
    assert_same_logs(master_directory.path(), directory.path(), begin, to);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_that_is_ahead_is_refused_and_nothing_is_cut() {
    let (_names, names) = Matchmaker::listen();
    let first = master(&names, "ASYNC_MASTER", &[]).await;
    send_many(&first, "T", 20).await;
    let directory = Arc::new(TempDir::new().expect("a directory"));
    let follower = slave_in(&directory, &names, &[]).await;
    caught_up(&first, &follower).await;
    first.stop().await;
    let ahead = end(&follower);
    // A master that lost its disk.
    let other = master(&names, "ASYNC_MASTER", &[]).await;
    send_many(&other, "T", 3).await;
    let ha = other.broker.identity().ha_address;
    let mut rogue = TcpStream::connect(ha).await.expect("connected");
    rogue.write_all(&ahead.to_be_bytes()).await.expect("reported");
    assert_eq!(rogue.read(&mut [0; 64]).await.expect("closed"), 0, "it is told nothing");
    let master_end = end(&other);
    until("the slave has tried", || follower.broker.node().metadata.topic("T").is_some()).await;
    assert_eq!((end(&follower), end(&other)), (ahead, master_end));
    assert!(ha_status(&other).await.ha_connection_info.is_empty());
    other.stop().await;
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_lost_its_tail_and_wrote_on_is_not_followed() {
    let (_names, names) = Matchmaker::listen();
    let master_directory = Arc::new(TempDir::new().expect("a directory"));
    let master_keys = [("namesrvAddr", names.as_str())];
    let first = start_in(&master_directory, &master_keys).await;
    send_many(&first, "T", 10).await;
    let directory = Arc::new(TempDir::new().expect("a directory"));
    let follower = slave_in(&directory, &names, &[]).await;
    caught_up(&first, &follower).await;
    let short = end(&first);
    first.stop().await;
    // What the power cut will take.
    let copy = TempDir::new().expect("a directory");
    copy_directory(&master_directory.path().join("store"), &copy.path().join("store"));
    let first = start_in(&master_directory, &master_keys).await;
    send_many(&first, "T", 10).await;
    caught_up(&first, &follower).await;
    let own = end(&follower);
    let directory_of_slave = follower.stop().await;
    first.stop().await;
    // The master is back without its last ten messages, and writes others of the same size.
    let lost = start_in(&Arc::new(copy), &master_keys).await;
    assert_eq!(end(&lost), short);
    let client = lost.client();
    for n in 0..15 {
        client.send("T", 0, &format!("{:06}", 500_000 + n), "").await;
    }
    assert!(end(&lost) > own, "it looks like any master that is ahead");
    let follower = slave_in(&directory_of_slave, &names, &[]).await;
    let part = &follower.broker.node().part;
    let refused = || part.slave().expect("a slave").status.refused();
    until("it was asked twice, and refused twice", || refused() >= 2).await;
    assert_eq!(end(&follower), own, "nothing was joined, and nothing cut");
    assert!(ha_status(&lost).await.ha_connection_info.is_empty());
    lost.stop().await;
    follower.stop().await;
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("readable").map(|entry| entry.expect("an entry")) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_that_needs_what_its_master_deleted_is_refused_and_keeps_what_it_has() {
    let (_names, names) = Matchmaker::listen();
    let keys = [SMALL_FILES, ("fileReservedTime", "0"), ("namesrvAddr", names.as_str())];
    let first = start_in(&Arc::new(TempDir::new().expect("a directory")), &keys).await;
    send_many(&first, "T", 10).await;
    let directory = Arc::new(TempDir::new().expect("a directory"));
    let follower = slave_in(&directory, &names, &[SMALL_FILES]).await;
    caught_up(&first, &follower).await;
    let own = end(&follower);
    let directory = follower.stop().await;
    send_many(&first, "T", 1_500).await;
    let store = &first.broker.node().store;
    store.checkpoint().expect("a checkpoint");
    assert!(store.clean(true).expect("cleaned") > 0 && store.commit_log_min() > own);
    let mut late = TcpStream::connect(first.broker.identity().ha_address).await.expect("connected");
    late.write_all(&own.to_be_bytes()).await.expect("reported");
    assert_eq!(late.read(&mut [0; 64]).await.expect("closed"), 0, "it is told nothing");
    let follower = slave_in(&directory, &names, &[SMALL_FILES]).await;
    until("it has tried", || follower.broker.node().part.slave().expect("a slave").status.master() != "")
        .await;
    assert_eq!(end(&follower), own);
    assert_eq!(follower.client().pull("G", "T", 0, 0).await.messages.len(), 10);
    assert!(ha_status(&first).await.ha_connection_info.is_empty());
    first.stop().await;
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_log_is_not_joined_to_ours() {
    let (_names, names) = Matchmaker::listen();
    let first = master(&names, "ASYNC_MASTER", &[]).await;
    send_many(&first, "T", 5).await;
    let follower = slave(&names).await;
    caught_up(&first, &follower).await;
    let own = end(&follower);
    let directory = follower.stop().await;
    // Somebody whose log is longer than ours, and has no record where ours ends.
    let foreign = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = foreign.local_addr().expect("an address").to_string();
    let follower = slave_in(&directory, &names, &[("haMasterAddress", &address)]).await;
    let (mut stream, _) = foreign.accept().await.expect("it follows");
    assert_eq!(stream.read_u64().await.expect("a report"), own);
    stream.write_all(&[&own.to_be_bytes()[..], &64u32.to_be_bytes(), &[7; 64]].concat()).await.expect("sent");
    while stream.read_u64().await.is_ok_and(|reported| reported == own) {}
    let (mut stream, _) = foreign.accept().await.expect("it tries again");
    assert_eq!(stream.read_u64().await.expect("a report"), own, "nothing was taken, and nothing cut");
    first.stop().await;
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_master_answers_0_with_a_slave_11_without_and_12_when_it_is_mute() {
    let (_names, names) = Matchmaker::listen();
    let first = master(&names, "SYNC_MASTER", &[("slaveTimeout", "200")]).await;
    assert_eq!(code_of_send(&first, "T").await, 11);
    let follower = slave(&names).await;
    until_asked("a slave is waited for", async || code_of_send(&first, "T").await == 0).await;
    assert_eq!(end(&follower), end(&first), "what is acknowledged is on both");
    let status = ha_status(&first).await;
    assert_eq!((status.master, status.in_sync_slave_nums, status.ha_connection_info.len()), (true, 1, 1));
    assert!(status.ha_connection_info[0].in_sync);
    follower.stop().await;
    until_asked("nobody is waited for", async || code_of_send(&first, "T").await == 11).await;
    // One that follows and never acknowledges.
    let mut mute = TcpStream::connect(first.broker.identity().ha_address).await.expect("connected");
    mute.write_all(&end(&first).to_be_bytes()).await.expect("reported");
    until_asked("the mute one is waited for", async || code_of_send(&first, "T").await == 12).await;
    assert_eq!(code_of_send(&first, "T").await, 12);
    drop(mute);
    until_asked("nobody is waited for", async || code_of_send(&first, "T").await == 11).await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_too_far_behind_is_not_waited_for() {
    let (_names, names) = Matchmaker::listen();
    let gap = ("haMaxGapNotInSync", "300");
    let first = master(&names, "SYNC_MASTER", &[("slaveTimeout", "60000"), gap]).await;
    assert_eq!(code_of_send(&first, "T").await, 11);
    let mut mute = TcpStream::connect(first.broker.identity().ha_address).await.expect("connected");
    mute.write_all(&end(&first).to_be_bytes()).await.expect("reported");
    until_asked("it counts", async || ha_status(&first).await.in_sync_slave_nums == 1).await;
    // Several sends wait for it, until together they are more than it may be behind.
    let client = Arc::new(first.client());
    let sends = (0..4).map(|_| {
        let client = Arc::clone(&client);
        async move { client.call(send_request("T", 0, "x", "")).await.code }
    });
    let sends: Vec<_> = sends.map(|send| tokio::spawn(send)).collect();
    for send in sends {
        assert_eq!(send.await.expect("answered"), 11);
    }
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_refuses_sends_and_serves_consumers_when_its_master_is_gone() {
    let (_names, names) = Matchmaker::listen();
    let first = master(&names, "ASYNC_MASTER", &[]).await;
    send_many(&first, "T", 10).await;
    let client = first.client();
    client.consume("c1", "G", "T", "*").await;
    let update = UpdateConsumerOffsetRequestHeader {
        consumer_group: "G".into(),
        topic: "T".into(),
        queue_id: 0,
        commit_offset: 7,
    };
    assert_eq!(client.ask(RequestCode::UpdateConsumerOffset, &update).await.code, 0);
    let follower = slave(&names).await;
    caught_up(&first, &follower).await;
    assert_eq!(code_of_send(&follower, "T").await, 14);
    let offset = |code: i32, answer: &RemotingCommand| {
        let header: QueryConsumerOffsetResponseHeader = answer.header().ok()?;
        (code == 0).then_some(header.offset)
    };
    let query = QueryConsumerOffsetRequestHeader {
        consumer_group: "G".into(),
        topic: "T".into(),
        queue_id: 0,
        set_zero_if_not_found: Some(false),
    };
    let at_slave = follower.client();
    until_asked("the offset is on the slave", async || {
        let answer = at_slave.ask(RequestCode::QueryConsumerOffset, &query).await;
        offset(answer.code, &answer) == Some(7)
    })
    .await;
    assert!(follower.broker.node().metadata.group("G").is_some());
    let status = ha_status(&follower).await;
    assert!(!status.master && status.ha_client_runtime_info.activated == Some(true));
    first.stop().await;
    let pulled = at_slave.pull("G", "T", 0, 7).await;
    assert_eq!(pulled.bodies(), ["000007", "000008", "000009"]);
    assert_eq!(pulled.suggested, 0, "the master is the one to ask when it is back");
    // Neither end of the queue is corrected: the master may have more.
    let ahead = at_slave.pull("G", "T", 0, 99).await;
    assert_eq!((ahead.code, ahead.next), (19, 99));
    // Pulls of a slave commit nothing.
    let mut committing = pull_header("G", "T", 0, 10);
    committing.sys_flag |= sys_flag::pull::COMMIT_OFFSET;
    committing.commit_offset = 10;
    at_slave.pull_with(&committing).await;
    let answer = at_slave.ask(RequestCode::QueryConsumerOffset, &query).await;
    assert_eq!(offset(answer.code, &answer), Some(7));
    let directory = follower.stop().await;
    // What was fetched is in the files: started as a master, it goes on from there.
    let promoted = start_in(&directory, &[]).await;
    let answer = promoted.client().ask(RequestCode::QueryConsumerOffset, &query).await;
    assert_eq!(offset(answer.code, &answer), Some(7));
    assert_eq!(promoted.client().send("T", 0, "goes on", "").await.offset, 10);
    promoted.stop().await;
}

/// From now on no more than `span` bytes before the end of the log count as "in memory".
fn remember_only(served: &Served, span: u64) {
    let limits = ReadLimits { memory_span: span, ..ReadLimits::default() };
    served.broker.node().store.reconfigure(limits, RetentionConfig::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_far_behind_is_sent_to_a_slave_and_comes_back_when_it_has_caught_up() {
    let (_names, names) = Matchmaker::listen();
    let readable = ("slaveReadEnable", "true");
    let first = master(&names, "ASYNC_MASTER", &[readable]).await;
    let directory = Arc::new(TempDir::new().expect("a directory"));
    let follower = slave_in(&directory, &names, &[readable]).await;
    send_many(&first, "T", 100).await;
    caught_up(&first, &follower).await;
    until("the slave knows the topic", || follower.broker.node().metadata.topic("T").is_some()).await;
    let (at_master, at_slave) = (first.client(), follower.client());
    assert_eq!(at_master.pull("G", "T", 0, 0).await.suggested, 0, "all of it is in memory");
    // Some twenty messages are in memory, and a pull takes eight of those that are not.
    remember_only(&first, end(&first) / 5);
    remember_only(&follower, end(&first) / 5);
    let slow = at_master.pull("G", "T", 0, 0).await;
    assert_eq!((slow.code, slow.messages.len(), slow.suggested), (0, 8, 1));
    let mut next = slow.next;
    let mut pulls = 0;
    loop {
        let few = PullMessageRequestHeader { max_msg_nums: 4, ..pull_header("G", "T", 0, next) };
        let pulled = at_slave.pull_with(&few).await;
        assert_eq!(pulled.code, 0);
        next = pulled.next;
        pulls += 1;
        if pulled.suggested == 0 {
            break;
        }
        assert_eq!(pulled.suggested, 1, "the slave keeps it while it is slow");
    }
    assert!((80..100).contains(&next) && pulls > 5, "it goes back at {next} after {pulls} pulls");
    let back = at_master.pull("G", "T", 0, next).await;
    assert_eq!((back.code, back.suggested), (0, 0));
    // Beyond the slave's end the master is the one to ask, at once.
    let mut ahead = pull_header("G", "T", 0, 500);
    ahead.sys_flag |= sys_flag::pull::SUSPEND;
    ahead.suspend_timeout_millis = 15_000;
    let began = Instant::now();
    let ahead = at_slave.pull_with(&ahead).await;
    assert_eq!((ahead.code, ahead.next, ahead.suggested), (20, 500, 0));
    assert!(began.elapsed() < Duration::from_secs(10), "it does not wait");
    first.stop().await;
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_says_which_broker_serves_it_when_it_is_slow_and_nobody_is_sent_away_where_slaves_may_not_be_read()
 {
    let readable = ("slaveReadEnable", "true");
    for (more, when_slow, when_fast) in [(&[readable][..], 7, 3), (&[], 0, 0)] {
        let served = start(more).await;
        send_many(&served, "T", 20).await;
        let client = served.client();
        let group = SubscriptionGroupConfig {
            broker_id: 3,
            which_broker_when_consume_slowly: 7,
            ..SubscriptionGroupConfig::new("G")
        };
        let make = RemotingCommand::request(RequestCode::UpdateAndCreateSubscriptionGroup);
        assert_eq!(client.call(make.with_body(group.encode())).await.code, 0);
        assert_eq!(client.pull("G", "T", 0, 0).await.suggested, when_fast);
        remember_only(&served, 1);
        assert_eq!(client.pull("G", "T", 0, 0).await.suggested, when_slow);
        // Nothing is left to read: nobody is slow.
        assert_eq!(client.pull("G", "T", 0, 20).await.suggested, when_fast);
        served.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_with_sync_flush_acknowledges_what_is_on_its_disk() {
    let (_names, names) = Matchmaker::listen();
    let first = master(&names, "SYNC_MASTER", &[("flushDiskType", "SYNC_FLUSH")]).await;
    let directory = Arc::new(TempDir::new().expect("a directory"));
    let follower = slave_in(&directory, &names, &[("flushDiskType", "SYNC_FLUSH")]).await;
    until_asked("a slave is waited for", async || code_of_send(&first, "T").await == 0).await;
    for _ in 0..20 {
        assert_eq!(code_of_send(&first, "T").await, 0);
        assert_eq!(follower.broker.node().store.flushed(), end(&first));
    }
    first.stop().await;
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_for_slaves_is_said_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let directory = Arc::new(TempDir::new().expect("a directory"));
    let error = try_start_in(&directory, &[("haListenPort", &port)]).await.err().expect("refused");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
    assert!(!error.to_string().contains('\n'));
    assert!(!directory.path().join("store").exists(), "no file was touched");
}
