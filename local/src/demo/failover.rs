//! The kill in the middle of a demo: who led, when it was killed, who leads since, and when it was back. Deeds happen
//! as the load goes on: the leader is killed at 40 % of the acknowledgements and started again at 70 %.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::cluster::{Cluster, GLANCE};
use crate::figures::{self, Figures};
use crate::screen::Screen;
use crate::words;

use super::load::Clock;

const KILL_AT: u64 = 40;
const RESTART_AT: u64 = 70;
/// How long the killed replica may take to have everything again.
const CATCH_UP_MAX: Duration = Duration::from_secs(120);

/// What there is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Kill,
    Restart { victim: usize },
    Done { victim: usize },
}

/// The kill, as far as it has come.
#[derive(Debug)]
pub(crate) struct Failover {
    step: Step,
    /// When the leader was killed, on the clock of the demo.
    killed: u64,
    /// The term in which it led.
    term: i64,
    restarted: Instant,
}

impl Failover {
    pub(crate) fn new() -> Self {
        Self { step: Step::Kill, killed: 0, term: 0, restarted: Instant::now() }
    }

    /// When the leader was killed, if it was.
    pub(crate) fn killed(&self) -> Option<u64> {
        (self.step != Step::Kill).then_some(self.killed)
    }

    /// Does what is due at so many acknowledgements of so many messages.
    pub(crate) async fn go_on(
        &mut self,
        cluster: &mut Cluster,
        screen: &Screen,
        clock: Clock,
        (acked, messages): (u64, u64),
    ) -> anyhow::Result<()> {
        let percent = acked * 100 / messages;
        match self.step {
            Step::Kill if percent >= KILL_AT => self.kill(cluster, screen, clock, acked).await,
            Step::Restart { victim } if percent >= RESTART_AT => self.restart(cluster, screen, victim),
            Step::Kill | Step::Restart { .. } | Step::Done { .. } => Ok(()),
        }
    }

    async fn kill(
        &mut self,
        cluster: &mut Cluster,
        screen: &Screen,
        clock: Clock,
        acked: u64,
    ) -> anyhow::Result<()> {
        let seen = cluster.figures().await;
        // A leader that is just being elected is asked for again at the next look.
        let Some(victim) = figures::leader(&seen) else { return Ok(()) };
        self.term = term(&seen[victim]);
        let server = cluster.broker(victim);
        self.killed = clock.now();
        server.kill();
        let name = &server.node.name;
        screen.say(&format!(
            "  {} acknowledged: SIGKILL for {name}, which leads in term {}",
            words::count(acked),
            self.term
        ));
        self.step = Step::Restart { victim };
        Ok(())
    }

    fn restart(&mut self, cluster: &mut Cluster, screen: &Screen, victim: usize) -> anyhow::Result<()> {
        let server = cluster.broker(victim);
        server.restart()?;
        self.restarted = Instant::now();
        screen.say(&format!("  {} is started again", server.node.name));
        self.step = Step::Done { victim };
        Ok(())
    }

    /// Once nothing is sent any more: waits until the killed replica has what the others have; says how it went.
    pub(crate) async fn finish(&mut self, cluster: &mut Cluster, screen: &Screen) -> anyhow::Result<String> {
        if self.step == Step::Kill {
            bail!("no leader answered, so none was killed");
        }
        if let Step::Restart { victim } = self.step {
            self.restart(cluster, screen, victim)?;
        }
        let Step::Done { victim } = self.step else { bail!("the killed replica was not started again") };
        let deadline = Instant::now() + CATCH_UP_MAX;
        let mut target = None;
        loop {
            if let Some(fallen) = cluster.fallen().first() {
                bail!("{fallen}");
            }
            let seen = cluster.figures().await;
            let leader = figures::leader(&seen);
            // What was committed when nothing was sent any more; later entries are offsets of consumers.
            target = target.or_else(|| leader.map(|leader| committed(&seen[leader])));
            if let (Some(leader), Some(target)) = (leader, target)
                && committed(&seen[victim]) >= target
            {
                return Ok(self.story(cluster, victim, leader, &seen));
            }
            if Instant::now() > deadline {
                let name = &cluster.layout.brokers[victim].name;
                bail!("{name} has {}, not {target:?}, after {CATCH_UP_MAX:?}", committed(&seen[victim]));
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    fn story(&self, cluster: &Cluster, victim: usize, leader: usize, seen: &[Option<Figures>]) -> String {
        let name = |number: usize| &cluster.layout.brokers[number].name;
        let back = words::time(u64::try_from(self.restarted.elapsed().as_micros()).unwrap_or(u64::MAX));
        format!(
            "{} led in term {}, {} leads in term {}; {} had everything again {back} after its start",
            name(victim),
            self.term,
            name(leader),
            term(&seen[leader]),
            name(victim)
        )
    }
}

fn term(figures: &Option<Figures>) -> i64 {
    figures.as_ref().and_then(|figures| figures.raft.as_ref()).map_or(0, |raft| raft.term)
}

fn committed(figures: &Option<Figures>) -> i64 {
    figures
        .as_ref()
        .and_then(|figures| figures.raft.as_ref())
        .map_or(-1, |raft| raft.applied.min(raft.committed))
}
