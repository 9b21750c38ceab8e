//! Whoever is elected is cut off at once, before the others have heard of it, again and again.
//!
//! Links are slow meanwhile, so that a new master's first entry is still under way when it is cut off: entries of many
//! terms pile up on single replicas, and masters come back with tails that nobody else has. That is Figure 8 of the Raft
//! paper, and chance alone would hardly ever draw it.
//!
//! Or whoever elected it loses its power before the new master's first entry came: then nothing but the vote itself knows of
//! that term, and a vote that was not synced is given a second time.

use std::time::{Duration, Instant};

use super::act::{Struck, Undo};
use super::injector::Injector;
use super::power;
use super::split::pairs;
use crate::error::Result;
use crate::history::FaultPhase;
use crate::net::{Effect, Flow, Member};
use crate::schedule::Step;

/// One way. A vote needs two of these and must have come within 150 ms; an entry needs two as well.
const DELAY: Duration = Duration::from_millis(20);

/// How often replicas are asked who leads: much more often than an entry can be replicated.
const LOOKS: Duration = Duration::from_millis(4);

/// A master is cut off for so long if nobody is elected meanwhile.
const CUT_MAX: Duration = Duration::from_millis(2_500);

/// One cut is a partition; the fault is that the next ones follow. A slow machine gets more time for them.
const CUTS_MIN: usize = 3;
const EXTRA_MAX: Duration = Duration::from_secs(8);

/// Somebody is elected within this.
const ELECTED_WITHIN: Duration = Duration::from_secs(10);

/// Who takes part, who leads, and slow links between all.
struct Stage {
    brokers: Vec<Member>,
    first: Member,
    weather: Effect,
}

impl Stage {
    fn of(injector: &Injector) -> std::result::Result<Self, &'static str> {
        if !injector.cluster.plan.mode.is_raft() {
            return Err("nobody is elected in this mode");
        }
        let brokers: Vec<Member> = injector.cluster.plan.brokers().collect();
        let first = injector.scene().leader.ok_or("nobody leads")?;
        let slow = Flow { delay: DELAY, ..Flow::default() };
        let weather = pairs(&brokers).into_iter().map(|(from, to)| (from, to, slow)).collect();
        Ok(Self { brokers, first, weather })
    }

    /// The weather, and nobody hears from `member`.
    fn without(&self, member: Member) -> Effect {
        let mut effect = self.weather.clone();
        for other in self.all_but(member) {
            effect.extend([(member, other, Flow::CUT), (other, member, Flow::CUT)]);
        }
        effect
    }

    fn all_but(&self, member: Member) -> Vec<Member> {
        self.brokers.iter().copied().filter(|other| *other != member).collect()
    }
}

/// Cuts off a master, then the one that is elected in its place, and the power of those who elected it; they start and elect
/// a third time while it is away.
pub(super) fn cut_power_of_electors(injector: &Injector, step: Step) -> Result<Struck> {
    let stage = match Stage::of(injector) {
        Ok(stage) => stage,
        Err(why) => return Ok(Struck::skipped(why)),
    };
    let Some((_, before)) = newest(injector, &stage.brokers) else {
        return Ok(Struck::skipped("nobody leads"));
    };
    let links = &injector.cluster.links;
    links.lay(step.id, stage.without(stage.first));
    let Some((elected, term)) = wait_for_newer(injector, &stage.all_but(stage.first), before) else {
        links.lift(step.id);
        return Ok(Struck::indeterminate(vec![stage.first], "nobody was elected", Undo::default()));
    };
    let electors = stage.all_but(elected);
    links.lay(step.id, stage.without(elected));
    // What they say of their term now must still be true of them when they are back.
    electors.iter().for_each(|member| injector.look_at_standing(*member));
    let struck = power::cut(injector, &electors)?;
    if struck.phase != FaultPhase::Installed {
        links.lift(step.id);
        return Ok(struck);
    }
    for member in &electors {
        injector.cluster.start_member(*member)?;
    }
    // In the term of the one that is away, if a vote was lost; in a later one otherwise.
    wait_for_newer(injector, &electors, before);
    links.lift(step.id);
    let what = format!("n{elected} was elected in term {term}, and the others lost their power");
    Ok(Struck { what, undo: Undo::default(), ..struck })
}

/// Waits for one of these that was elected in a later term.
fn wait_for_newer(injector: &Injector, members: &[Member], term: u64) -> Option<(Member, u64)> {
    let deadline = Instant::now() + ELECTED_WITHIN;
    while Instant::now() < deadline && !injector.stopping() {
        let found = newest(injector, members).filter(|(_, elected)| *elected > term);
        if found.is_some() {
            return found;
        }
        std::thread::sleep(LOOKS);
    }
    None
}

/// Strikes for the length of the step.
pub(super) fn cut_elected(injector: &Injector, step: Step) -> Result<Struck> {
    let stage = match Stage::of(injector) {
        Ok(stage) => stage,
        Err(why) => return Ok(Struck::skipped(why)),
    };
    let Stage { brokers, first, weather } = &stage;
    let mut term = 0;
    let mut cut: Option<(Member, Instant)> = None;
    let mut fates = Vec::new();
    let until = Instant::now() + Duration::from_millis(step.lasts_ms);
    injector.cluster.links.lay(step.id, weather.clone());
    injector.wait(DELAY * 4);
    let is_over = |cuts: usize| {
        let late = Instant::now().saturating_duration_since(until);
        Instant::now() >= until && (cuts >= CUTS_MIN || late > EXTRA_MAX)
    };
    while !is_over(fates.len()) && !injector.stopping() {
        if let Some((member, elected)) = newest(injector, brokers)
            && elected > term
        {
            term = elected;
            injector.cluster.links.lay(step.id, stage.without(member));
            cut = Some((member, Instant::now()));
            fates.push(format!("n{member} in term {term}"));
        }
        if cut.is_some_and(|(_, since)| since.elapsed() > CUT_MAX) {
            injector.cluster.links.lay(step.id, weather.clone());
            cut = None;
        }
        std::thread::sleep(LOOKS);
    }
    injector.cluster.links.lift(step.id);
    let what = format!("n{first} led; cut off as soon as elected: {}", fates.join(", "));
    let brokers = brokers.clone();
    Ok(if fates.len() < CUTS_MIN {
        Struck::indeterminate(brokers, what, Undo::default())
    } else {
        Struck::installed(brokers, what, Undo::default())
    })
}

/// Who says that it was elected in the highest term, whether or not it serves yet.
fn newest(injector: &Injector, brokers: &[Member]) -> Option<(Member, u64)> {
    let standings = injector.block_on(injector.probe.standings());
    let leaders =
        standings.into_iter().filter(|(member, standing)| standing.leads && brokers.contains(member));
    leaders.map(|(member, standing)| (member, standing.term)).max_by_key(|(_, term)| *term)
}
