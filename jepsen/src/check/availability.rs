//! How long each fault made the cluster unusable, and whether it came back at the end.

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use crate::history::{Call, FaultNote, FaultPhase, Operation, Outcome};

/// What one fault did to availability.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// Number of the fault.
    pub id: u32,
    /// Its name.
    pub nemesis: String,
    /// When it struck.
    pub at_us: u64,
    /// From the strike until the first success of an operation that began after it.
    pub recovered_us: Option<u64>,
    /// The longest time without any success from the strike to 15 s after the healing, or to the next strike.
    pub dark_us: u64,
}

/// Availability of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Availability {
    /// One entry for each installed fault.
    pub outages: Vec<Outage>,
    /// The longest time without any success in the whole run.
    pub dark_us: u64,
}

/// After the last fault is healed, operations must succeed again within this time.
const COMES_BACK_US: u64 = 60_000_000;

/// Time after the healing that is still blamed on the fault.
const AFTERMATH_US: u64 = 15_000_000;

/// Measures a run, and judges whether the cluster came back.
pub fn check(operations: &[Operation], faults: &[(u64, FaultNote)]) -> (Availability, Finding) {
    let mut finding = Finding::new("availability");
    let mut successes: Vec<(u64, u64)> = operations.iter().filter_map(success).collect();
    successes.sort_unstable_by_key(|(_, returned)| *returned);
    let mut availability = Availability::default();
    let Some((_, last)) = successes.last().copied() else {
        finding.doubt("no operation succeeded", || "there is nothing to measure".to_owned());
        return (availability, finding);
    };
    availability.dark_us = dark(&successes, successes[0].1, last);
    for (at, note) in faults.iter().filter(|(_, note)| note.phase == FaultPhase::Installed) {
        availability.outages.push(outage(*at, note, faults, &successes, last));
    }
    let healed = faults.iter().map(|(at, _)| *at).max().unwrap_or(0);
    let back =
        successes.iter().find(|(invoked, _)| *invoked >= healed).map(|(_, returned)| returned - healed);
    let attempted =
        operations.iter().any(|operation| operation.invoked >= healed && is_write(&operation.call));
    match back {
        Some(us) if us <= COMES_BACK_US => finding.figure("back after the last fault, ms", us / 1_000),
        Some(us) => {
            finding.anomaly("came back too late", || format!("{} s after the last fault", us / 1_000_000))
        }
        None if attempted => {
            finding.anomaly("did not come back", || "no success after the last fault".to_owned())
        }
        None => finding.doubt("nothing tried after the last fault", || "the run ended too early".to_owned()),
    }
    figures(&availability, operations, &mut finding);
    (availability, finding)
}

fn is_write(call: &Call) -> bool {
    matches!(
        call,
        Call::Send { .. } | Call::SendDelayed { .. } | Call::SendOrdered { .. } | Call::Write { .. }
    )
}

fn success(operation: &Operation) -> Option<(u64, u64)> {
    (operation.outcome == Outcome::Ok && is_write(&operation.call))
        .then_some((operation.invoked, operation.returned?))
}

/// The longest gap between successes within a window; `successes` are in the order of return.
fn dark(successes: &[(u64, u64)], from: u64, to: u64) -> u64 {
    let (mut longest, mut last) = (0, from);
    let start = successes.partition_point(|(_, returned)| *returned < from);
    for (_, returned) in &successes[start..] {
        if *returned > to {
            break;
        }
        longest = longest.max(returned - last);
        last = *returned;
    }
    longest.max(to.saturating_sub(last))
}

