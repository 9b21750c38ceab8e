//! Raft's own promises, as far as they can be seen from outside: a replica never forgets a term that it was in, not
//! through a crash nor a power cut, and a term never has two masters that serve.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Finding;
use crate::history::{Answer, Call, FaultNote, Operation};
use crate::schedule::FaultKind;

/// One answer of a replica.
#[derive(Clone, Copy, Debug)]
struct Sight {
    invoked: u64,
    returned: u64,
    term: u64,
    leads: bool,
}

/// Judges what the observers of a run saw.
pub fn check(operations: &[Operation], faults: &[(u64, FaultNote)]) -> Finding {
    let mut finding = Finding::new("terms");
    let mut sights: BTreeMap<u32, Vec<Sight>> = BTreeMap::new();
    for operation in operations {
        if let (Call::Standing { node }, Some(Answer::Standing { term, leads }), Some(returned)) =
            (&operation.call, &operation.answer, operation.returned)
        {
            let sight = Sight { invoked: operation.invoked, returned, term: *term, leads: *leads };
            sights.entry(*node).or_default().push(sight);
        }
    }
    let robbed = robbed(faults);
    let mut masters: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
    for (node, sights) in &mut sights {
        finding.figure(&format!("answers of n{node}"), sights.len() as u64);
        if !robbed.contains(node) {
            goes_on(*node, sights, &mut finding);
        }
        for sight in sights.iter().filter(|sight| sight.leads) {
            masters.entry(sight.term).or_default().insert(*node);
        }
    }
    finding.figure("terms with a master", masters.len() as u64);
    for (term, nodes) in masters.iter().filter(|(_, nodes)| nodes.len() > 1) {
        finding.anomaly("two masters in one term", || format!("term {term}: {nodes:?}"));
    }
    if sights.is_empty() {
        finding.doubt("nothing was seen", || "no replica said in which term it is".to_owned());
    }
    finding
}

/// Replicas whose disks were taken away or changed: they may forget.
fn robbed(faults: &[(u64, FaultNote)]) -> BTreeSet<u32> {
    let robs = |note: &FaultNote| {
        matches!(FaultKind::named(&note.nemesis), Some(FaultKind::Disk(_) | FaultKind::Replace))
    };
    faults.iter().filter(|(_, note)| robs(note)).flat_map(|(_, note)| note.nodes.iter().copied()).collect()
}

/// An answer to a question that was asked after another answer had come never names a lower term.
fn goes_on(node: u32, sights: &mut [Sight], finding: &mut Finding) {
    let mut answered: Vec<(u64, u64)> = sights.iter().map(|sight| (sight.returned, sight.term)).collect();
    answered.sort_unstable();
    sights.sort_by_key(|sight| sight.invoked);
    let (mut known, mut floor) = (answered.iter().peekable(), 0);
    for sight in sights.iter() {
        while let Some((_, term)) = known.next_if(|(returned, _)| *returned < sight.invoked) {
            floor = floor.max(*term);
        }
        if sight.term < floor {
            finding.anomaly("a term went back", || {
                format!("n{node} was in term {floor} and is in term {} at {} us", sight.term, sight.returned)
            });
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::history::{FaultPhase, Outcome};

    fn saw(node: u32, at: u64, term: u64, leads: bool) -> Operation {
        Operation {
            op: at,
            process: node,
            invoked: at,
            returned: Some(at + 5),
            outcome: Outcome::Ok,
            call: Call::Standing { node },
            answer: Some(Answer::Standing { term, leads }),
            error: None,
        }
    }

    #[test]
    fn terms_that_rise_and_change_masters_are_valid() {
        let run = [saw(0, 10, 1, true), saw(1, 10, 1, false), saw(1, 20, 2, true), saw(0, 30, 2, false)];
        let finding = check(&run, &[]);
        assert_eq!(finding.verdict, Verdict::Valid);
        assert_eq!(finding.of("terms with a master"), 2);
        // An old master that was frozen may say so once more.
        assert_eq!(check(&[saw(1, 20, 2, true), saw(0, 30, 1, true)], &[]).verdict, Verdict::Valid);
        assert_eq!(check(&[], &[]).verdict, Verdict::Unknown);
    }

    #[test]
    fn a_term_that_goes_back_is_caught_unless_the_disk_was_taken_away() {
        let run = [saw(0, 10, 4, false), saw(0, 20, 3, false)];
        assert_eq!(check(&run, &[]).of("a term went back"), 1);
        assert_eq!(check(&[saw(0, 10, 4, false), saw(0, 12, 3, false)], &[]).verdict, Verdict::Valid);
        let note = |nemesis: &str| {
            let nemesis = nemesis.to_owned();
            (
                15,
                FaultNote {
                    id: 0,
                    nemesis,
                    phase: FaultPhase::Installed,
                    nodes: vec![0],
                    what: String::new(),
                },
            )
        };
        assert_eq!(check(&run, &[note("wipe-follower")]).verdict, Verdict::Valid);
        assert_eq!(check(&run, &[note("power-one")]).verdict, Verdict::Invalid);
    }

    #[test]
    fn two_masters_in_one_term_are_caught() {
        assert_eq!(check(&[saw(0, 10, 4, true), saw(1, 90, 4, true)], &[]).of("two masters in one term"), 1);
    }
}
