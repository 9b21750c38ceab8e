//! What a slave had when its master died: the window of loss of ASYNC_MASTER, and the promise of SYNC_MASTER.
//!
//! After each death of a master the injector reads from the slave's files where its log ends. What was acknowledged
//! before and lies behind that place is on one disk alone: if the master never comes back, it is lost.

use super::finding::Finding;
use crate::history::{Answer, Call, FaultNote, FaultPhase, Operation, Outcome};

/// Judges every death of the master; `is_promised` is SYNC_MASTER's word that both have what was acknowledged.
pub fn check(operations: &[Operation], faults: &[(u64, FaultNote)], is_promised: bool) -> Finding {
    let mut finding = Finding::new("copies");
    let mut sends: Vec<(u64, u64)> = operations.iter().filter_map(acknowledged).collect();
    sends.sort_unstable();
    let (mut deaths, mut oldest) = (0, 0);
    for operation in operations {
        let (Call::LogEnd { node }, Some(Answer::End(end))) = (&operation.call, &operation.answer) else {
            continue;
        };
        let struck =
            |(at, note): &&(u64, FaultNote)| note.phase == FaultPhase::Installed && *at <= operation.invoked;
        let Some(death) = faults.iter().filter(struck).map(|(at, _)| *at).max() else { continue };
        deaths += 1;
        let before = &sends[..sends.partition_point(|(returned, _)| *returned < operation.invoked)];
        for (returned, physical) in before.iter().filter(|(_, physical)| physical >= end) {
            let age = death.saturating_sub(*returned) / 1_000;
            oldest = oldest.max(age);
            finding.documented(!is_promised, "acknowledged and not on the slave", || {
                format!("n{node} ends at {end}; what stands at {physical} was acknowledged {age} ms before the fault")
            });
        }
    }
    finding.figure("deaths of the master", deaths);
    finding.figure("oldest that the slave lacks, ms before the fault", oldest);
    finding
}

fn acknowledged(operation: &Operation) -> Option<(u64, u64)> {
    match (&operation.call, &operation.answer, operation.outcome) {
        (Call::Send { .. }, Some(Answer::Placed(placed)), Outcome::Ok) => {
            Some((operation.returned?, placed.physical))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::history::Placed;

    fn operation(at: u64, call: Call, answer: Answer) -> Operation {
        let (returned, answer) = (Some(at + 1), Some(answer));
        Operation {
            op: at,
            process: 0,
            invoked: at,
            returned,
            outcome: Outcome::Ok,
            call,
            answer,
            error: None,
        }
    }

    fn run(end: u64) -> (Vec<Operation>, Vec<(u64, FaultNote)>) {
        let send = |at, physical| {
            let placed = Answer::Placed(Placed { queue: 0, offset: 0, physical });
            operation(at, Call::Send { queue: 0, value: at }, placed)
        };
        let looked = operation(60_000, Call::LogEnd { node: 1 }, Answer::End(end));
        let (nemesis, what) = ("kill-leader".to_owned(), String::new());
        let note = FaultNote { id: 0, nemesis, phase: FaultPhase::Installed, nodes: vec![0], what };
        (vec![send(10_000, 100), send(20_000, 200), looked, send(90_000, 300)], vec![(50_000, note)])
    }

    #[test]
    fn what_the_slave_lacks_is_measured_in_one_mode_and_condemned_in_the_other() {
        let (operations, faults) = run(150);
        let measured = check(&operations, &faults, false);
        assert_eq!(measured.verdict, Verdict::Valid);
        assert_eq!(measured.of("acknowledged and not on the slave (as documented)"), 1);
        assert_eq!(measured.of("oldest that the slave lacks, ms before the fault"), 29);
        assert_eq!(check(&operations, &faults, true).of("acknowledged and not on the slave"), 1);
        let (operations, faults) = run(250);
        let whole = check(&operations, &faults, true);
        assert_eq!((whole.verdict, whole.of("deaths of the master")), (Verdict::Valid, 1));
    }
}
