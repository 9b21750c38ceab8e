//! Faults of the group itself: handing over, replacing a replica, deleting under a lagging one.

use std::time::Duration;

use super::act::{Struck, Undo};
use super::injector::Injector;
use super::targets::{Scene, pick};
use crate::error::Result;
use crate::schedule::{Dice, Whom};

/// A transfer that takes longer has failed.
const HANDS_OVER_WITHIN: Duration = Duration::from_secs(5);

/// Asks the master to hand over to a follower of chance, and sees whether it did. A follower that just came back is not
/// taken for an heir, so others are asked for, and once more.
pub(super) fn transfer(injector: &Injector, scene: &Scene, dice: &mut Dice) -> Result<Struck> {
    let Some(leader) = scene.leader else { return Ok(Struck::skipped("nobody leads")) };
    let deadline = std::time::Instant::now() + HANDS_OVER_WITHIN;
    let mut asked = None;
    while asked.is_none() && std::time::Instant::now() < deadline && !injector.stopping() {
        let Ok(followers) = pick(Whom::Follower, scene, dice) else {
            return Ok(Struck::skipped("nobody follows"));
        };
        asked =
            followers.first().copied().filter(|to| injector.block_on(injector.probe.transfer(leader, *to)));
        if asked.is_none() {
            injector.wait(Duration::from_millis(250));
        }
    }
    let Some(to) = asked else {
        return Ok(Struck::skipped(format!("n{leader} does not take the command to hand over")));
    };
    let deadline = std::time::Instant::now() + HANDS_OVER_WITHIN;
    while std::time::Instant::now() < deadline && !injector.stopping() {
        if injector.scene().leader.is_some_and(|now| now != leader) {
            return Ok(Struck::installed(
                vec![leader, to],
                format!("n{leader} handed over"),
                Undo::default(),
            ));
        }
        injector.wait(Duration::from_millis(50));
    }
    Ok(Struck::indeterminate(vec![leader, to], format!("n{leader} still leads"), Undo::default()))
}

/// Takes a running follower out of the group, wipes its disk and lets it join again as a new replica.
pub(super) fn replace(injector: &Injector, scene: &Scene, dice: &mut Dice) -> Result<Struck> {
    let Ok(followers) = pick(Whom::Follower, scene, dice) else {
        return Ok(Struck::skipped("nobody follows"));
    };
    let member = followers[0];
    Ok(match super::damage::rebuild(injector, member)? {
        None => {
            let what = format!("n{member} left and joined again with an empty disk");
            Struck::installed(vec![member], what, Undo::default())
        }
        Some(why) => Struck::indeterminate(vec![member], why, Undo::starting(&[member])),
    })
}

/// Stops a follower and lets the others delete what they may.
pub(super) fn retention_lag(injector: &Injector, scene: &Scene, dice: &mut Dice) -> Result<Struck> {
    if !injector.cluster.settings.retention {
        return Ok(Struck::skipped("the run keeps everything"));
    }
    let Ok(followers) = pick(Whom::Follower, scene, dice) else {
        return Ok(Struck::skipped("nobody follows"));
    };
    let lagging = followers[0];
    let first = |member| first_kept(injector, member);
    let others: Vec<_> = scene.brokers.iter().copied().filter(|member| *member != lagging).collect();
    let before: Vec<_> = others.iter().map(|member| first(*member)).collect();
    injector.cluster.server_of(lagging).kill()?;
    injector.wait(Duration::from_secs(3));
    for member in &others {
        injector.block_on(injector.probe.delete_expired(*member));
    }
    injector.wait(Duration::from_secs(2));
    let after: Vec<_> = others.iter().map(|member| first(*member)).collect();
    let what = format!("n{lagging} is down while the others' logs begin at {after:?} instead of {before:?}");
    if after == before {
        return Ok(Struck::indeterminate(vec![lagging], what, Undo::starting(&[lagging])));
    }
    Ok(Struck::installed(vec![lagging], what, Undo::starting(&[lagging])))
}

/// The first position that a replica's files hold.
fn first_kept(injector: &Injector, member: u32) -> u64 {
    let names = std::fs::read_dir(injector.cluster.commit_log(member)).into_iter().flatten();
    let starts = names.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    starts.min().unwrap_or(0)
}
