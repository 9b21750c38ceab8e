//! Signals: kill, freeze, stop, restart one after the other.

use std::time::{Duration, Instant};

use super::act::{Struck, Undo};
use super::injector::Injector;
use crate::cluster::ServerState;
use crate::error::Result;
use crate::net::Member;

/// A graceful stop that takes longer is not graceful.
const GRACE: Duration = Duration::from_secs(20);

/// A restarted replica must be back within this before the next one is touched.
const BACK: Duration = Duration::from_secs(30);

/// SIGKILL, all targets as nearly at once as a loop can.
pub(super) fn kill(injector: &Injector, members: &[Member]) -> Result<Struck> {
    let alive = alive(injector, members);
    for member in &alive {
        injector.cluster.server_of(*member).kill()?;
    }
    injector.look_at_slave(&alive)?;
    Ok(told(&alive, "SIGKILL", Undo::starting(&alive)))
}

/// SIGSTOP.
pub(super) fn pause(injector: &Injector, members: &[Member]) -> Result<Struck> {
    let alive = alive(injector, members);
    for member in &alive {
        injector.cluster.server_of(*member).pause()?;
    }
    let undo = Undo { resume: alive.clone(), ..Undo::default() };
    Ok(told(&alive, "SIGSTOP", undo))
}

/// SIGTERM.
pub(super) fn stop(injector: &Injector, members: &[Member]) -> Result<Struck> {
    let alive = alive(injector, members);
    let mut what = "SIGTERM".to_owned();
    for member in &alive {
        let began = Instant::now();
        let graceful = injector.cluster.server_of(*member).stop(GRACE)?;
        let ended = if graceful { "went" } else { "had to be killed" };
        what.push_str(&format!(", n{member} {ended} after {} ms", began.elapsed().as_millis()));
    }
    Ok(told(&alive, &what, Undo::starting(&alive)))
}

/// Followers first, the master last, each back before the next goes.
pub(super) fn rolling_restart(injector: &Injector) -> Result<Struck> {
    let scene = injector.scene();
    let mut order: Vec<Member> = scene.brokers.clone();
    order.sort_by_key(|member| Some(*member) == scene.leader);
    let mut what = format!("in the order {order:?}");
    for member in order.clone() {
        let graceful = injector.cluster.server_of(member).stop(GRACE)?;
        injector.cluster.start_member(member)?;
        let deadline = Instant::now() + BACK;
        while injector.role(member).is_none() {
            if Instant::now() > deadline || injector.stopping() {
                return Ok(Struck::indeterminate(
                    order,
                    format!("{what}; n{member} is not back"),
                    Undo::default(),
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if !graceful {
            what.push_str(&format!("; n{member} had to be killed"));
        }
    }
    Ok(Struck::installed(order, what, Undo::default()))
}

/// The members of a list whose processes run; a frozen one can be killed too.
pub(super) fn alive(injector: &Injector, members: &[Member]) -> Vec<Member> {
    let runs = |member: &Member| injector.cluster.server_of(*member).state() != ServerState::Down;
    members.iter().copied().filter(runs).collect()
}

fn told(struck: &[Member], what: &str, undo: Undo) -> Struck {
    if struck.is_empty() {
        return Struck::skipped("all targets were down already");
    }
    Struck::installed(struck.to_vec(), what, undo)
}