fn outage(
    at: u64,
    note: &FaultNote,
    faults: &[(u64, FaultNote)],
    successes: &[(u64, u64)],
    last: u64,
) -> Outage {
    let healed = faults.iter().find(|(_, other)| other.id == note.id && other.phase == FaultPhase::Healed);
    let struck = |(_, other): &&(u64, FaultNote)| other.phase == FaultPhase::Installed;
    let next = faults.iter().filter(struck).map(|(next, _)| *next).filter(|next| *next > at).min();
    let until = (healed.map_or(at, |(at, _)| *at) + AFTERMATH_US).min(next.unwrap_or(last)).min(last).max(at);
    let start = successes.partition_point(|(_, returned)| *returned < at);
    let first = successes[start..].iter().find(|(invoked, _)| *invoked >= at);
    Outage {
        id: note.id,
        nemesis: note.nemesis.clone(),
        at_us: at,
        recovered_us: first.map(|(_, returned)| returned - at),
        dark_us: dark(successes, at, until),
    }
}

fn figures(availability: &Availability, operations: &[Operation], finding: &mut Finding) {
    finding.figure("longest dark time, ms", availability.dark_us / 1_000);
    let mut dark: Vec<u64> = availability.outages.iter().map(|outage| outage.dark_us / 1_000).collect();
    dark.sort_unstable();
    if let Some(worst) = dark.last() {
        finding.figure("dark per fault, worst, ms", *worst);
        finding.figure("dark per fault, middle, ms", dark[dark.len() / 2]);
    }
    let mut latencies: Vec<u64> = operations
        .iter()
        .filter_map(|operation| success(operation).map(|(invoked, returned)| returned - invoked))
        .collect();
    latencies.sort_unstable();
    for (name, percent) in [("latency p50, us", 50), ("latency p99, us", 99), ("latency max, us", 100)] {
        if !latencies.is_empty() {
            let rank = ((latencies.len() - 1) * percent).div_ceil(100);
            finding.figure(name, latencies[rank.min(latencies.len() - 1)]);
        }
    }
    let writes = operations.iter().filter(|operation| is_write(&operation.call));
    for operation in writes {
        finding.count(match operation.outcome {
            Outcome::Ok => "writes ok",
            Outcome::Fail => "writes refused",
            Outcome::Unknown => "writes unknown",
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn send(invoked: u64, returned: u64, outcome: Outcome) -> Operation {
        let call = Call::Send { queue: 0, value: invoked };
        Operation {
            op: invoked,
            process: 0,
            invoked,
            returned: Some(returned),
            outcome,
            call,
            answer: None,
            error: None,
        }
    }

    fn note(id: u32, phase: FaultPhase) -> FaultNote {
        FaultNote { id, nemesis: "kill-leader".to_owned(), phase, nodes: vec![0], what: String::new() }
    }

    const S: u64 = 1_000_000;

    #[test]
    fn recovery_counts_only_operations_that_began_after_the_strike() {
        let run = [
            send(S, S + 1, Outcome::Ok),
            send(9 * S, 11 * S, Outcome::Ok),
            send(12 * S, 13 * S, Outcome::Ok),
            send(30 * S, 31 * S, Outcome::Ok),
        ];
        let faults = [(10 * S, note(0, FaultPhase::Installed)), (20 * S, note(0, FaultPhase::Healed))];
        let (availability, finding) = check(&run, &faults);
        assert_eq!(finding.verdict, Verdict::Valid);
        assert_eq!(availability.outages[0].recovered_us, Some(3 * S));
        assert_eq!(availability.outages[0].dark_us, 18 * S);
    }

    #[test]
    fn a_cluster_that_does_not_come_back_is_invalid() {
        let faults = [(10 * S, note(0, FaultPhase::Installed)), (20 * S, note(0, FaultPhase::Healed))];
        let dead = [send(S, 2 * S, Outcome::Ok), send(21 * S, 22 * S, Outcome::Fail)];
        assert_eq!(check(&dead, &faults).1.of("did not come back"), 1);
        let late = [send(S, 2 * S, Outcome::Ok), send(90 * S, 91 * S, Outcome::Ok)];
        assert_eq!(check(&late, &faults).1.of("came back too late"), 1);
        assert_eq!(check(&dead[..1], &faults).1.verdict, Verdict::Unknown);
    }
}
