//! No server may panic, and none may end by itself unless the fault of the moment demands it.

use super::finding::Finding;

/// What a program that broke says before it dies.
const MARKS: &[&str] = &[
    "panicked at",
    "fatal runtime error",
    "has overflowed its stack",
    "memory allocation of",
    "Segmentation fault",
    "double free",
];

/// What the judge needs to know of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLog {
    /// Which server.
    pub member: String,
    /// All that it printed; `None` if the file is gone.
    pub text: Option<String>,
    /// Ends that nobody caused: how it ended, and whether a fault of that time explains it.
    pub ends: Vec<(String, bool)>,
}

/// The first line by which a program says that it broke.
pub fn first_panic(text: &str) -> Option<&str> {
    text.lines().find(|line| MARKS.iter().any(|mark| line.contains(mark)))
}

/// Judges the logs of all servers.
pub fn check(logs: &[ServerLog]) -> Finding {
    let mut finding = Finding::new("panics");
    if logs.is_empty() {
        finding.doubt("no log", || "there was no server to read from".to_owned());
    }
    for log in logs {
        let Some(text) = &log.text else {
            finding.doubt("log is missing", || log.member.clone());
            continue;
        };
        finding.figure(&format!("lines of {}", log.member), text.lines().count() as u64);
        for line in text.lines().filter(|line| MARKS.iter().any(|mark| line.contains(mark))) {
            finding.anomaly("panic", || {
                format!("{}: {}", log.member, line.chars().take(300).collect::<String>())
            });
        }
        for (how, explained) in &log.ends {
            let tell = || format!("{}: {how}", log.member);
            if *explained {
                finding.remark("ended under a fault that demands it", tell);
            } else {
                finding.anomaly("ended by itself", tell);
            }
        }
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn log(text: Option<&str>, ends: &[(&str, bool)]) -> ServerLog {
        let ends = ends.iter().map(|(how, explained)| ((*how).to_owned(), *explained)).collect();
        ServerLog { member: "n0".to_owned(), text: text.map(str::to_owned), ends }
    }

    #[test]
    fn panics_and_unexplained_ends_are_invalid_and_a_missing_log_is_unknown() {
        assert_eq!(check(&[log(Some("all is well"), &[])]).verdict, Verdict::Valid);
        assert_eq!(check(&[log(Some("thread 'x' panicked at src/a.rs:1:1:"), &[])]).of("panic"), 1);
        assert_eq!(check(&[log(Some(""), &[("exit 101", false)])]).of("ended by itself"), 1);
        assert_eq!(check(&[log(Some(""), &[("exit 1", true)])]).verdict, Verdict::Valid);
        assert_eq!(check(&[log(None, &[])]).verdict, Verdict::Unknown);
        assert_eq!(check(&[]).verdict, Verdict::Unknown);
    }
}
