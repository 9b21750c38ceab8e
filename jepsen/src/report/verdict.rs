//! The verdict of a run, for people and for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::check::availability::Availability;
use crate::check::{Finding, Verdict};
use crate::error::{Error, Result};
use crate::history::FaultNote;

/// Everything that a verdict file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The worst of all findings.
    pub verdict: Verdict,
    /// The command that repeats the run.
    pub command: String,
    /// Mode, workload and nemesis in one word.
    pub name: String,
    /// The seed.
    pub seed: u64,
    /// What each checker says.
    pub findings: Vec<Finding>,
    /// Outages by fault.
    pub availability: Availability,
    /// Every phase of every fault, with its time in microseconds.
    pub faults: Vec<(u64, FaultNote)>,
}

/// Writes `verdict.txt` and `verdict.json`.
pub fn write(directory: &Path, summary: &Summary) -> Result<String> {
    let text = text(summary);
    let put = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        std::fs::write(&path, bytes).map_err(|source| Error::File { doing: "writing", path, source })
    };
    put("verdict.txt", text.as_bytes())?;
    put("verdict.json", &serde_json::to_vec_pretty(summary)?)?;
    Ok(text)
}

fn text(summary: &Summary) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}: {}", summary.name, word(summary.verdict));
    let _ = writeln!(text, "repeat with: {}\n", summary.command);
    for finding in &summary.findings {
        let _ = writeln!(text, "{:<16} {}", finding.checker, word(finding.verdict));
        for (name, value) in &finding.figures {
            let _ = writeln!(text, "    {name}: {value}");
        }
        for detail in &finding.details {
            let _ = writeln!(text, "    - {detail}");
        }
    }
    let _ = writeln!(text, "\nfaults");
    for (at, note) in &summary.faults {
        let _ = writeln!(
            text,
            "    {:>9.3} s  {:<22} {:<13} {:?} {}",
            *at as f64 / 1e6,
            note.nemesis,
            format!("{:?}", note.phase).to_lowercase(),
            note.nodes,
            note.what
        );
    }
    let _ = writeln!(text, "\noutages: first success after the strike, and the longest dark time around it");
    for outage in &summary.availability.outages {
        let recovered =
            outage.recovered_us.map_or_else(|| "never".to_owned(), |us| format!("{} ms", us / 1_000));
        let _ = writeln!(
            text,
            "    {:<22} {recovered:>10} {:>8} ms dark",
            outage.nemesis,
            outage.dark_us / 1_000
        );
    }
    text
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "VALID",
        Verdict::Unknown => "UNKNOWN (not a pass)",
        Verdict::Invalid => "INVALID",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_verdict_seed_and_reasons() {
        let mut finding = Finding::new("log");
        finding.anomaly("lost", || "value 7".to_owned());
        let summary = Summary {
            verdict: Verdict::Invalid,
            command: "jepsen test --seed 9".to_owned(),
            name: "raft-log-kill-leader".to_owned(),
            seed: 9,
            findings: vec![finding],
            availability: Availability::default(),
            faults: Vec::new(),
        };
        let text = text(&summary);
        for part in ["raft-log-kill-leader: INVALID", "--seed 9", "lost: 1", "- lost: value 7"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &summary).unwrap();
        let json = std::fs::read(directory.path().join("verdict.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Summary>(&json).unwrap(), summary);
    }
}
