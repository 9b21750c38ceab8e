//! Three replicas as their clients see them: leaders change, replicas are restarted, and no send fails.

use crate::support::{
    Client, PATIENCE, Served, messages_of, pull_header, reset_header, send_request, sent, until_asked,
};
use broker::{Broker, Config, Start};
use disk::{Disk, MemDisk, RealDisk};
use protocol::body::{Body, RaftStatusBody};
use protocol::header::{DeleteTopicRequestHeader, PullMessageRequestHeader, RaftTransferLeaderRequestHeader};
use protocol::message::MessageView;
use protocol::{RemotingCommand, RequestCode, sys_flag};
use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Below the range from which the system takes ports for outgoing connections.
static NEXT_PORT: AtomicU16 = AtomicU16::new(0);

fn free_port() -> u16 {
    loop {
        // A fast port lies two below each broker's, and belongs to nobody else.
        let step = NEXT_PORT.fetch_add(4, Ordering::Relaxed);
        let port = 13_000 + ((std::process::id() % 1_000) as u16 * 16 + step) % 16_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Files that a disk in memory makes in no time.
const SMALL_FILES: [(&str, &str); 2] =
    [("mappedFileSizeCommitLog", "6291456"), ("mappedFileSizeConsumeQueue", "60000")];

/// Disks on which no other process makes anybody wait.
fn in_memory() -> Vec<Arc<dyn Disk>> {
    (0..3).map(|_| Arc::new(MemDisk::new()) as Arc<dyn Disk>).collect()
}

/// A group of three; a replica that is away is `None`.
struct Trio {
    directories: Vec<Arc<TempDir>>,
    ports: Vec<u16>,
    peers: String,
    more: Vec<(&'static str, &'static str)>,
    disks: Vec<Arc<dyn Disk>>,
    replicas: Vec<Option<Served>>,
}

impl Trio {
    async fn start(more: &[(&'static str, &'static str)]) -> Self {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        Self::start_on(vec![disk; 3], more).await
    }

    async fn start_on(disks: Vec<Arc<dyn Disk>>, more: &[(&'static str, &'static str)]) -> Self {
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let peers: Vec<String> = (0..3).map(|n| format!("n{n}-127.0.0.1:{}", free_port())).collect();
        let directories = (0..3).map(|_| Arc::new(TempDir::new().expect("a directory"))).collect();
        let (peers, more, replicas) = (peers.join(";"), more.to_vec(), Vec::new());
        let mut trio = Self { directories, ports, peers, more, disks, replicas };
        for number in 0..3 {
            let replica = trio.start_one(number).await;
            trio.replicas.push(Some(replica));
        }
        trio.leader().await;
        trio
    }

    async fn start_one(&self, number: usize) -> Served {
        let (id, port) = (format!("n{number}"), self.ports[number].to_string());
        let mut keys = vec![
            ("enableDLegerCommitLog", "true"),
            ("dLegerGroup", "broker-a"),
            ("dLegerPeers", self.peers.as_str()),
            ("dLegerSelfId", id.as_str()),
            ("brokerIP1", "127.0.0.1"),
            ("listenPort", port.as_str()),
        ];
        keys.extend(self.more.iter().copied());
        let directory = &self.directories[number];
        let (config, bound) = Config::parse(&crate::support::properties(directory, &keys)).expect("valid");
        assert!(bound.unknown.is_empty(), "{:?}", bound.unknown);
        let start = Start { config, config_file: None };
        let broker = Broker::start_on(start, Arc::clone(&self.disks[number])).await;
        let broker = broker.expect("the replica starts");
        Served { broker, directory: Arc::clone(directory), address: self.address(number) }
    }

    fn address(&self, number: usize) -> String {
        format!("127.0.0.1:{}", self.ports[number])
    }

    async fn leads(&self, number: usize) -> bool {
        let Some(replica) = &self.replicas[number] else { return false };
        let answer = replica.client().call(RemotingCommand::request(RequestCode::RaftStatus)).await;
        RaftStatusBody::decode(&answer.body).expect("a status").ready
    }

    /// Who leads, once somebody does.
    async fn leader(&self) -> usize {
        let mut found = None;
        until_asked("somebody leads", async || {
            for number in 0..self.replicas.len() {
                if self.leads(number).await {
                    found = Some(number);
                }
            }
            found.is_some()
        })
        .await;
        found.expect("somebody leads")
    }

    async fn hand_over_to(&self, number: usize) {
        let header = RaftTransferLeaderRequestHeader { node: Some(format!("n{number}").into()) };
        let asked = self.leader().await;
        let client = Client::new(&self.address(asked));
        let answer = client.ask(RequestCode::RaftTransferLeader, &header).await;
        assert_eq!(answer.code, 0, "{:?}", answer.remark);
        until_asked("it leads", async || self.leads(number).await).await;
    }

    /// Takes the lead away from whoever has it, as if it had been cut off: nothing is held or finished first.
    async fn wrest_the_lead(&self) {
        let leader = self.leader().await;
        let heir = (leader + 1) % 3;
        let group = self.replicas[leader].as_ref().expect("it runs").broker.node().group.as_ref();
        let log = Arc::clone(group.expect("a replica").log());
        // On a busy machine another may be quicker.
        let _ = log.transfer_leader(heir as u64, Duration::from_secs(2)).await;
    }

    async fn stop_one(&mut self, number: usize) {
        self.replicas[number].take().expect("it runs").stop().await;
    }

    async fn start_again(&mut self, number: usize) {
        let replica = self.start_one(number).await;
        self.replicas[number] = Some(replica);
    }

    async fn stop(self) {
        let stops: Vec<_> = self.replicas.into_iter().flatten().map(|one| tokio::spawn(one.stop())).collect();
        for stop in stops {
            stop.await.expect("stopped");
        }
    }
}

/// Producers that go on sending to the address they know, one message after the other.
struct Load {
    is_over: Arc<AtomicBool>,
    acked: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(addresses: &[String]) -> Self {
        Self::start_with(addresses, false)
    }

    /// A send whose outcome nobody knows is tried again, as producers do; one that is refused is a failure.
    fn start_allowing_unknown(addresses: &[String]) -> Self {
        Self::start_with(addresses, true)
    }

    fn start_with(addresses: &[String], may_be_unknown: bool) -> Self {
        let (is_over, acked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let lane = |number: usize, address: &String| {
            let client = Client::new(address);
            let (is_over, acked) = (Arc::clone(&is_over), Arc::clone(&acked));
            tokio::spawn(async move {
                let mut bodies = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let body = format!("{number}-{}", bodies.len());
                    let answer = client.call(send_request("TopicA", 0, &body, "")).await;
                    if may_be_unknown && answer.code == 1 {
                        continue;
                    }
                    assert_eq!(answer.code, 0, "{body}: {:?}", answer.remark);
                    sent(&answer);
                    bodies.push(body);
                    acked.fetch_add(1, Ordering::Relaxed);
                }
                bodies
            })
        };
        let tasks = addresses.iter().enumerate().map(|(number, address)| lane(number, address)).collect();
        Self { is_over, acked, tasks }
    }

    async fn flows(&self) {
        let before = self.acked.load(Ordering::Relaxed);
        until_asked("sends flow", async || {
            // A lane that failed never comes back: its own words say more than our patience.
            self.tasks.iter().any(|task| task.is_finished())
                || self.acked.load(Ordering::Relaxed) > before + 50
        })
        .await;
    }

    /// Ends the load; what every lane got acknowledged, in its order.
    async fn end(self) -> Vec<Vec<String>> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut lanes = Vec::new();
        for task in self.tasks {
            lanes.push(task.await.expect("no send of this lane failed"));
        }
        lanes
    }
}

/// Everything in the queue, in its order.
async fn stored(address: &str) -> Vec<String> {
    let client = Client::new(address);
    let (mut bodies, mut offset) = (Vec::new(), 0);
    loop {
        let answer = client.ask(RequestCode::PullMessage, &pull_header("G", "TopicA", 0, offset)).await;
        let pulled = crate::support::pulled(&answer);
        if pulled.code != 0 {
            assert_eq!(pulled.code, 19, "{}", pulled.remark);
            return bodies;
        }
        bodies.extend(messages_of(&answer.body).into_iter().map(|message| message.body));
        offset = pulled.next;
    }
}

/// Every acknowledged message is there, and those of one lane are in their order.
fn assert_kept(stored: &[String], lanes: &[Vec<String>]) {
    let mut seen = HashSet::new();
    let firsts: Vec<&String> = stored.iter().filter(|body| seen.insert(*body)).collect();
    for (number, lane) in lanes.iter().enumerate() {
        let prefix = format!("{number}-");
        let kept: Vec<&String> =
            firsts.iter().copied().filter(|body| body.starts_with(&prefix)).take(lane.len()).collect();
        assert_eq!(kept, lane.iter().collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_hand_over_and_no_send_to_any_replica_is_refused() {
    let trio = Trio::start(&[]).await;
    let addresses: Vec<String> = (0..3).map(|number| trio.address(number)).collect();
    let load = Load::start(&addresses);
    load.flows().await;
    for round in 1..=9 {
        let leader = trio.leader().await;
        trio.hand_over_to((leader + 1 + round % 2) % 3).await;
        load.flows().await;
    }
    let lanes = load.end().await;
    assert_kept(&stored(&trio.address(0)).await, &lanes);
    trio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_parked_on_a_follower_is_forwarded_when_another_replica_comes_to_lead() {
    let mut trio = Trio::start(&[("handOverWaitTimeSeconds", "0")]).await;
    // One replica stays behind, so that it cannot come to lead later, when it is the first to return.
    let leader = trio.leader().await;
    let (behind, other) = ((leader + 1) % 3, (leader + 2) % 3);
    Client::new(&trio.address(leader)).send("TopicA", 0, "before", "").await;
    for number in [behind, other, leader] {
        trio.stop_one(number).await;
        if number == behind {
            Client::new(&trio.address(leader)).send("TopicA", 0, "while it was away", "").await;
        }
    }
    trio.start_again(behind).await;
    let client = Client::new(&trio.address(behind));
    let parked = tokio::spawn(async move {
        // Requests are not parked for ever: one of these is when the two others are there.
        for number in 0.. {
            let body = format!("parked-{number}");
            let answer = client.call(send_request("TopicA", 0, &body, "")).await;
            match answer.code {
                0 => return (body, answer),
                14 => {}
                code => panic!("{code}: {:?}", answer.remark),
            }
        }
        unreachable!("the loop ends with an acknowledgement")
    });
    trio.start_again(leader).await;
    trio.start_again(other).await;
    let (body, answer) = parked.await.expect("acknowledged");
    assert!(answer.ext_fields.contains("forwardedTo"), "{answer:?}");
    let leader = trio.leader().await;
    assert_ne!(leader, behind);
    assert_eq!(stored(&trio.address(leader)).await, ["before", "while it was away", &body]);
    trio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_leader_serves_its_producers_until_they_have_asked_for_their_route() {
    let mut trio = Trio::start(&[("handOverWaitTimeSeconds", "2")]).await;
    let leader = trio.leader().await;
    let client = Client::new(&trio.address(leader));
    client.heartbeat(&crate::support::producer("c1", "PG")).await;
    client.send("TopicA", 0, "before", "").await;
    let began = Instant::now();
    let stop = tokio::spawn(trio.replicas[leader].take().expect("it runs").stop());
    let mut forwarded = 0;
    while began.elapsed() < Duration::from_millis(1_500) {
        let answer = client.call(send_request("TopicA", 0, &format!("late-{forwarded}"), "")).await;
        assert_eq!(answer.code, 0, "{:?}", answer.remark);
        forwarded += usize::from(answer.ext_fields.contains("forwardedTo"));
    }
    assert!(forwarded > 0, "the new leader answered");
    stop.await.expect("stopped");
    assert!(began.elapsed() < PATIENCE / 3);
    // Nobody is connected any more: the next one goes at once.
    let next = trio.leader().await;
    let began = Instant::now();
    trio.stop_one(next).await;
    assert!(began.elapsed() < PATIENCE / 3);
    trio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_restart_one_after_the_other_and_a_producer_with_an_old_route_sees_no_failed_send() {
    let mut trio = Trio::start(&[("handOverWaitTimeSeconds", "3")]).await;
    let mut lanes: Vec<Vec<String>> = vec![Vec::new()];
    let mut route = trio.leader().await;
    for _ in 0..3 {
        let stopping = trio.leader().await;
        let client = Client::new(&trio.address(route));
        client.heartbeat(&crate::support::producer("c1", "PG")).await;
        let began = Instant::now();
        let stop = tokio::spawn(trio.replicas[stopping].take().expect("it runs").stop());
        // The producer asks for its route two seconds later.
        while began.elapsed() < Duration::from_secs(2) {
            let body = format!("0-{}", lanes[0].len());
            let answer = client.call(send_request("TopicA", 0, &body, "")).await;
            assert_eq!(answer.code, 0, "{body}: {:?}", answer.remark);
            lanes[0].push(body);
        }
        route = trio.leader().await;
        let client = Client::new(&trio.address(route));
        let body = format!("0-{}", lanes[0].len());
        client.send("TopicA", 0, &body, "").await;
        lanes[0].push(body);
        stop.await.expect("stopped");
        trio.start_again(stopping).await;
    }
    assert_kept(&stored(&trio.address(route)).await, &lanes);
    trio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_stopped_as_a_whole_waits_for_nobody() {
    let mut trio = Trio::start(&[]).await;
    let leader = trio.leader().await;
    let clients: Vec<Client> = (0..3).map(|number| Client::new(&trio.address(number))).collect();
    for client in &clients {
        client.heartbeat(&crate::support::producer("c1", "PG")).await;
    }
    clients[leader].send("TopicA", 0, "kept", "").await;
    // Long before producers ask for their routes again, which takes them 30 s.
    let began = Instant::now();
    trio.replicas.rotate_left(1);
    trio.stop().await;
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_disk_is_full_moves_the_lead_and_no_send_is_refused_as_long_as_anybody_has_room() {
    let disks: Vec<Arc<MemDisk>> = (0..3).map(|_| Arc::new(MemDisk::new())).collect();
    let fill = |number: usize| {
        let used = disks[number].space("/".as_ref()).expect("a disk").used;
        disks[number].set_capacity(Some(used + used / 200));
    };
    let on = disks.iter().map(|disk| Arc::clone(disk) as Arc<dyn Disk>).collect();
    let trio = Trio::start_on(on, &[("cleanResourceInterval", "50")]).await;
    let addresses: Vec<String> = (0..3).map(|number| trio.address(number)).collect();
    let load = Load::start(&addresses);
    load.flows().await;
    let mut full = HashSet::new();
    for _ in 0..2 {
        let leader = trio.leader().await;
        fill(leader);
        full.insert(leader);
        until_asked("somebody with room leads", async || !full.contains(&trio.leader().await)).await;
        load.flows().await;
    }
    let lanes = load.end().await;
    let last = trio.leader().await;
    assert_kept(&stored(&trio.address(last)).await, &lanes);
    // Nobody has room: that is said, and soon. Everything else is served.
    fill(last);
    let client = Client::new(&trio.address(last));
    until_asked("sends are refused", async || {
        client.call(send_request("TopicA", 0, "too much", "")).await.code == 14
    })
    .await;
    let asked = Instant::now();
    assert_eq!(client.call(send_request("TopicA", 0, "too much", "")).await.code, 14);
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert!(trio.leads(last).await);
    disks.iter().for_each(|disk| disk.set_capacity(None));
    until_asked("sends are taken again", async || {
        client.call(send_request("TopicA", 0, "at last", "")).await.code == 0
    })
    .await;
    trio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_leader_took_and_lost_the_lead_before_it_was_an_entry_goes_to_the_next_leader() {
    let trio = Trio::start_on(in_memory(), &SMALL_FILES).await;
    // Many lanes, so that there is always something between the door and the log.
    let addresses: Vec<String> = (0..30).map(|number| trio.address(number % 3)).collect();
    let load = Load::start_allowing_unknown(&addresses);
    load.flows().await;
    for _ in 0..6 {
        trio.wrest_the_lead().await;
        load.flows().await;
    }
    let lanes = load.end().await;
    assert_kept(&stored(&trio.address(0)).await, &lanes);
    trio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preferred_replica_comes_to_lead_as_soon_as_it_has_been_near_for_a_while() {
    let keys = [&SMALL_FILES[..], &[("preferredLeaderIds", "n2")]].concat();
    let trio = Trio::start_on(in_memory(), &keys).await;
    let addresses: Vec<String> = (0..3).map(|number| trio.address(number)).collect();
    let load = Load::start(&addresses);
    let first = trio.leader().await;
    until_asked("n2 leads", async || trio.leads(2).await).await;
    load.flows().await;
    // Who has offered the lead already would wait a minute before it does so again.
    trio.hand_over_to(usize::from(first == 0)).await;
    until_asked("n2 leads again", async || trio.leads(2).await).await;
    load.flows().await;
    let lanes = load.end().await;
    assert_kept(&stored(&trio.address(2)).await, &lanes);
    trio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarded_message_is_born_where_its_client_is() {
    let trio = Trio::start(&[]).await;
    let leader = trio.leader().await;
    let mut born = Vec::new();
    for number in [leader, (leader + 1) % 3, (leader + 2) % 3] {
        let client = Client::new(&trio.address(number));
        client.send("TopicA", 0, "born somewhere", "").await;
        born.push(client.connection().await.local());
    }
    let client = Client::new(&trio.address(leader));
    let answer = client.ask(RequestCode::PullMessage, &pull_header("G", "TopicA", 0, 0)).await;
    let hosts: Vec<SocketAddr> =
        MessageView::iter(&answer.body).map(|view| view.expect("whole records").born_host).collect();
    assert_eq!(hosts, born);
    trio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_are_deleted_while_messages_are_sent_to_them_leave_the_group_alive() {
    let trio = Trio::start_on(in_memory(), &SMALL_FILES).await;
    let leader = trio.leader().await;
    let (is_over, acked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let lanes: Vec<_> = (0..32)
        .map(|_| {
            let client = Client::new(&trio.address(leader));
            let (is_over, acked) = (Arc::clone(&is_over), Arc::clone(&acked));
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    let answer = client.call(send_request("TopicA", 0, "to a topic that goes", "")).await;
                    acked.fetch_add(usize::from(answer.code == 0), Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..40 {
        let before = acked.load(Ordering::Relaxed);
        until_asked("sends flow", async || acked.load(Ordering::Relaxed) > before + 50).await;
        let header = DeleteTopicRequestHeader { topic: "TopicA".into() };
        let answer = Client::new(&trio.address(leader)).ask(RequestCode::DeleteTopicInBroker, &header).await;
        assert_eq!(answer.code, 0, "{:?}", answer.remark);
    }
    is_over.store(true, Ordering::Relaxed);
    for lane in lanes {
        lane.await.expect("a lane ends");
    }
    for number in 0..3 {
        let answer =
            Client::new(&trio.address(number)).call(send_request("TopicA", 0, "after all", "")).await;
        assert_eq!(answer.code, 0, "{:?}", answer.remark);
        let ends = |replica: usize| {
            trio.replicas[replica].as_ref().expect("it runs").broker.node().store.max_offset("TopicA", 0)
        };
        until_asked("all have the same queue", async || (0..3).all(|replica| ends(replica) == ends(leader)))
            .await;
    }
    trio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pull_that_takes_a_reset_does_not_undo_it_by_the_offset_that_it_carries() {
    let trio = Trio::start_on(in_memory(), &SMALL_FILES).await;
    let client = Client::new(&trio.address(trio.leader().await));
    client.consume("c1", "G", "TopicA", "*").await;
    for body in ["0", "1", "2"] {
        client.send("TopicA", 0, body, "").await;
    }
    let carrying = |commit_offset: i64| PullMessageRequestHeader {
        sys_flag: sys_flag::pull::build(true, false, true, false),
        commit_offset,
        ..pull_header("G", "TopicA", 0, 3)
    };
    client.ask(RequestCode::PullMessage, &carrying(2)).await;
    let reset = reset_header("G", "TopicA");
    assert_eq!(client.ask(RequestCode::InvokeBrokerToResetOffset, &reset).await.code, 0);
    assert_eq!(client.ask(RequestCode::PullMessage, &carrying(3)).await.code, 21, "it is sent back");
    assert_eq!(client.offset("G", "TopicA", None).await, (0, Some(0)));
    trio.stop().await;
}
