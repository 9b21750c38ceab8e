//! One demo from the first message to the verdict.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use client::ClientError;
use daemon::Shutdown;
use indicatif::ProgressBar;
use protocol::body::TopicConfig;
use protocol::perm;

use crate::cluster::{Cluster, GLANCE};
use crate::layout::{CLUSTER_NAME, Shape};
use crate::screen::Screen;
use crate::words;

use super::failover::Failover;
use super::load::{Load, TOPIC};
use super::report;

/// Queues of the topic.
const QUEUES: i32 = 8;
/// How long the topic may take to be made and routed.
const TOPIC_MAX: Duration = Duration::from_secs(10);
/// Without a message for so long, what is missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two lines where there is no terminal.
const LINE_PERIOD: Duration = Duration::from_secs(1);

/// What a demo does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) messages: u64,
    /// Bytes of a body.
    pub(crate) size: usize,
    /// Sends under way at the same time.
    pub(crate) in_flight: usize,
    /// Tells the bodies of this run from those of others on the same store.
    pub(crate) run: u64,
}

impl Plan {
    pub(crate) fn new(messages: u64, size: usize, in_flight: usize) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { messages, size, in_flight, run: u64::try_from(since.as_micros()).unwrap_or(0) }
    }
}

/// Runs the demo; an error if anything acknowledged was lost, or if it could not be finished.
pub(crate) async fn run(
    cluster: &mut Cluster,
    screen: &Screen,
    plan: Plan,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    make_topic(cluster).await?;
    screen.say(&format!(
        "Sending {} messages of {} bytes to topic {TOPIC}, {} at a time, and consuming them:",
        words::count(plan.messages),
        plan.size,
        plan.in_flight
    ));
    let mut load = Load::start(&cluster.layout.namesrv.address, plan).await?;
    let mut failover = (cluster.layout.shape == Shape::Group).then(Failover::new);
    let mut progress = Progress::new(screen, plan.messages);
    let outcome = tokio::select! {
        () = shutdown.requested() => Err(anyhow::anyhow!("interrupted")),
        outcome = see_through(cluster, screen, &mut load, &mut failover, &mut progress) => outcome,
    };
    progress.clear();
    let (ledger, failure) = (load.ledger.clone(), load.failure());
    load.stop().await;
    let story = outcome?;
    let summary = ledger.summary();
    screen.say(&format!("\n{}\n", report::figures(&summary)));
    if let Some(failure) = failure {
        screen.say(&format!("the first send that was given up: {failure}"));
    }
    if let (Some(story), Some(killed)) = (story, failover.as_ref().and_then(Failover::killed)) {
        screen.say(&format!("{}\n{story}", report::gap(killed, ledger.silence(killed))));
    }
    let sentence = report::verdict(&summary).map_err(anyhow::Error::msg)?;
    screen.say(&sentence);
    Ok(())
}

/// Until everything is sent, everything acknowledged is consumed, and a killed replica is back.
async fn see_through(
    cluster: &mut Cluster,
    screen: &Screen,
    load: &mut Load,
    failover: &mut Option<Failover>,
    progress: &mut Progress<'_>,
) -> anyhow::Result<Option<String>> {
    let mut last_news = (0, Instant::now());
    loop {
        let (acked, consumed) = (load.ledger.acked(), load.ledger.consumed());
        progress.show(acked, consumed);
        if let Some(fallen) = cluster.fallen().first() {
            bail!("{fallen}");
        }
        if let Some(failover) = failover {
            failover.go_on(cluster, screen, load.clock, (acked, progress.messages)).await?;
        }
        let is_sent = load.is_sent();
        if is_sent && load.ledger.is_settled() {
            break;
        }
        if last_news.0 != acked + consumed {
            last_news = (acked + consumed, Instant::now());
        } else if is_sent && last_news.1.elapsed() > PATIENCE {
            // The table shows what is missing.
            break;
        }
        tokio::time::sleep(GLANCE).await;
    }
    progress.show(load.ledger.acked(), load.ledger.consumed());
    match failover {
        Some(failover) => failover.finish(cluster, screen).await.map(Some),
        None => Ok(None),
    }
}

/// Makes the topic, and waits until the name server has a route to it.
async fn make_topic(cluster: &Cluster) -> anyhow::Result<()> {
    let config = TopicConfig::new(TOPIC, QUEUES, QUEUES, perm::READ | perm::WRITE);
    let admin = cluster.admin();
    let start = Instant::now();
    loop {
        let made: Result<_, ClientError> = async {
            admin.create_topic(CLUSTER_NAME, &config).await?;
            admin.topic_route(TOPIC).await
        }
        .await;
        match made {
            Ok(_) => return Ok(()),
            Err(error) if start.elapsed() > TOPIC_MAX => {
                return Err(error).context("making the topic of the demo");
            }
            Err(_) => tokio::time::sleep(GLANCE).await,
        }
    }
}

/// Two bars on a terminal, a line a second elsewhere.
#[derive(Debug)]
struct Progress<'a> {
    screen: &'a Screen,
    messages: u64,
    sent: ProgressBar,
    consumed: ProgressBar,
    began: Instant,
    said: Instant,
}

impl<'a> Progress<'a> {
    fn new(screen: &'a Screen, messages: u64) -> Self {
        let (sent, consumed) = (screen.bar("sent", messages), screen.bar("consumed", messages));
        Self { screen, messages, sent, consumed, began: Instant::now(), said: Instant::now() }
    }

    fn show(&mut self, acked: u64, consumed: u64) {
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        for (bar, number) in [(&self.sent, acked), (&self.consumed, consumed)] {
            bar.set_message(format!("{}/s", words::count(words::per_second(number, micros))));
            bar.set_position(number);
        }
        if !self.screen.is_terminal() && self.said.elapsed() >= LINE_PERIOD {
            self.said = Instant::now();
            let [acked, consumed] = [acked, consumed].map(words::count);
            self.screen.say(&format!("  sent {acked}, consumed {consumed}"));
        }
    }

    fn clear(&self) {
        self.sent.finish_and_clear();
        self.consumed.finish_and_clear();
    }
}
