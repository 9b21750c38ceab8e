//! What a checker says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The three verdicts. Only the first is a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything that was promised held, and everything that was demanded happened.
    Valid,
    /// Nobody can tell.
    Unknown,
    /// A promise was broken.
    Invalid,
}

/// Details that a finding keeps; the count beside them is always whole.
const DETAILS_MAX: usize = 40;

/// One checker's verdict with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which checker.
    pub checker: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Counts of what was checked and of what was wrong, by name.
    pub figures: BTreeMap<String, u64>,
    /// The first few anomalies as sentences.
    pub details: Vec<String>,
}

impl Finding {
    /// A finding that is valid until something is said against it.
    pub fn new(checker: &str) -> Self {
        Self {
            checker: checker.to_owned(),
            verdict: Verdict::Valid,
            figures: BTreeMap::new(),
            details: Vec::new(),
        }
    }

    /// Notes how many of something there were.
    pub fn figure(&mut self, name: &str, value: u64) {
        self.figures.insert(name.to_owned(), value);
    }

    /// Counts one more of something.
    pub fn count(&mut self, name: &str) {
        *self.figures.entry(name.to_owned()).or_insert(0) += 1;
    }

    /// A broken promise, by its kind.
    pub fn anomaly(&mut self, kind: &str, detail: impl FnOnce() -> String) {
        self.verdict = Verdict::Invalid;
        self.count(kind);
        self.detail(kind, detail);
    }

    /// A reason why nobody can tell.
    pub fn doubt(&mut self, kind: &str, detail: impl FnOnce() -> String) {
        self.verdict = self.verdict.max(Verdict::Unknown);
        self.count(kind);
        self.detail(kind, detail);
    }

    /// Something worth a sentence that breaks no promise.
    pub fn remark(&mut self, kind: &str, detail: impl FnOnce() -> String) {
        self.count(kind);
        self.detail(kind, detail);
    }

    /// A broken rule that the mode's documentation allows: told, counted, not condemned.
    pub fn documented(&mut self, excused: bool, kind: &str, detail: impl FnOnce() -> String) {
        if excused {
            self.remark(&format!("{kind} (as documented)"), detail);
        } else {
            self.anomaly(kind, detail);
        }
    }

    /// How many anomalies of a kind there were.
    pub fn of(&self, kind: &str) -> u64 {
        self.figures.get(kind).copied().unwrap_or(0)
    }

    fn detail(&mut self, kind: &str, detail: impl FnOnce() -> String) {
        if self.details.len() < DETAILS_MAX {
            self.details.push(format!("{kind}: {}", detail()));
        }
    }
}

/// The worst verdict of all; nothing checked is nothing known.
pub fn overall(findings: &[Finding]) -> Verdict {
    findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_wins_and_nothing_checked_is_unknown() {
        assert_eq!(overall(&[]), Verdict::Unknown);
        let valid = Finding::new("a");
        let mut unknown = Finding::new("b");
        unknown.doubt("timeout", || "too long".to_owned());
        let mut invalid = Finding::new("c");
        invalid.anomaly("lost", || "1".to_owned());
        assert_eq!(overall(std::slice::from_ref(&valid)), Verdict::Valid);
        assert_eq!(overall(&[valid.clone(), unknown.clone()]), Verdict::Unknown);
        assert_eq!(overall(&[unknown, invalid, valid]), Verdict::Invalid);
    }

    #[test]
    fn details_are_few_and_counts_are_whole() {
        let mut finding = Finding::new("a");
        for index in 0..1_000 {
            finding.anomaly("lost", || index.to_string());
        }
        assert_eq!(finding.of("lost"), 1_000);
        assert_eq!(finding.details.len(), DETAILS_MAX);
    }
}
