//! Whoever is elected is cut off at once, before the others have heard of it, again and again.
//!
//! Links are slow meanwhile, so that a new master's first entry is still under way when it is cut off: entries of many
//! terms pile up on single replicas, and masters come back with tails that nobody else has. That is Figure 8 of the Raft
//! paper, and chance alone would hardly ever draw it.

use std::time::{Duration, Instant};

use super::act::{Struck, Undo};
use super::injector::Injector;
use super::split::pairs;
use crate::error::Result;
use crate::net::{Effect, Flow, Member};
use crate::schedule::Step;

/// One way. A first vote needs six of these, connecting included, and must have come within 150 ms; an entry needs two.
const DELAY: Duration = Duration::from_millis(20);

/// How often replicas are asked who leads: much more often than an entry can be replicated.
const LOOKS: Duration = Duration::from_millis(4);

/// A master is cut off for so long if nobody is elected meanwhile.
const CUT_MAX: Duration = Duration::from_millis(2_500);

/// One cut is a partition; the fault is that the next ones follow. A slow machine gets more time for them.
const CUTS_MIN: usize = 3;
const EXTRA_MAX: Duration = Duration::from_secs(8);

/// Strikes for the length of the step.
pub(super) fn cut_elected(injector: &Injector, step: Step) -> Result<Struck> {
    let brokers: Vec<Member> = injector.cluster.plan.brokers().collect();
    if !injector.cluster.plan.mode.is_raft() {
        return Ok(Struck::skipped("nobody is elected in this mode"));
    }
    let Some(first) = injector.scene().leader else { return Ok(Struck::skipped("nobody leads")) };
    let slow = Flow { delay: DELAY, ..Flow::default() };
    let weather: Effect = pairs(&brokers).into_iter().map(|(from, to)| (from, to, slow)).collect();
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
        if let Some((member, elected)) = newest(injector, &brokers)
            && elected > term
        {
            term = elected;
            let mut effect = weather.clone();
            for other in brokers.iter().filter(|other| **other != member) {
                effect.extend([(member, *other, Flow::CUT), (*other, member, Flow::CUT)]);
            }
            injector.cluster.links.lay(step.id, effect);
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
