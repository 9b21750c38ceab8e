//! Power cuts: SIGKILL, and what was not synced is gone.

use super::act::{Struck, Undo};
use super::injector::{Injector, MASTER, SLAVE};
use super::process::alive;
use crate::error::Result;
use crate::net::Member;

/// Cuts the power of all members at once: all are dead before the first disk is looked at.
pub(super) fn cut(injector: &Injector, members: &[Member]) -> Result<Struck> {
    if members.iter().any(|member| injector.cluster.image_of(*member).is_none()) {
        return Ok(Struck::skipped(
            "stores have no file systems of their own (not root, or no loop devices)",
        ));
    }
    let alive = alive(injector, members);
    if alive.is_empty() {
        return Ok(Struck::skipped("all targets were down already"));
    }
    for member in &alive {
        injector.cluster.server_of(*member).kill()?;
    }
    injector.look_at_slave(&alive)?;
    for member in &alive {
        if let Some(image) = injector.cluster.image_of(*member).as_mut() {
            image.cut_power()?;
        }
        injector.cluster.new_boot(*member)?;
    }
    let parts = injector.cluster.plan.mode.has_slave() && alive.contains(&MASTER) && !alive.contains(&SLAVE);
    let undo = Undo { reconcile: parts.then_some(SLAVE), ..Undo::starting(&alive) };
    Ok(Struck::installed(alive, "SIGKILL, and all that was not synced is gone", undo))
}
