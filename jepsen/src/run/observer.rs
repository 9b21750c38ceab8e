//! Watches every replica from outside while the workload runs: in which term it is, and whether it leads.
//!
//! What it hears goes into the history like everything else, and `check::terms` judges it. Clients could not
//! tell a vote that was forgotten from one that was never given; the term that goes back tells.

use std::time::Duration;

use crate::net::Member;
use crate::workload::Field;

/// How often a replica is asked.
const PERIOD: Duration = Duration::from_millis(100);

/// Asks one replica until the lanes end.
pub(super) async fn observe(field: Field, member: Member) {
    let process = field.process();
    while !field.stopped() {
        field.probe.note_standing(&field.recorder, process, member).await;
        field.wait(PERIOD).await;
    }
}
