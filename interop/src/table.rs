//! What a run tells its reader: a line when something ended, and a table at the end.

use std::io::Write;
use std::time::Duration;

/// One promise of one row, kept or broken.
#[derive(Debug)]
pub(crate) struct Check {
    /// The scenario or comparison.
    pub(crate) name: String,
    /// How each broken promise was broken; empty when all were kept.
    pub(crate) broken: Vec<String>,
    /// Figures worth a look, as text.
    pub(crate) saw: String,
    /// How long it took.
    pub(crate) millis: u64,
}

/// One row, played.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The row's name.
    pub(crate) row: String,
    /// Everything it checked.
    pub(crate) checks: Vec<Check>,
    /// Why it could not go on, when it could not.
    pub(crate) error: Option<String>,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Outcome {
    fn failed(&self) -> usize {
        self.checks.iter().filter(|check| !check.broken.is_empty()).count()
            + usize::from(self.error.is_some())
    }
}

/// Prints a line at once.
pub(crate) fn say(line: &str) {
    // A reader that went away is no reason to stop testing.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Prints the end of one check.
pub(crate) fn told(row: &str, check: &Check) {
    let verdict = if check.broken.is_empty() { "ok  " } else { "FAIL" };
    let seconds = Duration::from_millis(check.millis).as_secs_f64();
    say(&format!("{verdict} {row} · {} ({seconds:.1} s) {}", check.name, check.saw));
    for broken in &check.broken {
        say(&format!("       {broken}"));
    }
}

/// Prints the table; answers whether the run passed. When the driver lied, passing means that all noticed.
pub(crate) fn finish(outcomes: &[Outcome], took: Duration, lied: bool) -> bool {
    say("");
    let width = outcomes.iter().map(|outcome| outcome.row.chars().count()).max().unwrap_or(0);
    let (mut passed, mut failed) = (0, 0);
    for outcome in outcomes {
        let bad = outcome.failed();
        let all = outcome.checks.len() + usize::from(outcome.error.is_some());
        passed += all - bad;
        failed += bad;
        let verdict = if bad == if lied { all } else { 0 } { "PASS" } else { "FAIL" };
        let pad = " ".repeat(width - outcome.row.chars().count());
        let seconds = outcome.took.as_secs_f64();
        let good = if lied { bad } else { all - bad };
        say(&format!("{verdict}  {}{pad}  {good:>3} of {all:>3}  {seconds:>6.1} s", outcome.row));
        for check in outcome.checks.iter().filter(|check| check.broken.is_empty() == lied) {
            say(&format!(
                "        {}: {}",
                check.name,
                if lied { "did not notice the lie" } else { &check.broken[0] }
            ));
        }
        if let Some(error) = &outcome.error {
            say(&format!("        {error}"));
        }
    }
    say(&format!("\n{:.0} s in all", took.as_secs_f64()));
    if lied {
        // A scenario that noticed the lie did what it is for.
        (passed, failed) = (failed, passed);
    }
    say(&format!("{passed} passed, {failed} failed"));
    failed == 0 && passed > 0
}
