//! Walks through the plan: strikes, waits, heals, and watches for servers that end by themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::act::{Struck, Undo};
use super::targets::{Scene, pick};
use super::{clock, damage, elected, group, power, process, refusal, split};
use crate::cluster::{Cluster, Probe, Role, files};
use crate::error::Result;
use crate::history::{Answer, Call, Ended, Event, FaultNote, FaultPhase, Recorder};
use crate::net::Member;
use crate::schedule::{Dice, FaultKind, FaultPlan, Step, Whom};

/// How often the injector looks around.
const LOOKS: Duration = Duration::from_millis(50);

/// In the classic modes.
pub(super) const MASTER: Member = 0;
pub(super) const SLAVE: Member = 1;

/// What the network still held has arrived when a slave's log rests for this long.
const SLAVE_RESTS: Duration = Duration::from_millis(200);
const SLAVE_LOOKS_MAX: u32 = 20;

/// Says that the run must end now.
#[derive(Clone, Debug, Default)]
pub struct StopSign(Arc<AtomicBool>);

impl StopSign {
    /// Ends the run as soon as everybody looks.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the run must end.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The fault injector of one run.
#[derive(Debug)]
pub struct Injector {
    pub(super) cluster: Arc<Cluster>,
    pub(super) probe: Probe,
    runtime: Handle,
    recorder: Recorder,
    stop: StopSign,
    report: Report,
}

/// What is going on, for the progress line.
#[derive(Clone, Debug, Default)]
pub struct Report(Arc<std::sync::Mutex<BTreeMap<u32, &'static str>>>);

impl Report {
    /// The faults of the moment.
    pub fn now(&self) -> String {
        let on = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        on.values().copied().collect::<Vec<_>>().join("+")
    }

    fn set(&self, id: u32, name: Option<&'static str>) {
        let mut on = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match name {
            Some(name) => on.insert(id, name),
            None => on.remove(&id),
        };
    }
}

/// A fault that is on.
#[derive(Debug)]
struct Active {
    step: Step,
    heal_at: Duration,
    nodes: Vec<Member>,
    undo: Undo,
}

impl Injector {
    /// An injector for a cluster; `runtime` carries its questions to servers.
    pub fn new(
        cluster: Arc<Cluster>,
        probe: Probe,
        runtime: Handle,
        recorder: Recorder,
        stop: StopSign,
    ) -> Self {
        Self { cluster, probe, runtime, recorder, stop, report: Report::default() }
    }

    /// What the progress line reads.
    pub fn report(&self) -> Report {
        self.report.clone()
    }

    /// Carries out the plan, then waits until `time` is over; heals everything, whatever happened. Blocking.
    pub fn run(&self, plan: &FaultPlan, time: Duration) -> Result<()> {
        let mut active = Vec::new();
        let outcome = self.walk(plan, time, &mut active);
        for fault in active {
            self.heal(fault)?;
        }
        self.cluster.heal_all()?;
        outcome
    }

    fn walk(&self, plan: &FaultPlan, time: Duration, active: &mut Vec<Active>) -> Result<()> {
        let began = Instant::now();
        let mut steps = plan.steps.iter().peekable();
        while began.elapsed() < time && !self.stop.is_raised() {
            let due = |step: &&Step| Duration::from_millis(step.at_ms) <= began.elapsed();
            if let Some(step) = steps.next_if(due) {
                let fault = self.begin(*step)?;
                active.push(Active {
                    heal_at: began.elapsed() + Duration::from_millis(step.lasts_ms),
                    ..fault
                });
            }
            for fault in active.extract_if(.., |fault| fault.heal_at <= began.elapsed()) {
                self.heal(fault)?;
            }
            let explained = active.iter().any(|fault| fault.step.kind.may_end_a_process());
            self.cluster.survey(self.recorder.now(), explained);
            std::thread::sleep(LOOKS);
        }
        Ok(())
    }

    fn begin(&self, step: Step) -> Result<Active> {
        let mut dice = Dice::new(step.dice);
        let before = self.recorder.now();
        let struck = self.strike(step, &mut dice)?;
        // Recovery counts from the moment when the fault took hold.
        let at = if step.kind.strikes_at_once() { before } else { self.recorder.now() };
        self.note(at, step, struck.phase, &struck.nodes, &struck.what);
        if struck.phase != FaultPhase::Skipped {
            self.report.set(step.id, Some(step.kind.name()));
        }
        Ok(Active { step, heal_at: Duration::ZERO, nodes: struck.nodes, undo: struck.undo })
    }

    fn heal(&self, fault: Active) -> Result<()> {
        let step = fault.step;
        fault.undo.run(step.id, self)?;
        self.report.set(step.id, None);
        self.note(self.recorder.now(), step, FaultPhase::Healed, &fault.nodes, "");
        Ok(())
    }

    fn note(&self, at: u64, step: Step, phase: FaultPhase, nodes: &[Member], what: &str) {
        let nemesis = step.kind.name().to_owned();
        self.recorder.fault(
            at,
            FaultNote { id: step.id, nemesis, phase, nodes: nodes.to_vec(), what: what.to_owned() },
        );
    }

    fn strike(&self, step: Step, dice: &mut Dice) -> Result<Struck> {
        let scene = self.scene();
        let targets = |whom: Whom, dice: &mut Dice| pick(whom, &scene, dice);
        let on = |whom, dice: &mut Dice, deed: &dyn Fn(&[Member]) -> Result<Struck>| match targets(whom, dice)
        {
            Ok(members) => deed(&members),
            Err(why) => Ok(Struck::skipped(why)),
        };
        match step.kind {
            FaultKind::Kill(whom) => on(whom, dice, &|members| process::kill(self, members)),
            FaultKind::Pause(whom) => on(whom, dice, &|members| process::pause(self, members)),
            FaultKind::Stop(whom) => on(whom, dice, &|members| process::stop(self, members)),
            FaultKind::PowerCut(whom) => on(whom, dice, &|members| power::cut(self, members)),
            FaultKind::Refuse(refusal, whom) => {
                on(whom, dice, &|members| refusal::refuse(self, refusal, members[0]))
            }
            FaultKind::Partition(split) => self.lay(step.id, split::partition(split, &scene, dice)),
            FaultKind::Links(weather) => self.lay(step.id, split::weather(weather, &scene, dice)),
            FaultKind::RollingRestart => process::rolling_restart(self),
            FaultKind::Disk(damage) => match targets(Whom::Follower, dice) {
                Ok(members) => damage::damage(self, damage, members[0], dice),
                Err(why) => Ok(Struck::skipped(why)),
            },
            FaultKind::ClockJump => match targets(Whom::One, dice) {
                Ok(members) => clock::jump(self, members[0], dice),
                Err(why) => Ok(Struck::skipped(why)),
            },
            FaultKind::CutElected => elected::cut_elected(self, step),
            FaultKind::PowerElectors => elected::cut_power_of_electors(self, step),
            FaultKind::Transfer => group::transfer(self, &scene, dice),
            FaultKind::Replace => group::replace(self, &scene, dice),
            FaultKind::RetentionLag => group::retention_lag(self, &scene, dice),
        }
    }

    fn lay(&self, fault: u32, laid: split::Laid) -> Result<Struck> {
        let (effect, nodes, what) = match laid {
            Ok(laid) => laid,
            Err(why) => return Ok(Struck::skipped(why)),
        };
        self.cluster.lay(fault, effect)?;
        Ok(Struck::installed(nodes, what, Undo { links: true, ..Undo::default() }))
    }

    /// Notes where the slave's log ends once its master is dead and nothing comes any more.
    pub(super) fn look_at_slave(&self, dead: &[Member]) -> Result<()> {
        if !self.cluster.plan.mode.has_slave() || dead != [MASTER] {
            return Ok(());
        }
        let end = || files::log_end(&self.cluster.commit_log(SLAVE));
        let op = self.recorder.invoke(Event::NEMESIS, Call::LogEnd { node: SLAVE });
        let mut before = end()?;
        for _ in 0..SLAVE_LOOKS_MAX {
            std::thread::sleep(SLAVE_RESTS);
            let now = end()?;
            if now == before {
                break;
            }
            before = now;
        }
        self.recorder.complete(Event::NEMESIS, op, &Ended::Ok(Answer::End(before)));
        Ok(())
    }

    /// Notes what a broker says of its term just before something is done to it.
    pub(super) fn look_at_standing(&self, member: Member) {
        self.block_on(self.probe.note_standing(&self.recorder, Event::NEMESIS, member));
    }

    /// Who is who right now.
    pub(super) fn scene(&self) -> Scene {
        let plan = &self.cluster.plan;
        let leader = self.runtime.block_on(self.probe.leader());
        Scene { brokers: plan.brokers().collect(), names: plan.names().collect(), leader }
    }

    /// The master, as soon as there is one.
    pub(super) fn wait_for_leader(&self, patience: Duration) -> Option<Member> {
        let deadline = Instant::now() + patience;
        loop {
            let leader = self.runtime.block_on(self.probe.leader());
            if leader.is_some() || Instant::now() > deadline || self.stop.is_raised() {
                return leader;
            }
            std::thread::sleep(LOOKS);
        }
    }

    /// What a broker says that it is; `None` if it does not answer.
    pub(super) fn role(&self, member: Member) -> Option<(Role, u64)> {
        self.runtime.block_on(self.probe.role(member))
    }

    /// Asks a server something.
    pub(super) fn block_on<T>(&self, question: impl Future<Output = T>) -> T {
        self.runtime.block_on(question)
    }

    /// Whether the run must end.
    pub(super) fn stopping(&self) -> bool {
        self.stop.is_raised()
    }

    /// Waits, unless the run must end.
    pub(super) fn wait(&self, time: Duration) {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline && !self.stop.is_raised() {
            std::thread::sleep(LOOKS);
        }
    }
}
