//! A fault that was demanded and did not happen is not a pass.

use std::collections::BTreeMap;

use super::finding::Finding;
use crate::history::{FaultNote, FaultPhase};

/// Judges whether every demanded nemesis really struck, and whether all that struck was healed.
pub fn check(demanded: &[String], faults: &[(u64, FaultNote)]) -> Finding {
    let mut finding = Finding::new("coverage");
    let mut installed: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, note) in faults {
        match note.phase {
            FaultPhase::Installed => *installed.entry(&note.nemesis).or_insert(0) += 1,
            FaultPhase::Skipped => finding.remark("skipped", || format!("{}: {}", note.nemesis, note.what)),
            FaultPhase::Indeterminate => {
                finding.remark("indeterminate", || format!("{}: {}", note.nemesis, note.what))
            }
            FaultPhase::Healed => {}
        }
        let healed = faults.iter().any(|(_, other)| other.id == note.id && other.phase == FaultPhase::Healed);
        if note.phase == FaultPhase::Installed && !healed {
            finding.doubt("not healed", || format!("{} number {}", note.nemesis, note.id));
        }
    }
    for (name, times) in &installed {
        finding.figure(&format!("{name} installed"), *times);
    }
    for name in demanded.iter().filter(|name| !installed.contains_key(name.as_str())) {
        finding.doubt("demanded and did not happen", || name.clone());
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn note(nemesis: &str, id: u32, phase: FaultPhase) -> (u64, FaultNote) {
        (1, FaultNote { id, nemesis: nemesis.to_owned(), phase, nodes: vec![], what: String::new() })
    }

    #[test]
    fn only_installed_and_healed_faults_cover_a_demand() {
        let demanded = ["kill-leader".to_owned()];
        let struck =
            [note("kill-leader", 0, FaultPhase::Installed), note("kill-leader", 0, FaultPhase::Healed)];
        assert_eq!(check(&demanded, &struck).verdict, Verdict::Valid);
        assert_eq!(check(&demanded, &struck[..1]).verdict, Verdict::Unknown);
        assert_eq!(
            check(&demanded, &[note("kill-leader", 0, FaultPhase::Skipped)]).verdict,
            Verdict::Unknown
        );
        assert_eq!(
            check(&demanded, &[note("kill-leader", 0, FaultPhase::Indeterminate)]).verdict,
            Verdict::Unknown
        );
        assert_eq!(check(&demanded, &[]).verdict, Verdict::Unknown);
        assert_eq!(check(&[], &[]).verdict, Verdict::Valid);
    }
}
